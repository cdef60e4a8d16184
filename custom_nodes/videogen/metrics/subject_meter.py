"""One character or object over a segment: sampled, measured, compared, and its drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.continuity.calibration import find_calibration
from ..core.continuity.drift import PartColor, average_parts
from ..core.continuity.scores import FIRST_SEGMENT, REFERENCE, SampleScore, SubjectScore
from ..core.errors import VideoGenError
from .appearance import Appearance, AppearanceModel
from .images import PreparedImage
from .masks.subject_weight import GUESSED, Box, SubjectWeight, weigh_subject
from .part_colors import measure_parts
from .subject_compare import (
    NOTHING_YET,
    compare_samples,
    find_drift,
    keep_appearances,
    keep_located,
    keep_parts,
    own_likeness_of,
    sum_up,
)

#: How many frames of a segment are compared.
SAMPLES = 5


@dataclass(frozen=True)
class SubjectRequest:
    """A subject to measure: where it is, and what to compare it with.

    Attributes:
        kind: ``character``, ``object`` or ``location``.
        region: (x, y, width, height) in 0…1.
        mask: (height, width), or (frames, height, width) with one for each frame; before `region`.
        references: of the subject's reference images; a frame is scored against the most similar one.
        first: in several frames of its first accepted segment; the median one counts.
    """

    kind: str
    name: str
    label: str = ""
    description: str = ""
    region: Box | None = None
    mask: np.ndarray | None = None
    references: tuple[Appearance, ...] = ()
    first: tuple[Appearance, ...] = ()

    def mask_of(self, frame: int) -> np.ndarray | None:
        """The mask of one frame; the last one where there are fewer masks than frames."""
        if self.mask is None or self.mask.ndim == 2:
            return self.mask
        return self.mask[min(frame, len(self.mask) - 1)]


class SubjectMeter:
    """Measures a segment's frames one after the other; keeps images of the sampled ones only."""

    def __init__(self, request: SubjectRequest, model: AppearanceModel) -> None:
        self.request, self._model = request, model
        self._sampled: list[tuple[int, PreparedImage, SubjectWeight]] = []
        self._parts: list[tuple[int, dict[str, PartColor]]] = []
        self._hidden: list[int] = []
        self.appearances: dict[int, Appearance] = {}

    def weigh(self, number: int, small: PreparedImage, people: np.ndarray | None = None) -> SubjectWeight:
        """Where the subject is in a frame, `people` being the mask of everybody whom a network finds there."""
        return weigh_subject(small, self.request.mask_of(number), self.request.region, people)

    def add(
        self, number: int, image: PreparedImage, small: PreparedImage, weight: SubjectWeight, sampled: bool
    ) -> None:
        """Add a frame: `image` of `FLOW_SIDE`, and `small` and `weight` of `MEASURE_SIDE`."""
        if weight.is_empty:
            self._hidden.append(number)
            return
        parts = measure_parts(small, weight)
        # Only people have a head and a shirt.
        self._parts.append((number, parts if self.request.kind == "character" else {"whole": parts["whole"]}))
        if sampled:
            self._sampled.append((number, image, weight))

    def finish(self) -> SubjectScore:
        """The subject's score, with None and a sentence where there was nothing to compare."""
        request, notes = self.request, []
        measured = self._model.measure([(image, weight) for _, image, weight in self._sampled])
        self.appearances = {number: each for (number, _, _), each in zip(self._sampled, measured, strict=True)}
        if not measured:
            notes.append(
                "its mask is empty in every frame: there is nothing to compare"
                if self._hidden
                else "no frame could be measured"
            )
        elif self._hidden:
            notes.append(f"its mask is empty in {len(self._hidden)} frames, which do not count")
        located = keep_located(self.appearances)
        if len(located) < len(measured):
            lost = ", ".join(str(number + 1) for number in self.appearances if number not in located)
            notes.append(f"it is not found in frame {lost}: not compared there")
        samples: list[SampleScore] = []
        first = tuple(keep_located(dict(enumerate(request.first))).values())
        own = own_likeness_of(first) if first and request.kind == "character" else None
        for against, candidates in ((REFERENCE, request.references), (FIRST_SEGMENT, first)):
            if candidates and measured:
                try:
                    found, identical = compare_samples(
                        located, against, candidates, own if against == FIRST_SEGMENT else None
                    )
                except VideoGenError as error:
                    notes.append(f"not compared with the {against}: {error.message}")
                    continue
                samples += found
                if identical:
                    listed = ", ".join(str(number + 1) for number in identical)
                    notes.append(f"frame {listed} is the {against} picture itself, whose score of 1 says nothing")
        if measured and not samples and not request.references and not request.first and not self._hidden:
            notes.append(NOTHING_YET)
        if measured and all(each.gray for each in measured):
            notes.append("the frames have no color: people are told apart poorly by lightness and texture alone")
        known = request.references[:1] or request.first
        before = average_parts([appearance.parts for appearance in known])
        score = SubjectScore(
            kind=request.kind,
            name=request.name,
            label=request.label or request.name,
            mean=None,
            minimum=None,
            worst_frame=None,
            against={},
            samples=(),
            backend=self._model.name,
            calibration=find_calibration(self._model.name).label,
            weights=next((each.weights for each in located.values()), ""),
            drift=find_drift(before, self._parts, samples, request.description),
            notes=tuple(notes),
            looks=keep_appearances(self.appearances),
            parts=keep_parts(self._parts),
            guessed=request.kind == "character"
            and any(each.weights in GUESSED for each in (*located.values(), *first)),
            own_likeness=own,
            missing=not measured and bool(self._hidden) and request.mask is not None and request.mask.ndim == 3,
        )
        return sum_up(score, samples)


def pick_samples(count: int) -> frozenset[int]:
    """The numbers of the frames that are compared: about five, evenly from the first to the last."""
    if count <= SAMPLES:
        return frozenset(range(count))
    return frozenset(round(index * (count - 1) / (SAMPLES - 1)) for index in range(SAMPLES))
