"""Parses the characters, objects and locations of a story."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..file_names import explain_bad_path
from ..timing import exact
from .file_names import MASK_SUFFIXES, PICTURE_SUFFIXES, explain_name, is_inside
from .model import CAST_COLORS, Entity
from .schema import ENTITY_KEYS, MAX_ENTITIES, MAX_SEED, REGIONS
from .selection import parse_selection
from .slug import fold_name
from .validation import Range, Validator, found, place


def parse_entities(
    check: Validator, story: dict[str, Any], key: str, kind: str, count: int, color_offset: int
) -> tuple[Entity, ...]:
    """Parse the entities under one key of a story.

    Args:
        key: ``characters``, ``objects`` or ``locations``.
        count: number of segments in the story.
        color_offset: number of colors that the entities before these have used.
    """
    entities: list[Entity] = []
    items = check.mapping(story.get(key, {}), key)
    if len(items) > MAX_ENTITIES:
        check.report(key, f"has {len(items):,} entries, at most {MAX_ENTITIES} are allowed")
        return ()
    for index, (name, item) in enumerate(items.items()):
        where = place(key, name)
        if not re.fullmatch(r"\w[\w -]{0,59}", name):
            check.report(where, f"{found(name)} as a name, expected letters, digits, '_' and '-'")
            continue
        entities.append(_entity(check, item, kind, name, where, count, color_offset + index))
    return tuple(entities)


def _entity(check: Validator, item: Any, kind: str, name: str, where: str, count: int, color_index: int) -> Entity:
    fields = check.mapping(item, where, ENTITY_KEYS)
    numbers: tuple[int, ...] = tuple(range(1, count + 1))
    # Without any segment there is nothing to compare with, and that has been reported.
    if "segments" in fields and count:
        numbers = check.attempt(f"{where}.segments", lambda: parse_selection(fields["segments"], count), ())
    label = name.replace("_", " ").strip() or name
    weight = fields.number("weight", default=None, limits=Range(0, 3))
    color = fields.text("color", default=CAST_COLORS[color_index % len(CAST_COLORS)])
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        fields.report("color", f'{found(color)}, expected a color such as "#4C9BE8"')
    return Entity(
        kind=kind,
        name=name,
        label=fields.text("label", default=label[0].upper() + label[1:], longest=60, filled=True),
        description=fields.text("description", longest=4000),
        seed=fields.whole("seed", default=None, low=0, high=MAX_SEED),
        segments=numbers,
        references=_references(check, fields.get("reference", []), f"{where}.reference"),
        weight=None if weight is None else float(weight),
        region=_region(check, fields["region"], f"{where}.region") if "region" in fields else None,
        color=color,
    )


def _references(check: Validator, value: Any, where: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name.strip() for name in names):
        check.report(where, f"{found(value)}, expected the name of a picture in ComfyUI's input folder, or a list")
        return ()
    names = [name.strip() for name in names]
    for name in names:
        if not is_inside(name):
            reason = explain_bad_path(name)
            why = f": {reason}" if "backslash" in reason else "; expected a name inside it"
            check.report(where, f"{found(name)} leads outside ComfyUI's input folder{why}")
        elif problem := explain_name(name, PICTURE_SUFFIXES):
            check.report(where, f"{found(name)}, which {problem}")
    return tuple(names)


def _region(check: Validator, value: Any, where: str) -> str | tuple[float, float, float, float] | None:
    if isinstance(value, str):
        if value in REGIONS:
            return "centre" if value == "center" else value
        name = value.strip()
        if not explain_name(name, MASK_SUFFIXES):
            return name
    elif isinstance(value, list) and len(value) == 4:
        # Between 0 and 1 first: whole numbers can be too long for a float.
        sides = [exact(n) for n in value if isinstance(n, (int, float)) and not isinstance(n, bool) and 0 <= n <= 1]
        if len(sides) == 4:
            x, y, width, height = sides
            if width > 0 and height > 0 and x + width <= 1 and y + height <= 1:
                return float(x), float(y), float(width), float(height)
    check.report(
        where,
        f"{found(value)}, expected left, center, right, a box [x, y, width, height] in 0…1, or a mask picture",
    )
    return None


def check_one_location(check: Validator, locations: tuple[Entity, ...]) -> None:
    """Report segments that are at more than one location."""
    taken: dict[int, str] = {}
    for location in locations:
        doubled = [number for number in location.segments if number in taken]
        if doubled:
            check.report(
                f"locations.{location.name}.segments",
                f"segment {doubled[0]} is already at {taken[doubled[0]]!r}; a segment has one location",
            )
        taken.update(dict.fromkeys(location.segments, location.name))


def find_shared_names(cast: Sequence[Entity]) -> list[str]:
    """A warning for each default picture that two members of a cast would share, on some file systems or on all."""
    warnings = []
    first: dict[str, Entity] = {}
    for entity in cast:
        if entity.references:
            continue
        other = first.setdefault(fold_name(entity.name), entity)
        if other is not entity:
            here, there = (place(f"{one.kind}s", one.name) for one in (entity, other))
            where = "" if entity.name == other.name else " on Windows and macOS"
            warnings.append(
                f"{here} and {there} have one default picture{where}, {entity.name}.png; give one of them a `reference`"
            )
    return warnings
