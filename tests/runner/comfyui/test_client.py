"""The HTTP client, against a server whose answers are written down here."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.answers import SavedFile
from runner.comfyui.client import ComfyClient, Queue, describe_node_errors
from runner.comfyui.transport import normalize_url, parse_headers
from tests.runner.comfyui.server_doubles import error_of
from tests.support.servers.fake_server import STATS, Answer, FakeServer

FILE = SavedFile("segment_01.mp4", "videogen/tiny", "output")
GRAPH = {"6": {"class_type": "CLIPTextEncode", "inputs": {}}}

pytestmark = pytest.mark.usefixtures("no_waiting")


# ------------------------------------------------------------------ is it a ComfyUI?


def test_a_comfyui_says_so(client: ComfyClient) -> None:
    assert client.system_stats() == STATS


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(404, b"no such page"), "/system_stats answers HTTP 404"),
        (b"<html><body>Welcome to nginx!</body></html>", "does not answer with JSON"),
        ({"status": "ok"}, "not as ComfyUI does"),
        ([], "not as ComfyUI does"),
        ({"system": None}, "not as ComfyUI does"),
        ({"system": "linux"}, "not as ComfyUI does"),
    ],
    ids=["404", "html", "other json", "list", "null", "text"],
)
def test_another_server_is_told_from_a_comfyui(server: FakeServer, client: ComfyClient, answer: Any, said: str) -> None:
    server.routes["GET /system_stats"] = answer
    error = error_of(client.system_stats)
    assert (error.code, error.exit_status) == ("server-not-comfyui", 2)
    assert said in error.message
    assert server.url in error.message


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_in_trouble_is_not_called_another_server(server: FakeServer, client: ComfyClient, status: int) -> None:
    server.routes["GET /system_stats"] = Answer(status, b"trouble")
    error = error_of(client.system_stats)
    assert (error.code, error.exit_status) == ("server-refused", 3)
    assert f"HTTP {status}" in error.message


@pytest.mark.parametrize("status", [401, 403])
def test_a_server_that_wants_a_log_in_says_how_to_give_it(server: FakeServer, client: ComfyClient, status: int) -> None:
    server.routes["*"] = server.routes["GET /system_stats"] = Answer(status, b"who are you?")
    for call in (client.system_stats, client.queue, lambda: client.submit(GRAPH, "id", "me", None)):
        error = error_of(call)
        assert error.code == "server-refused"
        assert "--header" in error.hint


def test_the_headers_go_with_every_request_and_stand_in_no_message(server: FakeServer) -> None:
    client = ComfyClient(server.url, {"Authorization": "Bearer s3cret"})
    server.routes["GET /queue"] = Answer(500, b"")
    client.system_stats()
    assert "s3cret" not in str(error_of(client.queue))
    assert {request.headers["Authorization"] for request in server.requests} == {"Bearer s3cret"}
    assert server.requests[-1].path == "/queue"


def test_nothing_listening_is_an_unreachable_server() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    error = error_of(ComfyClient(f"http://127.0.0.1:{port}").system_stats)
    assert (error.code, error.exit_status) == ("server-unreachable", 3)
    assert "nothing listens there" in error.message


def test_a_server_that_does_not_answer_is_an_unreachable_server() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = ComfyClient(f"http://127.0.0.1:{listener.getsockname()[1]}")
        error = error_of(lambda: client.system_stats(timeout=0.2))
    assert error.code == "server-unreachable"
    assert "does not answer in time" in error.message


def test_a_host_that_is_not_there_is_an_unreachable_server() -> None:
    error = error_of(ComfyClient("http://host.invalid:8188").system_stats)
    assert error.code == "server-unreachable"
    assert "host.invalid" in error.message


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_server_that_sends_on_names_the_address_to_use(server: FakeServer, client: ComfyClient, status: int) -> None:
    """requests would follow, and make a GET of a POST: a submission would be answered with 200 and be gone."""
    server.routes["*"] = server.routes["GET /system_stats"] = Answer(
        status, headers={"Location": "https://render.example.org/system_stats"}
    )
    for call in (client.system_stats, lambda: client.submit(GRAPH, "id", "me", None)):
        error = error_of(call)
        assert error.code in ("server-refused", "server-not-comfyui")
        assert "https://render.example.org" in str(error)


# ------------------------------------------------------------------ submitting


def test_a_submission_has_its_id_its_client_and_the_workflow(server: FakeServer, client: ComfyClient) -> None:
    server.routes["POST /prompt"] = {"prompt_id": "id", "node_errors": {}}
    client.submit(GRAPH, "id", "me", {"nodes": []})
    (request,) = server.asked("POST /prompt")
    assert request.json() == {
        "prompt": GRAPH,
        "prompt_id": "id",
        "client_id": "me",
        "extra_data": {"extra_pnginfo": {"workflow": {"nodes": []}}},
    }


NODE_ERRORS = {
    "6": {
        "class_type": "CLIPTextEncode",
        "errors": [
            {"type": "required_input_missing", "message": "Required input is missing", "details": "clip"},
            {"message": "Value not in list", "details": ""},
        ],
    }
}


def test_dropped_outputs_are_a_refusal_although_the_status_is_200(server: FakeServer, client: ComfyClient) -> None:
    server.routes["POST /prompt"] = {"prompt_id": "id", "node_errors": NODE_ERRORS}
    server.routes["POST /queue"] = server.routes["POST /interrupt"] = b""
    error = error_of(lambda: client.submit(GRAPH, "id", "me", None))
    assert error.code == "submission-rejected"
    assert "  - node 6 (CLIPTextEncode): Required input is missing: clip" in error.message
    # What was left of the prompt must not be rendered.
    assert server.asked("POST /queue")[0].json() == {"delete": ["id"]}
    assert server.asked("POST /interrupt")[0].json() == {"prompt_id": "id"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(400, {"error": {"message": "Prompt has no outputs"}, "node_errors": {}}), "Prompt has no outputs"),
        (Answer(400, {"error": {"message": "invalid"}, "node_errors": NODE_ERRORS}), "Value not in list"),
        (Answer(400, {"error": "no_prompt"}), "no_prompt"),
        (Answer(400, {"error": None}), "HTTP 400"),
        (Answer(400, ["odd"]), "odd"),
        (Answer(500, b"500 Internal Server Error"), "500 Internal Server Error"),
        (Answer(400, b"<html>" + b"x" * 10_000), "<html>xxx"),
        (Answer(413, b"too large"), "--max-upload-size"),
    ],
    ids=["message", "node errors", "text", "null", "list", "500", "html", "413"],
)
def test_a_refused_prompt_says_why(server: FakeServer, client: ComfyClient, answer: Answer, said: str) -> None:
    server.routes["POST /prompt"] = answer
    error = error_of(lambda: client.submit(GRAPH, "id", "me", None))
    assert error.code == "submission-rejected"
    assert said in str(error)
    assert len(str(error)) < 1000


@pytest.mark.parametrize("answer", [None, {}, {"node_errors": {}}, {"node_errors": []}, {"node_errors": None}, []])
def test_no_node_errors_are_no_lines(answer: Any) -> None:
    assert describe_node_errors(answer, GRAPH) == ""


def test_a_node_error_without_a_class_takes_it_from_the_graph() -> None:
    answer = {"node_errors": {"6": {"errors": [{"message": "Bad"}]}}}
    assert describe_node_errors(answer, GRAPH) == "  - node 6 (CLIPTextEncode): Bad"


# ------------------------------------------------------------------ history and queue


def test_history_gives_one_prompt_s_entry(server: FakeServer, client: ComfyClient) -> None:
    server.routes["GET /history/id"] = {"id": {"status": {"status_str": "success"}}}
    server.routes["GET /history/other"] = {}
    assert client.history("id") == {"status": {"status_str": "success"}}
    assert client.history("other") is None


def test_the_queue_tells_what_runs_from_what_waits(server: FakeServer, client: ComfyClient) -> None:
    server.routes["GET /queue"] = {
        "queue_running": [[1, "a", {}, {}, []]],
        "queue_pending": [[2, "b", {}, {}, []], [3, "c", {}, {}, []]],
    }
    queue = client.queue()
    assert queue == Queue(frozenset("a"), frozenset("bc"))
    assert queue.ids == {"a", "b", "c"}


@pytest.mark.parametrize("answer", [[], {}, {"queue_running": [5], "queue_pending": []}, b"<html>", Answer(500)])
def test_a_queue_that_cannot_be_read_is_the_server_s_fault(
    server: FakeServer, client: ComfyClient, answer: Any
) -> None:
    server.routes["GET /queue"] = answer
    assert error_of(client.queue).code == "server-refused"


# ------------------------------------------------------------------ addresses and headers


@pytest.mark.parametrize(
    ("given", "url", "socket_url"),
    [
        ("127.0.0.1:8188", "http://127.0.0.1:8188", "ws://127.0.0.1:8188/ws"),
        (" http://host:8188/ ", "http://host:8188", "ws://host:8188/ws"),
        ("https://host/comfy/", "https://host/comfy", "wss://host/comfy/ws"),
        ("HTTP://Host:80/", "http://host", "ws://host/ws"),
        ("https://HOST.example:443/Comfy", "https://host.example/Comfy", "wss://host.example/Comfy/ws"),
        ("http://[::1]:8188", "http://[::1]:8188", "ws://[::1]:8188/ws"),
        ("http://host:8188/?token=#workflow", "http://host:8188", "ws://host:8188/ws"),
        (
            "https://host/b7C1x9Zq44kdW0/comfy",
            "https://host/***b9ab/comfy",
            "wss://host/b7C1x9Zq44kdW0/comfy/ws",
        ),
    ],
)
def test_addresses_are_read_as_people_write_them(given: str, url: str, socket_url: str) -> None:
    client = ComfyClient(given)
    assert (client.url, client.websocket_url) == (url, socket_url)


@pytest.mark.parametrize(
    "given",
    ["ftp://host", "http://", "http://host:port", "http://host:99999", "http://me:secret@host", "://", "http://[::1"],
)
def test_addresses_that_are_none_are_refused(given: str) -> None:
    error = error_of(lambda: normalize_url(given))
    assert error.code == "option-invalid"
    assert "--server" in error.message


@pytest.mark.parametrize(
    "given", ["http://tok-of-anna@host", "http://anna:pw@host/x", "http://:pw-1@host", "https://@host"]
)
def test_a_name_or_password_in_an_address_is_refused_without_repeating_it(given: str) -> None:
    error = error_of(lambda: normalize_url(given))
    assert error.code == "option-invalid"
    assert "--header" in error.hint
    assert not any(secret in str(error) for secret in ("tok-of-anna", "anna", "pw"))


def test_what_stands_in_an_address_for_a_secret_is_refused() -> None:
    error = error_of(lambda: normalize_url("https://host/***b9ab/comfy"))
    assert "stands for a part that gives access" in error.message


def test_messages_name_a_server_without_what_gives_access(server: FakeServer) -> None:
    client = ComfyClient(f"{server.url}/token/b7C1x9Zq44kdW0")
    for ask in (client.system_stats, client.object_info, lambda: client.history("x"), client.queue):
        with pytest.raises(VideoGenError) as caught:
            ask()
        assert "b7C1x9Zq44kdW0" not in str(caught.value)
    assert {request.path.rpartition("/")[0] for request in server.requests} >= {"/token/b7C1x9Zq44kdW0"}


def test_headers_are_read() -> None:
    assert parse_headers(["Authorization: Bearer a:b", "X-Key:1"]) == {"Authorization": "Bearer a:b", "X-Key": "1"}


@pytest.mark.parametrize("line", ["", "s3cret", ": s3cret", "Bad Name: s3cret", "A: s3cret\nB: x"])
def test_a_header_that_cannot_be_read_is_refused_without_repeating_it(line: str) -> None:
    error = error_of(lambda: parse_headers([line]))
    assert error.code == "option-invalid"
    assert "s3cret" not in str(error)
