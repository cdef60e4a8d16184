"""An HTTP proxy as companies have one: CONNECT for TLS and websockets, whole addresses for plain HTTP."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping


class ConnectProxy:
    """Passes connections on to servers of this machine.

    Args:
        ports: which port of this machine a host name means; other hosts are refused, so that nothing goes out.
        greeting: sent in place of the answer to a CONNECT, for a proxy that is hostile itself.

    Attributes:
        heads: the first line and the headers of every request that came, as they came.
    """

    def __init__(self, ports: Mapping[str, int], greeting: bytes = b"") -> None:
        self._ports, self._greeting = ports, greeting
        self.heads: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (data := client.recv(1)):
                head += data
            self.heads.append(head.decode("latin-1"))
            method, target = head.split(b" ")[:2]
            if method == b"CONNECT":
                if self._greeting:
                    while True:
                        client.sendall(self._greeting)
                host, _, path = target.partition(b":")[0], b"", b""
            else:
                host, _, path = target.removeprefix(b"http://").partition(b"/")
                host = host.partition(b":")[0]
            port = self._ports.get(host.decode())
            if port is None:
                client.sendall(b"HTTP/1.1 502 No Such Host\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", port)) as server:
                if method == b"CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    server.sendall(
                        head.replace(target, b"/" + path, 1).replace(
                            b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1
                        )
                    )
                threading.Thread(target=_pass_on, args=(client, server), daemon=True).start()
                _pass_on(server, client)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def connect_proxy(ports: Mapping[str, int], greeting: bytes = b"") -> Iterator[ConnectProxy]:
    proxy = ConnectProxy(ports, greeting)
    try:
        yield proxy
    finally:
        proxy.close()
