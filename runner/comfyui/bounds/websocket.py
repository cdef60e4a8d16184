"""A websocket whose messages are bounded before they are read, and whose handshake ends."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

import websocket
from websocket import ABNF, WebSocketPayloadException
from websocket._abnf import continuous_frame, frame_buffer
from websocket._http import _get_addrinfo_list, _open_socket, _ssl_socket, _tunnel, proxy_info
from websocket._url import parse_url

from . import limits


def _refuse(size: int) -> WebSocketPayloadException:
    return WebSocketPayloadException(f"a message of {size:,} bytes, at most {limits.MAX_MESSAGE:,} are read")


class _BoundedFrames(frame_buffer):
    """Refuses a frame by the length that its header announces."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._received = bytearray()

    def recv_strict(self, bufsize: int) -> bytes:
        """As in the class above, which keeps every piece as an object: of single bytes that is forty times as much."""
        while (missing := bufsize - len(self._received)) > 0:
            self._received += self.recv(min(1 << 14, missing))
        data = bytes(self._received)
        self._received.clear()
        return data

    def recv_length(self) -> None:
        super().recv_length()
        if self.length is not None and self.length > limits.MAX_MESSAGE:
            raise _refuse(self.length)


class _BoundedMessage(continuous_frame):
    """Refuses a message that becomes too large, or has too many frames, with its next frame."""

    _frames = 0

    def add(self, frame: ABNF) -> None:
        size = len(frame.data) + (len(self.cont_data[1]) if self.cont_data else 0)
        self._frames = self._frames + 1 if self.cont_data else 1
        if size > limits.MAX_MESSAGE:
            raise _refuse(size)
        if self._frames > limits.MAX_FRAMES:
            raise WebSocketPayloadException(f"a message of more than {limits.MAX_FRAMES:,} frames")
        super().add(frame)


class BoundedWebSocket(websocket.WebSocket):
    """A websocket for `websocket.create_connection`.

    Its methods raise `WebSocketPayloadException` for a message beyond `limits.MAX_MESSAGE`; the connection is of no use then.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._opened: socket.socket | None = None
        self.frame_buffer = _BoundedFrames(self._recv, skip_utf8_validation=True)
        self.cont_frame = _BoundedMessage(fire_cont_frame=False, skip_utf8_validation=True)

    def connect(self, url: str, **options: Any) -> None:
        """See `websocket.WebSocket.connect`; a handshake without end is an error, a proxy's and TLS's too."""
        watch = threading.Timer(limits.HANDSHAKE_SECONDS, self._cut)
        watch.daemon = True
        watch.start()
        try:
            super().connect(url, socket=self._open(url, options), **options)
        finally:
            watch.cancel()
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def _open(self, url: str, options: dict[str, Any]) -> socket.socket:
        """A connection to the server, as the library opens it, but one that can be cut from the start."""
        host, port, _, is_secure = parse_url(url)
        addresses, by_proxy, login = _get_addrinfo_list(host, port, is_secure, proxy_info(**options))
        opened = _open_socket(addresses, self.sock_opt.sockopt, self.sock_opt.timeout)
        try:
            self._opened = opened.dup()  # TLS takes the other one away
            if by_proxy:
                opened = _tunnel(opened, host, port, login)
            return _ssl_socket(opened, self.sock_opt.sslopt, host) if is_secure else opened
        except BaseException:
            opened.close()
            raise

    def _cut(self) -> None:
        opened = self._opened
        with contextlib.suppress(Exception):
            if opened is not None:
                opened.shutdown(socket.SHUT_RDWR)
