"""Sizes of LTX-2.5's text encoders. Those of its other models are in the metadata of their files.

ComfyUI has Gemma 4 from 0.30 on; before, the imports fail.
"""

from __future__ import annotations

import comfy.text_encoders.gemma4 as gemma4

from .shrinking import shrink_config

#: Words of the tokenizer that the files carry.
VOCABULARY = 512
_LAYERS = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "global_head_dim": 16,
    "suppress_tokens": [],
}

# Of its two layers one looks at a window, and one at everything, as the published ones take turns.
shrink_config(
    gemma4.Gemma4_12B_Config,
    **_LAYERS,
    sliding_attention=[1024, False],
    vision_config={**gemma4.GEMMA4_UNIFIED_VISION_CONFIG, "mm_embed_dim": 16, "output_proj_dims": 16},
)
shrink_config(
    gemma4.Gemma4_E2B_Config,
    **_LAYERS,
    sliding_attention=[512, False],
    hidden_size_per_layer_input=8,
    num_kv_shared_layers=0,
    vision_config={
        **gemma4.GEMMA4_VISION_CONFIG,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_attention_heads": 1,
        "num_hidden_layers": 1,
        "head_dim": 16,
        "position_embedding_size": 1024,
    },
    audio_config={
        **gemma4.GEMMA4_AUDIO_CONFIG,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 16,
        "output_proj_dims": 16,
    },
)
