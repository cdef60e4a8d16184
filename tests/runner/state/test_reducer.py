"""The reducer: what events make of a segment, and which event cannot follow which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import VideoGenError
from runner.state.event import Event
from runner.state.events import SegmentAdopted, SegmentCancelled, SegmentFound, read_event
from runner.state.journal import Journal
from runner.state.reducer import RunState
from runner.state.segment_state import InvalidTransitionError
from tests.support.journal_events import attempt_failed, done, failed, fetched, running, submitted, take, verified

FOUND = SegmentFound(segment=1, attempt=0, prompt_id="k/0", server="http://one:8188")
CANCELLED = SegmentCancelled(segment=1, attempt=0)
ADOPTED = SegmentAdopted(
    segment=1, former="a" * 64, result={"key": "k", "file": "segments/segment_01.mp4", "bytes": 7, "sha256": "b" * 64}
)

WAYS: dict[str, list[Event]] = {
    "pending": [],
    "submitted": [submitted(1)],
    "running": [submitted(1), running(1)],
    "fetched": [submitted(1), running(1), fetched(1)],
    "verified": [submitted(1), running(1), fetched(1), verified(1)],
    "done": [submitted(1), running(1), fetched(1), verified(1), done(1)],
    "failed": [submitted(1), running(1), attempt_failed(1, "node error", "given up"), failed(1)],
}
#: Event → the states in which it is possible.
POSSIBLE: dict[str, tuple[Event, set[str]]] = {
    "submitted": (submitted(1), set(WAYS)),
    "found": (FOUND, {"submitted", "running", "fetched", "verified", "done"}),
    "cancelled": (CANCELLED, {"submitted", "running"}),
    "running": (running(1), {"submitted", "running"}),
    "fetched": (fetched(1), {"submitted", "running"}),
    "take": (take(), {"fetched"}),
    "verified": (verified(1), {"fetched"}),
    "done": (done(1), {"verified"}),
    "adopted": (ADOPTED, {"done"}),
    "attempt failed": (attempt_failed(1, "lost", "again"), set(WAYS)),
    "failed": (failed(1), set(WAYS)),
}


def reduce(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event, {"event": event.event_name, "time": 1.0, **event.to_fields()})
    return state


def test_what_a_line_says_is_none_is_no_part_of_the_result() -> None:
    """Reports add up bytes and seconds."""
    state = reduce(*WAYS["verified"])
    event = read_event({"event": "segment-done", "time": 2.0, "segment": 1, **done(1).result, "bytes": None})
    state.apply(event, {"event": "segment-done", "time": 2.0, "segment": 1, **done(1).result, "bytes": None})
    assert "bytes" not in state.segment(1).result
    assert state.segment(1).result["time"] == 2.0


@pytest.mark.parametrize("state", WAYS)
def test_the_state_at_the_end_of_each_way(state: str) -> None:
    assert reduce(*WAYS[state]).segment(1).state == state


@pytest.mark.parametrize("event", POSSIBLE)
@pytest.mark.parametrize("state", WAYS)
def test_an_event_is_taken_where_it_is_possible_and_refused_where_not(state: str, event: str) -> None:
    following, possible = POSSIBLE[event]
    if state in possible:
        reduce(*WAYS[state], following)
        return
    with pytest.raises(InvalidTransitionError, match=rf"{following.event_name} of segment 1 cannot follow '{state}'"):
        reduce(*WAYS[state], following)


def test_a_refused_event_changes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(submitted(1))
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(InvalidTransitionError):
        journal.append(done(1))
    with pytest.raises(InvalidTransitionError):
        journal.append(running(2))
    assert (tmp_path / "journal.jsonl").read_bytes() == before
    assert journal.segment(1).state == "submitted"
    assert list(journal.latest) == ["segment-submitted"]
    journal.close()


def test_only_the_verified_file_can_become_the_segment_s() -> None:
    with pytest.raises(InvalidTransitionError, match="another file than was verified"):
        reduce(*WAYS["verified"], done(1, sha256="b" * 64))


def test_a_prompt_found_again_begins_over_on_its_way_home() -> None:
    for state in ("submitted", "running", "fetched", "verified", "done"):
        assert reduce(*WAYS[state], FOUND, fetched(1), verified(1), done(1)).segment(1).state == "done"


def test_an_earlier_take_can_become_the_segment_s_file_while_a_later_one_is_on_its_way() -> None:
    fetched_take = [*WAYS["fetched"], take(1, another=True)]
    for later in (
        [],
        [submitted(1, attempt=1)],
        [submitted(1, attempt=1), running(1, 1)],
        [attempt_failed(1, "predecessor missing", "given up", key=""), failed(1, "")],
    ):
        state = reduce(*fetched_take, *later, verified(1), done(1)).segment(1)
        assert state.state == "done"
        assert len(state.takes) == 1
    with pytest.raises(InvalidTransitionError):
        reduce(*WAYS["running"], verified(1))


def test_takes_of_a_file_that_was_lost_are_forgotten() -> None:
    one_take = [*WAYS["fetched"], take(1), verified(1), done(1)]
    assert reduce(*one_take).segment(1).takes
    assert reduce(*one_take, submitted(1)).segment(1).takes == []
    assert reduce(*one_take, FOUND).segment(1).takes == []


def test_a_file_that_was_taken_is_the_segment_s_until_another_text_is_wanted() -> None:
    state = reduce(*WAYS["done"], ADOPTED)
    assert (state.segment(1).state, state.segment(1).key, state.segment(1).result["sha256"]) == ("done", "k", "b" * 64)
    assert state.history.notes[-1]["message"] == "segments/segment_01.mp4"
    state = reduce(*WAYS["done"], ADOPTED, submitted(1, "other"))
    assert state.segment(1).result == {}
    assert state.shelved[1]["k"].result["sha256"] == "b" * 64


def test_another_key_begins_with_nothing() -> None:
    state = reduce(*WAYS["failed"], submitted(1, "another"))
    assert state.segment(1).history == []
    assert state.segment(1).attempts == 1
    assert [attempt["prompt_id"] for attempt in state.history.tries[1]] == ["another/0"]


# ------------------------------------------------------------------ any order of events

MOVES = [event for event, _ in POSSIBLE.values()]


@given(st.lists(st.sampled_from(MOVES), max_size=30))
def test_whatever_comes_nothing_is_done_that_was_not_verified(events: list[Event]) -> None:
    state = RunState()
    before = "pending"
    for event in events:
        try:
            state.apply(event, {"event": event.event_name, "time": 1.0, **event.to_fields()})
        except InvalidTransitionError:
            assert state.segment(1).state == before
            continue
        now = state.segment(1).state
        assert now != "done" or before == "verified" or not event.event_name.startswith("segment-done")
        if now in ("verified", "done"):
            assert state.segment(1).result["sha256"]
        before = now


# ------------------------------------------------------------------ journals of an older version

KEPT_RUNS = Path(__file__).with_name("kept_runs")


@pytest.mark.parametrize(
    ("run", "states", "ends"),
    [
        ("finished", {1: "done", 2: "done", 3: "done"}, ["finished"]),
        ("killed", {1: "done", 2: "running"}, [None]),
        ("takes", {1: "done", 2: "done"}, ["finished"]),
    ],
)
def test_journals_of_an_older_version_replay(run: str, states: dict[int, str], ends: list[Any]) -> None:
    journal = Journal(KEPT_RUNS / run / "journal.jsonl", read_only=True)
    assert {number: state.state for number, state in journal.segments.items()} == states
    assert [found["end"] for found in journal.history.runs] == ends
    takes = {number: [one["outcome"] for one in tries] for number, tries in journal.history.tries.items()}
    expected = {
        "finished": {1: ["done"], 2: ["done"], 3: ["done"]},
        "killed": {1: ["done"], 2: [None]},
        "takes": {1: ["done", "take"], 2: ["done", "take"]},
    }
    assert takes == expected[run]


@pytest.mark.parametrize("run", ["finished", "takes"])
def test_a_line_taken_out_of_the_middle_is_noticed(run: str, tmp_path: Path) -> None:
    lines = (KEPT_RUNS / run / "journal.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if read_event(json.loads(line)).event_name == "segment-verified")
    path = tmp_path / "journal.jsonl"
    path.write_text("".join(lines[:place] + lines[place + 1 :]), encoding="utf-8")
    following = next(n for n, line in enumerate(lines[place + 1 :], place + 1) if '"segment-done"' in line)
    with pytest.raises(
        VideoGenError, match=rf"line {following} of .* cannot be used: segment-done of segment"
    ) as caught:
        Journal(path, read_only=True)
    assert caught.value.code == "run-directory-invalid"
    assert "--fresh" in caught.value.hint
