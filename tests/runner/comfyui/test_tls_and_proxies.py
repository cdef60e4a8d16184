"""Servers with TLS, behind proxies, and both: certificates are checked, limits hold, credentials go to the server alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.comfyui import events, transport
from runner.comfyui.bounds import limits
from runner.comfyui.client import ComfyClient
from runner.comfyui.events import EventStream
from tests.runner.comfyui.server_doubles import error_of
from tests.support.servers.certificates import Authority, make_authority
from tests.support.servers.connect_proxy import ConnectProxy, connect_proxy
from tests.support.servers.fake_server import STATS, FakeServer
from tests.support.servers.hostile_server import LARGE

HOST = "render.test"  # which only the proxy knows
SECRET = "Bearer s3cret-of-the-server"
PROXY_SECRET = "pr0xy-passw0rd"
_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture(autouse=True)
def _environment_without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*_VARIABLES, *map(str.lower, _VARIABLES), *transport.CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Path:
    return authority.issue(f"DNS:{HOST}", "IP:127.0.0.1")


@pytest.fixture
def secure(certificate: Path) -> Iterator[FakeServer]:
    served = FakeServer(certificate)
    yield served
    served.close()


@pytest.fixture
def proxy(server: FakeServer, secure: FakeServer) -> Iterator[ConnectProxy]:
    """Knows the plain server as ``plain.test`` and the one with TLS as ``render.test``."""
    with connect_proxy({"plain.test": server.port, HOST: secure.port}) as found:
        yield found


@pytest.fixture
def through_proxy(proxy: ConnectProxy, monkeypatch: pytest.MonkeyPatch, authority: Authority) -> ConnectProxy:
    """The environment of a user behind that proxy, who trusts the authority."""
    address = proxy.url.replace("://", f"://me:{PROXY_SECRET}@")
    monkeypatch.setenv("http_proxy", address)
    monkeypatch.setenv("https_proxy", address)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    return proxy


# ------------------------------------------------------------------ certificates


@pytest.mark.parametrize("variable", transport.CA_VARIABLES)
def test_a_server_whose_authority_is_named_is_trusted(
    variable: str, secure: FakeServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.certificate))
    assert ComfyClient(secure.url).system_stats() == STATS


@pytest.mark.parametrize("wrong", ["an authority that nobody has named", "another host", "one that is no longer valid"])
def test_a_wrong_certificate_is_told_in_a_sentence_and_gets_nothing(
    wrong: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuing = make_authority(tmp_path) if "nobody" in wrong else authority
    names = ("DNS:other.test",) if "another host" in wrong else ("DNS:a", "IP:127.0.0.1")
    certificate = issuing.issue(*names, days=-1 if "no longer" in wrong else 2)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    server = FakeServer(certificate)
    try:
        error = error_of(ComfyClient(server.url, {"Authorization": SECRET}).system_stats)
        assert error.code == "server-unreachable"
        assert "the TLS certificate does not verify" in error.message
        assert "\n" not in error.message
        assert "REQUESTS_CA_BUNDLE" in error.hint
        stream = EventStream(
            server.url.replace("https", "wss") + "/ws", {"Authorization": SECRET}, str(authority.certificate)
        ).open(timeout=0.5)
        assert not stream.connected
        stream.close()
        assert (server.requests, server.socket_headers) == ([], [])
    finally:
        server.close()


def test_a_server_that_speaks_no_tls_is_told_in_a_sentence(server: FakeServer) -> None:
    error = error_of(ComfyClient(server.url.replace("http", "https")).system_stats)
    assert (error.code, "\n" in error.message) == ("server-unreachable", False)


# ------------------------------------------------------------------ proxies


def test_a_remote_server_is_reached_through_the_proxy(through_proxy: ConnectProxy) -> None:
    assert ComfyClient("http://plain.test:8188").system_stats() == STATS
    assert ComfyClient(f"https://{HOST}").system_stats() == STATS
    assert [head.split("\r\n")[0] for head in through_proxy.heads] == [
        "GET http://plain.test:8188/system_stats HTTP/1.1",
        f"CONNECT {HOST}:443 HTTP/1.{1 if 'HTTP/1.1' in through_proxy.heads[1].split(chr(13))[0] else 0}",
    ]


@pytest.mark.parametrize("local", ["127.0.0.1", "localhost"])
def test_this_machine_is_never_asked_for_through_a_proxy(
    local: str, through_proxy: ConnectProxy, server: FakeServer
) -> None:
    assert ComfyClient(server.url.replace("127.0.0.1", local)).system_stats() == STATS
    stream = EventStream(server.url.replace("http", "ws").replace("127.0.0.1", local) + "/ws", {}).open()
    assert stream.connected
    stream.close()
    assert through_proxy.heads == []


def test_a_host_that_needs_no_proxy_is_not_asked_for_through_one(
    through_proxy: ConnectProxy, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "LOCAL_HOSTS", ())  # as for a server on another machine
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert ComfyClient(server.url).system_stats() == STATS
    assert through_proxy.heads == []


def test_credentials_go_to_the_server_and_those_of_the_proxy_to_the_proxy(
    through_proxy: ConnectProxy, secure: FakeServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ComfyClient(f"https://{HOST}", {"Authorization": SECRET})
    client.system_stats()
    stream = EventStream(client.websocket_url, client.http.headers, client.http.ca_file).open()
    assert stream.connected
    secure.wait_for_socket()  # it is noted after the handshake
    stream.close()
    assert len(through_proxy.heads) == 2
    for head in through_proxy.heads:
        assert head.startswith("CONNECT ")
        assert SECRET not in head
        assert "Proxy-Authorization: Basic" in head
    asked = [*(request.headers for request in secure.requests), *secure.socket_headers]
    assert [headers["Authorization"] for headers in asked] == [SECRET, SECRET]
    assert not any("Proxy-Authorization" in headers for headers in asked)


def test_a_proxy_that_refuses_is_told_in_a_sentence_without_its_password(through_proxy: ConnectProxy) -> None:
    for url in ("https://elsewhere.test", "http://elsewhere.test"):
        error = error_of(ComfyClient(url, {"Authorization": SECRET}).system_stats)
        assert error.code in ("server-unreachable", "server-refused", "server-not-comfyui")
        assert "\n" not in error.message
        assert PROXY_SECRET not in str(error)


# ------------------------------------------------------------------ limits


@pytest.fixture
def seconds_of_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SMALL", "HISTORY", "QUEUE"):
        monkeypatch.setattr(limits, name, replace(getattr(limits, name), seconds=0.5))


_HOSTILE = [
    name
    for name, hostility in LARGE.items()
    if hostility.route in ("GET /history", "GET /queue") and not callable(hostility.answer)
]


@pytest.mark.usefixtures("seconds_of_a_test")
@pytest.mark.parametrize("address", [f"https://{HOST}", "http://plain.test", "https://127.0.0.1"])
@pytest.mark.parametrize("name", _HOSTILE)
def test_limits_hold_through_tls_and_proxies(
    name: str, address: str, through_proxy: ConnectProxy, server: FakeServer, secure: FakeServer
) -> None:
    hostility = LARGE[name]
    for served in (server, secure):
        served.routes["GET /queue"] = served.routes["GET /history/p"] = hostility.answer
    client = ComfyClient(address.replace("127.0.0.1", f"127.0.0.1:{secure.port}"))
    ask: Any = client.queue if "queue" in hostility.route else lambda: client.history("p")
    assert error_of(ask).code in ("server-refused", "server-unreachable")


@pytest.mark.usefixtures("seconds_of_a_test")
@pytest.mark.parametrize("greeting", [b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 1_000, b"x" * 65_536, b"a: b\r\n"])
def test_a_proxy_without_end_is_left(greeting: bytes, monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    with connect_proxy({}, greeting) as hostile:
        monkeypatch.setenv("https_proxy", hostile.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
        monkeypatch.setattr(limits, "HANDSHAKE_SECONDS", 0.3)
        monkeypatch.setattr(events, "MIN_RECONNECT_INTERVAL", 5.0)
        client = ComfyClient(f"https://{HOST}")
        assert error_of(client.system_stats).code in ("server-refused", "server-unreachable")
        stream = EventStream(client.websocket_url, {}, client.http.ca_file).open(timeout=1.0)
        stream.close()
        assert not stream._thread.is_alive()
