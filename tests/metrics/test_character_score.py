"""The character score on footage whose every change is known: what lowers it, what must not, and who is looked at."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from custom_nodes.videogen.metrics.appearance import AppearanceModel
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from runner.bench.footage.footage import (
    CAST,
    PLACES,
    Footage,
    as_jpeg,
    blurred,
    film,
    grainy,
    hue_of,
    mix_looks,
    warmed,
    with_gamma,
    with_hue,
)

BACKEND = AppearanceModel()
FRAMES = 5
#: Where a figure in the middle is looked for when its region is given.
MIDDLE = (0.3, 0.0, 0.4, 1.0)


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    ranks = [np.argsort(np.argsort(values)).astype(float) for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def area_under_curve(same: Sequence[float], other: Sequence[float]) -> float:
    pairs = np.subtract.outer(np.array(same), np.array(other))
    return float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())


def score(footage: Footage, reference: Footage, weights: str = "mask") -> float:
    """The mean score against one frame of another clip, the subject being looked for by `weights`."""
    masked = weights == "mask"
    look = BACKEND.measure_reference(
        reference.frames[len(reference.frames) // 2], reference.masks[len(reference.frames) // 2]
    )
    if not masked:
        look = measure(reference, weights)
    region = MIDDLE if weights == "region" else None
    subject = SubjectRequest(
        "character", "x", region=region, mask=footage.masks if masked else None, references=(look,)
    )
    result = score_segment(footage.frames, SegmentRequest(len(footage.frames), (subject,)), BACKEND).subjects[0]
    assert result.weights == weights
    assert result.mean is not None
    return result.mean


def measure(reference: Footage, weights: str):  # type: ignore[no-untyped-def]
    """The appearance in a single frame of a clip, measured as in the segment."""
    from custom_nodes.videogen.metrics.segment_meter import appearances_of

    subject = SubjectRequest("character", "x", region=MIDDLE if weights == "region" else None)
    middle = len(reference.frames) // 2
    scored = score_segment(reference.frames[middle : middle + 1], SegmentRequest(1, (subject,)), BACKEND)
    return appearances_of(scored, "x")[0]


def changed(footage: Footage, frames: np.ndarray) -> Footage:
    return dataclasses.replace(footage, frames=frames)


BASE = film("tom", "field", frames=FRAMES)

#: What is done to the image, and by how much.
IMAGE_CHANGES = {
    "blur": (blurred, [0, 1, 2, 3, 4, 6, 8]),
    "brighter": (lambda frames, by: with_gamma(frames, 1 / (1 + by)), [0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]),
    "darker": (lambda frames, by: with_gamma(frames, 1 + by), [0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0]),
    "warmer": (warmed, [0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3]),
    "cooler": (lambda frames, by: warmed(frames, -by), [0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3]),
}


@pytest.mark.parametrize("weights", ["mask", "ratio"])
@pytest.mark.parametrize("change", IMAGE_CHANGES)
def test_the_score_falls_the_more_an_image_is_changed(change: str, weights: str) -> None:
    apply, amounts = IMAGE_CHANGES[change]
    scores = [score(changed(BASE, apply(BASE.frames, amount)), BASE, weights) for amount in amounts]
    assert spearman(amounts, scores) <= -0.9, scores


@pytest.mark.parametrize("who", ["tom", "eva"])
@pytest.mark.parametrize("weights", ["mask", "ratio"])
def test_the_score_falls_the_further_the_shirt_s_hue_turns(who: str, weights: str) -> None:
    amounts = list(range(0, 181, 15))
    base = film(who, "field", frames=FRAMES)
    scores = [score(film(with_hue(who, amount), "field", frames=FRAMES), base, weights) for amount in amounts]
    assert spearman(amounts, scores) <= -0.9, scores


@pytest.mark.parametrize("weights", ["mask", "ratio"])
def test_the_score_falls_as_one_figure_becomes_another(weights: str) -> None:
    shares = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1]
    scores = [score(film(mix_looks("tom", "ole", share), "field", frames=FRAMES), BASE, weights) for share in shares]
    assert spearman(shares, scores) <= -0.9, scores


def test_the_more_frames_show_somebody_else_the_lower_the_mean_and_one_is_enough_for_the_minimum() -> None:
    other = film("ole", "field", frames=FRAMES)
    look = BACKEND.measure_reference(BASE.frames[0], BASE.masks[0])
    means, minima = [], []
    for swapped in range(FRAMES + 1):
        frames = np.concatenate([other.frames[:swapped], BASE.frames[swapped:]])
        masks = np.concatenate([other.masks[:swapped], BASE.masks[swapped:]])
        subject = SubjectRequest("character", "x", mask=masks, references=(look,))
        result = score_segment(frames, SegmentRequest(FRAMES, (subject,)), BACKEND).subjects[0]
        means.append(result.mean)
        minima.append(result.minimum)
    assert spearman(range(FRAMES + 1), means) == -1
    assert minima[0] > 0.9
    assert max(minima[1:]) < 0.5


#: Changes of frames and masks that leave the character the same.
HARMLESS = {
    "larger": lambda: film("tom", "field", frames=FRAMES, scale=1.15),
    "smaller": lambda: film("tom", "field", frames=FRAMES, scale=0.85),
    "to the left": lambda: film("tom", "field", frames=FRAMES, shift=-0.15),
    "to the right": lambda: film("tom", "field", frames=FRAMES, shift=0.15),
    "mirrored": lambda: Footage(BASE.frames[:, :, ::-1], BASE.masks[:, :, ::-1]),
    "JPEG": lambda: changed(BASE, as_jpeg(BASE.frames, 50)),
    "grain": lambda: changed(BASE, grainy(BASE.frames, 6)),
}


@pytest.mark.parametrize("weights", ["mask", "ratio"])
@pytest.mark.parametrize("change", HARMLESS)
def test_what_leaves_somebody_the_same_costs_less_than_a_tenth_of_another_clip(change: str, weights: str) -> None:
    itself = score(BASE, BASE, weights)
    other = max(
        score(film(who, place, frames=FRAMES), BASE, weights)
        for who, place in (("ida", "forest"), ("ole", "street"), ("eva", "room"))
    )
    assert itself - score(HARMLESS[change](), BASE, weights) < 0.1 * (itself - other)


@pytest.mark.parametrize(
    ("weights", "scale"),
    [("mask", 1.0), ("region", 1.0), ("ratio", 2.4)],  # guessed at, a subject has to be large enough to stand out
)
def test_who_it_is_counts_more_than_where(weights: str, scale: float) -> None:
    same, other = [], []
    for who in CAST:
        reference = film(who, "field", frames=1, scale=scale)
        same += [
            score(film(who, place, frames=3, scale=scale), reference, weights) for place in PLACES if place != "field"
        ]
        other += [score(film(one, "field", frames=3, scale=scale), reference, weights) for one in CAST if one != who]
    assert area_under_curve(same, other) >= 0.9


@pytest.mark.parametrize("weights", ["mask", "ratio"])
@pytest.mark.parametrize("degrees", [38, -60])
def test_a_shirt_that_changes_its_hue_is_named_with_degrees_and_frames(degrees: int, weights: str) -> None:
    before, after = (film(look, "field", frames=12) for look in ("tom", with_hue("tom", degrees)))
    frames = np.concatenate([before.frames[:7], after.frames[7:]])
    look = (
        BACKEND.measure_reference(before.frames[0], before.masks[0]) if weights == "mask" else measure(before, weights)
    )
    subject = SubjectRequest(
        "character",
        "tom",
        description="a man in a plain blue shirt",
        mask=before.masks if weights == "mask" else None,
        references=(look,),
    )
    result = score_segment(frames, SegmentRequest(12, (subject,)), BACKEND).subjects[0]
    shirt = next(drift for drift in result.drift if drift.part == "shirt" and drift.quantity == "hue")
    # Not every hue of this lightness and chroma can be painted.
    painted = (hue_of(with_hue("tom", degrees).top) - hue_of(CAST["tom"].top) + 180) % 360 - 180
    assert abs(painted) > 30
    assert shirt.change == pytest.approx(painted, abs=3)
    assert (shirt.first, shirt.last) == (7, 11)
    assert shirt.sentence == f"shirt hue {shirt.change:+.0f}°, frames 8–12"


def test_nothing_is_named_of_somebody_who_only_walks() -> None:
    look = BACKEND.measure_reference(BASE.frames[0], BASE.masks[0])
    subject = SubjectRequest("character", "tom", mask=BASE.masks, references=(look,))
    assert score_segment(BASE.frames, SegmentRequest(FRAMES, (subject,)), BACKEND).subjects[0].drift == ()
