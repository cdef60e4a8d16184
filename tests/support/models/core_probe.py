"""Results of the pack's IP-Adapter in one ComfyUI. Run as a program, because a process can load only one.

``python core_probe.py FOLDER`` prints ``PROBE {…}`` with: `version` of the ComfyUI; `lacks`, the features that are missing;
`refusal`, the sentence that a node says then, as ``code: sentence``; `unloadable`, what importing the pack's nodes ended
with; and, where it works, `nodes` (their ids) and `predictions` (numbers out of a tiny model with random weights, by name).
"""

from __future__ import annotations

import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[3]


def probe() -> dict[str, Any]:
    """Everything, as far as it gets."""
    from custom_nodes.videogen.comfyui.core_features import core_version, missing_features, require_core
    from custom_nodes.videogen.core.errors import VideoGenError

    result: dict[str, Any] = {"version": core_version(), "lacks": missing_features(), "refusal": "", "unloadable": ""}
    try:
        require_core()
    except VideoGenError as error:
        result["refusal"] = f"{error.code}: {error.message}"
    try:
        from custom_nodes.videogen.extension import make_extension

        extension = make_extension()
    except ImportError as error:
        return {**result, "unloadable": str(error)}
    if not result["refusal"]:
        result["nodes"] = sorted(node.define_schema().node_id for node in extension._nodes)
        result["predictions"] = predict()
    return result


def predict() -> dict[str, list[float]]:
    """One step of ComfyUI's own sampler without an adapter, and with it in several ways; the node itself patches."""
    import comfy.sample
    import torch

    from custom_nodes.videogen.nodes.characters.ip_adapter import VideoGenApplyIPAdapter
    from custom_nodes.videogen.tensor.ip_adapter.adapter import IPAdapter
    from runner.bench.models.random_weights.unets import TINY_SD15, TINY_SDXL
    from runner.bench.models.tiny_adapters import draw_adapter
    from runner.bench.models.tiny_encoders import build_encoder
    from runner.bench.models.tiny_models import build_comfy_model, draw_unet, make_context

    left = torch.zeros(1, 64, 96)
    left[:, :, :48] = 1.0
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "half": {"mask": left},
        "style": {"weight_type": "style transfer"},
        "late": {"start_at": 0.9},
    }
    defaults = {
        "weight": 0.8,
        "weight_type": "linear",
        "start_at": 0.0,
        "end_at": 1.0,
        "combine": "concat",
        "crop": "center",
    }
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        encoder = build_encoder(Path(folder))
    image = torch.rand(1, 40, 60, 3, generator=torch.Generator().manual_seed(1))
    for unet in (TINY_SD15, TINY_SDXL):
        model = build_comfy_model(unet, draw_unet(unet), dtype=torch.float32)
        adapter = IPAdapter.from_state(draw_adapter("plus", unet), "adapter")
        pooled = {} if unet.vector_width is None else {"pooled_output": torch.zeros(1, 1280)}
        if pooled:
            # Its own would give 2816 numbers, for the sizes that the true SDXL is told.
            model.model.encode_adm = partial(_no_sizes, unet.vector_width)
        positive, negative = ([[make_context(unet, 1, seed=seed, dtype=torch.float32), pooled]] for seed in (1, 2))
        inputs = {"ipadapter": adapter, "clip_vision": encoder, "image": image, **defaults}
        models = {"none": model}
        for name, changes in ways.items():
            models[name] = VideoGenApplyIPAdapter.execute(model, **{**inputs, **changes}).result[0]
        for name, patched in models.items():
            latents = torch.zeros(2, 4, 8, 12)
            noise = comfy.sample.prepare_noise(latents, 7)
            sampled = comfy.sample.sample(
                patched, noise, 1, 4.0, "euler", "normal", positive, negative, latents, seed=7, disable_pbar=True
            )
            found[f"{unet.family} {name}"] = sampled.flatten()[::16].tolist()
    return found


def _no_sizes(channels: int, **known: Any) -> Any:
    import torch

    return torch.zeros(1, channels)


if __name__ == "__main__":
    sys.path[0] = str(PROJECT)  # instead of the folder of this file
    import tests.support  # noqa: F401 - before ComfyUI can be found, which has a package `tests` too

    sys.path.append(sys.argv[1])
    import torch
    from comfy.cli_args import args

    torch.set_num_threads(1)
    args.cpu = True
    print("PROBE " + json.dumps(probe()))
