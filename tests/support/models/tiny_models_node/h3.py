"""Sizes of MiniMax H3 that ComfyUI does not read off its files. The diffusion model's are read.

ComfyUI has this model from 0.30 on; before, the imports fail.
"""

from __future__ import annotations

import comfy.ldm.minimax.audio_vae
import comfy.ldm.minimax.vae
import comfy.text_encoders.llama
import comfy.text_encoders.qwen3vl

from .shrinking import shrink_config, shrink_module

#: Width of what the text encoder makes; the diffusion model reads it off its file.
TEXT_WIDTH = 16

shrink_config(
    comfy.text_encoders.llama.Qwen3VL_32BConfig,
    hidden_size=TEXT_WIDTH,
    intermediate_size=16,
    num_hidden_layers=2,
    num_attention_heads=1,
    num_key_value_heads=1,
    head_dim=16,
    rope_dims=[4, 2, 2],
)
comfy.text_encoders.qwen3vl.QWEN3VL_VISION["qwen3vl_32b"] = {
    "hidden_size": 64,
    "intermediate_size": 16,
    "depth": 2,
    "deepstack_visual_indexes": [0],
}
# 32 groups are normalized, so no level can be narrower.
shrink_module(comfy.ldm.minimax.vae.MiniMaxH3VideoVAE, ch=32, ch_mult=(1, 1, 1, 1, 1, 1), num_res_blocks=1)
shrink_module(comfy.ldm.minimax.vae.ViT3DDecoder, num_layers=1, heads=1, dim_head=16)
# Each of its seven steps halves the decoder's width.
shrink_module(comfy.ldm.minimax.audio_vae.MiniMaxH3AudioVAE, encoder_dim=2, latent_dim=64, decoder_dim=128)
