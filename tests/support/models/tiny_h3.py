"""MiniMax H3 with random weights: files that ComfyUI's own loaders take, under the names that official templates have for them.

Sizes that ComfyUI reads off the diffusion model are given here, all others by `tiny_models_node.h3`. Run it in a process of its
own: ``python -m tests.support.models.tiny_h3 MODELS``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.support.models.module_weights import draw_module, enter_process, write_lora, write_weights

WIDTH, FEED_FORWARD, HEAD = 64, 32, 32
MODELS = {
    "fl2va": "minimax_h3_fl2va_pruned_int8_convrot.safetensors",
    "ref2va": "minimax_h3_ref2va_pruned_int8_convrot.safetensors",
    "video vae": "minimax_h3_video_vae_int8_convrot.safetensors",
    "audio vae": "minimax_h3_audio_vae_fp32.safetensors",
    "text": "qwen3vl_32b_minimax_h3_nvfp4_awq.safetensors",
}
LORAS = (
    "minimax_h3_fl2v_turbo_8step_v1.0_comfyui_bf16.safetensors",
    "minimax_h3_ref2v_turbo_4step_v0.1_comfyui_bf16.safetensors",
)
#: The two forms in which the published files have the time: as a table of its curve (those called pruned), and as a network.
TIME_FORMS: dict[str, dict[str, int]] = {
    "fl2va": {"adaln_curve_grid": 9, "time_embed_dim": 8},
    "ref2va": {"timestep_input_dim": 16, "time_embed_hidden_size": 16, "time_embed_dim": 8},
}
#: ComfyUI recognizes the text encoder by its last layer.
TEXT_SIGN = "model.layers.49.self_attn.q_proj.weight"


def make_diffusion_model(kind: str, text_width: int) -> torch.nn.Module:
    """A model for text and frames, or for references: both have one architecture."""
    import comfy.ldm.minimax.model
    import comfy.ops

    return comfy.ldm.minimax.model.MiniMaxH3Model(
        hidden_size=WIDTH,
        num_layers=2,
        token_refiner_num_layers=1,
        num_attention_heads=2,
        attention_head_dim=HEAD,
        ffn_hidden_size=FEED_FORWARD,
        text_dim=text_width,
        rope_inv_freq_len=4,
        operations=comfy.ops.disable_weight_init,
        **TIME_FORMS[kind],
    )


def make_text_encoder() -> torch.nn.Module:
    import comfy.ops
    import comfy.text_encoders.minimax

    operations: Any = comfy.ops.disable_weight_init
    return comfy.text_encoders.minimax.MiniMaxQwen3VL({}, torch.float32, "cpu", operations)


def write_models(models: Path) -> None:
    """Write all files of MiniMax H3 into a server's folder ``models``."""
    import comfy.ldm.minimax.audio_vae
    import comfy.ldm.minimax.vae

    from tests.support.models.tiny_models_node.h3 import TEXT_WIDTH

    for kind in TIME_FORMS:
        weights = draw_module(make_diffusion_model(kind, TEXT_WIDTH), prefix=f"{kind}/")
        weights = {name.removeprefix(f"{kind}/"): tensor for name, tensor in weights.items()}
        weights["rope.inv_freq"] = 10000.0 ** -(torch.arange(4) / 4)
        write_weights(models / "diffusion_models" / MODELS[kind], weights, dtype=torch.bfloat16)
    for kind, vae in (
        ("video vae", comfy.ldm.minimax.vae.MiniMaxH3VideoVAE()),
        ("audio vae", comfy.ldm.minimax.audio_vae.MiniMaxH3AudioVAE()),
    ):
        write_weights(models / "vae" / MODELS[kind], draw_module(vae), dtype=torch.float32)
    text = draw_module(make_text_encoder())
    write_weights(models / "text_encoders" / MODELS["text"], {**text, TEXT_SIGN: torch.zeros(1)}, dtype=torch.bfloat16)
    for name in LORAS:
        write_lora(models / "loras" / name, {"blocks.0.attn.out_proj": (WIDTH, WIDTH)})


if __name__ == "__main__":
    write_models(enter_process())
