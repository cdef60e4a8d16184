"""Where the story's nodes stand: left of everything, in a group of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

Box = tuple[float, float, float, float]

_TITLE = 30.0
_GAP = 60.0
_MARGIN = 20.0
#: Width and height; the editors of 0.3.75 and 0.33 need less for all widgets.
_STORY, _SEGMENT, _FIT = (400.0, 520.0), (320.0, 430.0), (400.0, 860.0)
_NOTE_HEIGHT = 460.0
_COLOR = "#3f789e"


@dataclass(frozen=True)
class Layout:
    """Boxes of the new nodes: left, top, width and height in the editor's units, without their titles."""

    story: Box
    segment: Box
    fit: Box
    note: Box

    @classmethod
    def of(cls, ui: Mapping[str, Any]) -> Layout:
        """The boxes beside what a workflow has."""
        boxes = list(_boxes(ui))
        left = min((box[0] for box in boxes), default=0.0) - 2 * _GAP
        top = min((box[1] for box in boxes), default=0.0) + _TITLE
        fit = (left - _FIT[0], top, *_FIT)
        segment = (fit[0] - _GAP - _SEGMENT[0], top, *_SEGMENT)
        story = (segment[0] - _GAP - _STORY[0], top, *_STORY)
        below = top + max(_SEGMENT[1], _STORY[1]) + _TITLE + _GAP / 2
        note = (story[0], below, segment[0] + _SEGMENT[0] - story[0], _NOTE_HEIGHT)
        return cls(story, segment, fit, note)

    def group(self, number: int) -> dict[str, Any]:
        """The group around them."""
        boxes = (self.story, self.segment, self.fit, self.note)
        left, top = min(box[0] for box in boxes) - _MARGIN, min(box[1] for box in boxes) - 2 * _TITLE - _MARGIN
        right = max(box[0] + box[2] for box in boxes) + _MARGIN
        bottom = max(box[1] + box[3] for box in boxes) + _MARGIN
        return {
            "id": number,
            "title": "Story",
            "bounding": [left, top, right - left, bottom - top],
            "color": _COLOR,
            "font_size": 24,
            "flags": {},
        }


def _boxes(ui: Mapping[str, Any]) -> Iterator[Box]:
    for node in ui.get("nodes") or []:
        place, size = _pair(node.get("pos")), _pair(node.get("size"))
        if place:
            yield (place[0], place[1] - _TITLE, *(size or (200.0, 100.0)))
    for group in ui.get("groups") or []:
        bounding = group.get("bounding") if isinstance(group, dict) else None
        if isinstance(bounding, Sequence) and len(bounding) == 4 and all(_is_number(one) for one in bounding):
            yield (float(bounding[0]), float(bounding[1]), float(bounding[2]), float(bounding[3]))


def _pair(value: Any) -> tuple[float, float] | None:
    """A position or size: a list, or in older files an object with the keys 0 and 1."""
    pair = [value.get("0"), value.get("1")] if isinstance(value, Mapping) else value
    if isinstance(pair, Sequence) and len(pair) >= 2:
        x, y = pair[:2]
        if _is_number(x) and _is_number(y):
            return float(x), float(y)
    return None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
