"""Finding what an earlier runner has submitted, and the run log that every attempt is written into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.session import Session
from runner.rendering.attempts import find_submitted, make_prompt_id
from runner.rendering.retries import AttemptState
from runner.rendering.run_log import RunLog
from runner.rendering.scheduler import Task
from runner.state.journal import Journal
from runner.state.progress import LineDisplay

USABLE = ("queued", "success", "error")


class KnownPrompts:
    """A session whose server knows these prompts: attempt → state."""

    def __init__(self, **states: str) -> None:
        self.states = states
        self.asked: list[str] = []

    def find(self, prompt_id: str) -> str:
        self.asked.append(prompt_id)
        return self.states.get(prompt_id, "")


def find(session: KnownPrompts, state: AttemptState) -> bool:
    return find_submitted(cast(Session, session), state, lambda: f"p{state.attempt}", USABLE)


@pytest.mark.parametrize("known", USABLE)
def test_an_attempt_that_the_server_has_is_found(known: str) -> None:
    state = AttemptState(attempt=2, may_be_on_server=True)
    assert find(KnownPrompts(p2=known), state)
    assert state.attempt == 2


def test_an_attempt_that_was_interrupted_there_gives_way_to_the_next() -> None:
    session, state = KnownPrompts(p2="interrupted", p3="interrupted"), AttemptState(attempt=2, may_be_on_server=True)
    assert not find(session, state)
    assert state.attempt == 4
    session, state = KnownPrompts(p2="interrupted", p3="queued"), AttemptState(attempt=2, may_be_on_server=True)
    assert find(session, state)
    assert state.attempt == 3


def test_a_server_that_cannot_have_it_is_not_asked() -> None:
    session = KnownPrompts(p0="success")
    assert not find(session, AttemptState())
    assert session.asked == []


def test_every_attempt_has_an_id_of_its_own_and_keeps_it() -> None:
    tasks = [Task(1, "k"), Task(1, "k", attempt=1), Task(2, "k"), Task(1, "other")]
    ids = [make_prompt_id("run", task) for task in tasks]
    assert len(set(ids)) == len(ids)
    # As earlier releases have made it: what they had submitted is found after an update.
    assert ids[0] == "7824d946-6cbe-568a-aeec-8b0cc391035f"


# ------------------------------------------------------------------ the run log


def test_what_cannot_be_written_stops_the_run(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.close()
    stopped: list[VideoGenError] = []
    log = RunLog(journal, stop=stopped.append)
    with pytest.raises(VideoGenError) as caught:
        log.note_submitted(Task(1, "k"), "an id", "http://one:8188")
    assert stopped == [caught.value]


class DeafDisplay(LineDisplay):
    """An output whose reader is gone."""

    def event(self, record: dict[str, Any]) -> None:
        raise BrokenPipeError

    def say(self, message: str) -> None:
        raise ValueError("I/O operation on closed file")


@pytest.mark.parametrize("display", [None, DeafDisplay()])
def test_it_is_written_whether_it_can_be_shown_or_not(tmp_path: Path, display: DeafDisplay | None) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    log = RunLog(journal, display)
    log.note_server_left("http://host:1", VideoGenError("server-lost", "it is gone"))
    log.show_step(Task(1, "k"), "it waits", None)
    log.show_finished(Task(1, "k"), "failed")
    journal.close()
    (line,) = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert json.loads(line)["event"] == "server-left"


def test_an_internal_error_stops_the_run_and_leaves_its_trace(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    stopped: list[VideoGenError] = []
    log = RunLog(journal, stop=stopped.append)
    try:
        raise RuntimeError("oops")
    except RuntimeError as error:
        log.note_crash(error)
    journal.close()
    assert [error.code for error in stopped] == ["runner-failed"]
    assert "RuntimeError: oops" in stopped[0].message
    event = json.loads((tmp_path / "journal.jsonl").read_text())
    assert (event["event"], "RuntimeError: oops" in event["trace"]) == ("runner-error", True)
