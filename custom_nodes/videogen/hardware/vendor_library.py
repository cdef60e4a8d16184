"""A vendor's sensor library: started on first use, and started again some time after a failure."""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from .card_keys import CardKey

#: Seconds before a library that did not start is tried again.
RETRY_AFTER = 30.0


class VendorLibrary(ABC):
    """The lifecycle that all vendors' libraries share. All methods may be called from any thread and raise nothing of the
    library's.

    Args:
        load: returns the module; a parameter for tests.

    Attributes:
        problem: why the library does not answer, or "".
        unreadable: id of a card that is listed and cannot be read → why. The others are read; these are asked for again from
            time to time.
    """

    #: Name of the Python module, and of the library in messages.
    module_name: str
    library: str
    maker: str
    not_installed: str

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        self._load = load or (lambda: importlib.import_module(self.module_name))
        self._module: Any = None
        self._lock = threading.RLock()
        self._handles: dict[str, Any] = {}
        self._cards: list[CardKey] = []
        self._start_at = self._list_at = float("-inf")
        self.problem = ""
        self.unreadable: dict[str, str] = {}

    def start(self) -> bool:
        """Return whether the library answers; `problem` says why not. After a failure, retry `RETRY_AFTER` seconds later."""
        with self._lock:
            if self._module is not None:
                self._look_again()
                return True
            if time.monotonic() < self._start_at:
                return False
            self._start_at = time.monotonic() + RETRY_AFTER
            try:
                module = self._load()
            except ImportError:
                self.problem = self.not_installed
                return False
            except (
                Exception
            ) as error:  # amdsmi without ROCm's libraries raises KeyError, OSError and others when imported
                self.problem = f"{self.library} cannot be used: {error}"
                return False
            try:
                self._initialize(module)
            except Exception as error:  # the library's own, or whatever a broken driver makes ctypes raise
                self.problem = f"{self.library} does not start: {error}"
                return False
            self._module = module
            try:
                self._find_cards()
            except Exception as error:
                self.problem = f"{self.library} does not list its cards: {error}"
                self.stop()
                return False
            self._start_at, self.problem = float("-inf"), ""
            self._list_at = time.monotonic() + RETRY_AFTER
            return True

    def _look_again(self) -> None:
        """List the cards again while one of them cannot be read; what was known stays when that fails."""
        if not self.unreadable or time.monotonic() < self._list_at:
            return
        self._list_at = time.monotonic() + RETRY_AFTER
        known = dict(self._handles), list(self._cards), dict(self.unreadable)
        self._handles.clear()
        self._cards.clear()
        self.unreadable.clear()
        try:
            self._find_cards()
        except Exception:
            self._handles, self._cards, self.unreadable = known

    def _add_unreadable(self, number: int, error: Exception) -> None:
        """List a card of which nothing is known but its number in the library's list."""
        card = CardKey("", f"{self.library.lower()}-{number}", f"{self.maker} card {number}")
        self._cards.append(card)
        self.unreadable[card.uuid] = f"{self.library} says: {error}"

    def _explain_unknown(self) -> str:
        """Why a card may not be in the list."""
        lost = "; ".join(dict.fromkeys(self.unreadable.values()))
        return f"{self.library} does not know it" + (f", and one of its cards cannot be read ({lost})" if lost else "")

    def stop(self) -> None:
        """Shut the library down; the next question starts it again."""
        with self._lock:
            module, self._module = self._module, None
            self._forget()
            if module is not None:
                with contextlib.suppress(Exception):
                    self._shut_down(module)

    def cards(self) -> list[CardKey]:
        """All cards of this machine, also those that CUDA_VISIBLE_DEVICES hides."""
        with self._lock:
            return list(self._cards) if self.start() else []

    def _forget(self) -> None:
        """Drop everything that is valid only until the library stops."""
        self._handles.clear()
        self._cards.clear()
        self.unreadable.clear()

    @abstractmethod
    def _initialize(self, module: Any) -> None: ...

    @abstractmethod
    def _shut_down(self, module: Any) -> None: ...

    @abstractmethod
    def _find_cards(self) -> None:
        """Fill `_handles` and `_cards`, each card by itself: one that fails must not hide the others (`_add_unreadable`)."""
