"""Comparison of a subject's frames with reference images, and with the segment in which it first appeared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..core.continuity.calibration import SAME_SUBJECT
from ..core.continuity.drift import PartColor, average_parts, name_drift
from ..core.continuity.own_likeness import measure_margin, measure_own_likeness, score_margin
from ..core.continuity.scores import (
    FIRST_SEGMENT,
    REFERENCE,
    Drift,
    FrameAppearance,
    FrameParts,
    SampleScore,
    SubjectScore,
)
from ..core.errors import VideoGenError
from .appearance import Appearance, Likeness, compare_appearances, measure_likeness
from .masks.subject_weight import GUESSED

#: The note on a subject that has neither reference images nor an earlier segment.
NOTHING_YET = "there is nothing to compare with yet: later segments are compared with this one"


def compare_samples(
    appearances: Mapping[int, Appearance], against: str, candidates: Sequence[Appearance], own: float | None = None
) -> tuple[list[SampleScore], list[int]]:
    """Compare each sampled frame with images of the subject.

    Reference images show a character from several sides: the most similar one counts. The frames of a segment are equally
    good, and the best of five pairs is biased upwards: the median one counts, as in the calibration.

    Args:
        appearances: 0-based frame → the subject's appearance in it.
        against: `REFERENCE` or `FIRST_SEGMENT`.
        own: w of that segment: how alike a frame must be follows from it (own_likeness.py); None: from the calibration.

    Returns:
        A score a frame, and the frames that are one of the images themselves.

    Raises:
        VideoGenError: `backend-mismatch`.
    """
    samples, identical = [], []
    for number, appearance in appearances.items():
        found = sorted((compare_appearances(appearance, each) for each in candidates), key=lambda like: like.score)
        like = found[-1] if against == REFERENCE else found[(len(found) - 1) // 2]
        margin = None if own is None else _measure_margin(appearance, candidates, own)
        samples.append(_describe_sample(number, against, like, margin))
        if found[-1].identical:
            identical.append(number)
    return samples, identical


def own_likeness_of(frames: Sequence[Appearance]) -> float | None:
    """w of the sampled frames of a segment; None where another version has measured them."""
    pairs = [measure_likeness(one, other) for number, one in enumerate(frames) for other in frames[number + 1 :]]
    return None if None in pairs else measure_own_likeness([pair for pair in pairs if pair is not None])


def _measure_margin(appearance: Appearance, candidates: Sequence[Appearance], own: float) -> float | None:
    alike = [measure_likeness(appearance, each) for each in candidates]
    return None if None in alike else measure_margin([value for value in alike if value is not None], own)


def _describe_sample(number: int, against: str, like: Likeness, margin: float | None) -> SampleScore:
    score = like.score if margin is None else score_margin(margin)
    return SampleScore(number, against, score, like.embedding, like.chroma, like.cosine, like.face, margin)


def keep_located(appearances: Mapping[int, Appearance]) -> dict[int, Appearance]:
    """Those frames in which the subject was located; all, where its place is a guess in every frame."""
    located = {number: each for number, each in appearances.items() if each.weights not in GUESSED}
    return located or dict(appearances)


def sum_up(score: SubjectScore, samples: Sequence[SampleScore]) -> SubjectScore:
    """Fill in the mean and the minimum of its comparisons: the lower ones, where there are both kinds.

    A mean over both would let a first segment that is like itself make up for a reference that is not met.
    """
    kinds = {name: [s.score for s in samples if s.against == name] for name in (REFERENCE, FIRST_SEGMENT)}
    against = {name: (float(np.mean(scores)), min(scores)) for name, scores in kinds.items() if scores}
    worst = min(samples, key=lambda sample: sample.score, default=None)
    return replace(
        score,
        samples=tuple(samples),
        against=against,
        mean=min((mean for mean, _ in against.values()), default=None),
        minimum=None if worst is None else worst.score,
        worst_frame=None if worst is None else worst.frame,
    )


def compare_with_first(
    score: SubjectScore, first: SubjectScore, number: int, description: str = "", *, relative: bool = True
) -> SubjectScore:
    """Add to a subject's score the comparison with the segment in which it was first accepted.

    Args:
        first: its score there.
        number: of that segment.
        description: of the subject, for the names of its clothes.
        relative: a character is judged by how alike the frames of that segment are to each other; else by the fixed rule, as
            where the location is another one.
    """
    appearances, known = keep_located(read_appearances(score)), keep_located(read_appearances(first))
    if not appearances or not known or FIRST_SEGMENT in score.against:
        return score
    try:
        own = own_likeness_of(list(known.values())) if relative and score.kind == "character" else None
        samples, _ = compare_samples(appearances, FIRST_SEGMENT, list(known.values()), own)
    except VideoGenError as error:
        return replace(score, notes=(*score.notes, f"not compared with segment {number}: {error.message}"))
    summed = sum_up(score, [*score.samples, *samples])
    notes = tuple(note for note in score.notes if note != NOTHING_YET)
    drift = score.drift
    if REFERENCE not in score.against:
        before = average_parts([each.parts for each in known.values()])
        drift = find_drift(before, [(each.frame, read_parts(each)) for each in score.parts], samples, description)
    return replace(summed, notes=notes, drift=drift, guessed=score.guessed or first.guessed, own_likeness=own)


def find_drift(
    before: Mapping[str, PartColor],
    frames: Sequence[tuple[int, Mapping[str, PartColor]]],
    samples: Sequence[SampleScore],
    description: str,
) -> tuple[Drift, ...]:
    """Differences over all frames. Pose and light constantly change lightness and colorfulness: these are only reported
    where the subject is not clearly the same."""
    if not samples or not frames:
        return ()
    clear = min(sample.score for sample in samples) >= SAME_SUBJECT
    return tuple(drift for drift in name_drift(before, frames, description) if drift.quantity == "hue" or not clear)


def read_appearances(score: SubjectScore) -> dict[int, Appearance]:
    """Sampled frame → the subject's appearance in it; none where another version has written them."""
    try:
        return {look.frame: Appearance.from_dict(look.appearance) for look in score.looks}
    except VideoGenError:
        return {}


def keep_appearances(appearances: Mapping[int, Appearance]) -> tuple[FrameAppearance, ...]:
    """The inverse of `read_appearances`."""
    return tuple(FrameAppearance(number, appearance.to_dict()) for number, appearance in appearances.items())


def read_parts(frame: FrameParts) -> dict[str, PartColor]:
    return {name: PartColor(*values) for name, values in frame.colors.items()}


def keep_parts(frames: Sequence[tuple[int, Mapping[str, PartColor]]]) -> tuple[FrameParts, ...]:
    """The inverse of `read_parts`, for all frames."""
    return tuple(
        FrameParts(number, {name: (c.lightness, c.chroma, c.hue) for name, c in colors.items()})
        for number, colors in frames
    )
