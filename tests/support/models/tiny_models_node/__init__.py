"""A node pack for the server of tests: lets ComfyUI's own loaders read the files of `tiny_wan`, `tiny_h3` and `tiny_ltx`.

Constructors get other sizes than those that they have by default. Nothing else of ComfyUI is changed.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import tempfile
from pathlib import Path
from typing import Any

import comfy.clip_vision
import comfy.text_encoders.wan

TEXT_ENCODER = {"num_layers": 1, "d_model": 4096, "d_ff": 8, "d_kv": 8, "num_heads": 1, "vocab_size": 320}
IMAGE_ENCODER = {"num_hidden_layers": 2, "intermediate_size": 64}

NODE_CLASS_MAPPINGS: dict[str, Any] = {}

_make_text_encoder = comfy.text_encoders.wan.UMT5XXlModel.__init__
_make_image_encoder = comfy.clip_vision.ClipVisionModel.__init__


def _make_tiny_text_encoder(self: Any, *arguments: Any, **options: Any) -> None:
    given = options.get("model_options") or {}
    tiny = {**given, "model_name": "umt5xxl", "umt5xxl_model_config": TEXT_ENCODER}
    _make_text_encoder(self, *arguments, **{**options, "model_options": tiny})


def _make_tiny_image_encoder(self: Any, json_config: str) -> None:
    if json_config.endswith("clip_vision_config_h.json"):
        config = json.loads(Path(json_config).read_text(encoding="utf-8")) | IMAGE_ENCODER
        json_config = str(Path(tempfile.mkdtemp()) / "clip_vision_h.json")
        Path(json_config).write_text(json.dumps(config), encoding="utf-8")
    _make_image_encoder(self, json_config)


comfy.text_encoders.wan.UMT5XXlModel.__init__ = _make_tiny_text_encoder
comfy.clip_vision.ClipVisionModel.__init__ = _make_tiny_image_encoder

# A ComfyUI that does not have these models has no modules for them.
for _name in ("h3", "ltx"):
    with contextlib.suppress(ImportError):
        importlib.import_module(f".{_name}", __name__)
