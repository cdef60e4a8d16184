"""VideoGenImageNoise: noise for the negative side of an image condition."""

from __future__ import annotations

import torch
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.image_tokens import require_rgb_images
from ...comfyui.widgets import SHARE, validate
from ...core.widget_checks import check_choice, check_range
from ...tensor.image_noise import KINDS, make_noise

#: Side in pixels of noise without a picture: what encoders see.
_SIDE = 224
_MAX_BLUR = 32
_MAX_VARIATION = 2**32 - 1


class VideoGenImageNoise(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenImageNoise",
            display_name="Image Noise",
            category="videogen/characters",
            description="Noise over a picture, or by itself, for `image_negative` of Apply IP-Adapter: more detail and contrast.",
            inputs=[
                io.Combo.Input(
                    "kind",
                    options=list(KINDS),
                    default="fade",
                    tooltip="fade: mixed with the picture. dissolve: in some of its pixels. gaussian: added. shuffle: the picture"
                    " upside down, its pixels moved about, with some noise.",
                ),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    **SHARE,
                    tooltip="0: the picture as it is (shuffle: only moved). 1: the whole noise.",
                ),
                io.Int.Input(
                    "blur", default=0, min=0, max=_MAX_BLUR, tooltip="Blur the result, in pixels. 0: not at all."
                ),
                # Not "seed": the editor would draw another one for each run.
                io.Int.Input(
                    "variation",
                    default=0,
                    min=0,
                    max=_MAX_VARIATION,
                    tooltip="Another number makes other noise; the same one makes the same on every machine.",
                ),
                io.Image.Input(
                    "image",
                    optional=True,
                    tooltip="A picture or a batch of them, often the reference. Without: noise alone.",
                ),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    def validate_inputs(cls, kind: str | None, strength: float | None, blur: int | None) -> bool | str:
        return validate(check_noise, kind, strength, blur)

    @classmethod
    def execute(
        cls, kind: str, strength: float, blur: int, variation: int, image: Tensor | None = None
    ) -> io.NodeOutput:
        check_noise(kind, strength, blur)
        images = torch.zeros(1, _SIDE, _SIDE, 3) if image is None else require_rgb_images(image)
        return io.NodeOutput(make_noise(images, kind, strength, variation, blur))


def check_noise(kind: str, strength: float, blur: int) -> None:
    """Check the widgets.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    check_choice("kind", kind, KINDS)
    check_range("strength", strength, 0, 1)
    check_range("blur", blur, 0, _MAX_BLUR)


NODES = [VideoGenImageNoise]
