"""Credentials go to the server that they were given for, and to no other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runner.comfyui import events
from runner.comfyui.events import EventStream
from runner.comfyui.transport import HttpTransport

SECRET = "Bearer s3cret"


class Recorder(ThreadingHTTPServer):
    """Notes the headers of every request; redirects to `target`, if there is one."""

    def __init__(self, target: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = target
        self.authorizations: list[str | None] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        self.server.authorizations.append(self.headers.get("Authorization"))
        self.send_response(302 if self.server.target else 404)
        if self.server.target:
            self.send_header("Location", self.server.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[Recorder]:
    yield from serve(Recorder())


@pytest.fixture
def redirecting(elsewhere: Recorder) -> Iterator[Recorder]:
    yield from serve(Recorder(f"ws://{elsewhere.address}/ws"))


def serve(server: Recorder) -> Iterator[Recorder]:
    with server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_socket_that_redirects_gives_no_header_away(
    redirecting: Recorder, elsewhere: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The bug: websocket-client follows three redirects, and sends the headers along.
    monkeypatch.setattr(events, "MIN_RECONNECT_INTERVAL", 0.01)
    stream = EventStream(f"ws://{redirecting.address}/ws", {"Authorization": SECRET}).open(timeout=0.2)
    deadline = time.monotonic() + 5
    while len(redirecting.authorizations) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    connected = stream.connected
    stream.close()
    assert redirecting.authorizations[:2] == [SECRET, SECRET], "it is tried again"
    assert elsewhere.authorizations == []
    assert not connected


@pytest.mark.parametrize("entry", ["machine 127.0.0.1", "default"])
@pytest.mark.parametrize("headers", [{"Authorization": SECRET}, {}])
def test_netrc_neither_replaces_nor_adds_credentials(
    elsewhere: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, headers: dict[str, str]
) -> None:
    # The bug: requests prefers ~/.netrc to a header, and sends its default entry to any server.
    (tmp_path / ".netrc").write_text(f"{entry} login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setattr("runner.comfyui.transport.LOCAL_HOSTS", ())  # as for a server on another machine
    HttpTransport(f"http://{elsewhere.address}", headers).request("GET", "/system_stats")
    HttpTransport(f"http://{elsewhere.address}", headers)._session.get(f"http://{elsewhere.address}/view")
    assert elsewhere.authorizations == [headers.get("Authorization")] * 2
