"""The upscale models that *auto* of VideoGenUpscale stands for."""

from __future__ import annotations

from collections.abc import Iterable

#: Choices of `model` besides the files: the first of `PREFERRED` that is there, and the filter alone.
AUTO, NONE = "auto", "none"
#: General models for photographs. Others may be made for drawings or for restoration, so they are used only by name.
PREFERRED = (
    "RealESRGAN_x4plus.safetensors",
    "RealESRGAN_x4plus.pth",
    "4x-UltraSharp.safetensors",
    "4x-UltraSharp.pth",
    "4x_foolhardy_Remacri.safetensors",
    "4x_foolhardy_Remacri.pth",
    "RealESRGAN_x2plus.pth",
    "RealESRGAN_x2.pth",
)


def find_preferred(files: Iterable[str]) -> str:
    """The model that *auto* stands for where these files are in ``models/upscale_models``; "" when there is none.

    Args:
        files: names relative to that folder.
    """
    by_name = {path.replace("\\", "/").rpartition("/")[2]: path for path in sorted(files, reverse=True)}
    return next((by_name[name] for name in PREFERRED if name in by_name), "")
