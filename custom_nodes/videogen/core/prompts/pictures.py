"""What the pictures show that a model gets for a segment."""

from __future__ import annotations

from collections.abc import Iterable

from ..segment.plan import SegmentPlan
from ..segment.references import cast_of, reference_names


def name_pictures(plan: SegmentPlan, files: Iterable[str]) -> tuple[str, ...]:
    """The names in the story of what pictures show, for `Given.references`.

    Args:
        files: the pictures' names in the story, as `reference_names` has them, in the order in which the model gets them. One
            of another name keeps its place, under its own name: the numbers of the others depend on it.
    """
    shown: dict[str, str] = {}
    for entity in cast_of(plan):
        for file in reference_names(plan.slug, entity):
            shown.setdefault(file, entity.name)
    return tuple(shown.get(file, file) for file in files)
