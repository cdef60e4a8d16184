"""Continuity of a take: the scores that VideoGenContinuity reports, compared with segments that are accepted already."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from custom_nodes.videogen.core.continuity.policy import FAIL, ONLY_REPORT, Thresholds, judge_segment, score_of_take
from custom_nodes.videogen.core.continuity.scores import BoundaryScore, SegmentScore, SubjectScore
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.metrics.boundary import BoundaryFrame, compare_ends
from custom_nodes.videogen.metrics.subject_compare import compare_with_first

from ...comfyui.answers import MalformedAnswerError, is_small, reading
from ...comfyui.outcome import Outcome


@dataclass(frozen=True)
class TakeMeasurement:
    """The continuity of a take, as VideoGenContinuity has measured it.

    Attributes:
        retakes: a take that falls short is rendered again.
        notes: what could not be measured, or not read.
    """

    score: SegmentScore
    thresholds: Thresholds
    retakes: bool
    notes: tuple[str, ...] = ()


def read_measurement(outcome: Outcome) -> TakeMeasurement | None:
    """The result of the prompt's VideoGenContinuity; None without one, or when its version cannot be read.

    Of several such nodes the one with the lowest scores counts; among those that ask for another take, if there are any.
    """
    found: list[tuple[bool, float, TakeMeasurement]] = []
    for result in outcome.outputs.values():
        record = result.get("videogen")
        reported = (
            record[0].get("continuity") if isinstance(record, list) and record and isinstance(record[0], dict) else None
        )
        if not isinstance(reported, dict) or not is_small(reported):
            continue
        with contextlib.suppress(MalformedAnswerError), reading():
            measurement = TakeMeasurement(
                SegmentScore.from_dict(reported["scores"]),
                Thresholds.from_dict(reported["thresholds"]),
                reported.get("when_below") != ONLY_REPORT,
                tuple(map(str, reported.get("notes", ()))),
            )
            # Judged here too: impossible values are noticed before anything depends on them.
            level = judge_segment(measurement.score, measurement.thresholds).level
            found.append((not (measurement.retakes and level == FAIL), score_of_take(measurement.score), measurement))
    return min(found, key=lambda entry: entry[:2])[2] if found else None


def subjects_of(score: SegmentScore) -> dict[str, SubjectScore]:
    """``character protagonist`` → its score."""
    return {f"{subject.kind} {subject.name}": subject for subject in score.subjects}


def read_end(score: SegmentScore, side: str) -> BoundaryFrame | None:
    """The ``first`` or ``last`` frame of a segment, as its score stores it; None when it is missing or unreadable."""
    try:
        return None if not score.ends or not score.ends.get(side) else BoundaryFrame.from_dict(score.ends[side])
    except (VideoGenError, TypeError, ValueError, IndexError, AttributeError):
        return None


def compare_with_accepted(
    score: SegmentScore,
    first: Mapping[str, tuple[int, SubjectScore]],
    descriptions: Mapping[str, str],
    elsewhere: Collection[str] = (),
) -> SegmentScore:
    """Compare a take with the first accepted segment of each subject, too: the server knows one segment only.

    Args:
        first: ``character protagonist`` → number of its first accepted segment, and its score there.
        descriptions: the same → its description in the story.
        elsewhere: those whose accepted segment is in another location: they are compared by the fixed rule, as a place of its own
            makes a person look less alike.
    """
    return replace(
        score,
        subjects=tuple(
            compare_with_first(
                subject, first[key][1], first[key][0], descriptions.get(key, ""), relative=key not in elsewhere
            )
            if key in first
            else subject
            for key, subject in subjects_of(score).items()
        ),
    )


def compare_cut(
    before: SegmentScore, after: SegmentScore, plans: tuple[SegmentPlan, SegmentPlan], dissolved: bool
) -> BoundaryScore | None:
    """Compare the frames at the cut between two neighbors; None when one of them was not measured."""
    last, first = read_end(before, "last"), read_end(after, "first")
    if last is None or first is None:
        return None
    return compare_ends(last, first, exempt_cut(*plans, dissolved))


def exempt_cut(before: SegmentPlan, after: SegmentPlan, dissolved: bool) -> str:
    """Why a change of light does not count at a cut, or "".

    Another framing shows another part of the location, whose mean color says nothing about its light.
    """
    if dissolved:
        return "a transition"
    if (before.location and before.location.name) != (after.location and after.location.name):
        return "another location"
    return "another framing" if before.shot.size != after.shot.size else ""


def summarize(score: SegmentScore) -> dict[str, Any]:
    """The numbers of a take: the lowest mean and minimum of its characters, and its temporal score; None: not measured."""
    characters = [subject for subject in score.subjects if subject.kind == "character"]
    means = [subject.mean for subject in characters if subject.mean is not None]
    lows = [subject.minimum for subject in characters if subject.minimum is not None]
    temporal = score.temporal.score if score.temporal is not None else None
    return {
        "score": _round(min(means, default=None)),
        "min": _round(min(lows, default=None)),
        "temporal": _round(temporal),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
