"""Servers that go away: how long they are waited for, and when it is enough."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.client import ComfyClient
from runner.comfyui.servers import CRASH_SECONDS, MAX_CRASHES, REMOTE_POLL_INTERVALS, RemoteServer
from tests.runner.comfyui.server_doubles import GONE, Clock, FakeSession, connects, own


def unreachable() -> Any:
    raise VideoGenError("server-unreachable", "nothing listens there")


# ------------------------------------------------------------------ a remote one


def remote(patience: float = 600.0) -> RemoteServer:
    server = RemoteServer(ComfyClient("http://127.0.0.1:1"), patience)
    server.session = FakeSession()  # type: ignore[assignment]
    return server


def test_a_remote_server_is_looked_at_less_and_less_often(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    answers = iter([unreachable] * 8 + [FakeSession])
    connects(monkeypatch, lambda: next(answers)())
    server = remote()
    old = server.session
    said: list[str] = []
    assert server.recover(GONE, clock.sleep, said.append)
    assert tuple(clock.slept) == (*REMOTE_POLL_INTERVALS, *(REMOTE_POLL_INTERVALS[-1],) * 3)
    assert old.closed
    assert not server.session.closed
    assert said[-1].endswith("is back")


def test_patience_with_a_remote_server_ends(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    connects(monkeypatch, unreachable)
    with pytest.raises(VideoGenError) as raised:
        remote(patience=120.0).recover(GONE, clock.sleep, lambda _: None)
    assert raised.value.code == "server-lost"
    assert raised.value.exit_status == 3
    assert 120 < sum(clock.slept) < 120 + REMOTE_POLL_INTERVALS[-1] + 1


def test_a_remote_server_is_not_waited_for_when_the_run_is_stopped(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    connects(monkeypatch, unreachable)
    clock.stopped_at = clock.now + 3
    assert remote().recover(GONE, clock.sleep, lambda _: None) is False


def test_a_remote_server_that_wants_a_log_in_now_is_waited_for_too(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    def refuse() -> Any:
        raise VideoGenError("server-refused", "wants a log-in")

    connects(monkeypatch, refuse)
    with pytest.raises(VideoGenError, match="wants a log-in, for 5 s now"):
        remote(patience=5.0).recover(GONE, clock.sleep, lambda _: None)


def test_a_remote_server_that_never_answered_can_be_closed() -> None:
    RemoteServer(ComfyClient("http://127.0.0.1:1"), 1.0).close()


STALLED = VideoGenError("server-stalled", "http://127.0.0.1:1 answers, but its prompt has made no progress")
UNFIT = VideoGenError("server-unfit", "the ComfyUI lacks: model 'dream.safetensors'")


def test_a_server_that_answers_and_fails_is_tried_again_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    connects(monkeypatch, FakeSession)
    server = remote()
    for _ in range(4):
        assert server.recover(STALLED, clock.sleep, lambda _: None)
    assert tuple(clock.slept) == REMOTE_POLL_INTERVALS[:4]
    server.note_success()
    assert server.recover(STALLED, clock.sleep, lambda _: None)
    assert clock.slept[-1] == REMOTE_POLL_INTERVALS[0]


def test_patience_with_a_server_that_answers_and_only_fails_ends_too(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    connects(monkeypatch, FakeSession)
    server = remote(patience=120.0)

    def fail_for_ever() -> None:
        for _ in range(100):
            server.recover(STALLED, clock.sleep, lambda _: None)

    with pytest.raises(VideoGenError, match=r"failed \d+ times in a row: .*no progress") as raised:
        fail_for_ever()
    assert raised.value.code == "server-lost"
    assert sum(clock.slept) > 120


def test_a_connection_that_blinks_is_no_failure_of_the_server(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    connects(monkeypatch, FakeSession)
    server = remote(patience=10.0)
    for _ in range(50):
        assert server.recover(GONE, clock.sleep, lambda _: None)


def test_a_server_that_comes_back_without_a_model_is_not_back(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    connects(monkeypatch, FakeSession)
    server = remote()
    found = iter([UNFIT, UNFIT, None])

    def require(session: Any) -> None:
        if (error := next(found)) is not None:
            raise error

    server.require = require
    said: list[str] = []
    assert server.recover(GONE, clock.sleep, said.append)
    assert [line for line in said if "dream.safetensors" in line] == [f"{server.name} cannot be used: {UNFIT.message}"]
    assert said[-1].endswith("is back")
    assert len(clock.slept) == 3


def test_patience_with_a_server_that_lacks_something_ends_with_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    connects(monkeypatch, FakeSession)
    server = remote(patience=5.0)

    def require(session: Any) -> None:
        raise UNFIT

    server.require = require
    with pytest.raises(VideoGenError, match=r"dream\.safetensors") as raised:
        server.recover(GONE, clock.sleep, lambda _: None)
    assert raised.value.code == "server-unfit"


# ------------------------------------------------------------------ our own


def test_our_own_server_is_started_again(monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path) -> None:
    connects(monkeypatch, FakeSession)
    server, embedded = own(tmp_path)
    old = server.session
    with pytest.raises(VideoGenError, match="core dumped"):
        server.check()
    assert server.recover(GONE, clock.sleep, lambda _: None)
    assert (embedded.stops, embedded.starts) == (1, 1)  # what is left of the old one goes first
    assert old.closed
    embedded.stops = 0
    server.check()


def test_a_crash_loop_ends_with_the_last_lines_of_the_log(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path
) -> None:
    connects(monkeypatch, FakeSession)
    server, embedded = own(tmp_path)
    for _ in range(MAX_CRASHES - 1):
        assert server.recover(GONE, clock.sleep, lambda _: None)
        clock.now += CRASH_SECONDS / MAX_CRASHES / 2
    with pytest.raises(VideoGenError, match="core dumped") as raised:
        server.recover(GONE, clock.sleep, lambda _: None)
    assert raised.value.code == "server-lost"
    assert raised.value.exit_status == 3
    assert embedded.starts == MAX_CRASHES - 1


def test_a_start_that_fails_counts_as_a_crash_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path
) -> None:
    connects(monkeypatch, FakeSession)
    attempts = iter([True, False])

    def start() -> None:
        if next(attempts):
            raise VideoGenError("server-start-failed", "the port was taken")

    server, embedded = own(tmp_path, start)
    said: list[str] = []
    assert server.recover(GONE, clock.sleep, said.append)
    assert embedded.starts == 2
    assert "the port was taken" in said[1]


def test_a_server_that_never_starts_again_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path
) -> None:
    def start() -> None:
        raise VideoGenError("server-start-failed", "no module named torch")

    connects(monkeypatch, FakeSession)
    server, embedded = own(tmp_path, start)
    with pytest.raises(VideoGenError) as raised:
        server.recover(GONE, clock.sleep, lambda _: None)
    assert raised.value.exit_status == 3
    assert embedded.starts == MAX_CRASHES - 1


def test_a_server_that_starts_slowly_and_never_well_ends_the_run_too(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path
) -> None:
    def start() -> None:
        clock.now += CRASH_SECONDS
        raise VideoGenError("server-start-failed", "ComfyUI did not answer within 300 s")

    connects(monkeypatch, FakeSession)
    server, embedded = own(tmp_path, start)
    with pytest.raises(VideoGenError, match="did not answer"):
        server.recover(GONE, clock.sleep, lambda _: None)
    assert embedded.starts == MAX_CRASHES


def test_crashes_far_apart_are_forgiven(monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path) -> None:
    connects(monkeypatch, FakeSession)
    server, _ = own(tmp_path)
    for _ in range(10):
        assert server.recover(GONE, clock.sleep, lambda _: None)
        clock.now += CRASH_SECONDS


def test_crashes_with_a_segment_in_between_are_forgiven(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path
) -> None:
    connects(monkeypatch, FakeSession)
    server, _ = own(tmp_path)
    for _ in range(10):
        assert server.recover(GONE, clock.sleep, lambda _: None)
        server.note_success()
        clock.now += 1


def test_our_own_server_is_not_started_again_when_the_run_is_stopped(clock: Clock, tmp_path: Path) -> None:
    server, embedded = own(tmp_path)
    clock.stopped_at = clock.now
    assert server.recover(GONE, clock.sleep, lambda _: None) is False
    assert embedded.starts == 0
