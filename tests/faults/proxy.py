"""A proxy between the runner and a real ComfyUI that does to the traffic whatever a test wants.

One request a connection, each on a thread of its own; websockets are passed on frame by frame. Everything stays on
127.0.0.1, and every wait ends when the proxy is closed.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

HEAD_LIMIT = 1 << 16
#: Seconds after which a connection that does nothing is closed.
PATIENCE = 60.0

#: Makes what is sent on of one websocket frame of the server's.
FrameFilter = Callable[[bytes], list[bytes]]


class HangUpError(Exception):
    """The connection is to be cut."""


@dataclass
class Response:
    """An answer of the server's."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def to_bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Answer", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def with_body(self, body: bytes) -> Response:
        """The same with other content, honestly announced."""
        headers = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        return Response(self.status, [*headers, ("Content-Length", str(len(body)))], body)


@dataclass
class Exchange:
    """One request on its way; a rule's action decides what becomes of it."""

    proxy: Proxy
    client: socket.socket
    method: str
    path: str
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        match = re.search(rb"(?im)^" + re.escape(name).encode() + rb":[ \t]*(.*?)\r?$", self.head)
        return match[1].decode("latin-1") if match else None

    def forward(self) -> Response:
        """What the server answers."""
        return self.proxy.ask_server(self)

    def send(self, response: Response) -> None:
        self.client.sendall(response.to_bytes())


Action = Callable[[Exchange], None]


@dataclass
class Rule:
    """Does something to the requests that match ``METHOD /path``, so many times."""

    pattern: re.Pattern[str]
    action: Action
    times: float
    hits: int = 0


@dataclass
class Counts:
    """What has been done so far."""

    requests: int = 0
    rules: int = 0
    sockets_cut: int = 0
    frames_touched: int = 0
    by_request: dict[str, int] = field(default_factory=dict)


class Proxy:
    """Listens on a port of its own and passes everything on to a server; a context manager.

    Args:
        server_port: of the real server; can be changed, when the server comes back on another one.
        prefix: a path below which the server appears, such as ``/comfy``.
        authorization: without this header every request is answered with 401.
        certificate: certificate and key in one PEM file, for TLS.

    Attributes:
        frame_filter: sees every websocket frame of the server's.
        counts: what has been done.
    """

    def __init__(
        self, server_port: int, *, prefix: str = "", authorization: str = "", certificate: str | None = None
    ) -> None:
        self.server_port = server_port
        self.prefix = prefix
        self.authorization = authorization
        self.frame_filter: FrameFilter | None = None
        self.counts = Counts()
        self._rules: list[Rule] = []
        self._sockets: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._listener: socket.socket | None = None
        self.port = 0
        self.listen()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{self.prefix}"

    # ------------------------------------------------------------------ what a test can do

    def on(self, pattern: str, action: Action, times: float = 1) -> Rule:
        """Do something to the next `times` requests whose ``METHOD /path`` matches; the newest rule comes first."""
        rule = Rule(re.compile(pattern), action, times)
        with self._lock:
            self._rules.insert(0, rule)
        return rule

    def remove(self, *rules: Rule) -> None:
        """Pass on again what these rules are about."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rule not in rules]

    def clear(self) -> None:
        """Pass everything on as it is."""
        with self._lock:
            self._rules.clear()
        self.frame_filter = None

    def cut_sockets(self) -> int:
        """Cut all websockets, without a goodbye; returns how many there were."""
        with self._lock:
            pairs = list(self._sockets.values())
            self._sockets.clear()
            self.counts.sockets_cut += len(pairs)
        for pair in pairs:
            for end in pair:
                reset(end)
        return len(pairs)

    def cut_all(self) -> None:
        """Cut every connection."""
        self.cut_sockets()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            reset(connection)

    def refuse_connections(self) -> None:
        """Listen no more: as if the machine's service were down."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut_all()

    def listen(self) -> None:
        """Listen (again), on the same port."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = int(listener.getsockname()[1])
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), name="proxy", daemon=True).start()

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the proxy lives."""
        if self._closing.wait(seconds):
            raise HangUpError

    def close(self) -> None:
        self._closing.set()
        self.refuse_connections()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------ passing on

    def _accept(self, listener: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="proxied", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(PATIENCE)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with self._lock:
                self._connections.add(connection)
            self._handle(connection)
        except HangUpError:
            reset(connection)
        except OSError:
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)
            connection.close()

    def _handle(self, connection: socket.socket) -> None:
        head, rest = read_head(connection)
        if not head:
            return
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        path = target.partition("?")[0]
        exchange = Exchange(self, connection, method, path, head, b"")
        websocket = (exchange.header("Upgrade") or "").lower() == "websocket"
        length = int(exchange.header("Content-Length") or 0)
        exchange.body = rest + read_exactly(connection, length - len(rest)) if length else b""
        if self.authorization and exchange.header("Authorization") != self.authorization:
            exchange.send(Response(401, [("Connection", "close"), ("Content-Length", "0")], b""))
            return
        if self.prefix:
            if not path.startswith(f"{self.prefix}/"):
                exchange.send(Response(404, [("Connection", "close"), ("Content-Length", "0")], b""))
                return
            exchange.path = path.removeprefix(self.prefix)
            exchange.head = head.replace(f" {self.prefix}/".encode(), b" /", 1)
        name = f"{method} {exchange.path}"
        with self._lock:
            self.counts.requests += 1
            short = re.sub(r"[0-9a-f-]{36}", "*", name)
            self.counts.by_request[short] = self.counts.by_request.get(short, 0) + 1
        action = self._find_action(name)
        if action is not None:
            action(exchange)
        elif websocket:
            self._pass_websocket(exchange)
        else:
            exchange.send(exchange.forward())

    def _find_action(self, name: str) -> Action | None:
        with self._lock:
            for rule in self._rules:
                if rule.hits < rule.times and rule.pattern.search(name):
                    rule.hits += 1
                    self.counts.rules += 1
                    return rule.action
        return None

    def ask_server(self, exchange: Exchange) -> Response:
        """Send a request on and read the answer to its end.

        Raises:
            HangUpError: there is no server, or it went away in between.
        """
        head = re.sub(rb"(?im)^Connection:.*\r\n", b"", exchange.head)
        head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        try:
            with socket.create_connection(("127.0.0.1", self.server_port), timeout=PATIENCE) as server:
                server.sendall(head + exchange.body)
                data = b"".join(iter(lambda: server.recv(1 << 18), b""))
        except OSError:
            raise HangUpError from None
        answer_head, separator, body = data.partition(b"\r\n\r\n")
        if not separator:
            raise HangUpError
        first, *lines = answer_head.decode("latin-1").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        named = {name.lower(): value for name, value in headers}
        if "content-length" in named and len(body) < int(named["content-length"]) and exchange.method != "HEAD":
            raise HangUpError
        headers = [(name, value) for name, value in headers if name.lower() != "connection"]
        return Response(int(first.split(" ", 2)[1]), [*headers, ("Connection", "close")], body)

    def _pass_websocket(self, exchange: Exchange) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.server_port), timeout=PATIENCE)
        except OSError:
            raise HangUpError from None
        client = exchange.client
        with self._lock:
            self._sockets[id(client)] = (client, server)
        try:
            server.sendall(exchange.head)
            upward = threading.Thread(target=pump, args=(client, server), name="proxied socket", daemon=True)
            upward.start()
            for frame in read_frames(server):
                frames = self.frame_filter(frame) if self.frame_filter else [frame]
                if frames != [frame]:
                    self.counts.frames_touched += 1
                for one in frames:
                    client.sendall(one)
        finally:
            with self._lock:
                self._sockets.pop(id(client), None)
            reset(server)


def reset(connection: socket.socket) -> None:
    """Close with a reset instead of a goodbye."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()


def read_head(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request with its empty line, and what of the body came along; empty when nothing comes."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < HEAD_LIMIT:
        block = connection.recv(1 << 16)
        if not block:
            return b"", b""
        data += block
    head, _, rest = data.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n", rest


def read_exactly(connection: socket.socket, count: int) -> bytes:
    blocks = []
    while count > 0:
        block = connection.recv(min(count, 1 << 18))
        if not block:
            raise HangUpError
        blocks.append(block)
        count -= len(block)
    return b"".join(blocks)


def pump(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes, until one end closes."""
    with contextlib.suppress(OSError):
        source.settimeout(None)
        while block := source.recv(1 << 16):
            target.sendall(block)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def read_frames(server: socket.socket) -> Iterator[bytes]:
    """The answer to the upgrade, then one websocket frame after the other, as the server wrote them."""
    server.settimeout(None)
    data = b""
    while b"\r\n\r\n" not in data:
        block = server.recv(1 << 16)
        if not block:
            return
        data += block
    head, _, data = data.partition(b"\r\n\r\n")
    yield head + b"\r\n\r\n"
    while True:
        length = frame_length(data)
        if length is not None and len(data) >= length:
            yield data[:length]
            data = data[length:]
            continue
        block = server.recv(1 << 16)
        if not block:
            return
        data += block


def frame_length(data: bytes) -> int | None:
    """Bytes of the (unmasked) frame that `data` begins with, or None when that cannot be told yet."""
    if len(data) < 2:
        return None
    size = data[1] & 0x7F
    if size < 126:
        return 2 + size
    width = 2 if size == 126 else 8
    return 2 + width + int.from_bytes(data[2 : 2 + width], "big") if len(data) >= 2 + width else None
