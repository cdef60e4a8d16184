"""Checks on the values of a node's widgets. ComfyUI 0.3.75 does not check them itself in V3 nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .errors import VideoGenError


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> None:
    """
    Raises:
        VideoGenError: `widget-invalid` when a widget's value is not one of its choices.
    """
    if value not in choices:
        raise VideoGenError("widget-invalid", f"`{name}` is {value!r}, expected one of {', '.join(map(str, choices))}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """
    Raises:
        VideoGenError: `widget-invalid` when a widget's value is NaN or outside `low` to `high`.
    """
    if not low <= value <= high:  # also false for NaN
        raise VideoGenError("widget-invalid", f"`{name}` is {value:g}, expected {low:g} to {high:g}")


def check_span(start: float, end: float) -> None:
    """Check the span of the sampling in which an image acts, as shares of the sampling.

    Raises:
        VideoGenError: `widget-invalid` when one is outside 0…1, or the end comes before the start.
    """
    check_range("start_at", start, 0, 1)
    check_range("end_at", end, 0, 1)
    if start > end:
        raise VideoGenError(
            "widget-invalid", f"`start_at` is {start:g} and `end_at` {end:g}: the end comes before the start"
        )
