"""A whole segment in one pass: characters, objects, location, light, motion, frames, and its two ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.continuity.scores import LightScore, SegmentScore
from .appearance import Appearance, AppearanceModel
from .boundary import BoundaryFrame, compare_ends
from .frame_check import FrameChecker
from .images import FLOW_SIDE, MEASURE_SIDE, SceneImage, prepare_image
from .light import estimate_kelvin, mean_lab, median_lightness
from .subject import SubjectWeight, weigh_location
from .subject_compare import read_looks
from .subject_meter import SubjectMeter, SubjectRequest, pick_samples
from .temporal import TemporalMeter


@dataclass(frozen=True)
class SegmentRequest:
    """What to hold a segment's frames against.

    Attributes:
        count: how many frames come.
        subjects: characters and objects.
        location: the place, as a subject whose weight is all that the others leave; its region and mask do not count.
        size: width and height that the frames should have.
        kelvin, lightness: the story's light, as (lowest, highest).
        before: the last frame of the segment before it.
        exempt: why a step of light to that one does not count, or "".
    """

    count: int
    subjects: tuple[SubjectRequest, ...] = ()
    location: SubjectRequest | None = None
    size: tuple[int, int] | None = None
    kelvin: tuple[float, float] | None = None
    lightness: tuple[float, float] | None = None
    before: BoundaryFrame | None = None
    exempt: str = ""


class SegmentMeter:
    """Takes the frames of a segment one after the other.

    In memory are two small images and those of about five sampled frames, however long the segment and the film are.
    """

    def __init__(self, request: SegmentRequest, backend: AppearanceModel) -> None:
        self._request = request
        self._samples = pick_samples(request.count)
        self._subjects = [SubjectMeter(each, backend) for each in request.subjects]
        self._location = None if request.location is None else SubjectMeter(request.location, backend)
        self._temporal = TemporalMeter()
        self._frames = FrameChecker(request.size)
        self._light: list[tuple[float | None, float | None]] = []
        self._colors: dict[int, tuple[float, float, float] | None] = {}
        self._number = 0

    def add(self, frame: np.ndarray) -> None:
        """One more frame, as `prepare_image` takes it."""
        number, self._number = self._number, self._number + 1
        image = prepare_image(frame, FLOW_SIDE)
        same = self._temporal.add(image)
        self._frames.add(image, same)
        if image is None:
            return
        small = image.shrink(MEASURE_SIDE)
        sampled = number in self._samples
        weights = [meter.weigh(number, small) for meter in self._subjects]
        for meter, weight in zip(self._subjects, weights, strict=True):
            meter.add(number, image, small, weight, sampled)
        if sampled:
            self._look_at_place(number, image, small, weights)

    def finish(self) -> SegmentScore:
        """All scores."""
        subjects = [meter.finish() for meter in self._subjects]
        if self._location is not None:
            subjects.append(self._location.finish())
        ends = self._ends()
        before = self._request.before
        boundary = compare_ends(before, ends[0], self._request.exempt) if before is not None and ends else None
        return SegmentScore(
            subjects=tuple(subjects),
            temporal=self._temporal.finish(),
            frames=self._frames.finish(),
            light=self._judge_light(),
            boundary=boundary,
            ends={"first": ends[0].to_dict(), "last": ends[1].to_dict()} if ends else None,
        )

    def _look_at_place(
        self, number: int, image: SceneImage, small: SceneImage, weights: Sequence[SubjectWeight]
    ) -> None:
        place = weigh_location((small.rgb.shape[0], small.rgb.shape[1]), weights)
        if self._location is not None:
            self._location.add(number, image, small, place, True)
        self._light.append((estimate_kelvin(small, place.values), median_lightness(small, place.values)))
        self._colors[number] = mean_lab(small, place.values)

    def _judge_light(self) -> LightScore | None:
        kelvins = [kelvin for kelvin, _ in self._light if kelvin is not None]
        levels = [lightness for _, lightness in self._light if lightness is not None]
        return (
            LightScore(
                float(np.median(kelvins)) if kelvins else None,
                float(np.median(levels)) if levels else None,
                self._request.kelvin,
                self._request.lightness,
                "" if kelvins else "hardly anything in the picture is near gray: its color temperature cannot be told",
            )
            if self._light
            else None
        )

    def _ends(self) -> tuple[BoundaryFrame, BoundaryFrame] | None:
        if not self._colors:
            return None
        numbers = min(self._colors), max(self._colors)
        motions = self._temporal.motions
        sides = (motions[:3], motions[-3:])
        first, last = (
            BoundaryFrame(
                self._colors[number],
                (float(np.mean([x for x, _ in side])), float(np.mean([y for _, y in side]))) if side else None,
                {m.request.name: m.appearances[number] for m in self._subjects if number in m.appearances},
            )
            for number, side in zip(numbers, sides, strict=True)
        )
        return first, last


def score_segment(
    frames: Iterable[np.ndarray], request: SegmentRequest, backend: AppearanceModel | None = None
) -> SegmentScore:
    """Score a segment.

    Args:
        frames: `request.count` frames in order; (height, width, 3) each (also gray or with alpha), uint8 or float from 0 to 1.
        backend: what looks at subjects; the classical one, when there is no network.

    Raises:
        VideoGenError: `frames-invalid`, for something that is no frame.
    """
    meter = SegmentMeter(request, backend or AppearanceModel())
    for frame in frames:
        meter.add(frame)
    return meter.finish()


def appearances_of(score: SegmentScore, name: str) -> tuple[Appearance, ...]:
    """What a subject looked like in a segment that was scored: the `first` of later segments' requests."""
    return tuple(look for subject in score.subjects if subject.name == name for look in read_looks(subject).values())
