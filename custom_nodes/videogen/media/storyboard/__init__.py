"""Storyboard frames of a film before it is rendered, and slates for missing segments; needs no model."""

from .frames import draw_frames
from .slate import draw_slate

__all__ = ["draw_frames", "draw_slate"]
