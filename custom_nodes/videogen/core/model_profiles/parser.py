"""Reads a file of model profiles, and reports all its problems at once."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import yaml

from ..errors import ProblemList, VideoGenError
from ..story.validation import Fields, Range, TooManyProblems, Validator, found, place, whole_number
from ..story.yaml_loader import load_yaml
from .model import FrameRule, InputRule, MemoryFigure, Profile, PromptRule, RateRule, Sign, SizeRule
from .schema import (
    DIALECTS,
    FAMILY_KEYS,
    FIGURE_KEYS,
    GROUP_KEYS,
    MAX_CHARACTERS,
    MAX_FRAMES,
    MAX_MODELS,
    MAX_NAMES,
    MAX_SIDE,
    MAX_SIGNS,
    MODEL_KEYS,
    PLAIN,
    SIGN_KEYS,
)

_HINT = "docs/any-workflow.md describes every field."
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,59}")


@dataclass(frozen=True)
class _Group:
    """The facts of one group, and where they come from."""

    value: Any
    source: str = ""


def parse_profiles(text: str, name: str) -> tuple[Profile, ...]:
    """The profiles of a file in YAML (or JSON, which is YAML).

    Args:
        name: file name for messages.

    Raises:
        VideoGenError: `profile-unreadable`, with line and column.
        ProblemList: `profile-invalid`, with all problems and their places.
    """
    if len(text) > MAX_CHARACTERS:
        raise VideoGenError(
            "profile-unreadable",
            f"{name} has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed in a file of profiles",
        )
    try:
        data = load_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise VideoGenError(
            "profile-unreadable", f"{name} is not YAML: {error.problem or error.context}{at}", _HINT
        ) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise VideoGenError("profile-unreadable", f"{name} is not YAML: {error}", _HINT) from None
    check = Validator()
    profiles: tuple[Profile, ...] = ()
    with contextlib.suppress(TooManyProblems):
        profiles = _family(check, data)
    if check.problems:
        raise ProblemList("profile-invalid", name, check.problems, _HINT)
    return profiles


def _family(check: Validator, data: Any) -> tuple[Profile, ...]:
    if not isinstance(data, dict):
        check.report("", f"{found(data)}, expected a mapping with `family` and `models`")
        return ()
    fields = check.mapping(data, "", FAMILY_KEYS)
    family = _name(fields, "family")
    shared = _groups(check.mapping(fields.get("shared", {}), "shared", GROUP_KEYS))
    models = fields.get("models")
    if not isinstance(models, list) or not 0 < len(models) <= MAX_MODELS:
        check.report("models", f"{found(models)}, expected a list of 1 to {MAX_MODELS} models")
        return ()
    profiles = [_model(check, item, f"models[{index}]", family, shared) for index, item in enumerate(models)]
    names = [profile.name for profile in profiles]
    for index, name in enumerate(names):
        if name and name in names[:index]:
            check.report(f"models[{index}].name", f"{name!r} is the name of another model of this file")
    return tuple(profiles)


def _model(check: Validator, item: Any, where: str, family: str, shared: dict[str, _Group]) -> Profile:
    own = check.mapping(item, where, MODEL_KEYS)
    # A group of the model's own replaces the family's; null leaves it out.
    groups = {**shared, **_groups(own)}
    values = {key: group.value for key, group in groups.items() if group.value is not None}
    name = _name(own, "name")
    return Profile(
        name=name,
        family=family,
        title=own.text("title", default=name, longest=100, filled=True),
        video=own.choice("makes", default="video", choices=("video", "image")) == "video",
        signs=_signs(check, own.get("recognize"), f"{where}.recognize"),
        frames=values.get("frames"),
        rate=values.get("fps"),
        size=values.get("size"),
        inputs=values.get("inputs", InputRule()),
        sound=values.get("sound"),
        prompt=values.get("prompt", PromptRule()),
        memory=values.get("memory", ()),
        sources={key: group.source for key, group in groups.items() if key in values and group.source},
    )


def _groups(fields: Fields) -> dict[str, _Group]:
    """The groups of facts of a family or a model, read; None for one that is null."""
    groups = {}
    for key, known in GROUP_KEYS.items():
        if key not in fields:
            continue
        where = place(fields.where, key)
        if fields[key] is None:
            groups[key] = _Group(None)
        elif key == "memory":
            groups[key] = _Group(_figures(fields.validator, fields[key], where))
        else:
            group = fields.validator.mapping(fields[key], where, known)
            if isinstance(fields[key], dict) and "source" not in group:
                group.report("source", "is missing, expected where these facts come from")
            groups[key] = _Group(_PARSERS[key](group), group.text("source", filled=True, longest=1000))
    return groups


def _name(fields: Fields, key: str) -> str:
    name = fields.text(key, filled=True, longest=60)
    if key not in fields:
        fields.report(key, "is missing, expected a name such as wan-i2v")
    elif name and not _NAME.fullmatch(name):
        fields.report(key, f"{found(name)}, expected small letters, digits, '-' and '.', such as wan-i2v")
    return name


# ------------------------------------------------------------------ groups


def _frames(group: Fields) -> FrameRule:
    step = group.whole("step", default=1, low=1, high=1000)
    offset = group.whole("offset", default=0, low=0, high=1000)
    least = group.whole("least", default=max(1, offset), low=1, high=MAX_FRAMES)
    most = group.whole("most", default=None, low=1, high=MAX_FRAMES)
    for key, number in (("least", least), ("most", most)):
        if number is not None and (number - offset) % step:
            group.report(key, f"found {number}, expected a number of the rule {step}·k + {offset}")
    if most is not None and most < least:
        group.report("most", f"found {most}, which is less than `least` ({least})")
    return FrameRule(step, offset, least, most, _span(group, "trained", 1, MAX_FRAMES))


def _rate(group: Fields) -> RateRule | None:
    native, least, most = (
        group.number(key, default=None, limits=Range(1, 240, unit="frames a second"))
        for key in ("native", "least", "most")
    )
    if "native" not in group:
        group.report("native", "is missing, expected frames a second")
    if native is None:
        return None
    if not (least or native) <= native <= (most or native):
        group.report("native", f"found {float(native):g}, which is outside `least` and `most`")
    return RateRule(native, least, most)


def _size(group: Fields) -> SizeRule:
    multiple = group.whole("multiple", default=1, low=1, high=1024)
    native = None
    if "native" in group:
        sides = group["native"]
        numbers = [whole_number(side) for side in sides] if isinstance(sides, list) and len(sides) == 2 else []
        good = [number for number in numbers if number is not None and 1 <= number <= MAX_SIDE]
        if len(good) == 2:
            native = (good[0], good[1])
        else:
            group.report("native", f"{found(sides)}, expected [width, height] in pixels, 1 to {MAX_SIDE}")
    return SizeRule(
        multiple,
        group.whole("least", default=multiple, low=1, high=MAX_SIDE),
        group.whole("area", default=None, low=multiple * multiple, high=MAX_SIDE * MAX_SIDE),
        native,
    )


def _inputs(group: Fields) -> InputRule:
    return InputRule(
        _flag(group, "first_frame"),
        _flag(group, "last_frame"),
        *(
            group.whole(key, default=None, low=0, high=100)
            for key in ("references", "reference_videos", "reference_sounds")
        ),
    )


def _prompt(group: Fields) -> PromptRule:
    return PromptRule(
        group.choice("dialect", default=PLAIN, choices=DIALECTS),
        group.whole("tokens", default=None, low=3, high=1_000_000),
        group.whole("characters", default=None, low=1, high=1_000_000),
        _span(group, "words", 1, 100_000),
        _flag(group, "negative"),
    )


def _flag(group: Fields, key: str) -> bool | None:
    return group.flag(key) if key in group else None


def _span(group: Fields, key: str, low: int, high: int) -> tuple[int, int] | None:
    if key not in group:
        return None
    ends = group[key]
    numbers = [whole_number(end) for end in ends] if isinstance(ends, list) and len(ends) == 2 else []
    good = [number for number in numbers if number is not None and low <= number <= high]
    if len(good) == 2 and good[0] <= good[1]:
        return good[0], good[1]
    group.report(key, f"{found(ends)}, expected [from, to], whole numbers from {low} to {high:,}")
    return None


def _figures(check: Validator, value: Any, where: str) -> tuple[MemoryFigure, ...]:
    if not isinstance(value, list):
        check.report(where, f"{found(value)}, expected a list of figures")
        return ()
    figures = []
    for index, item in enumerate(value[:MAX_NAMES]):
        fields = check.mapping(item, f"{where}[{index}]", FIGURE_KEYS)
        missing = [key for key in FIGURE_KEYS if key not in fields]
        if missing:
            check.report(f"{where}[{index}]", f"has no {', '.join(missing)}")
            continue
        gigabytes = fields.number("gigabytes", default=Fraction(0), limits=Range(0, 10_000, above=True))
        figures.append(MemoryFigure(gigabytes or Fraction(0), fields.text("what"), fields.text("source", filled=True)))
    return tuple(figures)


#: Group → what reads its fields.
_PARSERS: dict[str, Callable[[Fields], Any]] = {
    "frames": _frames,
    "fps": _rate,
    "size": _size,
    "inputs": _inputs,
    "sound": lambda group: _flag(group, "made"),
    "prompt": _prompt,
}


# ------------------------------------------------------------------ recognition


def _signs(check: Validator, value: Any, where: str) -> tuple[Sign, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_SIGNS:
        check.report(
            where, f"{found(value)}, expected a list of 1 to {MAX_SIGNS} signs such as {{nodes: [WanVaceToVideo]}}"
        )
        return ()
    signs = []
    for index, item in enumerate(value):
        fields = check.mapping(item, f"{where}[{index}]", SIGN_KEYS)
        sign = Sign(
            _names(fields, "nodes"),
            _names(fields, "also"),
            _names(fields, "loaders"),
            tuple(pattern.lower() for pattern in _names(fields, "files")),
            fields.text("partner", longest=20).upper(),
        )
        if not any((sign.nodes, sign.also, sign.loaders, sign.files, sign.partner)):
            check.report(f"{where}[{index}]", f"is empty, expected one of {', '.join(SIGN_KEYS)}")
        signs.append(sign)
    return tuple(signs)


def _names(fields: Fields, key: str) -> tuple[str, ...]:
    if key not in fields:
        return ()
    names = fields[key]
    good = isinstance(names, list) and 0 < len(names) <= MAX_NAMES
    if good and all(isinstance(name, str) and 0 < len(name) <= 200 for name in names):
        return tuple(names)
    fields.report(key, f"{found(names)}, expected a list of 1 to {MAX_NAMES} names")
    return ()
