from __future__ import annotations

from types import SimpleNamespace

import pytest

from runner.comfyui import servers
from runner.comfyui.client import ComfyClient
from tests.runner.comfyui.server_doubles import Clock
from tests.support.servers.fake_server import FakeServer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(servers, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def client(server: FakeServer) -> ComfyClient:
    return ComfyClient(server.url)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.comfyui.transport.time.sleep", lambda seconds: None)
