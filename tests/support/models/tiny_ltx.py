"""LTX-2.5 with random weights: files that ComfyUI's own loaders take, under the names that official templates have for them.

Sizes are in the metadata of the files, as in the published ones, those of the text encoders in `tiny_models_node.ltx`. Run it in
a process of its own: ``python -m tests.support.models.tiny_ltx MODELS``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.support.models.module_weights import draw_module, enter_process, write_weights

VIDEO_WIDTH, AUDIO_WIDTH, HEADS = 64, 32, 2
MODELS = {
    "transformer": "ltx-2.5-22b-distilled-transformer-comfy-int8-convrot.safetensors",
    "video vae": "ltx-2.5-video-vae-bf16.safetensors",
    "audio vae": "ltx-2.5-audio-vae-bf16.safetensors",
    "text": "gemma4-12b-with-proj-ltx-2.5-comfy-int8-convrot.safetensors",
    "prompt writer": "gemma4_e2b_it_int8_convrot.safetensors",
    "upsampler": "ltx-2.5-latent-spatial-upscaler-x2-bf16-1.0.safetensors",
}
TRANSFORMER = {
    "num_layers": 2,
    "num_attention_heads": HEADS,
    "attention_head_dim": VIDEO_WIDTH // HEADS,
    "audio_num_attention_heads": HEADS,
    "audio_attention_head_dim": AUDIO_WIDTH // HEADS,
    "cross_attention_dim": VIDEO_WIDTH,
    "audio_cross_attention_dim": AUDIO_WIDTH,
    "caption_channels": VIDEO_WIDTH,
    # The text encoder's file has the projection.
    "caption_proj_before_connector": True,
    "caption_projection_first_linear": False,
    "cross_attention_adaln": True,
    "apply_gated_attention": True,
    "connector_apply_gated_attention": True,
    "connector_num_layers": 1,
    "connector_num_attention_heads": HEADS,
    "connector_attention_head_dim": VIDEO_WIDTH // HEADS,
    "audio_connector_num_attention_heads": HEADS,
    "audio_connector_attention_head_dim": AUDIO_WIDTH // HEADS,
    "rope_type": "split",
    "frequencies_precision": "float64",
}
#: Convolutions that encode, and a decoder that attends to neighbors and denoises once, as ComfyUI's `LTX_24_VAE_CONFIG`.
VIDEO_VAE = {
    "_class_name": "CausalDiffusionVAE",
    "model_output_type": "x0",
    "encoder": {
        "base_channels": 8,
        "blocks": [
            ["res_x", {"num_layers": 1}],
            ["compress_space_res", {"multiplier": 2}],
            ["res_x", {"num_layers": 1}],
            ["compress_time_res", {"multiplier": 2}],
            ["compress_all_res", {"multiplier": 2}],
            ["compress_all_res", {"multiplier": 1}],
            ["res_x", {"num_layers": 1}],
        ],
    },
    "decoder": {
        "head_dim": 16,
        "stage_channels": [128, 64, 32, 32, 16],
        "stage_depths": [1, 1, 1, 1, 1],
        "stage_kernels": [[3, 3, 3]] * 5,
        "stage5_kernel": [3, 3, 3],
        "t_emb_dim": 32,
    },
}
_MEL = {"mel_bins": 64, "z_channels": 8, "double_z": True, "resolution": 256, "in_channels": 2, "out_ch": 2}
_BLOCKS: dict[str, Any] = {
    "resblock": "AMP1",
    "activation": "snakebeta",
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3, 5]],
    "stereo": True,
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
}
#: 16 kHz out of a spectrogram, and out of those 48 kHz.
AUDIO_VAE = {
    "audio_vae": {
        "model": {
            "params": {
                "sampling_rate": 16000,
                "ddconfig": {
                    **_MEL,
                    "ch": 8,
                    "ch_mult": [1, 2, 4],
                    "num_res_blocks": 1,
                    "attn_resolutions": [],
                    "mid_block_add_attention": False,
                    "norm_type": "pixel",
                    "causality_axis": "height",
                },
            }
        },
        "preprocessing": {"stft": {"filter_length": 1024, "hop_length": 160}},
    },
    "vocoder": {
        "vocoder": {
            **_BLOCKS,
            "upsample_initial_channel": 64,
            "upsample_rates": [5, 2, 2, 2, 2, 2],
            "upsample_kernel_sizes": [11, 4, 4, 4, 4, 4],
        },
        "bwe": {
            **_BLOCKS,
            "upsample_initial_channel": 64,
            "upsample_rates": [6, 5, 2, 2, 2],
            "upsample_kernel_sizes": [12, 11, 4, 4, 4],
            "input_sampling_rate": 16000,
            "output_sampling_rate": 48000,
            "hop_length": 80,
            "n_fft": 512,
            "num_mels": 64,
        },
    },
}
UPSAMPLER = {
    "_class_name": "LatentUpsampler",
    "in_channels": 128,
    "mid_channels": 32,
    "num_blocks_per_stage": 1,
    "dims": 3,
}
#: What ComfyUI recognizes the sizes of Gemma 4 by: a layer that only the larger one has, and the last one of the smaller.
TEXT_SIGNS = {
    "text": "model.layers.47.self_attn.q_norm.weight",
    "prompt writer": "model.layers.34.self_attn.q_norm.weight",
}


def make_transformer() -> torch.nn.Module:
    import comfy.ldm.lightricks.av_model
    import comfy.ops

    return comfy.ldm.lightricks.av_model.LTXAVModel(
        **TRANSFORMER, use_keyframes_abs_pos_embedding=True, operations=comfy.ops.disable_weight_init
    )


def make_tokenizer(vocabulary: int) -> torch.Tensor:
    """A tokenizer of single bytes, as the bytes that the files carry."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    signs = [
        "<pad>",
        "<eos>",
        "<bos>",
        "<unk>",
        "<|image>",
        "<image|>",
        "<|turn>",
        "<turn|>",
        "<|channel>",
        "<channel|>",
    ]
    words = [*signs, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    assert len(words) <= vocabulary
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(signs)
    described = json.loads(tokenizer.to_str())
    # ComfyUI knows the place of an image in the text by this number.
    described["added_tokens"].append({**described["added_tokens"][0], "id": 258880, "content": "<|image|>"})
    return torch.frombuffer(bytearray(json.dumps(described).encode()), dtype=torch.uint8).clone()


def draw_text_encoder(kind: str) -> dict[str, torch.Tensor]:
    """Gemma 4: the larger one with projections for the two streams, or the smaller one that writes prompts."""
    import comfy.ops
    import comfy.text_encoders.gemma4 as gemma4

    from tests.support.models.tiny_models_node.ltx import VOCABULARY

    operations: Any = comfy.ops.disable_weight_init
    model = {"text": gemma4.Gemma4_12B, "prompt writer": gemma4.Gemma4_E2B}[kind]({}, torch.float32, "cpu", operations)
    weights = draw_module(model)
    weights |= {TEXT_SIGNS[kind]: torch.zeros(1), "tokenizer_json": make_tokenizer(VOCABULARY)}
    if kind == "text":
        config = model.model.config
        inputs = config.hidden_size * (config.num_hidden_layers + 1)
        projection = torch.nn.ModuleDict(
            {
                "video_aggregate_embed": torch.nn.Linear(inputs, VIDEO_WIDTH),
                "audio_aggregate_embed": torch.nn.Linear(inputs, AUDIO_WIDTH),
            }
        )
        weights |= draw_module(projection, prefix="text_embedding_projection.")
    return weights


def write_models(models: Path) -> None:
    """Write all files of LTX-2.5 into a server's folder ``models``."""

    import comfy.ldm.lightricks.latent_upsampler
    import comfy.ldm.lightricks.vae.audio_vae
    import comfy.ldm.lightricks.vae.na_diffusion_decoder
    import comfy.ops

    def write(folder: str, kind: str, weights: dict[str, torch.Tensor], config: dict[str, Any] | None = None) -> None:
        write_weights(models / folder / MODELS[kind], weights, config, dtype=torch.bfloat16)

    write("diffusion_models", "transformer", draw_module(make_transformer()), {"transformer": TRANSFORMER})
    video = comfy.ldm.lightricks.vae.na_diffusion_decoder.CausalDiffusionVAE(VIDEO_VAE)
    write("vae", "video vae", draw_module(video), {"vae": VIDEO_VAE})
    audio = draw_module(comfy.ldm.lightricks.vae.audio_vae.AudioVAE({"config": AUDIO_VAE}))
    audio = {name.replace("autoencoder.", "audio_vae.", 1): tensor for name, tensor in audio.items()}
    write("vae", "audio vae", audio, AUDIO_VAE)
    upsampler = comfy.ldm.lightricks.latent_upsampler.LatentUpsampler.from_config(
        UPSAMPLER, operations=comfy.ops.disable_weight_init
    )
    write("latent_upscale_models", "upsampler", draw_module(upsampler), UPSAMPLER)
    for kind in TEXT_SIGNS:
        write("text_encoders", kind, draw_text_encoder(kind))


if __name__ == "__main__":
    write_models(enter_process())
