"""ESRGAN, the architecture of RealESRGAN_x4plus, under the names that readers of upscale models know."""

from __future__ import annotations

from dataclasses import dataclass

from .layout import Layout

#: Of every published ESRGAN.
_GROWTH, _DENSE_BLOCKS, _CONVOLUTIONS = 32, 3, 5


@dataclass(frozen=True)
class Upscaler:
    """An ESRGAN that makes four times as large.

    Attributes:
        width: channels of its body.
        blocks: residual-in-residual dense blocks in it.
    """

    width: int
    blocks: int


#: RealESRGAN_x4plus: 16.7 million parameters.
ESRGAN = Upscaler(64, 23)
TINY_ESRGAN = Upscaler(8, 1)


def lay_out_esrgan(upscaler: Upscaler) -> Layout:
    """Its tensors. A block adds a fifth of its output, so that numbers stay small through all blocks."""
    layout = Layout()
    layout.conv("conv_first", upscaler.width, 3)
    for block in range(upscaler.blocks):
        for dense in range(1, _DENSE_BLOCKS + 1):
            for number in range(1, _CONVOLUTIONS + 1):
                inputs = upscaler.width + (number - 1) * _GROWTH
                outputs = _GROWTH if number < _CONVOLUTIONS else upscaler.width
                layout.conv(f"body.{block}.rdb{dense}.conv{number}", outputs, inputs)
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        layout.conv(name, upscaler.width, upscaler.width)
    layout.conv("conv_last", 3, upscaler.width)
    return layout
