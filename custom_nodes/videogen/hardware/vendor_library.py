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
    """

    #: Name of the Python module, and of the library in messages.
    module_name: str
    library: str
    not_installed: str

    def __init__(self, load: Callable[[], Any] | None = None) -> None:
        self._load = load or (lambda: importlib.import_module(self.module_name))
        self._module: Any = None
        self._lock = threading.RLock()
        self._handles: dict[str, Any] = {}
        self._cards: list[CardKey] = []
        self._start_at = float("-inf")
        self.problem = ""

    def start(self) -> bool:
        """Return whether the library answers; `problem` says why not. After a failure, retry `RETRY_AFTER` seconds later."""
        with self._lock:
            if self._module is not None:
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
            return True

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

    @abstractmethod
    def _initialize(self, module: Any) -> None: ...

    @abstractmethod
    def _shut_down(self, module: Any) -> None: ...

    @abstractmethod
    def _find_cards(self) -> None:
        """Fill `_handles` and `_cards`."""
