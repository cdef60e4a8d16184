"""POST /videogen/adopt on a real ComfyUI: whoever asks gets a sentence, and the server goes on."""

from __future__ import annotations

import pytest
import requests

from tests.support.servers.guarded_server import GuardedServer

pytestmark = pytest.mark.server

PATH = "/videogen/adopt"


def post(server: GuardedServer, data: bytes, **headers: str) -> requests.Response:
    return requests.post(
        f"{server.url}{PATH}", data=data, headers={"Content-Type": "application/json", **headers}, timeout=60
    )


def test_a_strangers_name_gets_nothing(server: GuardedServer) -> None:
    response = post(server, b"{}", Host="evil.example")
    assert response.status_code == 403
    assert "VIDEOGEN_ALLOWED_HOSTS" in response.json()["error"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the request is not JSON"),
        (b"{", "the request is not JSON"),
        (b"[" * 100_000, "the request is not JSON"),
        (b"[]", "the request has no `workflow`, `output` and `schemas`"),
        (
            b'{"workflow": {"nodes": [1]}, "output": {}, "schemas": {}}',
            "no input that a segment could decide was found",
        ),
        (b'{"workflow": {}, "output": {"1": 5}, "schemas": {}}', "`output` is no graph"),
    ],
)
def test_what_cannot_be_adopted_is_said(server: GuardedServer, data: bytes, said: str) -> None:
    response = post(server, data)
    assert response.status_code == 400
    assert said in response.json()["error"]


def test_a_request_that_is_too_large_is_not_read(server: GuardedServer) -> None:
    response = post(server, b" " * 51_000_000)
    assert response.status_code == 413
