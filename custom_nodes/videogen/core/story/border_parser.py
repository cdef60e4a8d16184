"""Parses how a segment begins and ends: with a cut, from frames of another segment, or with a picture that is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .file_names import PICTURE_SUFFIXES, explain_name
from .model import Segment
from .schema import KEYFRAME_KEYS, STARTS
from .validation import Fields, Validator


@dataclass(frozen=True)
class Borders:
    """See `Segment`, which has the same attributes."""

    continues_from: int | None = None
    first_frame: str = ""
    last_frame: str = ""


def parse_borders(check: Validator, fields: Fields, number: int, before: Segment | None) -> Borders:
    """Parse how a segment begins and ends.

    Args:
        fields: of the segment.
        number: of the segment, 1-based.
        before: the segment before it; None for the first one.
    """
    first, last = _parse_keyframes(check, fields)
    source = _parse_source(fields, number)
    start = fields.choice("start", default="", choices=STARTS) if "start" in fields else ""
    continues = fields.flag("continues")
    if continues and start in ("cut", "keyframe"):
        fields.report("start", f"is {start!r}, but `continues` is true: leave one of them out")
    elif source is not None and start in ("cut", "keyframe"):
        fields.report("start", f"is {start!r}, but `continue_from` names segment {source}: leave one of them out")
    elif continues or start == "continue" or "continue_from" in fields:
        if number == 1:
            _report_nothing_before(fields)
            return Borders(None, first, last)
        if first:
            fields.report(
                "keyframes.first", "is given, but the segment continues another one, whose last frame is its first"
            )
            first = ""
        return Borders(source or number - 1, first, last)
    elif start == "keyframe" and not first:
        # What ends one segment begins the next.
        first = before.last_frame if before is not None else ""
        if not first:
            where = f", nor has segment {number - 1} `keyframes.last`" if before is not None else ""
            fields.report("start", f"is 'keyframe', but `keyframes.first` is not given{where}")
    elif start == "cut" and first:
        fields.report("start", "is 'cut', but `keyframes.first` is given; expected 'keyframe', or no `start`")
    return Borders(None, first, last)


def _report_nothing_before(fields: Fields) -> None:
    key = next((key for key in ("continue_from", "continues", "start") if key in fields), "continues")
    said = "is true" if key == "continues" else f"is {fields.get(key)!r}"
    fields.report(key, f"{said}, but there is no segment before the first one")


def _parse_source(fields: Fields, number: int) -> int | None:
    if "continue_from" not in fields or number == 1:
        return None
    return fields.whole("continue_from", default=None, low=1, high=number - 1)


def _parse_keyframes(check: Validator, fields: Fields) -> tuple[str, str]:
    """The pictures that a segment begins and ends with, "" for none."""
    value: Any = fields.get("keyframes", {})
    place = f"{fields.where}.keyframes"
    keyframes = check.mapping(value, place, KEYFRAME_KEYS)
    names = []
    for key in KEYFRAME_KEYS:
        name = keyframes.text(key, longest=255, filled=True)
        problem = explain_name(name, PICTURE_SUFFIXES) if name else ""
        if problem:
            keyframes.report(key, f"{name!r} {problem}")
            name = ""
        names.append(name)
    return names[0], names[1]
