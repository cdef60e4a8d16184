"""The websocket: a hint that may be lost, and that comes back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import websocket

from runner.comfyui import events
from runner.comfyui.bounds.limits import MAX_MESSAGE
from runner.comfyui.bounds.websocket import BoundedWebSocket
from runner.comfyui.events import EventStream
from tests.support.servers.fake_server import FakeServer, Raw


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MIN_RECONNECT_INTERVAL", 0.01)


@pytest.fixture
def stream(server: FakeServer) -> Iterator[EventStream]:
    stream = EventStream(server.url.replace("http", "ws") + "/ws", {"Authorization": "Bearer s3cret"}).open()
    yield stream
    stream.close()


def message(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "data": data})


def test_an_event_comes_with_its_type_and_data(server: FakeServer, stream: EventStream) -> None:
    server.wait_for_socket().put(message("executing", node="3", prompt_id="id"))
    assert stream.next(timeout=5) == ("executing", {"node": "3", "prompt_id": "id"})


@pytest.mark.parametrize("size", [MAX_MESSAGE + 1, 2**31, 2**62])
def test_a_frame_is_refused_by_the_length_that_it_announces(server: FakeServer, size: int) -> None:
    """Not one byte of it has to come, nor has the connection to end."""
    held = threading.Event()

    def speak(out: Any) -> None:
        out.write(b"\x82\x7f" + size.to_bytes(8, "big"))
        out.flush()
        held.wait(10)

    server.speech = Raw(speak)
    connection = websocket.create_connection(
        server.url.replace("http", "ws") + "/ws", timeout=5, class_=BoundedWebSocket
    )
    try:
        with pytest.raises(websocket.WebSocketPayloadException, match=f"{size:,} bytes"):
            connection.recv()
    finally:
        held.set()
        connection.close()


def test_silence_is_none(stream: EventStream) -> None:
    assert stream.next(timeout=0.01) is None


def test_the_connection_has_the_headers_and_the_client_s_id(server: FakeServer, stream: EventStream) -> None:
    server.wait_for_socket()
    assert server.socket_headers[0]["Authorization"] == "Bearer s3cret"
    assert server.client_ids == [stream.client_id]


@pytest.mark.parametrize(
    "odd",
    [
        b"\x00\x00\x00\x01preview picture",
        "[]",
        '"text"',
        '{"type": "x"}',
        '{"type": "x", "data": "text"}',
        '{"type": "x", "data": [1]}',
        '{"type": "x", "data": null}',
    ],
)
def test_messages_of_another_kind_are_passed_over(server: FakeServer, stream: EventStream, odd: str | bytes) -> None:
    """Previews are bytes, and other packs send whatever they like."""
    socket = server.wait_for_socket()
    socket.put(odd)
    socket.put(message("executing", node=None))
    seen = []
    while ("executing", {"node": None}) not in seen:
        event = stream.next(timeout=5)
        assert event is not None
        assert isinstance(event[1], dict)
        seen.append(event)
    assert len(server.sockets) == 1, "it hung up over the message"


def test_long_messages_come_whole(server: FakeServer, stream: EventStream) -> None:
    server.wait_for_socket().put(message("progress_state", nodes="x" * 60_000))
    event = stream.next(timeout=5)
    assert event is not None
    assert len(event[1]["nodes"]) == 60_000


def test_a_broken_connection_is_made_again_under_another_id(server: FakeServer, stream: EventStream) -> None:
    """ComfyUI unregisters a client id that came back when its old socket closes."""
    server.wait_for_socket().put(None)
    server.wait_for_socket(2).put(message("status"))
    assert stream.next(timeout=5) == ("status", {})
    assert len(set(server.client_ids)) == 2
    assert stream.client_id == server.client_ids[1]


@pytest.mark.parametrize(
    "text", ["{", "[]", "5", '{"type": 5, "data": {}}', '{"type": "x", "data": []}', "[" * 60_000, '{"a": ' * 9_000]
)
def test_a_message_that_is_no_event_costs_nothing(server: FakeServer, stream: EventStream, text: str) -> None:
    socket = server.wait_for_socket()
    socket.put(text)
    socket.put(message("status"))
    assert stream.next(timeout=5) == ("status", {})
    assert len(server.sockets) == 1


def test_text_of_a_server_can_be_written_to_any_file(server: FakeServer, stream: EventStream) -> None:
    server.wait_for_socket().put('{"type": "x", "data": {"text": "\\ud800", "value": NaN, "\\udfff": 1}}')
    assert stream.next(timeout=5) == ("x", {"text": "?", "value": None, "?": 1})


def test_without_a_socket_everything_goes_on(server: FakeServer) -> None:
    stream = EventStream(server.url.replace("http", "ws") + "/nothing-here", {})
    began = time.monotonic()
    stream.open(timeout=0.1)
    assert stream.next(timeout=0.01) is None
    stream.close()
    assert time.monotonic() - began < 5


def test_closing_ends_the_thread_at_once(server: FakeServer, stream: EventStream) -> None:
    server.wait_for_socket()
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < 2
    assert not stream._thread.is_alive()
