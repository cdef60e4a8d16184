"""Outputs of a node that are made only where possible or connected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..core.errors import VideoGenError

Value = TypeVar("Value")


def make_if_linked(hidden: Any, output: int, make: Callable[[], Value]) -> Value | None:
    """Make the value of an output, or return None when it cannot be made and the output is not connected.

    A node whose other outputs are useful continues without it. (ComfyUI's ExecutionBlocker is not for this: a prompt that
    it stops counts as a success, and no message says why an image is missing.)

    Args:
        hidden: the node's `hidden`, with `prompt` and `unique_id`.
        output: its number, from 0.

    Raises:
        VideoGenError: any error of `make`, when the output is connected.
    """
    try:
        return make()
    except VideoGenError:
        if _is_linked(hidden, output):
            raise
        return None


def _is_linked(hidden: Any, output: int) -> bool:
    """Whether an output is connected; an unknown graph counts as one in which it is."""
    prompt, own = getattr(hidden, "prompt", None), getattr(hidden, "unique_id", None)
    if not isinstance(prompt, dict) or own is None or str(own) not in prompt:
        return True  # such as a node that another node has created while it ran
    return any(
        isinstance(value, list) and len(value) == 2 and str(value[0]) == str(own) and value[1] == output
        for node in prompt.values()
        for value in node.get("inputs", {}).values()
    )
