"""A pipeline in memory: loaded on first use, on the device only while it renders, and given up when it is told to."""

from __future__ import annotations

import gc
import inspect
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import VideoGenError
from .families import FRAMEPACK, FRAMEPACK_TRANSFORMER, Family
from .lora import Lora, applied
from .model_index import CONFIG, read_component_class, read_json
from .packages import need_diffusers, need_package
from .rendering import random_state_kept

OFFLOAD_NONE, OFFLOAD_MODEL, OFFLOAD_SEQUENTIAL, OFFLOAD_GROUP = OFFLOADS = ("none", "model", "sequential", "group")
UNQUANTIZED, EIGHT_BIT, FOUR_BIT = QUANTIZATIONS = ("none", "8-bit", "4-bit")
KEEP, FREE = AFTERWARDS = ("keep in memory", "free")
#: Blocks of a model that are on the card at once, with `OFFLOAD_GROUP`.
_BLOCKS_PER_GROUP = 1
#: Components that are quantized: the large ones.
_QUANTIZED = ("transformer", "text_encoder")


@dataclass(frozen=True)
class LoadRequest:
    """What to load, and how.

    Attributes:
        folder: of the model.
        dtype: name of a torch type.
        transformer: folder of another transformer, or None.
        image_encoder: folder with ``image_encoder`` and ``feature_extractor``, or None for the model's own.
    """

    folder: Path
    family: Family
    dtype: str = "float32"
    offload: str = OFFLOAD_NONE
    vae_tiling: bool = False
    quantization: str = UNQUANTIZED
    afterwards: str = KEEP
    transformer: Path | None = None
    image_encoder: Path | None = None


class PipelineBox:
    """A model's components, which all pipelines of its family share.

    Attributes:
        request: what is loaded.
    """

    def __init__(self, request: LoadRequest) -> None:
        self.request = request
        self._pipeline: Any = None
        self._placed = ""
        _BOXES.add(self)

    @property
    def is_loaded(self) -> bool:
        return self._pipeline is not None

    def read_config(self, component: str) -> dict[str, Any]:
        """The configuration of a component, from its file: known before anything is loaded.

        Raises:
            VideoGenError: `model-unreadable`.
        """
        folder = self.request.folder / component
        if component == "transformer" and self.request.transformer is not None:
            folder = _inner(self.request.transformer, component)
        return read_json(folder / CONFIG)

    def load(self) -> Any:
        """The pipeline, on the CPU unless it is there already."""
        if self._pipeline is None:
            with random_state_kept():
                self._pipeline = _load(self.request)
        return self._pipeline

    def release(self) -> None:
        """Give up the memory; the next `load` reads the files again."""
        self._pipeline, self._placed = None, ""
        gc.collect()

    @contextmanager
    def on_device(self, device: Any, lora: Lora | None = None) -> Iterator[Any]:
        """The pipeline ready to render on a device; back on the CPU, or given up, afterwards.

        Args:
            lora: is on it meanwhile; put on before anything is placed, so that it travels with the weights.
        """
        if lora is not None and self._stays_placed(device):
            self.release()  # a LoRA and hooks that are there already do not go together
        pipeline = self.load()
        with applied(pipeline, lora):
            whole = False
            try:
                self._place(pipeline, device)
                yield pipeline
                whole = True
            finally:
                self._take_off(pipeline, device, whole=whole, changed=lora is not None)

    def _stays_placed(self, device: Any) -> bool:
        """Whether the hooks of its way to offload stay on the pipeline for good."""
        return self._offload_to(device) in (OFFLOAD_SEQUENTIAL, OFFLOAD_GROUP)

    def _offload_to(self, device: Any) -> str:
        """The way to offload: none on a processor, which accelerate's hooks for single layers do not work with."""
        on_cpu = getattr(device, "type", device) == "cpu"
        return OFFLOAD_NONE if on_cpu and self.request.offload == OFFLOAD_SEQUENTIAL else self.request.offload

    def _place(self, pipeline: Any, device: Any) -> None:
        offload, wanted = self._offload_to(device), f"{self.request.offload} {device}"
        if self.request.quantization != UNQUANTIZED and offload == OFFLOAD_NONE:
            return  # it was loaded onto the card
        if offload == OFFLOAD_NONE:
            pipeline.to(device)
        elif offload == OFFLOAD_MODEL:
            need_package("accelerate", "`offload` model and sequential")
            pipeline.enable_model_cpu_offload(device=device)
        elif self._placed == wanted:
            return  # these hooks stay on a pipeline for good
        elif offload == OFFLOAD_SEQUENTIAL:
            need_package("accelerate", "`offload` model and sequential")
            pipeline.enable_sequential_cpu_offload(device=device)
        else:
            pipeline.enable_group_offload(
                device, offload_type="block_level", num_blocks_per_group=_BLOCKS_PER_GROUP, use_stream=False
            )
        self._placed = wanted

    def _take_off(self, pipeline: Any, device: Any, *, whole: bool, changed: bool) -> None:
        offload = self._offload_to(device)
        spoiled = self._stays_placed(device) and (changed or not whole)
        if self.request.afterwards == FREE or self.request.quantization != UNQUANTIZED or spoiled:
            # Hooks that were interrupted leave parts where they were: the files are read again instead.
            with suppress(Exception):
                pipeline.remove_all_hooks()
            self.release()
        elif offload == OFFLOAD_MODEL:
            pipeline.remove_all_hooks()
            pipeline.to("cpu")
        elif offload == OFFLOAD_NONE:
            pipeline.to("cpu")


_BOXES: weakref.WeakSet[PipelineBox] = weakref.WeakSet()


def release_all() -> int:
    """Give up the memory of all pipelines that are loaded; each is loaded again when it is needed. Returns their number."""
    loaded = [box for box in _BOXES if box.is_loaded]
    for box in loaded:
        box.release()
    return len(loaded)


def as_pipeline(pipeline: Any, kind: str, **replaced: Any) -> Any:
    """Another pipeline of the same family, with the same components in memory.

    Args:
        kind: its class.
        replaced: components of its own, such as a scheduler.
    """
    cls = getattr(need_diffusers(), kind)
    takes = set(inspect.signature(cls.__init__).parameters) - {"self"}
    components = {name: value for name, value in pipeline.components.items() if name in takes}
    made = cls(**{**components, **replaced})
    made.set_progress_bar_config(disable=True)
    return made


def check_parts(request: LoadRequest) -> None:
    """Check that parts of other models are there, and of the classes that they have to be.

    Raises:
        VideoGenError: `model-missing`, `model-unreadable`, `model-unsupported`.
    """
    family = request.family
    if request.transformer is None and request.image_encoder is None and family is not FRAMEPACK:
        return
    kind = read_component_class(_inner(request.transformer or request.folder, "transformer"))
    allowed = {FRAMEPACK_TRANSFORMER} if family is FRAMEPACK else family.components["transformer"]
    if kind not in allowed:
        hint = ""
        if family is FRAMEPACK:
            hint = (
                "Set `transformer` to lllyasviel/FramePackI2V_HY, or for F1 to lllyasviel/FramePack_F1_I2V_HY_20250503."
            )
        raise VideoGenError(
            "model-unsupported", f"the transformer of {family.name} is a {kind}, expected {', '.join(allowed)}", hint
        )
    if family is not FRAMEPACK:
        return
    encoder = request.image_encoder or request.folder
    for part in ("image_encoder", "feature_extractor"):
        if not (encoder / part).is_dir():
            raise VideoGenError(
                "model-missing",
                f"{encoder} has no folder {part}, which FramePack sees the picture with",
                "Set `image_encoder` to lllyasviel/flux_redux_bfl, or to a folder that has both.",
            )


def _inner(folder: Path, component: str) -> Path:
    """The folder of a component: inside a model's folder, or that folder itself."""
    return folder / component if (folder / component).is_dir() else folder


def _load(request: LoadRequest) -> Any:
    diffusers = need_diffusers()
    import torch

    family = request.family
    dtype = getattr(torch, request.dtype)
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    dtypes = {"default": dtype, **dict.fromkeys(family.full_precision, torch.float32)}
    try:
        parts = _load_parts(request, diffusers, dtype, options)
        if request.quantization != UNQUANTIZED:
            options["quantization_config"] = make_quantization(request, diffusers, dtype)
        cls = getattr(diffusers, family.indexed_as[0])
        pipeline = cls.from_pretrained(str(request.folder), torch_dtype=dtypes, **options, **parts)
    except VideoGenError:
        raise
    except Exception as error:  # what readers of foreign files raise is anything
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise VideoGenError(
            "model-unreadable",
            f"the model in {request.folder} cannot be loaded: {lines[0][:400]}",
            "These nodes read weights from .safetensors files only. Download what is missing, or the model again.",
        ) from None
    pipeline.set_progress_bar_config(disable=True)
    if request.vae_tiling:
        pipeline.vae.enable_tiling()
    return pipeline


def _load_parts(request: LoadRequest, diffusers: Any, dtype: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The components that are in folders of their own."""
    parts: dict[str, Any] = {}
    if request.transformer is not None:
        kind = read_component_class(_inner(request.transformer, "transformer"))
        folder = str(_inner(request.transformer, "transformer"))
        parts["transformer"] = getattr(diffusers, kind).from_pretrained(folder, torch_dtype=dtype, **options)
    if request.image_encoder is not None:
        transformers = need_package("transformers")
        encoder = request.image_encoder
        parts["image_encoder"] = transformers.SiglipVisionModel.from_pretrained(
            str(encoder / "image_encoder"), torch_dtype=dtype, **options
        )
        parts["feature_extractor"] = transformers.SiglipImageProcessor.from_pretrained(
            str(encoder / "feature_extractor"), local_files_only=True
        )
    return parts


def make_quantization(request: LoadRequest, diffusers: Any, dtype: Any) -> Any:
    """The settings of a quantized load.

    Raises:
        VideoGenError: `package-missing`, `model-unsupported` without a card, or with an offload that cannot move it.
    """
    import torch

    if not torch.cuda.is_available():
        raise VideoGenError(
            "model-unsupported",
            f"`quantization` is {request.quantization}, and bitsandbytes quantizes on NVIDIA's cards only; there is none here",
            "Set it to none.",
        )
    if request.offload in (OFFLOAD_SEQUENTIAL, OFFLOAD_GROUP):
        raise VideoGenError(
            "model-unsupported",
            f"`offload` is {request.offload}, which cannot move quantized weights",
            "Take none or model, or no quantization.",
        )
    need_package("bitsandbytes", "quantized models", "pip install bitsandbytes, into the Python of your ComfyUI.")
    kwargs: dict[str, Any] = {"load_in_8bit": True}
    if request.quantization == FOUR_BIT:
        kwargs = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    backend = "bitsandbytes_4bit" if request.quantization == FOUR_BIT else "bitsandbytes_8bit"
    return diffusers.quantizers.PipelineQuantizationConfig(
        quant_backend=backend, quant_kwargs=kwargs, components_to_quantize=list(_QUANTIZED)
    )
