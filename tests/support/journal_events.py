"""Events of a segment's way through a run, for tests that need a journal and no rendering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.state.events import (
    AttemptFailed,
    FilmDone,
    RunFinished,
    RunStarted,
    SegmentDone,
    SegmentFailed,
    SegmentFetched,
    SegmentRunning,
    SegmentSubmitted,
    SegmentTake,
    SegmentVerified,
)
from runner.state.journal import Journal

RESULT: dict[str, Any] = {"file": "segments/segment_01.mp4", "bytes": 5, "sha256": "a" * 64}


def run_started(todo: Sequence[int] = (), server: str = "http://one:8188") -> RunStarted:
    return RunStarted(run_id="0" * 32, server=server, todo=list(todo), kept=0)


def run_finished(rendered: int = 0, kept: int = 0, failed: Sequence[int] = (), seconds: float = 1.0) -> RunFinished:
    return RunFinished(rendered=rendered, kept=kept, failed=list(failed), seconds=seconds, status=1 if failed else 0)


def film_done(inputs: Sequence[Any] = (), **more: Any) -> FilmDone:
    """A film of two seconds, some of it encoded."""
    usual: dict[str, Any] = {
        "file": "film.mp4",
        "bytes": 4,
        "seconds": 2.0,
        "frames": 48,
        "fps": 24,
        "size": [320, 180],
    }
    usual |= {"copied": 40, "encoded": 8, "encoder": "libx264", "missing": []}
    return FilmDone(inputs=list(inputs), **{**usual, **more})


def submitted(number: int, key: str = "k", attempt: int = 0, **more: Any) -> SegmentSubmitted:
    """A submission to one server, as the story has the segment."""
    usual = {"prompt_id": f"{key}/{attempt}", "server": "http://one:8188", "seed_offset": 0, "size": None}
    return SegmentSubmitted(segment=number, key=key, attempt=attempt, **{**usual, **more})


def running(number: int, attempt: int = 0) -> SegmentRunning:
    return SegmentRunning(segment=number, attempt=attempt)


def fetched(number: int, attempt: int = 0, size: int = 5) -> SegmentFetched:
    return SegmentFetched(segment=number, attempt=attempt, bytes=size)


def take(take: int = 1, another: bool = False) -> SegmentTake:
    """A take of segment 1 that fell short."""
    return SegmentTake(
        segment=1,
        attempt=0,
        seed_offset=0,
        take=take,
        seed=1,
        score=0.5,
        min=0.5,
        temporal=None,
        level="fail",
        reasons=["r"],
        rank=0.5,
        backend="",
        scores_file="",
        scores={},
        subjects=[],
        another=another,
        part="",
        result={},
    )


def verified(number: int, key: str = "k", part: str = ".segment.part", **result: Any) -> SegmentVerified:
    return SegmentVerified(segment=number, part=part, result={"key": key, **RESULT, **result})


def done(number: int, key: str = "k", **result: Any) -> SegmentDone:
    return SegmentDone(segment=number, result={"key": key, **RESULT, **result})


def failed(number: int, key: str = "k", message: str = "node 3: oh") -> SegmentFailed:
    return SegmentFailed(segment=number, key=key, code="render-failed", message=message, hint="")


def attempt_failed(number: int, failure: str, remedy: str, message: str = "it broke", **more: Any) -> AttemptFailed:
    usual = {"key": "k", "attempt": 0}
    return AttemptFailed(segment=number, failure=failure, remedy=remedy, message=message, **{**usual, **more})


def finish(journal: Journal, number: int, key: str = "k", **result: Any) -> None:
    """All that is left of a segment's way until it is done; one that was not submitted is submitted."""
    state = journal.segment(number).state
    if state not in ("submitted", "running", "fetched"):
        journal.append(submitted(number, key))
    if state != "fetched":
        journal.append(fetched(number))
    journal.append(verified(number, key, **result))
    journal.append(done(number, key, **result))
