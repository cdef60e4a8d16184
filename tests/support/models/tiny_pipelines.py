"""Tiny diffusers pipelines of random weights: real classes, built from their configurations, saved as the hub has them.

Less than a megabyte and half a second each. Nothing is downloaded: the tokenizers are made here too.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

#: Sides of the clips that the models make.
COG_SIZE, SKY_SIZE, PACK_SIZE = 32, 16, 32
#: Frames that the tiny CogVideoX is made for, and the latent window of the tiny FramePack.
COG_FRAMES, PACK_WINDOW = 9, 3
_WORDS = (
    "a",
    "robot",
    "walks",
    "through",
    "the",
    "city",
    "old",
    "tree",
    "in",
    "green",
    "garden",
    "under",
    "blue",
    "sky",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"()-_/"
_MARK = "\u2581"


def save_pipelines(folder: Path, *names: str) -> dict[str, Path]:
    """Build pipelines and save each to ``folder/name``. Returns the folders by name (all of `RECIPES` by default)."""
    saved = {}
    for name in names or RECIPES:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            pipeline = RECIPES[name]()
        pipeline.save_pretrained(folder / name)
        saved[name] = folder / name
    return saved


def save_lora(folder: Path, model: Path, rank: int = 4) -> Path:
    """A LoRA of random weights for the tiny CogVideoX in `model`."""
    import diffusers
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        transformer = diffusers.CogVideoXTransformer3DModel.from_pretrained(model, subfolder="transformer")
        layers = ["to_q", "to_k", "to_v", "to_out.0"]
        transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers, init_lora_weights=False))
    state = get_peft_model_state_dict(transformer)
    diffusers.CogVideoXImageToVideoPipeline.save_lora_weights(folder, state, weight_name="tiny.safetensors")
    return folder / "tiny.safetensors"


def _unigram() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (_MARK, -2.0)]
    vocabulary += [(_MARK + word, -3.0) for word in _WORDS] + [(letter, -6.0) for letter in _LETTERS]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=2))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return tokenizer


def _t5() -> dict[str, Any]:
    from transformers import T5Config, T5EncoderModel, T5TokenizerFast

    config = T5Config(
        vocab_size=1000,
        d_model=32,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
        feed_forward_proj="gated-gelu",
    )
    tokenizer = T5TokenizerFast(
        tokenizer_object=_unigram(),
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_ids=0,
        model_max_length=226,
    )
    return {"text_encoder": T5EncoderModel(config).eval(), "tokenizer": tokenizer}


def _cogvideox() -> Any:
    import diffusers

    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=32,
        num_layers=1,
        sample_width=COG_SIZE // 8,
        sample_height=COG_SIZE // 8,
        sample_frames=COG_FRAMES,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=16,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
    )
    vae = diffusers.AutoencoderKLCogVideoX(
        in_channels=3,
        out_channels=3,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    scheduler = diffusers.CogVideoXDDIMScheduler()
    return diffusers.CogVideoXImageToVideoPipeline(transformer=transformer, vae=vae, scheduler=scheduler, **_t5())


def _skyreels(kind: str, *, image: bool = False) -> Any:
    import diffusers

    transformer = diffusers.SkyReelsV2Transformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36 if image else 16,
        out_channels=16,
        text_dim=32,
        freq_dim=256,
        ffn_dim=32,
        num_layers=2,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        rope_max_seq_len=64,
        image_dim=4 if image else None,
    )
    vae = diffusers.AutoencoderKLWan(
        base_dim=3, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    scheduler = diffusers.UniPCMultistepScheduler(flow_shift=8.0, use_flow_sigmas=True)
    parts = {"transformer": transformer, "vae": vae, "scheduler": scheduler, **_t5()}
    if image:
        from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

        config = CLIPVisionConfig(
            hidden_size=4,
            projection_dim=4,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            intermediate_size=16,
            patch_size=4,
        )
        parts["image_encoder"] = CLIPVisionModelWithProjection(config).eval()
        parts["image_processor"] = CLIPImageProcessor(crop_size=32, size=32)
    return getattr(diffusers, kind)(**parts)


def _clip_tokenizer() -> Any:
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    names = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocabulary.write_text(json.dumps({name: index for index, name in enumerate(names)}), encoding="utf-8")
        merges.write_text("#version: 0.2\n", encoding="utf-8")
        return CLIPTokenizer(str(vocabulary), str(merges), model_max_length=77)


def _framepack() -> Any:
    import diffusers
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        LlamaConfig,
        LlamaModel,
        LlamaTokenizerFast,
        SiglipImageProcessor,
        SiglipVisionConfig,
        SiglipVisionModel,
    )

    llama = LlamaConfig(
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=0,
        hidden_size=16,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=4,
        vocab_size=1000,
    )
    clip = CLIPTextConfig(
        bos_token_id=188,
        eos_token_id=189,
        pad_token_id=189,
        hidden_size=8,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        vocab_size=1000,
        projection_dim=32,
    )
    siglip = SiglipVisionConfig(
        hidden_size=32, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4, image_size=30, patch_size=2
    )
    vae = diffusers.AutoencoderKLHunyuanVideo(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4,
        up_block_types=("HunyuanVideoUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        act_fn="silu",
        norm_num_groups=4,
        scaling_factor=0.476986,
        spatial_compression_ratio=8,
        temporal_compression_ratio=4,
        mid_block_add_attention=True,
    )
    transformer = diffusers.HunyuanVideoFramepackTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=2,
        patch_size_t=1,
        guidance_embeds=True,
        text_embed_dim=16,
        pooled_projection_dim=8,
        rope_axes_dim=(2, 4, 4),
        image_condition_type=None,
        has_image_proj=True,
        image_proj_dim=32,
        has_clean_x_embedder=True,
    )
    return diffusers.HunyuanVideoFramepackPipeline(
        text_encoder=LlamaModel(llama).eval(),
        tokenizer=LlamaTokenizerFast(
            tokenizer_object=_unigram(),
            unk_token="<unk>",
            bos_token="</s>",
            eos_token="</s>",
            pad_token="<pad>",
            add_bos_token=False,
        ),
        text_encoder_2=CLIPTextModel(clip).eval(),
        tokenizer_2=_clip_tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
        feature_extractor=SiglipImageProcessor(size={"height": 30, "width": 30}),
        image_encoder=SiglipVisionModel(siglip).eval(),
        vae=vae,
        transformer=transformer,
    )


#: Name of a folder → how its pipeline is built.
RECIPES: dict[str, Callable[[], Any]] = {
    "cogvideox": _cogvideox,
    "skyreels_forcing": lambda: _skyreels("SkyReelsV2DiffusionForcingPipeline"),
    "skyreels_text": lambda: _skyreels("SkyReelsV2Pipeline"),
    "skyreels_image": lambda: _skyreels("SkyReelsV2ImageToVideoPipeline", image=True),
    "framepack": _framepack,
}
