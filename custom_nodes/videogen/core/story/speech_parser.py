"""Parses what is spoken in a segment: the narrator's text and the characters' lines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .model import Entity, Line, Segment
from .schema import LINE_KEYS, MAX_LINES
from .validation import Fields, Validator, did_you_mean, found

_LANGUAGE = re.compile(r"[^\W\d_]{2,}(?:[ -]\w+){0,3}")


def parse_dialogue(check: Validator, value: Any, where: str) -> tuple[Line, ...]:
    """Parse the lines of a segment, in the order in which they are spoken; `check_speakers` checks who speaks."""
    if not isinstance(value, list) or len(value) > MAX_LINES:
        said = f"has {len(value)} lines" if isinstance(value, list) else found(value)
        check.report(where, f"{said}, expected a list of up to {MAX_LINES} lines, each with `character` and `line`")
        return ()
    lines = []
    for index, item in enumerate(value, 1):
        fields = check.mapping(item, f"{where}[{index}]", LINE_KEYS)
        if isinstance(item, dict):
            for key in LINE_KEYS:
                if key not in item:
                    check.report(f"{where}[{index}].{key}", "is missing, expected text")
        lines.append(
            Line(fields.text("character", longest=60, filled=True), fields.text("line", longest=2000, filled=True))
        )
    return tuple(lines)


def check_speakers(check: Validator, segments: Iterable[Segment], characters: Iterable[Entity]) -> None:
    """Report lines of characters that the story does not have."""
    names = [character.name for character in characters]
    known = set(names)
    for segment in segments:
        for index, line in enumerate(segment.dialogue, 1):
            if line.character and line.character not in known:
                listed = did_you_mean(line.character, names) or f"; it has {', '.join(names[:30]) or 'none'}"
                check.report(
                    f"segments[{segment.number}].dialogue[{index}].character",
                    f"{line.character!r} is no character of the story{listed}",
                )


def parse_language(fields: Fields) -> str:
    """The language that is spoken: a code such as ``de``, or its name."""
    language = fields.text("language", longest=40, filled=True)
    if language and not _LANGUAGE.fullmatch(language):
        fields.report("language", f"{found(language)}, expected a language such as de or German")
        return ""
    return language
