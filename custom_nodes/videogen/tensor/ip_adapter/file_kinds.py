"""Kinds of files that are picked by mistake, recognized by the names and shapes of their tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

State = Mapping[str, Tensor]

#: Width of the embeddings of face recognition (insightface).
FACE_EMBED_WIDTH = 512

_FACES = (
    "it needs face recognition (insightface), whose models are licensed for non-commercial research only, and which this node"
    " does not run; take an IP-Adapter plus-face file"
)


def _starts(*prefixes: str) -> Callable[[State], bool]:
    return lambda state: any(key.startswith(prefixes) for key in state)


def _contains(*parts: str) -> Callable[[State], bool]:
    return lambda state: any(part in key for key in state for part in parts)


def _in_adapter(*parts: str) -> Callable[[State], bool]:
    """Whether an adapter's own tensors have such names; other models have some of them too."""

    def fits(state: State) -> bool:
        own = [key for key in state if key.startswith(("image_proj.", "ip_adapter."))]
        return any(part in key for key in own for part in parts)

    return fits


def _shape(key: str, dimension: int, *sizes: int) -> Callable[[State], bool]:
    """Whether a tensor is there and has one of these sizes in a dimension."""

    def fits(state: State) -> bool:
        tensor = state.get(key)
        return tensor is not None and tensor.ndim > dimension and tensor.shape[dimension] in sizes

    return fits


def _face_id_mlp(state: State) -> bool:
    return "image_proj.proj.2.weight" in state and "image_proj.proj.3.weight" not in state


def _needs_other_text_width(state: State) -> bool:
    """Keys with 4096 inputs: the text width of Flux, SD 3.5 and other transformers, which no UNet has."""
    keys = (value for key, value in state.items() if key.endswith("to_k_ip.weight"))
    return any(key.ndim == 2 and key.shape[1] == 4096 for key in keys)


#: (how to tell, what it is, where it belongs). The first match counts, hence the narrow ones come first.
FOREIGN_KINDS: tuple[tuple[Callable[[State], bool], str, str], ...] = (
    (_starts("id_adapter", "pulid_"), "a PuLID file", "it belongs into a PuLID loader"),
    (
        _starts("double_blocks.", "single_blocks.", "ip_adapter_proj_model"),
        "a Flux IP-Adapter",
        "it belongs to a Flux model and its own loader; this node works with SD 1.5, SD 2 and SDXL models",
    ),
    (
        _in_adapter("time_embedding", "timestep_embedding", "norm_ip", "norm_added"),
        "an IP-Adapter for SD 3.5",
        "it belongs to an SD 3.5 model and its own loader; this node works with SD 1.5, SD 2 and SDXL models",
    ),
    (
        _needs_other_text_width,
        "an IP-Adapter for Flux or another transformer",
        "it needs its own loader; this node works with SD 1.5, SD 2 and SDXL models",
    ),
    (
        _in_adapter("_lora."),
        "an IP-Adapter FaceID file",
        _FACES,
    ),
    (
        _starts("image_proj.perceiver_resampler."),
        "an IP-Adapter FaceID Plus file",
        _FACES,
    ),
    (
        _shape("image_proj.proj_in.weight", 1, FACE_EMBED_WIDTH),
        "an InstantID or FaceID portrait file",
        _FACES,
    ),
    (_face_id_mlp, "an IP-Adapter FaceID file", _FACES),
    (
        _shape("image_proj.latents", 2, 2048),
        "an IP-Adapter for Kolors",
        "Kolors has another text width and encoder; take an adapter for SD 1.5 or SDXL",
    ),
    (
        _starts("model.diffusion_model.", "first_stage_model.", "cond_stage_model.", "conditioner."),
        "a whole checkpoint",
        "it belongs into a checkpoint loader and into models/checkpoints",
    ),
    (
        _contains("zero_conv", "controlnet_", "control_model.", "input_hint_block", "controlnet_cond_embedding"),
        "a ControlNet",
        "it belongs into a ControlNet loader and into models/controlnet",
    ),
    (
        _starts("adapter.body.", "body.0.", "adapter.conv_in", "style_embedding", "transformer_layes."),
        "a T2I-Adapter",
        "it belongs into a ControlNet loader and into models/controlnet",
    ),
    (
        _contains("_lora.", "lora_up", "lora_down", "lora_A", "lora_B", "hada_w", "lokr_", ".alpha"),
        "a LoRA",
        "it belongs into a LoRA loader and into models/loras",
    ),
    (
        _contains("motion_modules", "temporal_transformer"),
        "a motion module of AnimateDiff",
        "it belongs into models/animatediff_models",
    ),
    (
        _starts("vision_model.", "visual.", "visual_projection"),
        "a CLIP vision encoder",
        "it belongs into a CLIP Vision loader and into models/clip_vision",
    ),
    (
        _starts("text_model.", "transformer.text_model", "encoder.block.0.layer", "shared.weight"),
        "a text encoder",
        "it belongs into a CLIP loader and into models/text_encoders",
    ),
    (
        _starts("down_blocks.", "input_blocks.", "diffusion_model.", "transformer_blocks.", "conv_in.", "blocks.0."),
        "a diffusion model",
        "it belongs into a diffusion model loader and into models/diffusion_models",
    ),
    (
        _starts("encoder.conv_in", "decoder.", "encoder.down"),
        "a VAE",
        "it belongs into a VAE loader and into models/vae",
    ),
    (
        _starts("emb_params", "string_to_param", "clip_l", "clip_g"),
        "a text embedding",
        "it belongs into models/embeddings",
    ),
)


def name_file_kind(state: State) -> tuple[str, str] | None:
    """``("a LoRA", "it belongs into …")`` for a file that is something else than an IP-Adapter, as far as that can be told."""
    return next(((kind, advice) for fits, kind, advice in FOREIGN_KINDS if fits(state)), None)
