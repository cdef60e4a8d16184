"""The jobs API of newer ComfyUIs: used where a server has it, and history, queue and interrupt where not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.client import ComfyClient, Queue
from runner.comfyui.session import Session
from tests.support.servers.fake_server import HANG_UP, Answer, FakeServer

ID = "0f6b5a0e-5f2f-5b0a-9c57-3f6f4f1c9b11"
#: As ComfyUI 0.33 answers for a prompt that it does not know, and as 0.3.75 does for every path below /api/jobs.
UNKNOWN, NO_API = Answer(404, {"error": "Job not found"}), Answer(404, b"404: Not Found")
DONE = {ID: {"status": {"status_str": "success", "messages": []}, "outputs": {}}}
EMPTY = {"queue_running": [], "queue_pending": []}
#: What may stand in place of the API: an older release, a proxy that knows other paths, a page.
ABSENT: dict[str, Any] = {
    "an older release": NO_API,
    "no such method": Answer(405, b"405: Method Not Allowed"),
    "a proxy with a list of paths": Answer(403, b"forbidden"),
    "a page": Answer(200, b"<html></html>"),
    "another API": {"jobs": 5},
    "a redirect": Answer(302, b"", {"Location": "/login"}),
}


@pytest.fixture
def session(client: ComfyClient) -> Session:
    found = object.__new__(Session)
    found.client = client
    return found


def asked(server: FakeServer) -> list[str]:
    return [f"{request.method} {request.path}" for request in server.requests]


def error_of(call: Callable[[], Any]) -> VideoGenError:
    with pytest.raises(VideoGenError) as caught:
        call()
    return caught.value


# ------------------------------------------------------------------ where it is there


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("pending", "queued"),
        ("in_progress", "queued"),
        ("completed", "success"),
        ("failed", "error"),
        ("cancelled", "interrupted"),
    ],
)
def test_one_answer_says_what_has_become_of_a_prompt(
    server: FakeServer, session: Session, status: str, found: str
) -> None:
    server.routes[f"GET /api/jobs/{ID}"] = {"id": ID, "status": status, "priority": 1, "outputs_count": 0}
    assert session.find(ID) == found
    assert asked(server) == [f"GET /api/jobs/{ID}"]


def test_a_prompt_that_the_server_does_not_know(server: FakeServer, session: Session) -> None:
    server.routes[f"GET /api/jobs/{ID}"] = UNKNOWN
    assert [session.find(ID), session.find(ID)] == ["", ""]
    assert asked(server) == [f"GET /api/jobs/{ID}"] * 2


def test_the_queue_comes_without_graphs(server: FakeServer, client: ComfyClient) -> None:
    server.routes["GET /api/jobs"] = {
        "jobs": [{"id": "a", "status": "in_progress"}, {"id": "b", "status": "pending", "priority": 3}],
        "pagination": {"offset": 0, "limit": None, "total": 2, "has_more": False},
    }
    assert client.queue() == Queue(frozenset("a"), frozenset("b"))
    assert server.requests[0].query == {"status": "in_progress,pending"}
    assert asked(server) == ["GET /api/jobs"]


@pytest.mark.parametrize("canceled", [True, False])
def test_a_cancel_is_one_request(server: FakeServer, client: ComfyClient, canceled: bool) -> None:
    server.routes[f"POST /api/jobs/{ID}/cancel"] = {"cancelled": canceled}
    client.cancel(ID)
    assert asked(server) == [f"POST /api/jobs/{ID}/cancel"]


def test_an_id_of_a_stranger_is_no_other_path(server: FakeServer, client: ComfyClient) -> None:
    """A journal may come from somebody else."""
    client.cancel("../../free?x=")
    assert asked(server)[0] == "POST /api/jobs/..%2F..%2Ffree%3Fx%3D/cancel"


# ------------------------------------------------------------------ where it is not


@pytest.mark.parametrize("name", ABSENT)
def test_a_server_without_it_is_asked_as_before(server: FakeServer, session: Session, name: str) -> None:
    server.routes[f"GET /api/jobs/{ID}"] = server.routes["GET /api/jobs"] = ABSENT[name]
    server.routes |= {"GET /queue": EMPTY, f"GET /history/{ID}": DONE}
    assert [session.find(ID), session.find(ID)] == ["success", "success"]
    # Each of its requests is tried once.
    rest = ["GET /queue", f"GET /history/{ID}"]
    assert asked(server) == [f"GET /api/jobs/{ID}", "GET /api/jobs", *rest, *rest]


@pytest.mark.parametrize("name", ABSENT)
def test_a_cancel_as_before(server: FakeServer, client: ComfyClient, name: str) -> None:
    server.routes[f"POST /api/jobs/{ID}/cancel"] = ABSENT[name]
    server.routes |= {"POST /queue": {}, "POST /interrupt": {}}
    client.cancel(ID)
    client.cancel(ID)
    assert asked(server) == [f"POST /api/jobs/{ID}/cancel", *["POST /queue", "POST /interrupt"] * 2]


def test_a_release_that_has_it_without_the_cancel(server: FakeServer, session: Session) -> None:
    server.routes[f"GET /api/jobs/{ID}"] = {"id": ID, "status": "in_progress"}
    server.routes |= {f"POST /api/jobs/{ID}/cancel": NO_API, "POST /queue": {}, "POST /interrupt": {}}
    session.client.cancel(ID)
    assert session.find(ID) == "queued"
    assert asked(server)[1:] == ["POST /queue", "POST /interrupt", f"GET /api/jobs/{ID}"]


# ------------------------------------------------------------------ where it has answered before


@pytest.mark.parametrize(
    "answer",
    [
        {"id": ID, "status": "lost"},
        {"id": "another", "status": "completed"},
        {"id": ID},
        [],
        None,
        b"<html>",
        Answer(404, {"error": 5}),
        Answer(404, b"404: Not Found"),
        Answer(500, b""),
        Answer(502, b""),
    ],
)
def test_an_answer_that_cannot_be_read_refuses_the_server(server: FakeServer, session: Session, answer: Any) -> None:
    server.routes[f"GET /api/jobs/{ID}"] = UNKNOWN
    assert session.find(ID) == ""
    server.routes[f"GET /api/jobs/{ID}"] = answer
    assert error_of(lambda: session.find(ID)).code == "server-refused"


@pytest.mark.parametrize(
    "answer", [{"jobs": [5]}, {"jobs": [{"id": "a"}]}, {}, b"", {"jobs": [{"id": 5, "status": "pending"}]}]
)
def test_so_does_a_list_of_jobs(server: FakeServer, client: ComfyClient, answer: Any) -> None:
    server.routes["GET /api/jobs"] = {"jobs": []}
    assert client.queue().ids == set()
    server.routes["GET /api/jobs"] = answer
    assert error_of(client.queue).code == "server-refused"


def test_a_server_that_is_gone_is_not_one_without_it(server: FakeServer, session: Session) -> None:
    server.routes[f"GET /api/jobs/{ID}"] = HANG_UP
    assert error_of(lambda: session.find(ID)).code == "server-unreachable"
    server.routes[f"GET /api/jobs/{ID}"] = {"id": ID, "status": "failed"}
    assert session.find(ID) == "error"
