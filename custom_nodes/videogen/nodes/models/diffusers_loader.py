"""VideoGenDiffusersLoader: a video model in diffusers' format, loaded when a node renders with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comfy.model_management
from comfy_api.latest import io

from ...comfyui.video_models.model_folders import model_folders
from ...comfyui.video_models.sockets import PipelineSocket, VideoModel
from ...comfyui.widgets import changes_only, validate
from ...core.digest import digest
from ...core.errors import VideoGenError
from ...core.widget_checks import check_choice
from ...pipelines.loading import (
    AFTERWARDS,
    KEEP,
    OFFLOADS,
    QUANTIZATIONS,
    UNQUANTIZED,
    LoadRequest,
    PipelineBox,
    check_parts,
)
from ...pipelines.model_index import read_family
from ...pipelines.packages import need_diffusers

#: The choice of `model` that takes the name below.
HUB_ID_BELOW = "hub id below"
AUTO = "auto"
DTYPES = (AUTO, "bfloat16", "float16", "float32")


class VideoGenDiffusersLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenDiffusersLoader",
            display_name="Diffusers Loader",
            category="videogen/models",
            description="Chooses a CogVideoX, SkyReels or FramePack model in diffusers' format, and how it uses the memory.",
            inputs=[
                io.Combo.Input(
                    "model",
                    options=[HUB_ID_BELOW, *model_folders().list_models()],
                    default=HUB_ID_BELOW,
                    tooltip="A model's folder in models/diffusers; or the name below.",
                ),
                io.String.Input(
                    "hub_id",
                    default="",
                    tooltip="owner/name on Hugging Face's hub, such as zai-org/CogVideoX-5b-I2V. Taken from models/diffusers or"
                    " the hub's cache when it is there.",
                ),
                io.Combo.Input(
                    "dtype",
                    options=list(DTYPES),
                    default=AUTO,
                    tooltip="Type of the weights. auto: bfloat16 where the card computes in it, else float16; float32 on a"
                    " processor.",
                ),
                changes_only(
                    io.Combo.Input(
                        "offload",
                        options=list(OFFLOADS),
                        default="model",
                        tooltip="What is on the card at once. none: everything (fastest). model: one part of the pipeline. group:"
                        " one block. sequential: one layer (slowest).",
                    )
                ),
                io.Boolean.Input(
                    "vae_tiling",
                    default=True,
                    tooltip="Decode the pictures in tiles: far less memory, and seams that are hardly visible.",
                ),
                io.Combo.Input(
                    "quantization",
                    options=list(QUANTIZATIONS),
                    default=UNQUANTIZED,
                    tooltip="Transformer and text encoder in 8 or 4 bits, with bitsandbytes on an NVIDIA card. Quantized models"
                    " are loaded again for each clip.",
                ),
                changes_only(
                    io.Combo.Input(
                        "afterwards",
                        options=list(AFTERWARDS),
                        default=KEEP,
                        tooltip="After a clip the card is free in any case. keep in memory: the model waits in the computer's"
                        " memory. free: it is loaded from the disk each time.",
                    )
                ),
                changes_only(
                    io.Boolean.Input(
                        "download",
                        default=False,
                        tooltip="Download the model into models/diffusers when it is missing (10 to 60 GB).",
                    )
                ),
                io.String.Input(
                    "transformer",
                    default="",
                    optional=True,
                    tooltip="A folder in models/diffusers, or owner/name, with another transformer. FramePack needs one:"
                    " lllyasviel/FramePackI2V_HY or lllyasviel/FramePack_F1_I2V_HY_20250503.",
                ),
                io.String.Input(
                    "image_encoder",
                    default="",
                    optional=True,
                    tooltip="The same for the image encoder. FramePack needs one: lllyasviel/flux_redux_bfl.",
                ),
            ],
            outputs=[PipelineSocket.Output("pipeline", display_name="pipeline")],
        )

    @classmethod
    def validate_inputs(cls, model: str | None, hub_id: str | None, download: bool | None) -> bool | str:
        if download or download is None:
            return True  # it may be there when the node has run
        return validate(find_model, model, hub_id)

    @classmethod
    def fingerprint_inputs(cls, model: str | None, hub_id: str | None, **_: Any) -> str | float:
        # New files under the same name are another model.
        try:
            return digest(describe_files(find_model(str(model), str(hub_id))))
        except VideoGenError:
            return float("nan")

    @classmethod
    def execute(
        cls,
        model: str,
        hub_id: str,
        dtype: str,
        offload: str,
        vae_tiling: bool,
        quantization: str,
        afterwards: str,
        download: bool,
        transformer: str = "",
        image_encoder: str = "",
    ) -> io.NodeOutput:
        check_choice("dtype", dtype, DTYPES)
        check_choice("offload", offload, OFFLOADS)
        check_choice("quantization", quantization, QUANTIZATIONS)
        check_choice("afterwards", afterwards, AFTERWARDS)
        need_diffusers()
        folder = find_model(model, hub_id, download=download, without="transformer" if transformer.strip() else "")
        request = LoadRequest(
            folder,
            read_family(folder),
            choose_dtype(dtype),
            offload,
            bool(vae_tiling),
            quantization,
            afterwards,
            find_part(transformer, "`transformer`", download=download),
            find_part(image_encoder, "`image_encoder`", download=download),
        )
        check_parts(request)
        return io.NodeOutput(VideoModel(PipelineBox(request)))


def find_model(model: str, hub_id: str, *, download: bool = False, without: str = "") -> Path:
    """The folder of the model that the two widgets name.

    Args:
        without: a component that comes from elsewhere, and is not downloaded.

    Raises:
        VideoGenError: `model-missing`, `download-failed`, `package-missing`, `widget-invalid`.
    """
    if model == HUB_ID_BELOW:
        if not hub_id.strip():
            raise VideoGenError(
                "widget-invalid",
                f"`model` is {HUB_ID_BELOW!r}, and `hub_id` is empty",
                "Write owner/name, or choose a folder of models/diffusers.",
            )
        return model_folders(download=download).resolve(hub_id, "`hub_id`", without)
    # A name of the list only: anything else could lead out of the folder.
    return model_folders().resolve_listed(model, "`model`")


def find_part(name: str, what: str, *, download: bool) -> Path | None:
    """The folder of a part of another model; None for an empty name."""
    return model_folders(download=download).resolve(name, what) if name.strip() else None


def describe_files(folder: Path) -> list[list[Any]]:
    """Name, size and time of a model's files: other ones are another model."""
    files = sorted(path for path in folder.glob("**/*") if path.suffix in (".safetensors", ".json") and path.is_file())
    return [[path.relative_to(folder).as_posix(), path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def choose_dtype(dtype: str) -> str:
    """The type of the weights on ComfyUI's device."""
    if dtype != AUTO:
        return dtype
    device = comfy.model_management.get_torch_device()
    if device.type == "cpu":
        return "float32"
    return "bfloat16" if comfy.model_management.should_use_bf16(device) else "float16"


NODES = [VideoGenDiffusersLoader]
