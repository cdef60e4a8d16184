"""What a film shows between two segments: frames of both, mixed, moved, or bent into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from ...core.video.timeline import dissolve_weight

#: Brightness and colors of black and white in a film: BT.709, limited.
_BLACK, _WHITE, _GRAY = 16, 235, 128
#: How much larger the outgoing picture gets in a zoom.
_ZOOM = 0.5
#: Longest side in pixels at which movement is looked for.
_FLOW_SIDE = 480


@dataclass
class TransitionPainter:
    """Paints the frames of one transition.

    Frames are yuv420p: uint8, shape (height * 3 / 2, width). Before the cut the first frame of the incoming clip is held, after
    it the last one of the outgoing clip.

    Attributes:
        kind: one of `TRANSITIONS` of the story format.
        frames: of the transition.
    """

    kind: str
    frames: int
    _flows: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False, repr=False)

    def paint(
        self, outgoing: np.ndarray, incoming: np.ndarray, place: int, edges: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """A frame of the transition.

        Args:
            place: 0-based, of the frame in the transition.
            edges: the frames at the cut: the last of the outgoing clip, the first of the incoming one.
        """
        weight = dissolve_weight(place, self.frames)
        if self.kind == "crossfade":
            return mix(outgoing, incoming, (place + 1) / (self.frames + 1))
        if self.kind == "morph":
            if self._flows is None:
                self._flows = _find_movement(*edges)
            return _morph(outgoing, incoming, weight, self._flows)
        return _PAINTERS[self.kind](outgoing, incoming, weight)


def mix(outgoing: np.ndarray, incoming: np.ndarray, weight: float) -> np.ndarray:
    """Mix two uint8 frames of one shape, with `weight` (0 to 1) of the incoming one."""
    # In 16 bits: 256 steps are as fine as the frames' own, with half the memory of floats.
    share = round(weight * 256)
    mixed = outgoing.astype(np.uint16) * (256 - share) + incoming.astype(np.uint16) * share + 128
    return (mixed >> 8).astype(np.uint8)


# ------------------------------------------------------------------ kinds


def _through(luma: int) -> Callable[[np.ndarray, np.ndarray, float], np.ndarray]:
    """A fade out to one color, and in from it."""

    def paint(outgoing: np.ndarray, incoming: np.ndarray, weight: float) -> np.ndarray:
        color = np.full_like(outgoing, _GRAY)
        color[: outgoing.shape[0] * 2 // 3] = luma
        return mix(outgoing, color, 2 * weight) if weight < 0.5 else mix(color, incoming, 2 * weight - 1)

    return paint


def _wipe(direction: str) -> Callable[[np.ndarray, np.ndarray, float], np.ndarray]:
    """The incoming picture is uncovered by an edge that moves in a direction."""

    def paint(outgoing: np.ndarray, incoming: np.ndarray, weight: float) -> np.ndarray:
        painted = []
        for old, new, shown in _shown_planes(outgoing, incoming, direction, weight):
            plane = old.copy()
            _part(plane, direction, shown, entering=True)[...] = _part(new, direction, shown, entering=True)
            painted.append(plane)
        return join_planes(painted)

    return paint


def _slide(direction: str) -> Callable[[np.ndarray, np.ndarray, float], np.ndarray]:
    """The incoming picture pushes the outgoing one out of the frame, in a direction."""
    axis = _axis(direction)

    def paint(outgoing: np.ndarray, incoming: np.ndarray, weight: float) -> np.ndarray:
        painted = []
        for old, new, shown in _shown_planes(outgoing, incoming, direction, weight):
            rest = _part(old, direction, old.shape[axis] - shown, entering=True)
            come = _part(new, direction, shown, entering=False)
            painted.append(np.concatenate([rest, come] if direction in ("left", "up") else [come, rest], axis=axis))
        return join_planes(painted)

    return paint


def _zoom(outgoing: np.ndarray, incoming: np.ndarray, weight: float) -> np.ndarray:
    """The camera moves into the outgoing picture, which dissolves into the incoming one."""
    scale = 1 + _ZOOM * weight
    larger = []
    for plane in planes_of(outgoing):
        height, width = plane.shape
        matrix = np.array([[scale, 0, (1 - scale) * width / 2], [0, scale, (1 - scale) * height / 2]], np.float64)
        larger.append(
            cv2.warpAffine(plane, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )
    return mix(join_planes(larger), incoming, weight)


def _axis(direction: str) -> int:
    return 1 if direction in ("left", "right") else 0


def _shown_planes(
    outgoing: np.ndarray, incoming: np.ndarray, direction: str, weight: float
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """The planes of both frames, and how many rows or columns of the incoming one are seen: the same place in all of them."""
    planes = list(zip(planes_of(outgoing), planes_of(incoming), strict=True))
    coarse = planes[-1][0].shape[_axis(direction)]
    shown = round(coarse * weight)
    for old, new in planes:
        yield old, new, shown * (old.shape[_axis(direction)] // coarse)


def _part(plane: np.ndarray, direction: str, count: int, *, entering: bool) -> np.ndarray:
    """The rows or columns at the side from which a picture enters, or at the opposite one."""
    at_end = (direction in ("left", "up")) == entering
    size = plane.shape[_axis(direction)]
    chosen = slice(size - count, size) if at_end else slice(0, count)
    return plane[:, chosen] if _axis(direction) == 1 else plane[chosen]


_PAINTERS: dict[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]] = {
    "dissolve": mix,
    "fade": _through(_BLACK),
    "fade-white": _through(_WHITE),
    **{f"wipe-{direction}": _wipe(direction) for direction in ("left", "right", "up", "down")},
    **{f"slide-{direction}": _slide(direction) for direction in ("left", "right", "up", "down")},
    "zoom": _zoom,
}


# ------------------------------------------------------------------ morph


def _find_movement(outgoing: np.ndarray, incoming: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far each pixel of one picture has moved in the other, there and back: float32, shape (height, width, 2).

    Dense inverse search (Kroeger et al. 2016), on small pictures: what grows or turns is found, and noise is not.
    """
    pictures = [planes_of(frame)[0] for frame in (outgoing, incoming)]
    height, width = pictures[0].shape
    scale = min(1.0, _FLOW_SIDE / max(height, width))
    small = [
        cv2.resize(
            picture, (max(16, round(width * scale)), max(16, round(height * scale))), interpolation=cv2.INTER_AREA
        )
        for picture in pictures
    ]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = []
    for one, other in ((small[0], small[1]), (small[1], small[0])):
        flow = cv2.GaussianBlur(search.calc(one, other, np.zeros((*one.shape, 2), np.float32)), (0, 0), 3)
        flow = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        found.append(flow * np.array([width / small[0].shape[1], height / small[0].shape[0]], np.float32))
    return found[0], found[1]


def _morph(
    outgoing: np.ndarray, incoming: np.ndarray, weight: float, flows: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Each picture is bent toward the other as far as the transition has come, and they dissolve."""
    return mix(_bend(outgoing, flows[1], weight), _bend(incoming, flows[0], 1 - weight), weight)


def _bend(frame: np.ndarray, flow: np.ndarray, amount: float) -> np.ndarray:
    """A frame whose pixels come from where `flow`, shortened to `amount`, points."""
    bent = []
    for plane in planes_of(frame):
        height, width = plane.shape
        step = flow.shape[0] / height
        there = flow if step == 1 else cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) / step
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        bent.append(
            cv2.remap(
                plane,
                x + there[..., 0] * np.float32(amount),
                y + there[..., 1] * np.float32(amount),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
        )
    return join_planes(bent)


# ------------------------------------------------------------------ planes


def planes_of(frame: np.ndarray) -> list[np.ndarray]:
    """Brightness and both colors of a yuv420p frame, as views: uint8, shapes (height, width) and twice half of it."""
    height, width = frame.shape[0] * 2 // 3, frame.shape[1]
    flat = frame.reshape(-1)
    sizes = ((height, width), (height // 2, width // 2), (height // 2, width // 2))
    planes, begin = [], 0
    for rows, columns in sizes:
        planes.append(flat[begin : begin + rows * columns].reshape(rows, columns))
        begin += rows * columns
    return planes


def join_planes(planes: list[np.ndarray]) -> np.ndarray:
    """The yuv420p frame of three planes."""
    height, width = planes[0].shape
    return np.concatenate([plane.reshape(-1) for plane in planes]).reshape(height * 3 // 2, width)
