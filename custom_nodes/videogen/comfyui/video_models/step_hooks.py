"""Between two steps of a pipeline: guards, canceling, progress, and a preview, through ComfyUI's own hooks."""

from __future__ import annotations

from typing import Any

import comfy.latent_formats
import comfy.model_management
import comfy.utils
import latent_preview
import torch
from comfy.cli_args import LatentPreviewMethod, args
from PIL import Image

from .sockets import VideoModel

_FORMAT = "JPEG"


class StepHooks:
    """An `OnStep` for one rendering."""

    def __init__(self, model: VideoModel) -> None:
        self._waits = model.waits
        self._progress = comfy.utils.ProgressBar(1)
        self._previewer = _find_previewer(model.box.request.family.latent_format)

    def before_a_step(self) -> None:
        """Wait for the guards.

        Raises:
            InterruptProcessingException: when the prompt was canceled.
            TooHotError: from a guard.
        """
        comfy.model_management.throw_exception_if_processing_interrupted()
        for wait in self._waits:
            wait()

    def __call__(self, done: int, total: int, latents: torch.Tensor) -> None:
        self._progress.update_absolute(done, total, make_preview(latents, self._previewer))
        self.before_a_step()


def _find_previewer(latent_format: str) -> Any:
    """ComfyUI's previewer for latents of this format, as the user has set it; None without one."""
    kind = getattr(comfy.latent_formats, latent_format, None) if latent_format else None
    return None if kind is None else latent_preview.get_previewer(comfy.model_management.get_torch_device(), kind())


def make_preview(latents: torch.Tensor, previewer: Any) -> tuple[str, Image.Image, int] | None:
    """A picture of the frame in the middle, where the user wants previews: (format, picture, largest side).

    Args:
        latents: (1, channels, frames, height, width), or (1, frames, channels, height, width).
        previewer: ComfyUI's, or None for latents whose colors it does not know: their structure is shown in gray.
    """
    if args.preview_method == LatentPreviewMethod.NoPreviews:
        return None
    with torch.no_grad():
        if previewer is not None:
            middle = latents.shape[2] // 2
            try:
                found = previewer.decode_latent_to_preview_image(_FORMAT, latents[:, :, middle : middle + 1].float())
                return found[0], found[1], found[2]
            except RuntimeError:  # another number of channels than ComfyUI's format has
                pass
        frame = latents[0].float().mean(dim=0 if latents.shape[1] > latents.shape[2] else 1)
        gray = frame[len(frame) // 2]
        low, high = gray.min(), gray.max()
        pixels = ((gray - low) / (high - low).clamp(min=1e-6) * 255).round().to(device="cpu", dtype=torch.uint8)
    return _FORMAT, Image.fromarray(pixels.numpy()), args.preview_size
