"""The families of pipelines that the nodes know, and the classes that their folders may name.

A folder's `model_index.json` names modules and classes, which diffusers imports and calls. Only those of this table are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..core.errors import VideoGenError

_T5_TOKENIZERS = frozenset({"T5Tokenizer", "T5TokenizerFast", "AutoTokenizer", "TokenizersBackend"})
_T5_ENCODERS = frozenset({"T5EncoderModel", "UMT5EncoderModel"})
_CLIP_IMAGES = frozenset({"CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPProcessor"})
_CLIP_VISION = frozenset({"CLIPVisionModel", "CLIPVisionModelWithProjection"})
_FLOW = frozenset({"UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler", "FlowMatchUniPCMultistepScheduler"})

_SKYREELS: Mapping[str, frozenset[str]] = {
    "tokenizer": _T5_TOKENIZERS,
    "text_encoder": _T5_ENCODERS,
    "transformer": frozenset({"SkyReelsV2Transformer3DModel"}),
    "vae": frozenset({"AutoencoderKLWan"}),
    "scheduler": _FLOW,
}


@dataclass(frozen=True)
class Family:
    """Pipelines that share their components.

    Attributes:
        name: in messages.
        indexed_as: classes that a folder's index may name; the first one loads it.
        components: name → classes that it may have.
        full_precision: components that are always float32.
        latent_format: ComfyUI's class with the colors of its latents, for previews, or "".
        size_multiple: of width and height.
    """

    name: str
    indexed_as: tuple[str, ...]
    components: Mapping[str, frozenset[str]]
    full_precision: tuple[str, ...] = ()
    latent_format: str = ""
    size_multiple: int = 16


COGVIDEOX = Family(
    "CogVideoX image to video",
    ("CogVideoXImageToVideoPipeline",),
    {
        "tokenizer": _T5_TOKENIZERS,
        "text_encoder": _T5_ENCODERS,
        "transformer": frozenset({"CogVideoXTransformer3DModel"}),
        "vae": frozenset({"AutoencoderKLCogVideoX"}),
        "scheduler": frozenset({"CogVideoXDDIMScheduler", "CogVideoXDPMScheduler"}),
    },
)
SKYREELS_FORCING = Family(
    "SkyReels V2 diffusion forcing",
    (
        "SkyReelsV2DiffusionForcingPipeline",
        "SkyReelsV2DiffusionForcingImageToVideoPipeline",
        "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
    ),
    _SKYREELS,
    ("vae",),
    "Wan21",
)
SKYREELS_TEXT = Family("SkyReels V2 text to video", ("SkyReelsV2Pipeline",), _SKYREELS, ("vae",), "Wan21")
SKYREELS_IMAGE = Family(
    "SkyReels V2 image to video",
    ("SkyReelsV2ImageToVideoPipeline",),
    {**_SKYREELS, "image_encoder": _CLIP_VISION, "image_processor": _CLIP_IMAGES},
    ("vae", "image_encoder"),
    "Wan21",
)
FRAMEPACK = Family(
    "FramePack",
    ("HunyuanVideoFramepackPipeline", "HunyuanVideoPipeline"),
    {
        "tokenizer": frozenset({"LlamaTokenizer", "LlamaTokenizerFast", "AutoTokenizer", "TokenizersBackend"}),
        "text_encoder": frozenset({"LlamaModel"}),
        "tokenizer_2": frozenset({"CLIPTokenizer", "CLIPTokenizerFast", "TokenizersBackend"}),
        "text_encoder_2": frozenset({"CLIPTextModel"}),
        "transformer": frozenset({"HunyuanVideoFramepackTransformer3DModel", "HunyuanVideoTransformer3DModel"}),
        "vae": frozenset({"AutoencoderKLHunyuanVideo"}),
        "scheduler": _FLOW,
        "image_encoder": frozenset({"SiglipVisionModel"}),
        "feature_extractor": frozenset({"SiglipImageProcessor", "SiglipImageProcessorFast"}),
    },
    latent_format="HunyuanVideo",
)
FAMILIES = (COGVIDEOX, SKYREELS_FORCING, SKYREELS_TEXT, SKYREELS_IMAGE, FRAMEPACK)
#: What FramePack's base model has no weights of.
FRAMEPACK_TRANSFORMER = "HunyuanVideoFramepackTransformer3DModel"


def find_family(pipeline_class: str, where: str) -> Family:
    """The family of a class that a folder's index names.

    Raises:
        VideoGenError: `model-unsupported`.
    """
    for family in FAMILIES:
        if pipeline_class in family.indexed_as:
            return family
    known = ", ".join(name for family in FAMILIES for name in family.indexed_as)
    raise VideoGenError(
        "model-unsupported",
        f"{where} is a {pipeline_class or 'pipeline without a class'}, which these nodes do not use (expected: {known})",
        "Models that ComfyUI itself loads (Wan, HunyuanVideo, LTX) need no diffusers.",
    )
