"""The features of ComfyUI that the IP-Adapter nodes need: checked once, before anything is rendered.

ComfyUI changes; a core without one of them is reported in one sentence when a node runs, and not by a traceback in the
middle of a render.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import torch

from ..core.comfyui_versions import NEWEST_TESTED, OLDEST
from ..core.errors import VideoGenError

#: The ComfyUI versions that the tests run with.
TESTED_VERSION = f"{OLDEST} to {NEWEST_TESTED}"


def _has(module: str, *names: str) -> Callable[[], bool]:
    """Whether a module has attributes, dots for those of attributes."""

    def check() -> bool:
        for name in names:
            value: Any = importlib.import_module(module)
            for part in name.split("."):
                value = getattr(value, part)
        return True

    return check


def _replaces_cross_attention() -> bool:
    """Run one transformer block with a patch in place of its cross-attention, and check how the patch is called."""
    import comfy.ops
    from comfy.ldm.modules.attention import BasicTransformerBlock

    block = BasicTransformerBlock(8, 1, 8, context_dim=4, dtype=torch.float32, operations=comfy.ops.disable_weight_init)
    for parameter in block.parameters():
        torch.nn.init.zeros_(parameter)
    asked: list[dict[str, Any]] = []

    def patch(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
        asked.append(options)
        return q

    options = {
        "block": ("middle", 0),
        "block_index": 0,
        "patches_replace": {"attn2": {("middle", 0, 0): patch}},
        "x": 1,
    }
    block(torch.zeros(1, 2, 8), context=torch.zeros(1, 3, 4), transformer_options=options)
    return len(asked) == 1 and asked[0]["n_heads"] == 1 and asked[0]["x"] == 1


def _attends_with_options() -> bool:
    from comfy.ldm.modules.attention import optimized_attention

    q = torch.zeros(1, 2, 8)
    found = optimized_attention(q, q, q, 1, attn_precision=None, transformer_options={})
    return found.shape == q.shape


#: Required feature → whether it exists. A check that raises counts as no.
NEEDED: dict[str, Callable[[], bool]] = {
    "patches in place of a UNet's cross-attention (attn2 replace)": _replaces_cross_attention,
    "attention that receives the model's options": _attends_with_options,
    "the blocks of image UNets": _has("comfy.ldm.modules.diffusionmodules.openaimodel", "UNetModel"),
    "models that can be patched": _has(
        "comfy.model_patcher",
        *(f"ModelPatcher.{name}" for name in ("set_model_attn2_replace", "get_model_object", "clone")),
    ),
    "wrappers and callbacks of a sampling": _has(
        "comfy.patcher_extension",
        *(f"WrappersMP.{name}" for name in ("PREDICT_NOISE", "CALC_COND_BATCH", "APPLY_MODEL")),
        *(f"CallbacksMP.{name}" for name in ("ON_PRE_RUN", "ON_CLEANUP", "ON_CLONE")),
    ),
    "wrappers and callbacks of a model": _has(
        "comfy.model_patcher", "ModelPatcher.add_wrapper_with_key", "ModelPatcher.add_callback_with_key"
    ),
    "CLIP vision encoders": _has("comfy.clip_vision", "ClipVisionModel.encode_image", "clip_preprocess"),
}


def missing_features() -> list[str]:
    """The features of `NEEDED` that this ComfyUI lacks."""
    return [what for what, check in NEEDED.items() if not _passes(check)]


@functools.cache
def _missing_once() -> tuple[str, ...]:
    return tuple(missing_features())


def require_core() -> None:
    """Check that this ComfyUI has what the nodes need; the first call does the checks.

    Raises:
        VideoGenError: `core-unsupported`, in one sentence with versions.
    """
    missing = _missing_once()
    if missing:
        raise VideoGenError(
            "core-unsupported",
            f"this ComfyUI ({core_version()}) lacks {'; '.join(missing)}; the IP-Adapter nodes were tested with {TESTED_VERSION}",
            "Update ComfyUI if it is older, or videogen if it is newer.",
        )


def core_version() -> str:
    """ComfyUI's version, or "of unknown version"."""
    try:
        return str(importlib.import_module("comfyui_version").__version__)
    except (ImportError, AttributeError):
        return "of unknown version"


def _passes(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception:  # another ComfyUI may raise anything
        return False
