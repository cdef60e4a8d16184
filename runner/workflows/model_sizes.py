"""Sizes of model files on remote servers, requested without downloading the files."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from ..comfyui.transport import CA_VARIABLES, LOCAL_HOSTS

#: Seconds for all addresses together: a size is useful, but not worth a wait.
MAX_SECONDS = 5.0
#: Seconds for one answer, so that a server that is silent does not take all of them.
ANSWER_TIMEOUT = 3.0
#: Addresses that are asked at a time, and at most: a workflow comes from anywhere.
MAX_PARALLEL, MAX_ADDRESSES = 6, 30


class ModelSizes:
    """Asks for sizes with HEAD, each address once.

    Args:
        limit: seconds for all that is ever asked of this object.
    """

    def __init__(self, limit: float = MAX_SECONDS) -> None:
        self._left = limit
        self._known: dict[str, int] = {}

    def ask(self, urls: Iterable[str]) -> Mapping[str, int]:
        """Address → bytes, of those that say it in time. It never fails."""
        new = [url for url in dict.fromkeys(urls) if url not in self._known][: MAX_ADDRESSES - len(self._known)]
        began = time.monotonic()
        found = _ask_all(new, began + self._left) if self._left > 0 else {}
        self._left -= time.monotonic() - began
        # An address that has not answered is not asked again.
        self._known |= {url: found.get(url, 0) for url in new}
        return {url: size for url, size in self._known.items() if size}


def ask_size(url: str, timeout: float) -> int:
    """Bytes of the file at an address, 0 when it does not say.

    Args:
        timeout: seconds for each redirection and each part of its answer.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return 0
    with requests.Session() as session:
        # No passwords (~/.netrc) go to an address that a workflow names; proxies are used as usual.
        session.trust_env = False
        session.proxies = {} if parts.hostname in LOCAL_HOSTS else get_environ_proxies(url)
        session.verify = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), True)
        answer = session.head(url, allow_redirects=True, timeout=timeout, headers={"Accept-Encoding": "identity"})
        # Model hubs say the file's size where they send one on to their storage, which may not answer HEAD at all.
        for step in (*answer.history, answer):
            if step.status_code < 400 and (size := _number(step.headers.get("X-Linked-Size"))):
                return size
        # A page in place of the file requires authentication.
        is_file = answer.status_code == 200 and not answer.headers.get("Content-Type", "").startswith("text/html")
        return _number(answer.headers.get("Content-Length")) if is_file else 0


def _ask_all(urls: list[str], deadline: float) -> dict[str, int]:
    """Address → bytes or 0, of those that have answered before a time of `time.monotonic`."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for url in urls:
        waiting.put(url)

    def work() -> None:
        while (left := deadline - time.monotonic()) > 0:
            try:
                url = waiting.get_nowait()
            except queue.Empty:
                return
            size = 0
            with contextlib.suppress(Exception):  # whatever a foreign server, name or certificate does
                size = ask_size(url, min(left, ANSWER_TIMEOUT))
            answers.put((url, size))

    for _ in range(min(MAX_PARALLEL, len(urls))):
        # Daemons that are not joined: a name lookup has no time limit.
        threading.Thread(target=work, daemon=True).start()
    found: dict[str, int] = {}
    while len(found) < len(urls) and (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            url, size = answers.get(timeout=left)
            found[url] = size
    return found


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 20 else 0
