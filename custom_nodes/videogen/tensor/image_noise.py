"""Noise in place of an image or over it: what an image condition is to move away from."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: The kinds of IPAdapterNoise in ComfyUI_IPAdapter_plus, under its names.
FADE, DISSOLVE, GAUSSIAN, SHUFFLE = KINDS = ("fade", "dissolve", "gaussian", "shuffle")
#: Displacement in pixels at a strength of 1, width in pixels over which neighbors move alike, and noise of "shuffle".
_SHIFT, _SMOOTHNESS, _SHUFFLE_NOISE = 75.0, 3.5, 0.75


def make_noise(image: Tensor, kind: str, strength: float, seed: int, blur: int = 0) -> Tensor:
    """Noise over images, with the formulas of IPAdapterNoise (IPAdapterPlus.py).

    With ``u`` uniform in 0…1 and ``n`` normal, each pixel and channel by itself, and the strength ``s``:

    - fade: ``(1 − s) image + s u``
    - dissolve: ``u`` for a share ``s`` of the values
    - gaussian: ``image + s n``
    - shuffle: the image turned by 180° with its pixels moved about (less smoothly the stronger), then
      ``(1 − m) image + m`` with ``m = 0.75 s n``

    Args:
        image: (n, height, width, 3) in 0…1.
        kind: one of `KINDS`.
        strength: 0 to 1.
        seed: the same for the same noise; drawn on the CPU, the same on every machine.
        blur: width in pixels of a Gaussian blur over the result; 0: none.

    Returns:
        (n, height, width, 3) in 0…1, float32 on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    image = image.detach().to("cpu", torch.float32)

    def uniform() -> Tensor:
        return torch.rand(image.shape, generator=generator)

    def normal() -> Tensor:
        return torch.randn(image.shape, generator=generator)

    if kind == FADE:
        result = image * (1 - strength) + uniform() * strength
    elif kind == DISSOLVE:
        chosen = uniform() < strength
        result = torch.where(chosen, uniform(), image)
    elif kind == GAUSSIAN:
        result = image + normal() * strength
    else:
        moved = _move_pixels(image.flip(1, 2), _SMOOTHNESS * (1 - strength), generator)
        mixed = normal() * (strength * _SHUFFLE_NOISE)
        result = moved * (1 - mixed) + mixed
    result = result.clamp(0, 1)
    return _blur(result.movedim(-1, 1), blur / 3).movedim(1, -1) if blur else result


def _move_pixels(image: Tensor, smoothness: float, generator: torch.Generator) -> Tensor:
    """An elastic transform (Simard et al. 2003): each pixel from a place up to `_SHIFT` away, smoothed displacements."""
    count, height, width, _ = image.shape
    shift = torch.rand(1, 2, height, width, generator=generator) * 2 - 1
    shift = _blur(shift, smoothness) * _SHIFT
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack(((x + shift[0, 0] + 0.5) / width, (y + shift[0, 1] + 0.5) / height), dim=-1) * 2 - 1
    grid = places[None].expand(count, -1, -1, -1)
    planes = F.grid_sample(image.movedim(-1, 1), grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return planes.movedim(1, -1)


def _blur(planes: Tensor, sigma: float) -> Tensor:
    """Planes (n, channels, height, width) with a Gaussian blur; the border is reflected."""
    radius = min(round(3 * sigma), min(planes.shape[-2:]) - 1)
    if radius < 1:
        return planes
    steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    channels = planes.shape[1]
    down = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    across = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    padded = F.pad(planes, (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, down, groups=channels), across, groups=channels)
