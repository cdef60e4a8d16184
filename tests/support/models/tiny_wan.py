"""Random weights of Wan's models, in the names of the published files and with few channels, for the loaders of ComfyUI's core.

ComfyUI reads most sizes off the files. The two that it does not read are changed by the node pack `tiny_models_node`, in a
server of the tests only: the text encoder's and the image encoder's number of layers.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import save_file

from runner.bench.models.random_weights.layout import Layout, draw_weights

#: ComfyUI takes the number of heads for width / 128.
WIDTH, FEED_FORWARD, LAYERS = 128, 256, 2
#: Widths that ComfyUI expects of the encoders.
TEXT_WIDTH, IMAGE_WIDTH = 4096, 1280
#: Of the tiny text encoder; the node pack has the same.
VOCABULARY = 320
NODE_PACK = Path(__file__).with_name("tiny_models_node")


def lay_out_wan(*, channels: int = 16, images: bool = False, two_images: bool = False, vace: bool = False) -> Layout:
    """A diffusion model.

    Args:
        channels: of what goes in: 16, or 36 with a mask and a first frame.
        images: it takes embeddings of CLIP vision, as image-to-video models of Wan 2.1 do.
        two_images: these are those of a first and a last frame.
        vace: it has blocks for known frames.
    """
    layout = Layout()
    layout.conv_of("patch_embedding", WIDTH, channels, 1, 2, 2)
    layout.linear("text_embedding.0", WIDTH, TEXT_WIDTH)
    layout.linear("text_embedding.2", WIDTH, WIDTH)
    layout.linear("time_embedding.0", WIDTH, 256)
    layout.linear("time_embedding.2", WIDTH, WIDTH)
    layout.linear("time_projection.1", 6 * WIDTH, WIDTH)
    for number in range(LAYERS):
        layout.add(f"blocks.{number}.", _lay_out_block(images))
    layout.embedding("head.modulation", 1, 2, WIDTH)
    layout.linear("head.head", 16 * 4, WIDTH)
    if images:
        layout.norm("img_emb.proj.0", IMAGE_WIDTH)
        layout.linear("img_emb.proj.1", IMAGE_WIDTH, IMAGE_WIDTH)
        layout.linear("img_emb.proj.3", WIDTH, IMAGE_WIDTH)
        layout.norm("img_emb.proj.4", WIDTH)
    if two_images:
        layout.embedding("img_emb.emb_pos", 1, 514, IMAGE_WIDTH)
    if vace:
        layout.conv_of("vace_patch_embedding", WIDTH, 96, 1, 2, 2)
        layout.add("vace_blocks.0.", _lay_out_block(False))
        layout.linear("vace_blocks.0.before_proj", WIDTH, WIDTH)
        layout.linear("vace_blocks.0.after_proj", WIDTH, WIDTH)
    return layout


def _lay_out_block(images: bool) -> Layout:
    layout = Layout()
    layout.embedding("modulation", 1, 6, WIDTH)
    for attention in ("self_attn", "cross_attn"):
        for name in "qkvo":
            layout.linear(f"{attention}.{name}", WIDTH, WIDTH)
        layout.scale(f"{attention}.norm_q.weight", WIDTH)
        layout.scale(f"{attention}.norm_k.weight", WIDTH)
    if images:
        layout.linear("cross_attn.k_img", WIDTH, WIDTH)
        layout.linear("cross_attn.v_img", WIDTH, WIDTH)
        layout.scale("cross_attn.norm_k_img.weight", WIDTH)
    layout.norm("norm3", WIDTH)
    layout.linear("ffn.0", FEED_FORWARD, WIDTH)
    layout.linear("ffn.2", WIDTH, FEED_FORWARD)
    return layout


# ------------------------------------------------------------------ VAE

_MULTIPLES, _BLOCKS = (1, 2, 4, 4), 2
#: Which steps of the encoder halve the time.
_HALVES_TIME = (False, True, True)
_LATENT = 16


def lay_out_vae(width: int = 8) -> Layout:
    """The VAE of Wan 2.1. ComfyUI reads its width off ``decoder.head.0.gamma``; the published one has 96."""
    layout = Layout()
    widths = [width * multiple for multiple in (1, *_MULTIPLES)]
    layout.conv_of("encoder.conv1", widths[0], 3, 3, 3, 3)
    place = 0
    for step, (before, after) in enumerate(itertools.pairwise(widths)):
        for block in range(_BLOCKS):
            _add_residual(layout, f"encoder.downsamples.{place}", after if block else before, after)
            place += 1
        if step < len(_MULTIPLES) - 1:
            layout.conv_of(f"encoder.downsamples.{place}.resample.1", after, after, 3, 3)
            if _HALVES_TIME[step]:
                layout.conv_of(f"encoder.downsamples.{place}.time_conv", after, after, 3, 1, 1)
            place += 1
    _add_middle(layout, "encoder.middle", widths[-1])
    layout.scale("encoder.head.0.gamma", widths[-1], 1, 1, 1)
    layout.conv_of("encoder.head.2", 2 * _LATENT, widths[-1], 3, 3, 3)
    layout.conv_of("conv1", 2 * _LATENT, 2 * _LATENT, 1, 1, 1)
    layout.conv_of("conv2", _LATENT, _LATENT, 1, 1, 1)
    widths = [width * multiple for multiple in (_MULTIPLES[-1], *reversed(_MULTIPLES))]
    layout.conv_of("decoder.conv1", widths[0], _LATENT, 3, 3, 3)
    _add_middle(layout, "decoder.middle", widths[0])
    place = 0
    for step, (before, after) in enumerate(itertools.pairwise(widths)):
        given = before // 2 if step else before
        for block in range(_BLOCKS + 1):
            _add_residual(layout, f"decoder.upsamples.{place}", after if block else given, after)
            place += 1
        if step < len(_MULTIPLES) - 1:
            layout.conv_of(f"decoder.upsamples.{place}.resample.1", after // 2, after, 3, 3)
            if _HALVES_TIME[-1 - step]:
                layout.conv_of(f"decoder.upsamples.{place}.time_conv", 2 * after, after, 3, 1, 1)
            place += 1
    layout.scale("decoder.head.0.gamma", widths[-1], 1, 1, 1)
    layout.conv_of("decoder.head.2", 3, widths[-1], 3, 3, 3)
    return layout


def _add_residual(layout: Layout, name: str, inputs: int, outputs: int) -> None:
    layout.scale(f"{name}.residual.0.gamma", inputs, 1, 1, 1)
    layout.conv_of(f"{name}.residual.2", outputs, inputs, 3, 3, 3)
    layout.scale(f"{name}.residual.3.gamma", outputs, 1, 1, 1)
    layout.conv_of(f"{name}.residual.6", outputs, outputs, 3, 3, 3)
    if inputs != outputs:
        layout.conv_of(f"{name}.shortcut", outputs, inputs, 1, 1, 1)


def _add_middle(layout: Layout, name: str, width: int) -> None:
    _add_residual(layout, f"{name}.0", width, width)
    layout.scale(f"{name}.1.norm.gamma", width, 1, 1)
    layout.conv_of(f"{name}.1.to_qkv", 3 * width, width, 1, 1)
    layout.conv_of(f"{name}.1.proj", width, width, 1, 1)
    _add_residual(layout, f"{name}.2", width, width)


# ------------------------------------------------------------------ encoders


def lay_out_text_encoder() -> Layout:
    """UMT5-XXL with one layer of one head."""
    layout = Layout()
    layout.embedding("shared.weight", VOCABULARY, TEXT_WIDTH, deviation=1.0)
    layout.scale("encoder.final_layer_norm.weight", TEXT_WIDTH)
    for name in "qkv":
        layout.linear(f"encoder.block.0.layer.0.SelfAttention.{name}", 8, TEXT_WIDTH, bias=False)
    layout.linear("encoder.block.0.layer.0.SelfAttention.o", TEXT_WIDTH, 8, bias=False)
    layout.embedding("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 32, 1)
    layout.scale("encoder.block.0.layer.0.layer_norm.weight", TEXT_WIDTH)
    layout.scale("encoder.block.0.layer.1.layer_norm.weight", TEXT_WIDTH)
    for name in ("wi_0", "wi_1"):
        layout.linear(f"encoder.block.0.layer.1.DenseReluDense.{name}", 8, TEXT_WIDTH, bias=False)
    layout.linear("encoder.block.0.layer.1.DenseReluDense.wo", TEXT_WIDTH, 8, bias=False)
    return layout


#: The only key that ComfyUI recognizes the text encoder by, and its shape: 0.3.75 looks at the second number, 0.33 at the first.
TEXT_SIGN = ("encoder.block.23.layer.1.DenseReluDense.wi_1.weight", (10240, TEXT_WIDTH))


def lay_out_image_encoder() -> Layout:
    """CLIP ViT-H/14 with two layers."""
    layout, prefix = Layout(), "vision_model"
    layout.embedding(f"{prefix}.embeddings.class_embedding", IMAGE_WIDTH)
    layout.embedding(f"{prefix}.embeddings.patch_embedding.weight", IMAGE_WIDTH, 3, 14, 14)
    layout.embedding(f"{prefix}.embeddings.position_embedding.weight", 257, IMAGE_WIDTH)
    layout.linear("visual_projection", 1024, IMAGE_WIDTH, bias=False)
    for name in ("pre_layrnorm", "post_layernorm"):
        layout.norm(f"{prefix}.{name}", IMAGE_WIDTH)
    for number in range(2):
        block = f"{prefix}.encoder.layers.{number}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            layout.linear(f"{block}.self_attn.{name}", IMAGE_WIDTH, IMAGE_WIDTH)
        layout.norm(f"{block}.layer_norm1", IMAGE_WIDTH)
        layout.norm(f"{block}.layer_norm2", IMAGE_WIDTH)
        layout.linear(f"{block}.mlp.fc1", 64, IMAGE_WIDTH)
        layout.linear(f"{block}.mlp.fc2", IMAGE_WIDTH, 64)
    # ComfyUI tells the encoder's kind by it.
    layout.norm(f"{prefix}.encoder.layers.30.layer_norm1", IMAGE_WIDTH)
    return layout


_WORDS = (
    "the quick brown fox jumps over a lazy dog while children run in green garden under blue sky and robot walks through old"
    " city street at night with rain camera moves slowly to left wide shot of castle red car drives fast along coast summer"
    " winter morning light"
)


def make_tokenizer() -> torch.Tensor:
    """A SentencePiece model as the bytes that the encoder's file carries."""
    import sentencepiece

    words = _WORDS.split()
    lines = [" ".join(words[start % len(words) :][:6]) for start in range(0, 8 * len(words), 3)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=VOCABULARY,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        byte_fallback=True,
        character_coverage=1.0,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return torch.frombuffer(bytearray(model.getvalue()), dtype=torch.uint8).clone()


#: Kind of model → its layout, and its folder below ``models/``.
KINDS: dict[str, tuple[Callable[[], Layout], str]] = {
    "t2v": (lay_out_wan, "diffusion_models"),
    "i2v": (partial(lay_out_wan, channels=36, images=True), "diffusion_models"),
    "flf2v": (partial(lay_out_wan, channels=36, images=True, two_images=True), "diffusion_models"),
    "i2v 2.2": (partial(lay_out_wan, channels=36), "diffusion_models"),
    "vace": (partial(lay_out_wan, vace=True), "diffusion_models"),
    "vae": (lay_out_vae, "vae"),
    "text": (lay_out_text_encoder, "text_encoders"),
    "vision": (lay_out_image_encoder, "clip_vision"),
}


def write_model(models: Path, kind: str, name: str) -> None:
    """Write the file of a kind of model under some name; `models` is a server's folder ``models``."""
    lay_out, folder = KINDS[kind]
    weights = draw_weights(lay_out(), name=name, dtype=torch.float16)
    if kind == "text":
        weights["spiece_model"] = make_tokenizer()
        name_of_sign, shape = TEXT_SIGN
        weights[name_of_sign] = torch.zeros(shape, dtype=torch.float16)
    (models / folder).mkdir(parents=True, exist_ok=True)
    save_file(weights, models / folder / name)


def write_lora(models: Path, name: str) -> None:
    """Write a LoRA that changes the first block a little, and what the model makes of it visibly."""
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for layer, outputs, deviation in (("blocks.0.self_attn.q", WIDTH, 0.02), ("head.head", 16 * 4, 0.2)):
        key = f"diffusion_model.{layer}.lora_{{}}.weight"
        weights[key.format("down")] = torch.randn(4, WIDTH, generator=generator) * deviation
        weights[key.format("up")] = torch.randn(outputs, 4, generator=generator) * deviation
    (models / "loras").mkdir(parents=True, exist_ok=True)
    save_file(weights, models / "loras" / name)
