"""The image of a segment's location, from ComfyUI's input folder or a socket, in the frames' size."""

from __future__ import annotations

from pathlib import Path

import folder_paths
import torch
from torch import Tensor

from ..core.errors import VideoGenError
from ..core.segment.plan import SegmentPlan
from ..core.segment.references import missing_image, reference_names
from ..core.video.render_size import fit_cover
from ..media.images.image_files import read_reference_image
from .cast_images import look_up
from .frames.frame_tensors import check_frames, require_finite_frames
from .frames.resizing import resize_lanczos


def read_location(plan: SegmentPlan) -> Tensor:
    """Read the reference image of a segment's location, (height, width, 3), from ComfyUI's input folder.

    Of several, the first that exists.

    Raises:
        VideoGenError: `reference-missing`, and `image-invalid` for a file that cannot be used.
    """
    if plan.location is None:
        raise VideoGenError(
            "reference-missing",
            f"segment {plan.number} has no location, so there is no picture of it",
            "Add it to `segments` of a location in the story, or connect a picture.",
        )
    folder = Path(folder_paths.get_input_directory())
    names = reference_names(plan.slug, plan.location)
    for name in names:
        path = look_up(folder, name)
        if path is not None:
            return torch.from_numpy(read_reference_image(path, name).rgb)
    raise VideoGenError(
        "reference-missing",
        str(missing_image(plan.location, names[0])),
        "Put a picture of that name there, or connect one.",
    )


def first_image(images: Tensor) -> Tensor:
    """The first of a batch of images, (height, width, 3).

    Raises:
        VideoGenError: `frames-invalid`.
    """
    check_frames(images)
    require_finite_frames(images[:1], "image")
    image = images[0]
    return image.expand(-1, -1, 3) if image.shape[-1] == 1 else image[..., :3]


def fit_image(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize an image to `size` (width, height), cropped to its middle: an IMAGE (1, height, width, 3)."""
    height, width = image.shape[:2]
    return resize_lanczos(image, size, fit_cover((width, height), size))[None]
