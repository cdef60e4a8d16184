"""A node pack for the server of tests: a model of videos whose frames carry numbers, as `tests/support/videos` draws them.

It does what models of videos do with a first frame: its first frame is that picture, and the numbers go on from there.
"""

from __future__ import annotations

from typing import Any

import torch

_COLUMNS, _ROWS = 8, 2
_DARK, _BRIGHT = 40 / 255, 210 / 255
_RATE, _SAMPLES = 24, 24_000


def _draw(number: int, height: int, width: int) -> torch.Tensor:
    bits = [_BRIGHT if number >> bit & 1 else _DARK for bit in range(_COLUMNS * _ROWS)]
    blocks = torch.tensor(bits).reshape(1, 1, _ROWS, _COLUMNS)
    return torch.nn.functional.interpolate(blocks, (height, width), mode="nearest")[0, 0, :, :, None].expand(-1, -1, 3)


def _read(image: torch.Tensor) -> int:
    height, width = image.shape[:2]
    number = 0
    for bit in range(_COLUMNS * _ROWS):
        row, column = divmod(bit, _COLUMNS)
        level = image[(2 * row + 1) * height // (2 * _ROWS), (2 * column + 1) * width // (2 * _COLUMNS)].mean()
        number |= int(level > 0.5) << bit
    return number


class NumberedFrames:
    CATEGORY, FUNCTION, RETURN_TYPES = "tests", "make", ("IMAGE", "AUDIO")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        number = ("INT", {"default": 1, "min": 1, "max": 8192})
        return {
            "required": {
                "prompt": ("STRING", {"multiline": True}),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**64 - 1}),
                "width": number,
                "height": number,
                "length": number,
                "start_image": ("IMAGE",),
            },
            "optional": {"end_image": ("IMAGE",)},
        }

    def make(
        self, prompt: str, seed: int, width: int, height: int, length: int, start_image: Any, end_image: Any = None
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        begin = _read(start_image[0])
        frames = torch.stack([_draw(begin + number, height, width) for number in range(length)])
        if end_image is not None:
            frames[-1] = _draw(_read(end_image[0]), height, width)
        # Each frame's sound is a step of its own: what is cut shows in it.
        steps = (begin + torch.arange(length)).repeat_interleave(_SAMPLES // _RATE) % 2
        waveform = (steps.float() - 0.5).expand(1, 2, -1)
        return frames, {"waveform": waveform.clone(), "sample_rate": _SAMPLES}


NODE_CLASS_MAPPINGS: dict[str, Any] = {"NumberedFrames": NumberedFrames}
