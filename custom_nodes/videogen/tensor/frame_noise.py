"""Noise for the frames of one shot: alike from frame to frame, and each of them by itself plain N(0, 1)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..core.segment.frame_seeds import frame_seed


def drift_cosine(drift: float) -> float:
    """``x = cos(drift · 90°)``: 1 at drift 0 and 0 at drift 1, exactly."""
    return {0.0: 1.0, 1.0: 0.0}.get(float(drift), math.cos(math.pi / 2 * drift))


def frame_correlation(drift: float, distance: int = 1) -> float:
    """Correlation of the noise of two frames that are `distance` frames apart.

    With ``x = cos(drift · 90°)`` it is ``x² + (1 - x²) · x^distance``; for neighbors ``x + x² - x³``, which falls from 1 to 0
    as drift grows, without a turn. However far apart, x² stays: that is the part which the whole shot shares.
    """
    x = drift_cosine(drift)
    return 1.0 if distance == 0 else x * x + (1 - x * x) * x**distance


def make_frame_noise(
    shape: Sequence[int], frames: Sequence[int], *, seed: int, anchor_seed: int | None = None, drift: float
) -> Tensor:
    """The noise of some frames of a shot.

    Frame f is ``cos(a) · base + sin(a) · path(f)`` with ``a = drift · 90°``. `base` is one field of noise for the whole
    shot, and ``path`` walks over the sphere, at every frame by the same angle towards a new field of its own:
    ``path(0) = own(0)``, ``path(f) = cos(a) · path(f - 1) + sin(a) · own(f)``.

    That is slerp (Shoemake 1985) with the angle between the fields taken as 90°. Independent fields of Gaussian noise are
    at a right angle in the mean only; with the angle that slerp would measure, the weights would depend on the values,
    and what comes out would no longer be Gaussian. With fixed weights whose squares add up to 1 it is N(0, 1) exactly,
    for every drift and every number of values.

    Every field has a generator of its own, seeded by the seed and the frame's number, on the CPU: a frame's noise depends on
    neither the other frames that are asked for, nor their order, nor the device. `base` is what ComfyUI's own noise nodes
    make for one image with `anchor_seed`: with drift 0 all frames are that image's noise.

    Args:
        shape: of one frame's noise, such as (4, height / 8, width / 8).
        frames: numbers from 0, in any order, also repeated.
        seed: of the segment; the frames' own parts follow from it.
        anchor_seed: of `base`; None takes `seed`.
        drift: 0 (all frames the same) to 1 (all frames independent).

    Returns:
        float32, shape (len(frames), *shape). The time grows with the highest number, the memory with how many there are.
    """
    noise = torch.empty((len(frames), *shape), dtype=torch.float32)
    if not frames:
        return noise
    x = drift_cosine(drift)
    y = math.sqrt(1 - x * x)
    base = _field(shape, seed if anchor_seed is None else anchor_seed) if x > 0 else None
    rows: dict[int, list[int]] = {}
    for row, frame in enumerate(frames):
        rows.setdefault(frame, []).append(row)
    path: Tensor | None = None
    # Independent frames have no way that leads to them, and equal ones have none either.
    for frame in range(max(frames) + 1) if 0 < x < 1 else sorted(rows):
        if x < 1:
            own = _field(shape, frame_seed(seed, frame))
            path = own if path is None or base is None else path.mul_(x).add_(own, alpha=y)
        if base is None or path is None:
            value = path if base is None else base
        else:
            value = base * x + path * y
        assert value is not None
        for row in rows.get(frame, ()):
            noise[row] = value
    return noise


def _field(shape: Sequence[int], seed: int) -> Tensor:
    """Independent N(0, 1), float32, shape (*shape,)."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    # As one image of a batch: ComfyUI's own noise has this shape, and the values follow the number of them.
    return torch.randn((1, *shape), generator=generator, dtype=torch.float32, device="cpu")[0]
