"""Typed events: each is a line of the journal and comes back as it was."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from runner.state.event import EVENTS, UnknownEvent
from runner.state.events import AttemptFailed, SegmentDone, SegmentVerified, read_event
from tests.support.journal_events import submitted

KEPT_RUNS = Path(__file__).with_name("kept_runs")


@pytest.mark.parametrize("run", ["finished", "killed", "takes"])
def test_lines_of_an_older_version_are_read_and_would_be_written_as_they_are(run: str) -> None:
    for line in (KEPT_RUNS / run / "journal.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        event = read_event(record)
        written = {"event": event.event_name, "time": record["time"], **event.to_fields()}
        assert json.dumps(written) == line_without_spaces(line)


def line_without_spaces(line: str) -> str:
    return json.dumps(json.loads(line))


def test_an_event_comes_back_as_it_was() -> None:
    event = submitted(3, "abc", 2, size=[160, 88])
    assert read_event({"event": "segment-submitted", "time": 1.5, **event.to_fields()}) == event


def test_the_entries_of_a_result_are_fields_of_the_record() -> None:
    result = {"key": "k", "file": "segments/a.mp4", "sha256": "abc"}
    event = SegmentVerified(segment=1, part=".x", result=result)
    assert list(event.to_fields().items()) == [("segment", 1), ("part", ".x"), *result.items()]
    read = read_event({"event": "segment-verified", "time": 1, **event.to_fields()})
    assert read == event
    done = read_event({"event": "segment-done", "time": 1, "segment": 1, **result, "bytes": None, "encoder": None})
    assert done == SegmentDone(segment=1, result={**result, "encoder": None}), "reports compute with bytes"


def test_how_a_prompt_ended_is_written_only_where_a_prompt_ended() -> None:
    def fail(ended: str) -> AttemptFailed:
        return AttemptFailed(segment=1, key="k", attempt=0, failure="lost", remedy="again", message="m", ended=ended)

    assert fail("error").to_fields()["ended"] == "error"
    assert "ended" not in fail("").to_fields()


def test_what_another_version_writes_is_no_reason_to_stop() -> None:
    assert read_event({"event": "segment-of-another-version", "segment": "x"}) == UnknownEvent()
    read = read_event({"event": "segment-running", "segment": 1, "attempt": 0, "of-another-version": 5})
    assert read.to_fields() == {"segment": 1, "attempt": 0}
    assert read_event({"event": "run-started", "run_id": "x"}).to_fields() == {
        "run_id": "x",
        "server": None,
        "todo": None,
        "kept": None,
    }


@pytest.mark.parametrize("number", [None, "1", 1.0, True, 0, -1, [1]])
def test_an_event_of_a_segment_has_its_number(number: object) -> None:
    with pytest.raises(ValueError, match="expected a number from 1"):
        read_event({"event": "segment-running", "segment": number, "attempt": 0})


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"event": "run-started", "todo": 5}, "its todo is 5"),
        ({"event": "run-finished", "time": "noon"}, "its time is 'noon'"),
        ({"event": "segment-take", "segment": 1, "reasons": 0.5}, "its reasons is 0.5"),
        ({"event": "segment-take", "segment": 1, "rank": [1]}, "its rank is"),
        ({"event": "segment-verified", "segment": 1, "seconds": {"executed": "long"}}, "its seconds is"),
        ({"event": "segment-done", "segment": 1, "takes": [5]}, "its takes are"),
        ({"event": "segment-done", "segment": 1, "bytes": {}}, "its bytes is"),
        ({"event": "segment-done", "segment": 1, "sha256": "ab"}, "it has no file"),
        ({"event": "segment-verified", "segment": 1, "file": "segments/a.mp4"}, "it has no sha256"),
    ],
)
def test_a_field_has_the_type_that_reports_compute_with(record: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_event(record)


def test_every_event_has_a_name_of_its_own_and_says_what_it_means() -> None:
    assert len({event.event_name for event in EVENTS.values()}) == len(EVENTS)
    for name, event in EVENTS.items():
        assert event.event_name == name
        assert event.__doc__, name
        assert "event" not in {item.name for item in fields(event)}, "that is the record's own"  # type: ignore[arg-type]
        assert "time" not in {item.name for item in fields(event)}  # type: ignore[arg-type]


def test_what_must_outlast_a_power_cut() -> None:
    assert {name for name, event in EVENTS.items() if event.durable} == {
        "run-started",
        "segment-submitted",
        "reference-submitted",
        "segment-take",
        "segment-verified",
        "segment-restored",
        "segment-adopted",
        "segment-failed",
        "film-done",
        "run-finished",
        "run-interrupted",
    }
