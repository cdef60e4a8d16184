"""HTTP answers that end: how long they take and how large they are is bounded while they are read, headers included.

A timeout of `requests` begins again with every byte, and nothing in it bounds an answer: headers that go on for ever, one byte a
second, or a body that unpacks to gigabytes. Here each read from a connection looks at what is still allowed.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from . import limits
from .limits import Limit

_BLOCK = 1 << 14
#: Encodings that are read although none is asked for, as some proxies pack whatever they pass on.
_PACKED = ("gzip", "x-gzip", "deflate")


class LimitExceededError(Exception):
    """An answer is larger or slower than its limit; the text says which, with the number."""


class Allowance:
    """What an answer has used of its limit."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._began = time.monotonic()
        self._received = 0

    @property
    def left(self) -> float:
        """Seconds until it must be there, or have brought more."""
        earned = self._received / self.limit.rate if self.limit.rate else 0.0
        return self._began + self.limit.seconds + earned - time.monotonic()

    def require_time(self) -> float:
        """The seconds that are left, always more than none: looked at once, as time goes on between two looks.

        Raises:
            LimitExceededError: none are left.
        """
        left = self.left
        if left <= 0:
            more = f" and brings less than {self.limit.rate:,} bytes a second" if self.limit.rate else ""
            raise LimitExceededError(f"has not answered in full after {self.limit.seconds:g} s{more}")
        return left

    def note(self, count: int) -> None:
        """Note bytes that came, of headers, body, and what frames them."""
        self._received += count
        if self._received > self.limit.bytes * 2 + limits.MAX_HEADING:
            raise LimitExceededError(f"answers with more than {self.limit.bytes:,} bytes")


_current = threading.local()


@contextlib.contextmanager
def allowing(limit: Limit) -> Iterator[Allowance]:
    """Bound what this thread reads from connections in this context, as one answer."""
    _current.allowance = Allowance(limit)
    try:
        yield _current.allowance
    finally:
        _current.allowance = None


class _BoundedReader(io.RawIOBase):
    """Reads from a connection what is still allowed."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw, self._sock = raw, sock
        #: Bytes of status line and headers so far; None once they are read.
        self.heading: int | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        allowance: Allowance | None = getattr(_current, "allowance", None)
        if allowance is None:
            return self._raw.readinto(buffer)
        left = allowance.require_time()
        before = self._sock.gettimeout()
        self._sock.settimeout(min(left, before) if before is not None else left)
        try:
            count = self._raw.readinto(buffer)
        except TimeoutError:
            allowance.require_time()
            raise
        finally:
            with contextlib.suppress(OSError):
                self._sock.settimeout(before)
        allowance.note(count or 0)
        if self.heading is not None:
            self.heading += count or 0
            if self.heading > limits.MAX_HEADING:
                raise LimitExceededError(f"sends more than {limits.MAX_HEADING:,} bytes of headers")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._reader = _BoundedReader(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._reader)

    def begin(self) -> None:
        self._reader.heading = 0
        super().begin()
        self._reader.heading = None


class _Connection(HTTPConnection):
    response_class = _BoundedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class BoundedAdapter(HTTPAdapter):
    """Opens connections whose answers `allowing` bounds; to be mounted into a session of `requests`."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


def read_blocks(response: requests.Response, limit: Limit) -> Iterator[bytes]:
    """The body of a response that was asked for with ``stream=True``, unpacked, in `allowing`.

    Raises:
        LimitExceededError: it is larger than its limit, or packed in an unknown way or out of proportion.
        Exception: whatever requests and the layers below raise when it breaks off.
    """
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower() or "identity"
    if encoding != "identity" and encoding not in _PACKED:
        raise LimitExceededError(f"answers in the encoding {encoding[: limits.MAX_NAME]!r}, which nobody asked for")
    blocks = response.raw.stream(_BLOCK, decode_content=False)
    total = 0
    for block in blocks if encoding == "identity" else _unpack(blocks):
        total += len(block)
        if total > limit.bytes:
            raise LimitExceededError(f"answers with more than {limit.bytes:,} bytes")
        yield block


def _unpack(blocks: Iterator[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    packed = unpacked = 0
    for block in blocks:
        packed += len(block)
        rest = block
        while rest:
            try:
                data = unpacker.decompress(rest, _BLOCK)
            except zlib.error as error:
                raise urllib3.exceptions.DecodeError(str(error)) from None
            rest = unpacker.unconsumed_tail
            unpacked += len(data)
            if unpacked > max(limits.RATIO_FROM, packed * limits.MAX_RATIO):
                raise LimitExceededError(
                    f"answers with a body that is more than {limits.MAX_RATIO} times as large unpacked"
                )
            yield data
            if not data and not rest:
                break
    while data := unpacker.decompress(unpacker.unconsumed_tail, _BLOCK):
        yield data
    if not unpacker.eof:
        raise urllib3.exceptions.DecodeError("the packed body broke off")


def read_body(response: requests.Response, limit: Limit) -> bytes:
    """The whole of `read_blocks`."""
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > limit.bytes:
        raise LimitExceededError(f"answers with {int(announced):,} bytes, at most {limit.bytes:,} are read")
    body = io.BytesIO()
    for block in read_blocks(response, limit):
        body.write(block)
    return body.getvalue()  # unlike of a bytearray, this is no copy
