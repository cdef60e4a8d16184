"""The values of a segment by name, as inputs of a graph take them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from .plan import SegmentPlan


def whole_or_float(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)


#: What `--bind` can set, and where in a segment its value comes from.
BINDABLE: dict[str, Callable[[SegmentPlan], Any]] = {
    "prompt": lambda plan: plan.prompt,
    "negative": lambda plan: plan.negative,
    "seed": lambda plan: plan.seed,
    "frames": lambda plan: plan.frames,
    "fps": lambda plan: whole_or_float(plan.fps),
    "width": lambda plan: plan.size[0],
    "height": lambda plan: plan.size[1],
    "name": lambda plan: plan.file_stem,
}
