"""What the inputs of a node's schema say of a model: for models that no profile knows, and for partners' durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..timing import exact
from .frames import DurationRule
from .model import FrameRule, Profile, SizeRule
from .schema import MAX_FRAMES, MAX_SIDE

_SECONDS = re.compile(r"\s*([0-9]{1,4}(?:\.[0-9]{1,3})?)\s*(?:s|sec|secs|second|seconds)?\s*", re.IGNORECASE)


def read_unknown_model(
    frames: Any = None, width: Any = None, height: Any = None, name: str = "unknown", title: str = "an unknown model"
) -> Profile:
    """The profile of a model that no profile fits: only what the inputs of its graph say.

    Args:
        frames, width, height: the specs in ``/object_info`` of the inputs that have these roles, or None.
    """
    sides = [rule for rule in (_whole_rule(width), _whole_rule(height)) if rule is not None]
    size = None
    if sides:
        size = SizeRule(max(rule.step for rule in sides), max(1, *(rule.least for rule in sides)))
    return Profile(name=name, family="", title=title, frames=read_frame_rule(frames), size=size, known=False)


def read_frame_rule(spec: Any) -> FrameRule | None:
    """The numbers of frames that an input takes, by its least value and its step: 1 and 4 mean 4·k + 1.

    Args:
        spec: of the input in ``/object_info``; None where it is not a whole number.
    """
    return _whole_rule(spec)


def _whole_rule(spec: Any) -> FrameRule | None:
    kind, options = _split(spec)
    if kind != "INT":
        return None
    step = min(1000, max(1, _whole(options.get("step"), 1)))
    low = max(1, _whole(options.get("min"), 1))
    high = _whole(options.get("max"), MAX_FRAMES)
    high = min(max(low, high), max(MAX_FRAMES, MAX_SIDE))
    return FrameRule(step, low % step, low, high - (high - low) % step)


def read_duration_rule(spec: Any) -> DurationRule | None:
    """The seconds that an input takes: choices such as ``5`` or ``"5s"``, or a range; None for anything else."""
    kind, options = _split(spec)
    if kind == "COMBO":
        choices = []
        for value in options.get("options") or []:
            match = _SECONDS.fullmatch(str(value))
            if match:
                choices.append((Fraction(match[1]), value))
        return DurationRule(tuple(sorted(choices, key=lambda choice: choice[0]))) if choices else None
    if kind not in ("INT", "FLOAT"):
        return None
    low, high, step = (_exact(options.get(key)) for key in ("min", "max", "step"))
    whole = kind == "INT"
    return DurationRule((), low or Fraction(0), high, step if step and step > 0 else Fraction(1), whole)


def _split(spec: Any) -> tuple[str, Mapping[str, Any]]:
    """The type of a spec, and its options; choices are among these, in both forms that servers send."""
    if not isinstance(spec, (list, tuple)) or not spec:
        return "", {}
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
    if isinstance(spec[0], (list, tuple)):
        return "COMBO", {**options, "options": list(spec[0])}
    return str(spec[0]), options


def _whole(value: Any, default: int) -> int:
    return (
        int(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**62
        else default
    )


def _exact(value: Any) -> Fraction | None:
    try:
        return exact(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
    except ValueError:
        return None
