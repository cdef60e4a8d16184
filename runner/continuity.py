"""What the continuity node says about a take, held against the segments that are accepted already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from custom_nodes.videogen.core.continuity_policy import Thresholds, judge_segment, score_of_take
from custom_nodes.videogen.core.continuity_scores import BoundaryScore, SegmentScore, SubjectScore
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.plan import SegmentPlan
from custom_nodes.videogen.metrics.appearance import Appearance, compare_appearances
from custom_nodes.videogen.metrics.boundary import FrameEnd, compare_ends
from custom_nodes.videogen.metrics.subject_meter import FIRST_SEGMENT, REFERENCE

from .outcome import Outcome

#: What VideoGenContinuity's `when_below` says when a segment is not to be rendered again.
ONLY_REPORT = "only report"


@dataclass(frozen=True)
class Measured:
    """A take as VideoGenContinuity has measured it.

    Attributes:
        gated: a take that falls short is to be rendered again.
        notes: what could not be measured, and what cannot be read.
    """

    score: SegmentScore
    thresholds: Thresholds
    gated: bool
    notes: tuple[str, ...] = ()


def read_measured(outcome: Outcome) -> Measured | None:
    """What the prompt's VideoGenContinuity says; None when there is none, or one of a version that cannot be read.

    Of several such nodes the one counts whose scores are lowest.
    """
    found: list[tuple[float, Measured]] = []
    for result in outcome.outputs.values():
        record = result.get("videogen")
        said = (
            record[0].get("continuity") if isinstance(record, list) and record and isinstance(record[0], dict) else None
        )
        if not isinstance(said, dict):
            continue
        try:
            measured = Measured(
                SegmentScore.from_dict(said["scores"]), Thresholds.from_dict(said["thresholds"]),
                said.get("when_below") != ONLY_REPORT, tuple(map(str, said.get("notes", ()))),
            )  # fmt: skip
            # Judged here too: what cannot be is noticed before anything depends on it.
            judge_segment(measured.score, measured.thresholds)
            found.append((score_of_take(measured.score), measured))
        except (VideoGenError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return min(found, key=lambda entry: entry[0], default=(0.0, None))[1]


def subjects_of(score: SegmentScore) -> dict[str, SubjectScore]:
    """``character protagonist`` → its score."""
    return {f"{subject.kind} {subject.name}": subject for subject in score.subjects}


def read_appearance(subject: SubjectScore) -> Appearance | None:
    """What a subject looks like in a segment; None when it was not seen, or was written by another version."""
    try:
        return None if subject.appearance is None else Appearance.from_dict(subject.appearance)
    except VideoGenError:
        return None


def read_end(score: SegmentScore, side: str) -> FrameEnd | None:
    """The ``first`` or ``last`` frame of a segment, as it was kept."""
    try:
        return None if not score.ends or not score.ends.get(side) else FrameEnd.from_dict(score.ends[side])
    except (VideoGenError, TypeError, ValueError, IndexError, AttributeError):
        return None


def compare_with_first(score: SegmentScore, first: Mapping[str, Appearance], number: Mapping[str, int]) -> SegmentScore:
    """The scores of a take, also against the first accepted segment of each subject.

    The server knows one segment only. What a subject looked like there on average, and in its first and its last frame, is
    compared here. Where there is a reference too, a score is the mean of both.

    Args:
        first: ``character protagonist`` → what it looks like in its first accepted segment.
        number: the same → number of that segment.
    """
    return replace(
        score,
        subjects=tuple(
            _with_first(score, subject, first[key], number[key]) if key in first else subject
            for key, subject in subjects_of(score).items()
        ),
    )


def _with_first(score: SegmentScore, subject: SubjectScore, first: Appearance, number: int) -> SubjectScore:
    appearance = read_appearance(subject)
    if appearance is None or FIRST_SEGMENT in subject.against:
        return subject
    ends = [end.subjects.get(subject.name) for side in ("first", "last") if (end := read_end(score, side))]
    try:
        mean = compare_appearances(appearance, first).score
        lowest = min([mean, *(compare_appearances(end, first).score for end in ends if end is not None)])
    except VideoGenError as error:
        return replace(subject, notes=(*subject.notes, f"not compared with segment {number}: {error.message}"))
    against = {**subject.against, FIRST_SEGMENT: (mean, lowest)}
    pairs = [against[name] for name in (REFERENCE, FIRST_SEGMENT) if name in against]
    return replace(
        subject, against=against, mean=sum(pair[0] for pair in pairs) / len(pairs),
        minimum=sum(pair[1] for pair in pairs) / len(pairs),
        notes=tuple(note for note in subject.notes if not note.startswith("there is nothing to compare with yet")),
    )  # fmt: skip


def compare_cut(
    before: SegmentScore, after: SegmentScore, plans: tuple[SegmentPlan, SegmentPlan], dissolved: bool
) -> BoundaryScore | None:
    """Look at the cut between two neighbours; None when one of them was not measured."""
    last, first = read_end(before, "last"), read_end(after, "first")
    if last is None or first is None:
        return None
    try:
        return compare_ends(last, first, exempt_cut(*plans, dissolved))
    except VideoGenError as error:
        return BoundaryScore(None, error.message)


def exempt_cut(before: SegmentPlan, after: SegmentPlan, dissolved: bool) -> str:
    """Why a step of light does not count at a cut, or "".

    Another framing shows another part of the place, whose mean colour says nothing about its light.
    """
    if dissolved:
        return "a transition"
    if (before.location and before.location.name) != (after.location and after.location.name):
        return "another location"
    return "another framing" if before.shot.size != after.shot.size else ""


def summarise(score: SegmentScore) -> dict[str, Any]:
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
