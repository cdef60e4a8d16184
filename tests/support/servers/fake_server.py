"""A server on this machine whose answers a test writes down: HTTP, and a websocket at /ws."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import queue
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: An answer that does not come: the connection is closed instead, as by a server that has gone away.
HANG_UP = object()
STATS = {"system": {"comfyui_version": "0.3.75"}, "devices": []}


@dataclass(frozen=True)
class Answer:
    """An answer to send back.

    Attributes:
        body: JSON unless it is bytes.
        announce: the Content-Length, when it shall not be that of the body.
    """

    status: int = 200
    body: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    announce: int | None = None


@dataclass(frozen=True)
class Raw:
    """An answer that is written as it is, headers included; the connection ends with it."""

    write: Callable[[Any], None]


@dataclass(frozen=True)
class Request:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Route = Any  # JSON, bytes, an Answer, or a function of the request that returns one of these; HANG_UP for none


class FakeServer:
    """Answers by `routes` ("GET /queue": answer), 404 for everything else.

    Args:
        certificate: certificate and key in one PEM file, for TLS.

    Attributes:
        requests: what was asked, in order.
        sockets: the clients of /ws that are connected; each takes messages with `put`: text, bytes, or None to hang up.
        client_ids: of all websocket connections there ever were.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self.routes: dict[str, Route] = {"GET /system_stats": STATS, "GET /object_info": {}}
        self.requests: list[Request] = []
        self.sockets: list[queue.Queue[str | bytes | None]] = []
        self.client_ids: list[str] = []
        self.socket_headers: list[dict[str, str]] = []
        self.connected = threading.Condition()
        #: Said to each client of /ws instead of messages: in place of the handshake, or after it.
        self.greeting: Raw | None = None
        self.speech: Raw | None = None
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = _Listener(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.port}"
        if certificate:
            self._server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server.tls.load_cert_chain(certificate)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def asked(self, route: str) -> list[Request]:
        """The requests of one route, such as ``"POST /prompt"``."""
        return [request for request in self.requests if f"{request.method} {request.path}" == route]

    def wait_for_socket(self, count: int = 1, seconds: float = 5.0) -> queue.Queue[str | bytes | None]:
        """The `count`th websocket connection, once it is there."""
        with self.connected:
            assert self.connected.wait_for(lambda: len(self.sockets) >= count, seconds), "no client connected"
            return self.sockets[count - 1]

    def close(self) -> None:
        for socket in self.sockets:
            socket.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def fake_server(**routes: Route) -> Iterator[FakeServer]:
    server = FakeServer()
    server.routes.update(routes)
    try:
        yield server
    finally:
        server.close()


class _Listener(ThreadingHTTPServer):
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that is gone (killed, say), or refuses our certificate, is no error of the server; the rest is printed."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"
    # Headers and body are written one after the other, which would otherwise wait for each other's acknowledgment.
    disable_nagle_algorithm = True

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, parts.path, query, dict(self.headers), body)
        if self.headers.get("Upgrade") == "websocket":
            self._serve_socket(request)
            return
        self.fake.requests.append(request)
        routes = self.fake.routes
        found = routes.get(f"{request.method} {request.path}", routes.get("*", Answer(404, b"no such page")))
        if isinstance(found, Callable):  # type: ignore[arg-type]
            found = found(request)
        if found is HANG_UP:
            self.close_connection = True
            return
        if isinstance(found, Raw):
            self._send_raw(found)
            return
        answer = found if isinstance(found, Answer) else Answer(body=found)
        self._send(answer)

    do_GET = do_POST = do_PUT = do_HEAD = _answer

    def _send(self, answer: Answer) -> None:
        data = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(data) if answer.announce is None else answer.announce))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        with contextlib.suppress(OSError):
            self.wfile.write(data)
            self.wfile.flush()
        if answer.announce is not None and answer.announce != len(data):
            self.close_connection = True

    def _send_raw(self, raw: Raw) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            raw.write(self.wfile)

    def _serve_socket(self, request: Request) -> None:
        """RFC 6455, as far as a server that only sends needs it."""
        if self.fake.greeting is not None:
            self._send_raw(self.fake.greeting)
            return
        guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + guid).encode()).digest()).decode()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        if self.fake.speech is not None:
            self._send_raw(self.fake.speech)
            return
        messages: queue.Queue[str | bytes | None] = queue.Queue()
        with self.fake.connected:
            self.fake.client_ids.append(request.query.get("clientId", ""))
            self.fake.socket_headers.append(request.headers)
            self.fake.sockets.append(messages)
            self.fake.connected.notify_all()
        self.close_connection = True
        threading.Thread(target=self._hear_goodbye, args=(messages,), daemon=True).start()
        with contextlib.suppress(OSError):
            while (message := messages.get()) is not None:
                data = message.encode() if isinstance(message, str) else message
                opcode = 0x81 if isinstance(message, str) else 0x82
                length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
                self.wfile.write(bytes([opcode]) + length + data)
                self.wfile.flush()
            self.wfile.write(b"\x88\x00")  # goodbye

    def _hear_goodbye(self, messages: queue.Queue[str | bytes | None]) -> None:
        with contextlib.suppress(OSError, ValueError):
            while header := self.rfile.read(2):
                self.rfile.read(4 + (header[1] & 0x7F))  # the mask, and what it hides: only short frames come
                if header[0] & 0x0F == 8:
                    break
        messages.put(None)

    def log_message(self, format: str, *args: Any) -> None:
        pass
