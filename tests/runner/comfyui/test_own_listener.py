"""Nobody else answers in the place of our server: with real processes, of which one is an impostor."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui import own_listener
from runner.comfyui.embedded import MAX_PORTS, EmbeddedServer
from runner.comfyui.installation import Installation
from runner.comfyui.own_listener import HOST, OwnListener, find_free_port
from tests.support.runs import wait_until

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no descriptors to inherit")

#: Listens as ComfyUI does, with aiohttp, once a file is there. Its start tells what it sees of its environment.
MAIN = """
import argparse, asyncio, os, sys, time
from aiohttp import web
parser = argparse.ArgumentParser()
parser.add_argument("--listen", default="127.0.0.1"); parser.add_argument("--port", type=int)
options = parser.parse_known_args()[0]
assert "VIDEOGEN_LISTENER" not in os.environ
while os.path.exists("wait"):
    time.sleep(0.01)
if os.path.exists("fail"):
    sys.exit(3)
async def stats(request): return web.json_response({"system": {"comfyui_version": "ours", "pid": os.getpid()}})
async def main():
    app = web.Application(); app.router.add_get("/system_stats", stats)
    runner = web.AppRunner(app); await runner.setup()
    for address in options.listen.split(","):
        await web.TCPSite(runner, address, options.port).start()
    await asyncio.sleep(3600)
asyncio.run(main())
"""
#: Answers as ComfyUI does on a port that it has taken first, and writes down what it was asked.
IMPOSTOR = """
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.command, self.path, flush=True)
        body = json.dumps({"system": {"comfyui_version": "impostor"}}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""
#: Tries all ways to take a port that is ours.
THIEF = """
import socket, sys
for host in ("127.0.0.1", "0.0.0.0"):
    for options in ((), ("SO_REUSEADDR",), ("SO_REUSEADDR", "SO_REUSEPORT")):
        with socket.socket() as thief:
            for name in options:
                thief.setsockopt(socket.SOL_SOCKET, getattr(socket, name), 1)
            try:
                thief.bind((host, int(sys.argv[1]))); thief.listen()
            except OSError:
                continue
            print("took it", host, options)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of ours that is not started."""
    comfyui = tmp_path / "comfyui"
    comfyui.mkdir()
    (comfyui / "main.py").write_text(MAIN)
    with EmbeddedServer(Installation(comfyui, Path(sys.executable), (), "0.3.75"), tmp_path / "server") as server:
        yield server


@pytest.fixture
def without_inheritance(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: the port is chosen here, and taken by the server once it is that far."""
    monkeypatch.setattr(own_listener, "CAN_HAND_ON", False)


@contextlib.contextmanager
def impostor(port: int) -> Iterator[subprocess.Popen[str]]:
    """Another user's process on a port."""
    with subprocess.Popen([sys.executable, "-c", IMPOSTOR, str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        yield process
        process.kill()


def answers(url: str) -> str:
    return str(requests.get(f"{url}/system_stats", timeout=10).json()["system"]["comfyui_version"])


def steal(port: int) -> str:
    return subprocess.run(
        [sys.executable, "-c", THIEF, str(port)], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def test_the_server_that_answers_is_ours(server: EmbeddedServer) -> None:
    client = server.start()
    assert client.system_stats()["system"]["pid"] == server.pid
    assert client.url == server.url


@posix
def test_the_port_is_taken_before_the_server_starts_and_stays_taken_after_it_has_died(server: EmbeddedServer) -> None:
    listener = OwnListener()
    assert steal(listener.port) == "", "before its process exists"
    listener.close()
    server.start()
    port = int(server.url.rpartition(":")[2])
    assert steal(port) == "", "while it runs"
    assert server.pid is not None
    psutil.Process(server.pid).kill()
    wait_until(lambda: not server.alive)
    wait_until(lambda: connect(port) != 0)
    assert steal(port) == "", "after it has died"
    server.stop()
    assert "took it" in steal(port), "it is given back"


def connect(port: int) -> int:
    """0 when a connection is accepted."""
    with socket.socket() as one:
        one.settimeout(10)
        return one.connect_ex((HOST, port))


@pytest.mark.usefixtures("without_inheritance")
def test_an_impostor_that_was_faster_is_asked_nothing_and_another_port_is_taken(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = find_free_port()
    ports = iter([taken, taken, find_free_port()])
    monkeypatch.setattr(own_listener, "find_free_port", lambda: next(ports))
    with impostor(taken) as process:
        client = server.start()
        assert client.url != f"http://{HOST}:{taken}"
        assert (answers(client.url), answers(f"http://{HOST}:{taken}")) == ("ours", "impostor")
        process.kill()
        assert process.stdout is not None
        # What the test itself has asked is all.
        assert process.stdout.read() == "GET /system_stats\n"


@pytest.mark.usefixtures("without_inheritance")
def test_an_impostor_that_comes_while_the_server_is_loading_is_found_too(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = find_free_port()
    ports = iter([taken, find_free_port()])
    monkeypatch.setattr(own_listener, "find_free_port", lambda: next(ports))
    wait = server.installation.comfyui / "wait"
    wait.touch()
    with contextlib.ExitStack() as stack:

        def comes_later() -> bool:
            if wait.exists():
                stack.enter_context(impostor(taken))
                wait.unlink()
            return False

        client = server.start(stopped=comes_later)
        assert answers(client.url) == "ours"
        assert client.url != f"http://{HOST}:{taken}"


@pytest.mark.usefixtures("without_inheritance")
def test_a_machine_on_which_every_port_is_taken_is_told_so(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = find_free_port()
    monkeypatch.setattr(own_listener, "find_free_port", lambda: taken)
    with impostor(taken), pytest.raises(VideoGenError, match=rf"has taken the port .*, {MAX_PORTS} times") as caught:
        server.start()
    assert caught.value.code == "server-start-failed"
    assert not server.alive


@pytest.mark.parametrize("inherits", [True, False])
def test_every_restart_is_proved_again(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, inherits: bool) -> None:
    monkeypatch.setattr(own_listener, "CAN_HAND_ON", inherits and own_listener.CAN_HAND_ON)
    first = server.start().system_stats()["system"]["pid"]
    psutil.Process(server.pid).kill()
    second = server.start().system_stats()["system"]["pid"]
    assert second == server.pid
    assert first != second


@pytest.mark.parametrize("inherits", [True, False])
def test_a_server_that_ends_while_it_starts_is_told_as_before(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, inherits: bool
) -> None:
    monkeypatch.setattr(own_listener, "CAN_HAND_ON", inherits and own_listener.CAN_HAND_ON)
    (server.installation.comfyui / "fail").touch()
    with pytest.raises(VideoGenError, match="ended with status 3 while it was starting"):
        server.start()


@pytest.mark.parametrize("inherits", [True, False])
@pytest.mark.parametrize("arguments", [("--listen", "0.0.0.0"), ("--listen", "127.0.0.1,0.0.0.0"), ("--cpu",)])
def test_it_listens_on_this_machine_only(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], inherits: bool
) -> None:
    # Where it inherits the socket, that is all that it can listen on; otherwise the last argument counts.
    monkeypatch.setattr(own_listener, "CAN_HAND_ON", inherits)
    server.installation = Installation(server.installation.comfyui, Path(sys.executable), arguments, "0.3.75")
    server.start()
    connections = psutil.Process(server.pid).net_connections("tcp")
    assert {one.laddr[0] for one in connections if one.status == psutil.CONN_LISTEN} == {HOST}


def test_another_process_on_a_port_is_not_ours() -> None:
    with impostor(find_free_port()) as process, OwnListenerOf(psutil.Process(process.pid)) as listener:
        assert listener.is_taken()
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ours:
            assert not listener.belongs_to(ours)
            ours.kill()
        assert not listener.belongs_to(ours)
        assert listener.belongs_to(process)  # type: ignore[arg-type]


class OwnListenerOf(OwnListener):
    """A listener that was never bound here, on the port of another process."""

    def __init__(self, process: psutil.Process) -> None:
        self._socket = None
        (self.port,) = [one.laddr[1] for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN]

    def __enter__(self) -> OwnListenerOf:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
