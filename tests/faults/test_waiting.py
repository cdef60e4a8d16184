"""Waiting for a prompt, as hours go by: what no real server can be made to do in the seconds that a test has."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui import session as session_module
from runner.comfyui.client import Queue
from runner.comfyui.session import FOREIGN_FACTOR, MAX_MISSED_POLLS, UNHEARD_FACTOR, Session

OURS, OTHERS = "our prompt", "a prompt of somebody else"
DONE = {"status": {"status_str": "success", "messages": []}, "outputs": {}}
INTERRUPTED = {"status": {"status_str": "error", "messages": [["execution_interrupted", {}]]}, "outputs": {}}
STALL = 100.0

Event = tuple[str, dict[str, Any]]


class FakeServer:
    """Client and socket of a server whose clock is moved by waiting for events.

    Args:
        queue, history, event: what it says at a time in seconds.
    """

    def __init__(
        self,
        queue: Callable[[float], Queue],
        history: Callable[[float], Any] = lambda _: None,
        event: Callable[[float], Event | None] = lambda _: None,
    ) -> None:
        self.now = 0.0
        self.url = "http://127.0.0.1:1"
        self.client_id, self.connected = "a connection", True
        self.submitted = {OURS}
        self.asked: list[str] = []
        self._queue, self._history, self._event = queue, history, event

    def find(self, _: str) -> None:
        """It has no jobs API."""

    def queue(self) -> Queue:
        self.asked.append("queue")
        return self._queue(self.now)

    def history(self, _: str) -> Any:
        self.asked.append("history")
        return self._history(self.now)

    def next(self, timeout: float) -> Event | None:
        event = self._event(self.now)
        self.now += 0.1 if event else timeout
        assert self.now < 100_000, "it waits for ever"
        return event


def running(*ids: str) -> Queue:
    return Queue(frozenset(ids), frozenset())


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def start(server: FakeServer, *, heard: bool = True, started: list[str] | None = None) -> Any:
        monkeypatch.setattr(session_module, "time", SimpleNamespace(monotonic=lambda: server.now))
        session = object.__new__(Session)
        session.client = session.events = server  # type: ignore[assignment]
        session._submitted = (OURS, server.client_id if heard else "a connection that broke")
        return session.wait(
            OURS,
            {},
            stall=STALL,
            on_start=lambda: (started if started is not None else []).append("started"),
            on_step=lambda *_: None,
            check=lambda: None,
        )

    return start


def test_a_prompt_that_makes_no_progress_is_stalled(wait: Callable[..., Any]) -> None:
    server = FakeServer(lambda _: running(OURS))
    with pytest.raises(VideoGenError) as raised:
        wait(server)
    assert raised.value.code == "server-stalled"
    assert STALL < server.now < STALL * 1.2


def test_progress_keeps_a_prompt_alive_however_long_it_takes(wait: Callable[..., Any]) -> None:
    due = [90.0]

    def event(now: float) -> Event | None:
        if now < due[0]:
            return None
        due[0] = now + 90
        return "progress_state", {"prompt_id": OURS, "nodes": {}}

    server = FakeServer(lambda _: running(OURS), history=lambda now: DONE if now > 50 * STALL else None, event=event)
    assert wait(server).status == "success"


def test_where_progress_cannot_be_heard_patience_is_longer(wait: Callable[..., Any]) -> None:
    """The connection broke in the middle: nothing more is told of this prompt, though it goes on."""
    server = FakeServer(lambda _: running(OURS), history=lambda now: DONE if now > 3 * STALL else None)
    assert wait(server, heard=False).status == "success"
    server = FakeServer(lambda _: running(OURS))
    with pytest.raises(VideoGenError, match="no progress"):
        wait(server, heard=False)
    assert server.now < UNHEARD_FACTOR * STALL * 1.2


def test_somebody_else_s_prompt_is_waited_for_but_not_for_ever(wait: Callable[..., Any]) -> None:
    patient = FakeServer(
        lambda now: Queue(frozenset({OTHERS}), frozenset({OURS})) if now < 10 * STALL else running(OURS),
        history=lambda now: DONE if now > 10.5 * STALL else None,
    )
    assert wait(patient).status == "success"
    dead = FakeServer(lambda _: Queue(frozenset({OTHERS}), frozenset({OURS})))
    with pytest.raises(VideoGenError, match="no progress"):
        wait(dead)
    assert dead.now < FOREIGN_FACTOR * STALL * 1.2


def test_an_earlier_prompt_of_ours_that_hangs_there_is_no_sign_of_life(wait: Callable[..., Any]) -> None:
    """A server whose worker died with one of our prompts shows that one as running for ever."""
    server = FakeServer(lambda _: Queue(frozenset({"earlier"}), frozenset({OURS})))
    server.submitted.add("earlier")
    with pytest.raises(VideoGenError, match="no progress"):
        wait(server)
    assert server.now < STALL * 1.2


def test_a_queue_that_moves_is_a_sign_of_life(wait: Callable[..., Any]) -> None:
    server = FakeServer(
        lambda now: Queue(frozenset({f"other {now // 90}"}), frozenset({OURS})),
        history=lambda now: DONE if now > 40 * STALL else None,
    )
    assert wait(server).status == "success"


def test_a_prompt_is_lost_after_several_looks(wait: Callable[..., Any]) -> None:
    server = FakeServer(lambda _: running())
    with pytest.raises(VideoGenError) as raised:
        wait(server)
    assert raised.value.code == "prompt-lost"
    assert server.asked.count("queue") == MAX_MISSED_POLLS


def test_a_prompt_that_turns_up_in_history_is_not_lost(wait: Callable[..., Any]) -> None:
    looks = iter([None] * (MAX_MISSED_POLLS - 1) + [DONE] * 10)
    started: list[str] = []
    server = FakeServer(lambda _: running(), history=lambda _: next(looks))
    assert wait(server, started=started).status == "success"
    assert started == ["started"]


def test_the_chatter_of_others_does_not_keep_from_looking(wait: Callable[..., Any]) -> None:
    """After a broken connection `status` is all that is told."""
    server = FakeServer(
        lambda _: running(OURS), history=lambda now: DONE if now > 1 else None, event=lambda _: ("status", {})
    )
    assert wait(server, heard=False).status == "success"
    assert server.now < 4


@pytest.mark.parametrize(
    ("queue", "history", "found"),
    [
        (running(OURS), None, "queued"),
        (Queue(frozenset(), frozenset({OURS})), None, "queued"),
        (running(), DONE, "success"),
        (running(), INTERRUPTED, "interrupted"),
        (running(), None, ""),
    ],
)
def test_what_a_server_knows_of_a_prompt(queue: Queue, history: Any, found: str) -> None:
    server = FakeServer(lambda _: queue, history=lambda _: history)
    session = object.__new__(Session)
    session.client = server  # type: ignore[assignment]
    assert session.find(OURS) == found
    # The queue first: a prompt goes from there to history, and must not pass us in between.
    assert server.asked[0] == "queue"
