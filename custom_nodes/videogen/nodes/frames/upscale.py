"""VideoGenUpscale: resize frames to the film's size, with an upscale model or a Lanczos filter, one at a time."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import comfy.model_management
import comfy.utils
import folder_paths
import torch
from comfy_api.latest import io
from spandrel import ImageModelDescriptor, ModelLoader

from ...comfyui.frames.frame_tensors import check_frames, clip_frames, require_finite
from ...comfyui.frames.resizing import resize_lanczos
from ...comfyui.out_of_memory import is_out_of_memory
from ...comfyui.sockets import SegmentSocket, need_segment
from ...core.errors import VideoGenError
from ...core.segment.plan import SegmentPlan
from ...core.video.render_size import fit_cover
from ...core.video.upscale_models import AUTO, NONE, find_preferred

FOLDER = "upscale_models"
#: Pixels of a tile's side, and by how many neighbors overlap; where memory is short the tiles become smaller.
TILE, OVERLAP, SMALLEST_TILE = 512, 32, 64
#: Upscale models need about this many times a tile's own memory; ComfyUI's estimate.
_MEMORY_FACTOR = 384.0
_MAX_SIDE = 16384

Upscale = Callable[[torch.Tensor], torch.Tensor]


class VideoGenUpscale(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenUpscale",
            display_name="Upscale",
            category="videogen/frames",
            description="Resizes frames to the film's size: with an installed upscale model, else with a Lanczos filter.",
            inputs=[
                io.Image.Input("images"),
                io.Combo.Input(
                    "model",
                    options=[AUTO, NONE, *folder_paths.get_filename_list(FOLDER)],
                    default=AUTO,
                    tooltip="auto: a general model from models/upscale_models, when one is installed and the frames are"
                    " enlarged; none: the filter only.",
                ),
                SegmentSocket.Input("segment", optional=True, tooltip="Sets the film's size."),
                io.Int.Input(
                    "width",
                    default=0,
                    min=0,
                    max=_MAX_SIDE,
                    optional=True,
                    tooltip="Pixels. 0: the film's width, or proportional to the height.",
                ),
                io.Int.Input(
                    "height",
                    default=0,
                    min=0,
                    max=_MAX_SIDE,
                    optional=True,
                    tooltip="Pixels. 0: the film's height, or proportional to the width.",
                ),
                io.String.Input(
                    "auto_model",
                    default="",
                    optional=True,
                    tooltip="What auto stands for, set by the headless runner: a file, or none. Empty: see `model`.",
                ),
            ],
            outputs=[io.Image.Output("resized", display_name="images")],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str | None = AUTO, auto_model: str | None = "", **_: Any) -> str:
        # What auto stands for depends on a folder, and what a name stands for on the file.
        name = (
            model if model not in (None, AUTO) else auto_model or find_preferred(folder_paths.get_filename_list(FOLDER))
        )
        path = folder_paths.get_full_path(FOLDER, name) if name and name != NONE else None
        if path is None:
            return name or NONE
        try:
            found = os.stat(path)
        except OSError:
            return str(name)
        return f"{name}/{found.st_size}/{found.st_mtime_ns}"

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        model: str,
        segment: SegmentPlan | None = None,
        width: int = 0,
        height: int = 0,
        auto_model: str = "",
    ) -> io.NodeOutput:
        check_frames(images)
        count, rows, columns = images.shape[:3]
        source = (columns, rows)
        target = choose_size(source, (width, height), need_segment(segment).size if segment is not None else None)
        name = choose_model(model, source, target, folder_paths.get_filename_list(FOLDER), auto_model)
        if not name and target == source:
            for index in range(count):
                require_finite(images[index, ..., :3], f"frame {index + 1}")
            return io.NodeOutput(plain_frames(images))
        upscale = make_upscaler(name, images) if name else None
        # Filled frame by frame: a list to be stacked would hold every frame twice.
        result = torch.empty((count, target[1], target[0], 3), dtype=torch.float32)
        progress = comfy.utils.ProgressBar(count)
        try:
            for index in range(count):
                comfy.model_management.throw_exception_if_processing_interrupted()
                frame = plain_frames(images[index])
                require_finite(frame, f"frame {index + 1}")
                if upscale is not None:
                    frame = upscale(frame)
                    require_finite(
                        frame, f"frame {index + 1}, upscaled by {name},", "a model that takes other pictures"
                    )
                box = fit_cover((frame.shape[1], frame.shape[0]), target)
                result[index] = resize_lanczos(frame, target, box)
                progress.update(1)
        finally:
            if upscale is not None:
                load_model(name).to("cpu")
        return io.NodeOutput(result)


def plain_frames(images: torch.Tensor) -> torch.Tensor:
    """Frames (..., height, width, 1, 3 or 4) as every size of them comes out: RGB in 0…1; the same tensor where they are.

    Gray becomes three channels, and alpha is dropped: a film has none, and a model for pictures knows none.
    """
    colors = images if images.shape[-1] == 3 else images[..., :3].expand(*images.shape[:-1], 3)
    return clip_frames(colors)


def choose_size(source: tuple[int, int], wanted: tuple[int, int], film: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of the result.

    Args:
        wanted: the widgets; one of them 0: it follows from the other and the frames' aspect ratio; both 0: the film's size.

    Raises:
        VideoGenError: `widget-invalid`, when no size is set.
    """
    width, height = wanted
    if width and height:
        return wanted
    if width:
        return width, max(1, round(source[1] * width / source[0]))
    if height:
        return max(1, round(source[0] * height / source[1])), height
    if film is None:
        raise VideoGenError(
            "widget-invalid",
            "no size is set: `segment` is not connected, `width` and `height` are 0",
            "Connect `segment`, or set one of them.",
        )
    return film


def choose_model(
    wanted: str, source: tuple[int, int], target: tuple[int, int], there: list[str], auto_model: str = ""
) -> str:
    """The upscale model to use, or "" for the filter alone.

    Args:
        there: names of the files in the folder.
        auto_model: what `AUTO` stands for; "": the first general model that is there.

    Raises:
        VideoGenError: `model-missing`.
    """
    if wanted == AUTO:
        if target[0] <= source[0] and target[1] <= source[1]:
            return ""
        wanted = auto_model.strip() or find_preferred(there) or NONE
    if wanted == NONE:
        return ""
    if wanted not in there:
        raise VideoGenError(
            "model-missing",
            f"the upscale model {wanted!r} is not in models/{FOLDER}"
            f" (there are: {', '.join(map(repr, there)) or 'none'})",
            f"Put it there, or set `model` to {AUTO}.",
        )
    return wanted


def load_model(name: str) -> ImageModelDescriptor:
    """Load an upscale model by its name in models/upscale_models; the last one is cached.

    Raises:
        VideoGenError: `model-unreadable`.
    """
    path = folder_paths.get_full_path_or_raise(FOLDER, name)
    return _load(path, os.stat(path).st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _load(path: str, _changed: int) -> ImageModelDescriptor:
    try:
        state = comfy.utils.load_torch_file(path, safe_load=True)
        prefix = "module."
        if all(key.startswith(prefix) for key in state):
            state = {key[len(prefix) :]: value for key, value in state.items()}
        model = ModelLoader().load_from_state_dict(state).eval()
    except Exception as error:  # the reader may raise anything for a file of another kind
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise VideoGenError(
            "model-unreadable",
            f"{path} cannot be read as an upscale model: {reason}",
            "Download it again, or choose another one.",
        ) from None
    if not isinstance(model, ImageModelDescriptor):
        raise VideoGenError("model-unreadable", f"{path} is not an upscale model for single pictures")
    return model


def make_upscaler(name: str, images: torch.Tensor) -> Upscale:
    """A function that upscales one frame (height, width, 3) on the graphics card, in tiles as large as its memory holds."""
    model, device = load_model(name), comfy.model_management.get_torch_device()
    tile_bytes = TILE * TILE * 3 * 4
    needed = comfy.model_management.module_size(model.model) + tile_bytes * max(model.scale, 1.0) * _MEMORY_FACTOR
    comfy.model_management.free_memory(needed + images[0].nelement() * 4, device)
    model.to(device)
    tile = TILE

    def run(part: torch.Tensor) -> Any:
        comfy.model_management.throw_exception_if_processing_interrupted()
        return model(part)

    def upscale(frame: torch.Tensor) -> torch.Tensor:
        nonlocal tile
        image = frame.movedim(-1, 0).unsqueeze(0).to(device=device, dtype=torch.float32)
        while True:
            try:
                larger = comfy.utils.tiled_scale(
                    image, run, tile_x=tile, tile_y=tile, overlap=OVERLAP, upscale_amount=model.scale
                )
                return larger[0].movedim(0, -1).clamp(0.0, 1.0)
            except Exception as error:
                tile //= 2  # for the following frames as well
                if not is_out_of_memory(error) or tile < SMALLEST_TILE:
                    raise
                comfy.model_management.soft_empty_cache()

    return upscale


NODES = [VideoGenUpscale]
