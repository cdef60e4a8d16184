"""Finding what an earlier runner has submitted, and the run log that every attempt is written into."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.outcome import Outcome
from runner.comfyui.session import Session
from runner.rendering.attempts import Attempts, find_submitted, make_prompt_id
from runner.rendering.jobs import JobMaker
from runner.rendering.retries import AttemptState, Remedy
from runner.rendering.run_log import RunLog
from runner.rendering.scheduler import Task
from runner.state.event import Event
from runner.state.events import SegmentCancelled
from runner.state.journal import Journal
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from tests.support.journal_events import attempt_failed, failed, fetched, running, submitted, take

USABLE = ("queued", "success", "error")


class KnownPrompts:
    """A session whose server knows these prompts: attempt → state; those with an error had the one of a class."""

    def __init__(self, raised: str = "ValueError", **states: str) -> None:
        self.states, self.raised = states, raised
        self.asked: list[str] = []

    def find(self, prompt_id: str) -> str:
        self.asked.append(prompt_id)
        return self.states.get(prompt_id, "")

    def find_outcome(self, prompt_id: str) -> Outcome:
        return Outcome(self.states[prompt_id], "node 3 (KSampler): it failed", exception_type=self.raised)


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


@pytest.mark.parametrize("raised", ["custom_nodes.videogen.core.errors.TooHotError", "videogen.DiskFullError"])
def test_heat_and_a_full_disk_of_then_give_way_to_the_next_attempt(raised: str) -> None:
    state = AttemptState(attempt=2, may_be_on_server=True)
    assert not find(KnownPrompts(raised, p2="error"), state)
    assert state.attempt == 3


@pytest.mark.parametrize("known", ["success", "queued"])
def test_an_attempt_that_was_canceled_counts_where_it_is_finished_or_may_still_be(known: str) -> None:
    state = AttemptState(may_be_on_server=True, canceled=True)
    assert find(KnownPrompts(p0=known), state)
    assert (state.attempt, state.canceled) == (0, True)


@pytest.mark.parametrize("known", ["error", "interrupted"])
def test_an_attempt_that_was_canceled_and_has_ended_so_gives_way_to_the_next(known: str) -> None:
    state = AttemptState(may_be_on_server=True, canceled=True)
    assert not find(KnownPrompts(p0=known), state)
    assert (state.attempt, state.canceled) == (1, False)


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


def adopt(folder: Path, events: list[Event]) -> Task:
    """The task of segment 1 after these events, as the next runner begins with it."""
    with RunDirectory(folder, "Tree") as directory:
        for event in events:
            directory.journal.append(event)
        story = SimpleNamespace(size=(1920, 1080))
        maker = SimpleNamespace(source=lambda number: None, key=lambda number: "k", story=story)
        return Attempts(cast(JobMaker, maker), directory, RunLog(directory.journal)).make_task(1)


BEGUN: list[Event] = [submitted(1), running(1), fetched(1), take(1, another=True)]


@pytest.mark.parametrize(
    ("events", "attempt", "offset", "may_be_there"),
    [
        ([submitted(1)], 0, 0, True),
        ([submitted(1, seed_offset=2, attempt=2)], 2, 2, True),
        (BEGUN, 1, 1, False),
        ([*BEGUN, submitted(1, attempt=1, seed_offset=1)], 1, 1, True),
        ([*BEGUN, submitted(1, attempt=1, seed_offset=1), SegmentCancelled(segment=1, attempt=1)], 1, 1, True),
        ([submitted(1), SegmentCancelled(segment=1, attempt=0, hung=True)], 1, 0, False),
        ([submitted(1), attempt_failed(1, "node error", Remedy.NEXT_SEED.value, ended="error")], 1, 1, False),
        ([submitted(1), attempt_failed(1, "out of memory", Remedy.FREE_AND_REPEAT.value, ended="error")], 1, 0, False),
        ([submitted(1), attempt_failed(1, "stalled", Remedy.OTHER_SERVER.value)], 0, 0, True),
        (
            [
                *BEGUN,
                submitted(1, attempt=1, seed_offset=1),
                attempt_failed(1, "interrupted", Remedy.STOP.value, attempt=1, ended="interrupted"),
            ],
            2,
            1,
            False,
        ),
        ([*BEGUN, failed(1)], 1, 1, False),
        ([*BEGUN, submitted(1, attempt=1, seed_offset=1), failed(1)], 2, 1, False),
        ([submitted(1, seed_offset=3, attempt=3), failed(1)], 4, 0, False),
    ],
    ids=[
        "submitted",
        "with its third seed",
        "judged",
        "the next one submitted",
        "canceled",
        "canceled on a server that hangs",
        "failed, and the next seed was not submitted",
        "failed, and not submitted again",
        "its server hung",
        "interrupted",
        "a take, then given up",
        "given up at its second seed",
        "given up without a take",
    ],
)
def test_the_next_runner_takes_the_seed_that_no_take_has(
    tmp_path: Path, events: list[Event], attempt: int, offset: int, may_be_there: bool
) -> None:
    task = adopt(tmp_path, events)
    assert (task.attempt, task.variant.seed_offset, task.may_be_on_server) == (attempt, offset, may_be_there)
    assert task.canceled == (events[-1] == SegmentCancelled(segment=1, attempt=attempt))


def test_a_step_down_that_was_not_submitted_is_taken_by_the_next_runner(tmp_path: Path) -> None:
    failure = attempt_failed(1, "out of memory", Remedy.STEP_DOWN.value, ended="error")
    assert adopt(tmp_path, [submitted(1, size=[1280, 720]), failure]).variant.size == (856, 480)
    # The size of the story, where nothing else was tried.
    assert adopt(tmp_path, [submitted(1), failure]).variant.size == (1280, 720)


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
