"""What is needed from ComfyUI: each thing is really tried out, and a core that lacks it is told in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.clip_vision
import comfy.ldm.modules.attention
import comfy.patcher_extension
from comfy.ldm.modules.attention import BasicTransformerBlock
from comfy.model_patcher import ModelPatcher

from custom_nodes.videogen.comfyui import core_features
from custom_nodes.videogen.core.errors import VideoGenError

Patch = pytest.MonkeyPatch


def ignore_patches(self: Any, x: Any, context: Any = None, transformer_options: Any = None) -> Any:
    return x


def call_without_heads(self: Any, x: Any, context: Any = None, transformer_options: Any = None) -> Any:
    patch = transformer_options["patches_replace"]["attn2"]["middle", 0, 0]
    return patch(x, x, x, {})


def attend_without_options(q: Any, k: Any, v: Any, heads: int, attn_precision: Any = None) -> Any:
    return q


#: What another ComfyUI could be like → words of the sentence then.
OTHER_CORES: dict[str, tuple[Callable[[Patch], None], str]] = {
    "blocks without patches": (lambda m: m.setattr(BasicTransformerBlock, "forward", ignore_patches), "attn2 replace"),
    "patches without heads": (
        lambda m: m.setattr(BasicTransformerBlock, "forward", call_without_heads),
        "attn2 replace",
    ),
    "no such blocks": (lambda m: m.delattr(comfy.ldm.modules.attention, "BasicTransformerBlock"), "attn2 replace"),
    "attention of before": (
        lambda m: m.setattr(comfy.ldm.modules.attention, "optimized_attention", attend_without_options),
        "attention that",
    ),
    "no replace": (lambda m: m.delattr(ModelPatcher, "set_model_attn2_replace"), "models that can be patched"),
    "no wrappers": (lambda m: m.delattr(ModelPatcher, "add_wrapper_with_key"), "callbacks of a model"),
    "no wrapper of a step": (
        lambda m: m.delattr(comfy.patcher_extension.WrappersMP, "PREDICT_NOISE"),
        "callbacks of a sampling",
    ),
    "no encoder": (lambda m: m.delattr(comfy.clip_vision.ClipVisionModel, "encode_image"), "CLIP vision encoders"),
}


@pytest.fixture
def fresh(monkeypatch: Patch) -> Any:
    core_features._missing_once.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    core_features._missing_once.cache_clear()


def test_this_comfyui_has_everything(fresh: Patch) -> None:
    assert core_features.missing_features() == []
    core_features.require_core()


@pytest.mark.parametrize("other", OTHER_CORES)
def test_another_core_is_told_in_one_sentence(fresh: Patch, other: str) -> None:
    change, words = OTHER_CORES[other]
    change(fresh)
    with pytest.raises(VideoGenError) as caught:
        core_features.require_core()
    assert caught.value.code == "core-unsupported"
    assert words in caught.value.message
    assert core_features.core_version() in caught.value.message
    assert core_features.TESTED_VERSION in caught.value.message
    assert "\n" not in caught.value.message


def test_it_is_tried_out_once(fresh: Patch) -> None:
    tries: list[str] = []
    needed = {name: lambda name=name: bool(tries.append(name)) or True for name in core_features.NEEDED}
    fresh.setattr(core_features, "NEEDED", needed)
    for _ in range(3):
        core_features.require_core()
    assert tries == list(needed)


def test_a_core_without_a_version(fresh: Patch) -> None:
    fresh.setitem(__import__("sys").modules, "comfyui_version", None)
    assert core_features.core_version() == "of unknown version"
