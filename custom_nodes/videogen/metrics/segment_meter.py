"""A whole segment in one pass: characters, objects, location, light, motion, frames, and its two ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.continuity.own_likeness import RULES
from ..core.continuity.scores import LightScore, SegmentScore
from .appearance import Appearance, AppearanceModel
from .boundary import BoundaryFrame, compare_ends
from .frame_check import FrameChecker
from .images import FLOW_SIDE, MEASURE_SIDE, PreparedImage, prepare_image
from .light import estimate_kelvin, mean_lab, median_lightness
from .masks.subject_weight import SubjectWeight, weigh_location
from .subject_compare import read_appearances
from .subject_meter import SubjectMeter, SubjectRequest, pick_samples
from .temporal import TemporalMeter


@dataclass(frozen=True)
class SegmentRequest:
    """The expectations that a segment's frames are compared with.

    Attributes:
        count: number of frames.
        subjects: characters and objects.
        location: the place, as a subject whose weight is what the others leave; its region and mask do not count.
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
    """Measures the frames of a segment one after the other.

    It holds two small images and those of about five sampled frames in memory, whatever the length of segment and film.
    """

    def __init__(self, request: SegmentRequest, model: AppearanceModel) -> None:
        self._request = request
        self._samples = pick_samples(request.count)
        self._subjects = [SubjectMeter(each, model) for each in request.subjects]
        self._location = None if request.location is None else SubjectMeter(request.location, model)
        # A network marks people: an object in their hands would be taken for them.
        wanted = any(each.kind == "character" and each.mask is None for each in request.subjects)
        self._masks = model.masks if wanted else None
        self._temporal = TemporalMeter()
        self._frames = FrameChecker(request.size)
        self._light: list[tuple[float | None, float | None]] = []
        self._colors: dict[int, tuple[float, float, float] | None] = {}
        self._number = 0

    def add(self, frame: np.ndarray) -> None:
        """Add a frame, as `prepare_image` takes it."""
        number, self._number = self._number, self._number + 1
        image = prepare_image(frame, FLOW_SIDE)
        same = self._temporal.add(image)
        self._frames.add(image, same)
        if image is None:
            return
        small = image.shrink(MEASURE_SIDE)
        sampled = number in self._samples
        people = None if self._masks is None else self._masks.find(image)
        weights = [
            meter.weigh(number, small, people if meter.request.kind == "character" else None)
            for meter in self._subjects
        ]
        for meter, weight in zip(self._subjects, weights, strict=True):
            meter.add(number, image, small, weight, sampled)
        if sampled:
            self._measure_location(number, image, small, weights)

    def finish(self) -> SegmentScore:
        """The segment's scores, from all frames that were added."""
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
            rules=RULES,
        )

    def _measure_location(
        self, number: int, image: PreparedImage, small: PreparedImage, weights: Sequence[SubjectWeight]
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
    frames: Iterable[np.ndarray], request: SegmentRequest, model: AppearanceModel | None = None
) -> SegmentScore:
    """Score a segment.

    Args:
        frames: `request.count` frames in order; (height, width, 3) each (also gray or with alpha), uint8 or float from 0 to 1.
        model: measures subjects; by default the classical one.

    Raises:
        VideoGenError: `frames-invalid`, for anything but a frame.
    """
    meter = SegmentMeter(request, model or AppearanceModel())
    for frame in frames:
        meter.add(frame)
    return meter.finish()


def appearances_of(score: SegmentScore, name: str) -> tuple[Appearance, ...]:
    """A subject's appearances in a scored segment: the `first` of later segments' requests."""
    return tuple(
        each for subject in score.subjects if subject.name == name for each in read_appearances(subject).values()
    )
