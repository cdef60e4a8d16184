"""Our own server where it does not start: killed, it is started again; broken, it ends the run at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import StartFailedError, VideoGenError
from runner.comfyui.embedded import EmbeddedServer, describe_end, was_killed
from runner.comfyui.installation import Installation
from runner.comfyui.servers import CRASH_SECONDS, MAX_CRASHES, MAX_FUTILE_STARTS, OwnServer
from tests.runner.comfyui.server_doubles import GONE, Clock, FakeSession, connects, own


def killed() -> VideoGenError:
    return StartFailedError("ComfyUI was killed by signal 9 (SIGKILL) while it was starting", "", hopeless=False)


def broken() -> VideoGenError:
    return StartFailedError("ComfyUI ended with status 1: ModuleNotFoundError: torch", "", hopeless=True)


def begin(server: OwnServer, clock: Clock) -> None:
    server.connect()


def go_on(server: OwnServer, clock: Clock) -> None:
    server.recover(GONE, clock.sleep, lambda _: None)


@pytest.mark.parametrize("connect", [begin, go_on])
def test_one_that_is_killed_while_it_starts_is_started_again(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path, connect: Callable[[OwnServer, Clock], None]
) -> None:
    connects(monkeypatch, FakeSession)
    attempts = iter([True, True, False])

    def start() -> None:
        if next(attempts):
            raise killed()

    server, embedded = own(tmp_path, start)
    connect(server, clock)
    assert embedded.starts == 3


@pytest.mark.parametrize("connect", [begin, go_on])
def test_one_that_is_killed_again_and_again_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path, connect: Callable[[OwnServer, Clock], None]
) -> None:
    def start() -> None:
        raise killed()

    connects(monkeypatch, FakeSession)
    server, embedded = own(tmp_path, start)
    with pytest.raises(VideoGenError, match="SIGKILL") as raised:
        connect(server, clock)
    assert raised.value.exit_status == 3
    assert MAX_CRASHES - 1 <= embedded.starts <= MAX_CRASHES


@pytest.mark.parametrize("connect", [begin, go_on])
def test_a_set_up_that_is_broken_ends_the_run_at_once(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path, connect: Callable[[OwnServer, Clock], None]
) -> None:
    def start() -> None:
        raise broken()

    connects(monkeypatch, FakeSession)
    server, embedded = own(tmp_path, start)
    with pytest.raises(VideoGenError, match="ModuleNotFoundError"):
        connect(server, clock)
    assert embedded.starts == 1


def test_restarts_that_lead_to_nothing_come_to_an_end_however_slow_they_are(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, tmp_path: Path
) -> None:
    connects(monkeypatch, FakeSession)
    server, embedded = own(tmp_path)

    def crash_for_ever() -> None:
        for _ in range(100):
            server.recover(GONE, clock.sleep, lambda _: None)
            clock.now += CRASH_SECONDS

    with pytest.raises(VideoGenError, match="without finishing a segment"):
        crash_for_ever()
    assert embedded.starts == MAX_FUTILE_STARTS


@pytest.mark.parametrize(
    ("status", "killed", "text"),
    [
        (1, False, "ended with status 1"),
        (2, False, "ended with status 2"),
        (-9, True, "was killed by signal 9 (SIGKILL)"),
        (137, True, "was killed by signal 9 (SIGKILL)"),
        (3221225477, True, "ended with status 3221225477"),
    ],
)
def test_how_a_process_ended(status: int, killed: bool, text: str) -> None:
    assert was_killed(status) is killed
    assert describe_end(status) == text


@pytest.mark.parametrize(
    ("line", "hopeless"),
    [("import module_that_nobody_has", True), ("import os; os.kill(os.getpid(), 9)", False), ("(", True)],
    ids=["import error", "killed", "syntax error"],
)
def test_a_real_process_that_does_not_start(tmp_path: Path, line: str, hopeless: bool) -> None:
    (tmp_path / "main.py").write_text(line, encoding="utf-8")
    embedded = EmbeddedServer(Installation(tmp_path, Path(sys.executable), (), "0"), tmp_path / "server")
    with embedded, pytest.raises(StartFailedError) as raised:
        embedded.start()
    assert raised.value.hopeless is hopeless
    assert ("Error" in raised.value.message) is hopeless


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_its_nodes_print_does_not_depend_on_our_terminal(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    # A node that prints an emoji while it is imported was not there for a run from such a terminal.
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    (tmp_path / "main.py").write_text("print('Loaded 🎬 苹果', flush=True)\nraise SystemExit(3)\n", encoding="utf-8")
    server = EmbeddedServer(Installation(tmp_path, Path(sys.executable), (), "0.3.75"), tmp_path / "server")
    with pytest.raises(VideoGenError), server:
        server.start()
    log = server.log.read_text(encoding="utf-8")
    assert "Loaded 🎬 苹果" in log
    assert "UnicodeEncodeError" not in log
