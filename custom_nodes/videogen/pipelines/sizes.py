"""Checks of sizes that all pipelines need."""

from __future__ import annotations

from ..core.errors import VideoGenError


def check_multiples(width: int, height: int, multiple: int, title: str) -> None:
    """
    Raises:
        VideoGenError: `widget-invalid` for sides that the model cannot divide.
    """
    if width % multiple or height % multiple or min(width, height) < multiple:
        near = " × ".join(str(max(multiple, round(side / multiple) * multiple)) for side in (width, height))
        raise VideoGenError(
            "widget-invalid",
            f"`width` × `height` is {width} × {height}; {title} makes multiples of {multiple} pixels",
            f"The nearest is {near}.",
        )
