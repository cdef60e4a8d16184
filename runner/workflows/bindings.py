"""The forms of ``--set`` and ``--bind``: read before there is a graph, so that a typing error costs no server start."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan

#: What --bind can set, and where in a segment its value comes from.
BINDABLE: dict[str, Callable[[SegmentPlan], Any]] = {
    "prompt": lambda plan: plan.prompt,
    "negative": lambda plan: plan.negative,
    "seed": lambda plan: plan.seed,
    "frames": lambda plan: plan.frames,
    "fps": lambda plan: _number(plan.fps),
    "width": lambda plan: plan.size[0],
    "height": lambda plan: plan.size[1],
    "name": lambda plan: plan.file_stem,
}
#: Takes the last frame of the segment before, for segments that continue it.
FIRST_FRAME = "first_frame"
_BINDING = re.compile(r"([^=]+)=([^.=]+(?:\.[^.=]+)*)\.([^.=]+)")


@dataclass(frozen=True)
class Target:
    """An input of a node, as an option names it: by the node's id or its class.

    Attributes:
        option: the whole option, for messages.
        value: the name of `BINDABLE` of a ``--bind``, the text of a ``--set``.
    """

    option: str
    node: str
    input: str
    value: str


def parse_binding(text: str) -> Target:
    """The target of ``--bind NAME=NODE.INPUT``.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    match = _BINDING.fullmatch(text)
    names = [*BINDABLE, FIRST_FRAME]
    if not match or match[1] not in names:
        raise VideoGenError(
            "binding-invalid",
            f"--bind {text!r} cannot be read, expected NAME=NODE.INPUT with NAME one of {', '.join(names)}",
        )
    return Target(f"--bind {text}", match[2], match[3], match[1])


def parse_setting(text: str) -> Target:
    """The target of ``--set NODE.INPUT=VALUE``.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    target, separator, value = text.partition("=")
    node, dot, input_name = target.rpartition(".")
    if not separator or not dot:
        raise VideoGenError("binding-invalid", f"--set {text!r} cannot be read, expected NODE.INPUT=VALUE")
    return Target(f"--set {text}", node, input_name, value)


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
