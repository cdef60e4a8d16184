"""How steadily a segment moves: the error that remains after motion compensation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from ..core.continuity.policy import STATIC_CAP
from ..core.continuity.scores import TemporalScore
from ..core.errors import VideoGenError
from .images import FLOW_SIDE, PreparedImage, prepare_image, shrink_array

#: Mean and median of the L1 differences (0 to 1) at which a pair's raw score has fallen to 1/e. The mean sees what changes in
#: one place; the median does not mind the blurred edges of what moves quickly.
_MEAN_SCALE, _MEDIAN_SCALE = 0.05, 0.03
#: The raw score of a pair that becomes `STATIC_CAP`, from which a segment passes: between good AI clips and spoiled ones.
_KNEE = 0.50
#: Mean direction of the motion against that of the pair before (cosine) below which the order of frames is in doubt, and by how
#: much it must be lower for the score to fall to 0. Good AI clips are above it, also with every fourth frame only.
_ORDER, _ORDER_SPAN = -0.05, 0.25
#: The image's width in pixels in which directions are compared.
_ORDER_SIDE = 64
#: A pair whose small images differ by less than this anywhere shows the same frame twice: encoders change that much.
_SAME_FRAME = 0.008
_SAME_SIDE = 128
_SAME_FLOW = 0.1
_MEAN_OF_CHANNELS = np.full((1, 3), 1 / 3, np.float32)
#: Median flow in pixels (of the measured image) below which a clip counts as static.
STATIC_FLOW = 0.3


class TemporalMeter:
    """Takes the frames of a segment one after the other; holds only the last one.

    Each frame is predicted from the one before it along the optical flow, and compared where both flows agree:

        s = m(exp(-(mean L1 / 0.05 + median L1 / 0.03) / 2) · √coverage)
        score = (0.7 mean + 0.3 min) · (1 − duplicate fraction) · order

    m is linear from 0 to 0.6 below a knee, and from there to 1 (docs/continuity.md has the procedure). Order is 1 unless the
    motion turns round from pair to pair, as it does in shuffled frames.
    A warping error after Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, with L1 in place of squared
    differences. The occlusion mask is their forward-backward check, with the constants that they take from Ruder, Dosovitskiy
    and Brox, GCPR 2016. The flow is DIS (Kroeger et al., ECCV 2016).
    A clip with a median flow below 0.3 pixels is flagged `static` and its score is capped to 0.6: where nothing moves, there
    is nothing that could have moved unsteadily.
    """

    def __init__(self) -> None:
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._last: PreparedImage | None = None
        self._curve: list[float] = []
        self._medians: list[float] = []
        self._means: list[float] = []
        self._same: list[bool] = []
        self._skipped = 0
        self._flow_before: np.ndarray | None = None
        self._turns: list[float] = []
        self._sizes: set[tuple[int, int]] = set()
        #: Mean motion (x, y) of each pair, as shares of the frame's width.
        self.motions: list[tuple[float, float]] = []

    def add(self, image: PreparedImage | None) -> bool:
        """Add a frame (of `FLOW_SIDE`), or None for an unusable one. Returns whether it shows the same as the last."""
        if image is None:
            self._skipped += 1
            self._last = self._flow_before = None
            return False
        self._sizes.add(image.size)
        last, self._last = self._last, image
        if last is None or last.rgb.shape != image.rgb.shape:
            self._flow_before = None
            return False
        score, flow = self._compare(last, image)
        length = cv2.magnitude(flow[..., 0].copy(), flow[..., 1].copy())
        # A smooth sky that moves hardly changes any pixel: it shows the same only when the flow sees no motion either.
        same = float(np.median(length)) < _SAME_FLOW and bool(
            np.abs(shrink_array(last.rgb, _SAME_SIDE) - shrink_array(image.rgb, _SAME_SIDE)).max() < _SAME_FRAME
        )
        self._same.append(same)
        self._note_direction(flow)
        self._curve.append(score)
        self._medians.append(float(np.median(length)))
        self._means.append(float(length.mean()))
        width = image.rgb.shape[1]
        self.motions.append((float(-flow[..., 0].mean()) / width, float(-flow[..., 1].mean()) / width))
        return same

    def finish(self) -> TemporalScore:
        """The score of all frames that were added."""
        if len(self._sizes) > 1:
            sizes = ", ".join(f"{width}×{height}" for width, height in sorted(self._sizes))
            return TemporalScore(None, note=f"the frames have different sizes ({sizes}): there is no motion to follow")
        if not self._curve:
            why = "has values that are not numbers in between" if self._skipped else "has a single frame"
            return TemporalScore(None, note=f"there are no two frames to compare: the segment {why}")
        curve = np.array(self._curve)
        duplicates = float(np.mean(self._same))
        median = float(np.median(self._medians))
        mean, minimum = float(curve.mean()), float(curve.min())
        static = median < STATIC_FLOW
        direction = float(np.mean(self._turns)) if self._turns else None
        # Where nothing moves, the flow is noise, and so is its direction.
        order = 1.0 if direction is None or static else float(np.clip(1 + (direction - _ORDER) / _ORDER_SPAN, 0, 1))
        score = (0.7 * mean + 0.3 * minimum) * (1 - duplicates) * order
        because = ""
        if duplicates > 0.1:
            because = f": {duplicates:.0%} of the frames show the same as the one before"
        elif order < 0.9:
            because = ": the motion turns round from frame to frame, as if they were out of order"
        elif minimum < 0.5 * mean:
            worst = int(curve.argmin())
            because = f": there is a jump between frames {worst + 1} and {worst + 2}"
        elif score < STATIC_CAP:
            because = ": what moves does not keep its looks (noise, flicker, or morphing)"
        return TemporalScore(
            score=min(score, STATIC_CAP) if static else score,
            mean=mean,
            minimum=minimum,
            curve=tuple(map(float, curve)),
            worst_pair=int(curve.argmin()),
            duplicates=duplicates,
            static=static,
            median_flow=median,
            mean_flow=float(np.mean(self._means)),
            direction=direction,
            because=because,
            note=f"{self._skipped} frames were left out: they have values that are not numbers"
            if self._skipped
            else "",
        )

    def _note_direction(self, flow: np.ndarray) -> None:
        """Keep the cosine of the whole field of motion with that of the pair before."""
        height, width = flow.shape[:2]
        small = cv2.resize(flow, (min(width, _ORDER_SIDE), max(1, min(height, round(_ORDER_SIDE * height / width)))))
        before, self._flow_before = self._flow_before, small
        if before is not None:
            lengths = float(np.linalg.norm(before)) * float(np.linalg.norm(small))
            if lengths > 1e-6:
                self._turns.append(float((before * small).sum()) / lengths)

    def _compare(self, last: PreparedImage, image: PreparedImage) -> tuple[float, np.ndarray]:
        """The score of a pair, and the flow from its second frame back to its first."""
        before, after = (np.rint(each.gray * 255).astype(np.uint8) for each in (last, image))
        if min(before.shape) < 16:  # DIS needs some room; a thumbnail is compared as it is
            forward = backward = np.zeros((*before.shape, 2), np.float32)
        else:
            forward = self._flow.calc(before, after, None)
            backward = self._flow.calc(after, before, None)
        height, width = before.shape
        columns, rows = _grid(height, width)
        back_x, back_y = cv2.split(backward)
        x, y = columns + back_x, rows + back_y
        warped = cv2.remap(last.rgb, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        forth_x, forth_y = cv2.split(cv2.remap(forward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        apart = (forth_x + back_x) ** 2 + (forth_y + back_y) ** 2
        longest = forth_x**2 + forth_y**2 + back_x**2 + back_y**2
        seen = (apart <= 0.01 * longest + 0.5) & (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        coverage = float(np.count_nonzero(seen)) / seen.size
        if coverage < 1e-3:
            return 0.0, backward
        # A mean over the channels too; OpenCV takes it many times faster than NumPy does along such a short axis.
        difference = cv2.transform(cv2.absdiff(image.rgb, warped), _MEAN_OF_CHANNELS)
        mean, median = cv2.mean(difference, seen.view(np.uint8))[0], float(np.median(difference[seen]))
        raw = float(np.exp(-(mean / _MEAN_SCALE + median / _MEDIAN_SCALE) / 2) * np.sqrt(coverage))
        return _scale(raw), backward


def _scale(raw: float) -> float:
    """The raw score of a pair, so that good footage is above `STATIC_CAP`: linear on both sides of the knee."""
    if raw < _KNEE:
        return STATIC_CAP * raw / _KNEE
    return STATIC_CAP + (1 - STATIC_CAP) * (raw - _KNEE) / (1 - _KNEE)


@lru_cache(maxsize=2)
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of each pixel."""
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


def score_temporal(frames: Iterable[np.ndarray]) -> TemporalScore:
    """The temporal score of frames (height, width, 3), uint8 or float from 0 to 1, in order."""
    meter = TemporalMeter()
    for frame in frames:
        meter.add(prepare_image(frame, FLOW_SIDE))
    return meter.finish()


def tv_l1_variance(frames: Iterable[np.ndarray], side: int = 256) -> float:
    """1 / (1 + variance of the mean flow's length), with Dual TV-L1 flow: the usual recipe, only for comparison.

    It takes seconds a pair, does not see noise, and scores a frozen clip 1.00. Zach, Pock and Bischof, DAGM 2007.

    Raises:
        VideoGenError: `metric-missing`, where neither opencv-contrib nor scikit-image is installed.
    """
    calculate = _find_tv_l1()
    lengths = []
    last = None
    for frame in frames:
        image = prepare_image(frame, side)
        if image is not None and last is not None and last.shape == image.gray.shape:
            flow = calculate(last, image.gray)
            lengths.append(float(np.hypot(flow[0], flow[1]).mean()))
        last = None if image is None else image.gray
    return 1 / (1 + float(np.var(lengths))) if lengths else float("nan")


def _find_tv_l1() -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    if hasattr(cv2, "optflow"):
        method = cv2.optflow.createOptFlow_DualTVL1()
        return lambda before, after: np.moveaxis(method.calc(before, after, None), 2, 0)
    try:
        from skimage.registration import optical_flow_tvl1
    except ImportError:
        raise VideoGenError(
            "metric-missing",
            "the TV-L1 variance needs scikit-image or opencv-contrib, and neither is installed",
            "Install scikit-image into ComfyUI's Python, or leave this comparison off.",
        ) from None
    return optical_flow_tvl1
