"""Whole checkpoint files of random weights, made once a machine and kept in ``.videogen/random_weights``."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from ....comfyui.installation import PROJECT
from .adapters import lay_out_full_face, lay_out_plain, lay_out_plus
from .autoencoders import lay_out_autoencoder
from .clips import VIT_BIG_G, VIT_H, VisionTower, lay_out_text, lay_out_vision
from .layout import Layout, draw_tensor, draw_weights
from .unets import SD15, SD15_SLIM, SDXL, UNet, lay_out_unet

FOLDER = PROJECT / ".videogen" / "random_weights"
#: Part of every file's name; to be raised when the drawing itself changes.
DRAWING = 1


@dataclass(frozen=True)
class RandomFile:
    """A file that can be made.

    Attributes:
        folder: where it goes below ComfyUI's ``models/``.
        lay_out: what is in it.
        shared_layers: prefix before the number of layers that all share the tensors of layer 0. It is a torch file then,
            which holds a shared tensor once (40 MB, not 1.2 GB), while its reader still finds every key.
    """

    folder: str
    lay_out: Callable[[], Layout]
    shared_layers: str = ""

    @property
    def suffix(self) -> str:
        return ".bin" if self.shared_layers else ".safetensors"


def _checkpoint(unet: UNet) -> Layout:
    layout = Layout()
    layout.add("model.diffusion_model.", lay_out_unet(unet))
    layout.add("first_stage_model.", lay_out_autoencoder())
    layout.add("cond_stage_model.transformer.", lay_out_text())
    return layout


def _vision(tower: VisionTower) -> RandomFile:
    return RandomFile("clip_vision", lambda: lay_out_vision(tower), shared_layers="vision_model.encoder.layers.")


def _adapter(lay_out: Callable[..., Layout], unet: UNet, **more: int) -> RandomFile:
    return RandomFile("ipadapter", lambda: lay_out(unet.attention_widths, unet.context_width, **more))


#: Every file, by its name. All of them are float16, as published files mostly are.
FILES = {
    "sd15_slim": RandomFile("checkpoints", lambda: _checkpoint(SD15_SLIM)),
    "sd15": RandomFile("checkpoints", lambda: _checkpoint(SD15)),
    "clip_vision_vit_h": _vision(VIT_H),
    "clip_vision_vit_big_g": _vision(VIT_BIG_G),
    "ip_adapter_sd15_slim": _adapter(lay_out_plain, SD15_SLIM),
    "ip_adapter_plus_sd15_slim": _adapter(lay_out_plus, SD15_SLIM),
    "ip_adapter_full_face_sd15_slim": _adapter(lay_out_full_face, SD15_SLIM),
    "ip_adapter_sdxl": _adapter(lay_out_plain, SDXL, embed_width=1280),
    "ip_adapter_sdxl_vit_h": _adapter(lay_out_plain, SDXL),
    "ip_adapter_plus_sdxl_vit_h": _adapter(lay_out_plus, SDXL, width=1280, heads=20),
}


def random_file(name: str) -> Path:
    """The path of one of `FILES`, which is made when it is not there yet.

    Two processes that make the same file at once both make it, and one of them is kept: it is the same.
    """
    kind = FILES[name]
    layout = kind.lay_out()
    path = FOLDER / f"{name}-{layout.digest}-{DRAWING}{kind.suffix}"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        if kind.shared_layers:
            torch.save(_draw_shared(layout, kind.shared_layers), part)
        else:
            save_file(draw_weights(layout, dtype=torch.float16), part, metadata={"format": "pt"})
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _draw_shared(layout: Layout, prefix: str) -> dict[str, torch.Tensor]:
    """As `draw_weights`, but keys that differ only in the number after a prefix share one tensor object."""
    drawn: dict[str, torch.Tensor] = {}
    weights: dict[str, torch.Tensor] = {}
    for key in layout:
        source = re.sub(rf"^{re.escape(prefix)}\d+\.", f"{prefix}0.", key)
        if source not in drawn:
            drawn[source] = draw_tensor(layout, source, dtype=torch.float16)
        weights[key] = drawn[source]
    return weights


def link_models(folder: Path, *names: str) -> dict[str, str]:
    """A folder like ComfyUI's ``models/`` with links to some of `FILES`. Returns the name that a loader node takes, by name."""
    for name in names:
        target = folder / FILES[name].folder / f"{name}{FILES[name].suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(random_file(name))
    return {name: f"{name}{FILES[name].suffix}" for name in names}
