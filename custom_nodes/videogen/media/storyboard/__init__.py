"""Storyboard frames of a film that has not been rendered, and slates for segments that are missing; needs no model."""

from .frames import draw_frames
from .slate import draw_slate

__all__ = ["draw_frames", "draw_slate"]
