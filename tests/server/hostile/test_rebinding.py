"""DNS rebinding against a real ComfyUI: the page of a stranger calls it by a name that the stranger owns."""

from __future__ import annotations

import logging

import pytest
import requests

from runner.comfyui.client import ComfyClient
from runner.comfyui.transport import read_json
from tests.support.servers.guarded_server import GuardedServer

pytestmark = pytest.mark.server

PATHS = ["/videogen/telemetry", "/videogen/model-hash", "/api/videogen/telemetry", "/videogen/telemetry?seconds=1"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.evil"]
)
@pytest.mark.parametrize("with_origin", [True, False])
def test_a_strangers_name_gets_nothing(server: GuardedServer, path: str, name: str, with_origin: bool) -> None:
    host = name.format(port=server.url.rpartition(":")[2])
    headers = {"Host": host} | ({"Origin": f"http://{host}"} if with_origin else {})
    response = requests.get(f"{server.url}{path}", headers=headers, timeout=30)
    assert response.status_code == 403
    assert read_json(response).keys() == {"error"}
    assert "VIDEOGEN_ALLOWED_HOSTS" in read_json(response)["error"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "localhost", "192.168.1.5"])
def test_names_of_this_machine_are_answered(server: GuardedServer, path: str, name: str) -> None:
    client = ComfyClient(server.url, {"Host": name.format(port=server.url.rpartition(":")[2])})
    response = client.http.request("GET", path)
    assert response.status_code == 200
    assert read_json(response).keys() & {"readings", "sha256"}


def test_a_runner_that_is_refused_says_so_once(server: GuardedServer, caplog: pytest.LogCaptureFixture) -> None:
    client = ComfyClient(server.url, {"Host": "render.example.com"})
    with caplog.at_level(logging.WARNING):
        assert client.telemetry() is None
        assert client.telemetry() is None
        assert client.model_hash("checkpoints", "x.safetensors") is None
    (message,) = [record.getMessage() for record in caplog.records if record.name == "runner.comfyui.client"]
    assert "does not tell its temperature" in message
    assert "VIDEOGEN_ALLOWED_HOSTS=render.example.com" in message
