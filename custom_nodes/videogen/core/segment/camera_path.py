"""The camera's view in each frame of a shot, as a crop of one image."""

from __future__ import annotations

from dataclasses import dataclass

from ..easing import smoothstep
from .shots import MOVE_DIRECTIONS

#: How views beyond the image are filled. "mirror" mirrors the image at its edges; with "crop" the camera starts so close
#: that it never leaves the image.
BORDERS = ("mirror", "crop")
#: Upper limit of `reach`: beyond it, too little of the image remains in view.
MAX_REACH = 0.8


@dataclass(frozen=True)
class View:
    """The part of an image that fills the frame, as fractions of the image's width and height; 0, 0, 1, 1 is all of it."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0


def camera_path(move: str, amount: float, reach: float, frames: int, border: str = BORDERS[0]) -> list[View]:
    """The view of each frame of a shot into its first image.

    The camera starts and stops gently (smoothstep), as in the storyboard. A pan to the left moves the view to the left, so
    that the image's content moves to the right; tilts likewise; tracking goes to the right, as the storyboard draws it:
    without depth it is a pan. Zooming in ends at the middle, zooming out goes the same way back, beyond the image's edges.

    Args:
        move: a key of `CAMERA_MOVES` in shots.py.
        amount: the shot's `Shot.amount`, 0 to 1.
        reach: how far the camera goes at amount 1, as a fraction of the image's width or height; a zoom crops this fraction.
            0 to `MAX_REACH`.
        border: one of `BORDERS`.
    """
    way = min(1.0, max(0.0, amount)) * min(MAX_REACH, max(0.0, reach))
    if move == "static" or way == 0:
        return [View()] * frames
    views = [_view_at(move, way * smoothstep(frame / max(1, frames - 1))) for frame in range(frames)]
    return _stay_inside(views) if border == "crop" else views


def _view_at(move: str, way: float) -> View:
    if move in MOVE_DIRECTIONS:
        x, y = MOVE_DIRECTIONS[move]
        return View(x * way, y * way)
    size = 1 - way if move == "zoom-in" else 1 / (1 - way)
    return View((1 - size) / 2, (1 - size) / 2, size, size)


def _stay_inside(views: list[View]) -> list[View]:
    """The same path, scaled down so that it stays inside the image, and centered."""
    left, top = min(view.left for view in views), min(view.top for view in views)
    width = max(view.left + view.width for view in views) - left
    height = max(view.top + view.height for view in views) - top
    scale = 1 / max(width, height)
    room_x, room_y = (1 - scale * width) / 2, (1 - scale * height) / 2
    inside = []
    for view in views:
        x, y = room_x + scale * (view.left - left), room_y + scale * (view.top - top)
        inside.append(View(x, y, scale * view.width, scale * view.height))
    return inside
