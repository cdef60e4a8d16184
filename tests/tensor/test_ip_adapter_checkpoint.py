"""Adapter files: the published kinds are recognized by their shapes, and everything else is told in a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
from custom_nodes.videogen.tensor.ip_adapter.checkpoint import recognize
from runner.bench.models.random_weights.adapters import lay_out_full_face, lay_out_plain, lay_out_plus
from runner.bench.models.random_weights.layout import Layout, draw_weights

#: Input blocks 1, 2, 4, 5, 7, 8, output blocks 3 to 11, the middle block.
SD15_WIDTHS = (320, 320, 640, 640, 1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320, 1280)
#: Two or ten transformer layers in each of the input blocks 4, 5, 7, 8, the output blocks 0 to 5, and the middle block.
SDXL_WIDTHS = (640,) * 4 + (1280,) * 20 + (1280,) * 30 + (640,) * 6 + (1280,) * 10
H, BIG_G, L = "CLIP ViT-H/14", "CLIP ViT-bigG/14", "CLIP ViT-L/14"
EMBEDS, HIDDEN = "image_embeds", "penultimate_hidden_states"

#: Published file → (its layout, family, projection, tokens, source, width, encoder).
PUBLISHED = {
    "ip-adapter_sd15": (lay_out_plain(SD15_WIDTHS, 768), "SD 1.5", "plain", 4, EMBEDS, 1024, H),
    "ip-adapter_sd15_light": (lay_out_plain(SD15_WIDTHS, 768), "SD 1.5", "plain", 4, EMBEDS, 1024, H),
    "ip-adapter_sd15_vit-G": (
        lay_out_plain(SD15_WIDTHS, 768, embed_width=1280),
        "SD 1.5",
        "plain",
        4,
        EMBEDS,
        1280,
        BIG_G,
    ),
    "ip-adapter-plus_sd15": (lay_out_plus(SD15_WIDTHS, 768), "SD 1.5", "plus", 16, HIDDEN, 1280, H),
    "ip-adapter-plus-face_sd15": (lay_out_plus(SD15_WIDTHS, 768), "SD 1.5", "plus", 16, HIDDEN, 1280, H),
    "ip-adapter-full-face_sd15": (lay_out_full_face(SD15_WIDTHS, 768), "SD 1.5", "full-face", 257, HIDDEN, 1280, H),
    "ip-adapter_sdxl": (lay_out_plain(SDXL_WIDTHS, 2048, embed_width=1280), "SDXL", "plain", 4, EMBEDS, 1280, BIG_G),
    "ip-adapter_sdxl_vit-h": (lay_out_plain(SDXL_WIDTHS, 2048), "SDXL", "plain", 4, EMBEDS, 1024, H),
    "ip-adapter-plus_sdxl_vit-h": (
        lay_out_plus(SDXL_WIDTHS, 2048, width=1280, heads=20),
        "SDXL",
        "plus",
        16,
        HIDDEN,
        1280,
        H,
    ),
    "ip-adapter-plus-face_sdxl_vit-h": (
        lay_out_plus(SDXL_WIDTHS, 2048, width=1280, heads=20),
        "SDXL",
        "plus",
        16,
        HIDDEN,
        1280,
        H,
    ),
}

State = dict[str, Tensor]


def shapes_of(layout: Layout) -> State:
    """A file's tensors without their numbers."""
    return {key: torch.empty(draw.shape, device="meta") for key, draw in layout.items()}


def tiny(kind: str = "plain") -> State:
    layout = {
        "plain": lambda: lay_out_plain((8, 16, 8), 12, embed_width=10),
        "plus": lambda: lay_out_plus((8, 16, 8), 12, embed_width=10, tokens=3, width=6, heads=1),
        "full-face": lambda: lay_out_full_face((8, 16, 8), 12, embed_width=10),
    }[kind]()
    return draw_weights(layout)


def refused(call: Callable[[], object], code: str) -> str:
    with pytest.raises(VideoGenError) as caught:
        call()
    assert caught.value.code == code
    assert "Traceback" not in str(caught.value)
    assert "\n" not in caught.value.message
    return str(caught.value)


# ------------------------------------------------------------------ what there is


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_recognized_by_their_shapes(name: str) -> None:
    layout, family, projection, tokens, source, width, encoder = PUBLISHED[name]
    info = recognize(shapes_of(layout), "a file of any name")
    assert (info.family, info.projection, info.tokens) == (family, projection, tokens)
    assert (info.embed_source, info.embed_width, info.encoder) == (source, width, encoder)
    assert info.context_width == (768 if family == "SD 1.5" else 2048)
    assert info.layer_widths == (SD15_WIDTHS if family == "SD 1.5" else SDXL_WIDTHS)
    assert info.layer_numbers == tuple(range(1, 2 * len(info.layer_widths), 2))


def test_other_encoders_are_named_too() -> None:
    assert recognize(shapes_of(lay_out_plain(SD15_WIDTHS, 768, embed_width=768)), "x").encoder == L
    assert recognize(shapes_of(lay_out_plus(SD15_WIDTHS, 768, embed_width=1664)), "x").encoder == BIG_G
    assert recognize(shapes_of(lay_out_plain(SD15_WIDTHS, 1024)), "x").family == "SD 2"


def test_other_spellings_of_the_same_tensors() -> None:
    """diffusers' modules (to_k and to_v apart) and what the authors' training script saves."""
    from custom_nodes.videogen.tensor.ip_adapter.checkpoint import published_names

    state = tiny("plus")
    spelled: State = {}
    for key, tensor in state.items():
        name = re.sub(r"(layers\.\d)\.0\.norm1", r"\1.ln0", key)
        name = re.sub(r"(layers\.\d)\.0\.norm2", r"\1.ln1", name)
        name = re.sub(r"(layers\.\d)\.0\.to_out", r"\1.attn.to_out.0", name)
        name = re.sub(r"(layers\.\d)\.0\.to_q", r"\1.attn.to_q", name)
        name = re.sub(r"(layers\.\d)\.1\.0", r"\1.ff.0", name)
        name = re.sub(r"(layers\.\d)\.1\.1", r"\1.ff.1.net.0.proj", name)
        name = re.sub(r"(layers\.\d)\.1\.3", r"\1.ff.1.net.2", name)
        if name.endswith("to_kv.weight"):
            keys, values = tensor.chunk(2)
            spelled[re.sub(r"0\.to_kv", "attn.to_k", name)] = keys
            spelled[re.sub(r"0\.to_kv", "attn.to_v", name)] = values
        else:
            spelled[name.replace("image_proj.", "image_proj_model.").replace("ip_adapter.", "adapter_modules.")] = (
                tensor
            )
    assert any(".attn.to_k." in key for key in spelled)
    found = published_names(spelled)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


# ------------------------------------------------------------------ what is something else


def only(*keys: str) -> State:
    return {key: torch.empty(4, 4, device="meta") for key in keys}


def face_id() -> State:
    return {
        "image_proj.proj.0.weight": torch.empty(1024, 512),
        "image_proj.proj.2.weight": torch.empty(3072, 1024),
        "image_proj.norm.weight": torch.empty(768),
        **layers(),
    }


def layers(context: int = 768) -> State:
    return {f"ip_adapter.{n}.to_{part}_ip.weight": torch.empty(8, context) for n in (1, 3) for part in "kv"}


def resampler(**changes: tuple[int, ...]) -> State:
    """A plus adapter with some of its tensors in other shapes."""
    state = shapes_of(lay_out_plus((8, 8), 2048, width=1280, heads=20))
    return state | {f"image_proj.{key.replace('__', '.')}": torch.empty(shape) for key, shape in changes.items()}


#: File picked by mistake → (its tensors, words of the message).
FOREIGN: dict[str, tuple[Mapping[str, Tensor], str]] = {
    "FaceID": (face_id(), "FaceID.*insightface"),
    "FaceID with LoRA": (
        {**face_id(), "ip_adapter.0.to_q_lora.down.weight": torch.empty(128, 320)},
        "FaceID.*insightface",
    ),
    "FaceID plus": (
        {"image_proj.perceiver_resampler.proj_in.weight": torch.empty(768, 1280), **layers()},
        "FaceID Plus.*insightface",
    ),
    "InstantID": (resampler(proj_in__weight=(1280, 512)), "InstantID.*insightface"),
    "Kolors": (resampler(latents=(1, 16, 2048)), "Kolors"),
    "Flux, XLabs": (only("double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight"), "Flux"),
    "Flux, InstantX": (
        {
            "image_proj.proj.0.weight": torch.empty(2304, 1152),
            "image_proj.proj.2.weight": torch.empty(9, 2304),
            "image_proj.norm.weight": torch.empty(4096),
            "ip_adapter.0.to_k_ip.weight": torch.empty(3072, 4096),
        },
        "Flux",
    ),
    "SD 3.5": (only("image_proj.time_embedding.linear_1.weight", "ip_adapter.0.norm_ip_k.weight"), r"SD 3\.5"),
    "PuLID": (only("id_adapter.mapping_0.0.weight"), "PuLID"),
    "checkpoint": (only("model.diffusion_model.input_blocks.0.0.weight", "first_stage_model.x"), "models/checkpoints"),
    "LoRA": (only("lora_unet_down_blocks_0.lora_up.weight"), "models/loras"),
    "LoRA of diffusers": (only("unet.down_blocks.0.attentions.0.to_q_lora.down.weight"), "models/loras"),
    "ControlNet": (only("control_model.input_hint_block.0.weight"), "models/controlnet"),
    "ControlNet of diffusers": (
        only("controlnet_cond_embedding.conv_in.weight", "down_blocks.0.x"),
        "models/controlnet",
    ),
    "T2I-Adapter": (only("body.0.block1.weight"), "T2I"),
    "CLIP vision": (only("vision_model.embeddings.class_embedding"), "models/clip_vision"),
    "text encoder": (only("text_model.embeddings.position_embedding.weight"), "text encoder"),
    "UNet": (
        only("down_blocks.0.attentions.0.norm.weight", "time_embedding.linear_1.weight"),
        "models/diffusion_models",
    ),
    "VAE": (only("decoder.conv_in.weight", "encoder.conv_in.weight"), "models/vae"),
    "motion module": (only("down_blocks.0.motion_modules.0.temporal_transformer.norm.weight"), "AnimateDiff"),
    "embedding": (only("emb_params"), "models/embeddings"),
    "anything": (only("something.weight"), "neither `image_proj` nor `ip_adapter`"),
    "nothing": ({}, "neither `image_proj` nor `ip_adapter`"),
    "projection only": (only("image_proj.proj.weight"), "`image_proj` but no `ip_adapter`"),
    "layers only": (layers(), "`ip_adapter` but no `image_proj`"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_another_kind_of_file_is_named(what: str) -> None:
    state, expected = FOREIGN[what]
    sentence = refused(lambda: recognize(state, "file.bin"), "adapter-invalid")
    assert sentence.startswith("file.bin is ")
    assert re.search(expected, sentence)


def without(state: State, *keys: str) -> State:
    return {key: tensor for key, tensor in state.items() if key not in keys}


#: What is wrong with a tiny adapter → (the adapter, what the sentence must say).
ODD: dict[str, tuple[Callable[[], State], str]] = {
    "a layer is missing": (
        lambda: without(tiny(), "ip_adapter.3.to_k_ip.weight", "ip_adapter.3.to_v_ip.weight"),
        "numbered 1, 5",
    ),
    "a value is missing": (lambda: without(tiny(), "ip_adapter.3.to_v_ip.weight"), "layer 3 has only one"),
    "keys and values differ": (
        lambda: {**tiny(), "ip_adapter.1.to_v_ip.weight": torch.zeros(8, 11)},
        r"\(8, 12\).*\(8, 11\)",
    ),
    "layers differ": (
        lambda: {
            **tiny(),
            "ip_adapter.1.to_v_ip.weight": torch.zeros(8, 11),
            "ip_adapter.1.to_k_ip.weight": torch.zeros(8, 11),
        },
        r"different widths: \[11, 12\]",
    ),
    "odd number of values": (
        lambda: {**tiny(), "image_proj.proj.weight": torch.zeros(50, 10)},
        "50 values.*multiple of .*12",
    ),
    "unknown projection": (lambda: without(tiny(), "image_proj.proj.weight"), "none of the published kinds"),
    "a projection's bias is missing": (lambda: without(tiny(), "image_proj.proj.bias"), "proj.bias"),
    "heads": (
        lambda: {**tiny("plus"), "image_proj.layers.0.0.to_q.weight": torch.zeros(60, 6)},
        "60 wide.*multiple of 64",
    ),
    "proj_out": (
        lambda: {**tiny("plus"), "image_proj.proj_out.weight": torch.zeros(13, 6)},
        r"proj_out.*\(13, 6\).*\(12, 6\)",
    ),
    "proj_in": (
        lambda: {**tiny("plus"), "image_proj.proj_in.weight": torch.zeros(7, 10)},
        r"proj_in.*\(7, 10\).*\(6, 10\)",
    ),
    "no proj_in": (lambda: without(tiny("plus"), "image_proj.proj_in.weight"), "proj_in.weight is missing"),
    "no feed forward": (lambda: without(tiny("plus"), "image_proj.layers.1.1.1.weight"), "layers.1.1.1.weight"),
    "full-face": (
        lambda: {**tiny("full-face"), "image_proj.proj.2.weight": torch.zeros(13, 10)},
        r"\(13, 10\).*\(12, 10\)",
    ),
    "NaN": (
        lambda: {**tiny(), "ip_adapter.3.to_v_ip.weight": torch.full((16, 12), torch.nan)},
        "NaN.*ip_adapter.3.to_v_ip",
    ),
    "infinite": (
        lambda: {**tiny(), "image_proj.norm.bias": torch.full((12,), torch.inf)},
        "infinite.*image_proj.norm.bias",
    ),
}


@pytest.mark.parametrize("what", ODD)
def test_an_adapter_that_cannot_be_used_says_why(what: str) -> None:
    state, expected = ODD[what]
    assert re.search(expected, refused(lambda: IPAdapter.from_state(state(), "mine.bin"), "adapter-invalid"))
