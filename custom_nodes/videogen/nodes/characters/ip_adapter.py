"""VideoGenIPAdapterLoader and VideoGenApplyIPAdapter: condition a model on images."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from torch import Tensor

from ...comfyui.attention.adapter_files import FILE_ENDINGS, load_adapter
from ...comfyui.attention.adapter_fit import require_fit
from ...comfyui.attention.attention_patch import apply_image_conditions
from ...comfyui.attention.condition_options import plan_acting
from ...comfyui.attention.image_tokens import BLENDS, CROPS, encode_images, is_shown, require_rgb_images
from ...comfyui.core_features import require_core
from ...comfyui.frames.mask_check import check_mask, require_masks_fit
from ...comfyui.sockets import AdapterSocket, need_adapter, need_options
from ...comfyui.widgets import (
    adapter_inputs,
    check_known_span,
    options_input,
    span_inputs,
    validate,
    weight_type_input,
)
from ...core.conditioning.layer_weights import WEIGHT_RANGE, WEIGHT_TYPES, check_weight
from ...core.errors import VideoGenError
from ...core.widget_checks import check_choice
from ...tensor.ip_adapter.reference_tiles import cut_tiles, tile_masks

log = logging.getLogger(__name__)

FOLDER = "ipadapter"
#: Where the published files are.
DOWNLOADS = "huggingface.co/h94/IP-Adapter"
_GET_SOME = (
    "Put for example ip-adapter-plus_sd15.safetensors (for SD 1.5) or ip-adapter-plus_sdxl_vit-h.safetensors (for SDXL) there,"
    f" from {DOWNLOADS}, then press R in the editor."
)

#: How several images are combined: "add" and "concat" keep each one's tokens, "average" and "subtract" mix the embeddings.
COMBINE = ("concat", "add", "average", "subtract", "one per frame", "norm average")
#: The last one cuts a picture into squares that each act in their own part of the frame.
TILES = "tiles"
CROP_CHOICES = (*CROPS, TILES)


class VideoGenIPAdapterLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenIPAdapterLoader",
            display_name="IP-Adapter Loader",
            category="videogen/characters",
            description="Loads an IP-Adapter, which conditions a model on pictures, from the folder models/ipadapter.",
            inputs=[
                io.Combo.Input(
                    "ipadapter_file",
                    options=list_adapters(),
                    # If it was required, ComfyUI itself would report an empty folder, without saying where the files come from.
                    optional=True,
                    tooltip="A file from models/ipadapter. Its kind is detected from its content: SD 1.5 or SDXL;"
                    f" plain, plus, plus-face or full-face. Published files: {DOWNLOADS}.",
                ),
            ],
            outputs=[AdapterSocket.Output("ipadapter", display_name="ipadapter")],
        )

    @classmethod
    def validate_inputs(cls, ipadapter_file: str | None = "") -> bool | str:
        return validate(find_adapter, ipadapter_file)

    @classmethod
    def fingerprint_inputs(cls, ipadapter_file: str | None = "") -> str | float:
        if not ipadapter_file:
            return float("nan")  # never equal to itself: the file is not known yet
        stat = find_adapter(ipadapter_file).stat()
        return f"{stat.st_mtime_ns}:{stat.st_size}"

    @classmethod
    def execute(cls, ipadapter_file: str = "") -> io.NodeOutput:
        adapter = load_adapter(find_adapter(ipadapter_file))
        info = adapter.info
        log.info(
            "%s: %s, %s, %d tokens a picture, for %s",
            adapter.name,
            info.family,
            info.projection,
            info.tokens,
            info.encoder,
        )
        return io.NodeOutput(adapter)


class VideoGenApplyIPAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        low, high = WEIGHT_RANGE
        return io.Schema(
            node_id="VideoGenApplyIPAdapter",
            display_name="Apply IP-Adapter",
            category="videogen/characters",
            description="Conditions the model on one or several pictures while it samples, everywhere or inside a mask.",
            inputs=[
                *adapter_inputs(),
                io.Image.Input("image", tooltip="One picture or a batch of them; `combine` sets how a batch is used."),
                io.Float.Input(
                    "weight",
                    default=0.8,
                    min=low,
                    max=high,
                    step=0.05,
                    round=0.001,
                    tooltip="How strongly the pictures act. 0 disables the adapter; a negative weight steers away from them."
                    " A list of numbers, such as Frame Weights outputs, is a weight for each frame.",
                ),
                weight_type_input(" style transfer and composition: only the layers that carry these (InstantStyle)."),
                *span_inputs(),
                io.Combo.Input(
                    "combine",
                    options=list(COMBINE),
                    default="concat",
                    tooltip="For several pictures. concat: they share the weight. add: each has the whole weight. average and"
                    " subtract (the first without the others) and norm average: they are mixed to one. one per frame: frame n"
                    " uses picture n.",
                ),
                io.Combo.Input(
                    "crop",
                    options=list(CROP_CHOICES),
                    default="center",
                    tooltip="How a picture is fitted to the encoder's square: cropped to its middle, padded, or stretched."
                    " tiles: cut into squares, each for its own part of the frame.",
                ),
                io.Mask.Input(
                    "mask",
                    optional=True,
                    tooltip="Where the pictures act: one mask, or one per frame. Any size in the frames' aspect ratio.",
                ),
                io.Image.Input(
                    "image_negative",
                    optional=True,
                    tooltip="Unwanted content: a picture that the negative prompt is conditioned on. Several are averaged.",
                ),
                options_input(),
            ],
            outputs=[io.Model.Output(display_name="model")],
        )

    @classmethod
    def validate_inputs(
        cls,
        weight: float | None,
        weight_type: str | None,
        start_at: float | None,
        end_at: float | None,
        combine: str | None,
        crop: str | None,
    ) -> bool | str:
        return validate(lambda: check_widgets(weight, weight_type, start_at, end_at, combine, crop))

    @classmethod
    def execute(
        cls,
        model: Any,
        ipadapter: object,
        clip_vision: Any,
        image: Tensor,
        weight: float | Sequence[float],
        weight_type: str,
        start_at: float,
        end_at: float,
        combine: str,
        crop: str,
        mask: Tensor | None = None,
        image_negative: Tensor | None = None,
        options: object = None,
    ) -> io.NodeOutput:
        require_core()
        adapter = need_adapter(ipadapter)
        check_widgets(None, weight_type, start_at, end_at, combine, crop)
        require_fit(adapter, model)
        if mask is not None:
            mask = check_mask(mask)
        acting = plan_acting(model, need_options(options), weight_type, weight, start_at, end_at)
        if not acting.has_effect:
            return io.NodeOutput(model)  # no image would act: the encoder need not even be loaded
        blend = combine if combine in BLENDS else "each"
        fit = "center" if crop == TILES else crop
        negative = None
        if image_negative is not None:
            negative, _ = encode_images(
                adapter, clip_vision, image_negative, crop=fit, blend="average", name="image_negative"
            )
        conditions = []
        for part, area in cut_to_tiles(image, mask) if crop == TILES else [(image, mask)]:
            tokens, usual_negative = encode_images(adapter, clip_vision, part, crop=fit, blend=blend)
            conditions += [
                acting.condition(adapter, group, usual_negative if negative is None else negative, area)
                for group in group_tokens(tokens, combine)
            ]
        patched = apply_image_conditions(model, conditions)
        if mask is not None and patched is not model:
            require_masks_fit(patched, {"mask": mask})
        return io.NodeOutput(patched)


def check_widgets(
    weight: float | None,
    weight_type: str | None,
    start_at: float | None,
    end_at: float | None,
    combine: str | None,
    crop: str | None,
) -> None:
    """Check the values of all widgets; one that another node's output sets is None before the prompt runs.

    Raises:
        VideoGenError: `widget-invalid` for the first invalid one.
    """
    check_weight(0.0 if weight is None else weight)
    check_choice("weight_type", weight_type or WEIGHT_TYPES[0], WEIGHT_TYPES)
    check_known_span(start_at, end_at)
    check_choice("combine", combine or COMBINE[0], COMBINE)
    check_choice("crop", crop or CROPS[0], CROP_CHOICES)


def group_tokens(tokens: Tensor, combine: str) -> list[Tensor]:
    """Group the tokens (n, T, width) of n images: one tensor for each separate attention.

    "concat" makes one of (1, n·T, width), "add" n of (1, T, width), and "one per frame" leaves one per frame.
    """
    if combine == "add":
        return list(tokens.split(1))
    return [tokens] if combine == "one per frame" else [tokens.flatten(0, 1)[None]]


def cut_to_tiles(images: Tensor, mask: Tensor | None) -> Iterator[tuple[Tensor, Tensor | None]]:
    """The tiles of images (n, height, width, channels), each with the mask of its part of the frame.

    A tile that is transparent everywhere, such as the air around a figure that was cut out, is left out.

    Raises:
        VideoGenError: `image-invalid`.
    """
    require_rgb_images(images)
    height, width = images.shape[1:3]
    tiles = cut_tiles(width, height)
    for tile, area in zip(tiles, tile_masks(tiles, width, height, mask), strict=True):
        left, top, right, bottom = tile.box
        part = images[:, top:bottom, left:right]
        if all(map(is_shown, part)) or len(tiles) == 1:
            yield part, area


# ------------------------------------------------------------------ the folder of adapters


def register_folder() -> None:
    """Register ``models/ipadapter`` with ComfyUI, after the folders that users or other packs have registered."""
    folder = os.path.join(folder_paths.models_dir, FOLDER)
    if FOLDER in folder_paths.folder_names_and_paths:
        folder_paths.add_model_folder_path(FOLDER, folder)
    else:
        folder_paths.folder_names_and_paths[FOLDER] = ([folder], set(folder_paths.supported_pt_extensions))


def list_adapters() -> list[str]:
    """Adapter files in all registered folders. A folder from extra_model_paths.yaml lists everything, also READMEs."""
    return [name for name in folder_paths.get_filename_list(FOLDER) if name.lower().endswith(FILE_ENDINGS)]


def find_adapter(name: str) -> Path:
    """The path of an adapter file.

    Raises:
        VideoGenError: `path-invalid`, with the folder and where files can be downloaded.
    """
    path = folder_paths.get_full_path(FOLDER, name) if name else None
    if path is not None:
        return Path(path)
    folders = " or ".join(folder_paths.get_folder_paths(FOLDER))
    if not list_adapters():
        raise VideoGenError("path-invalid", f"there is no IP-Adapter in {folders}", _GET_SOME)
    wanted = f"the IP-Adapter {name!r} is not" if name else "no IP-Adapter is chosen; choose one of those"
    raise VideoGenError("path-invalid", f"{wanted} in {folders}", _GET_SOME if name else "")


register_folder()

NODES = [VideoGenIPAdapterLoader, VideoGenApplyIPAdapter]
