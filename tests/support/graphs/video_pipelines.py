"""Graphs with the nodes of diffusers pipelines, for the tiny pipelines of `tiny_pipelines`."""

from __future__ import annotations

from typing import Any

from tests.support.models.tiny_pipelines import COG_FRAMES, COG_SIZE, PACK_SIZE, PACK_WINDOW, SKY_SIZE

Graph = dict[str, dict[str, Any]]

PROMPT, SEED = "a robot walks through the city", 5
TEXT = {"prompt": PROMPT, "negative": "", "seed": SEED}
#: Inputs of each node, for a clip of its tiny model.
COGVIDEOX: dict[str, Any] = {
    **TEXT,
    "frames": COG_FRAMES,
    "width": COG_SIZE,
    "height": COG_SIZE,
    "mode": "full",
    "steps": 2,
    "guidance": 6.0,
    "scheduler": "model's own",
    "lora": "none",
    "lora_strength": 1.0,
}
SKYREELS: dict[str, Any] = {
    **TEXT,
    "frames": 17,
    "fps": 24,
    "resolution": "custom",
    "width": SKY_SIZE,
    "height": SKY_SIZE,
    "steps": 10,
    "guidance": 6.0,
    "overlap_history": 5,
    "addnoise_condition": 20,
    "ar_step": 0,
    "causal_block_size": 1,
    "base_frames": 9,
}
FRAMEPACK: dict[str, Any] = {
    **TEXT,
    "frames": 4 * PACK_WINDOW + 2,
    "width": PACK_SIZE,
    "height": PACK_SIZE,
    "sampler": "inverted anti-drifting",
    "steps": 2,
    "guidance": 9.0,
    "true_guidance": 1.0,
    "latent_window_size": PACK_WINDOW,
}
LOADER: dict[str, Any] = {
    "model": "",
    "hub_id": "",
    "dtype": "auto",
    "offload": "none",
    "vae_tiling": False,
    "quantization": "none",
    "afterwards": "keep in memory",
    "download": False,
}


def pipeline_graph(kind: str, model: str, inputs: dict[str, Any], *, images: dict[str, str] | None = None) -> Graph:
    """Load a model (node 1), render with it (node 2), save the frames as pictures (node 3) and show the rate (node 4).

    Args:
        images: input of the node → file in the input folder.
    """
    graph: Graph = {
        "1": {"class_type": "VideoGenDiffusersLoader", "inputs": {**LOADER, "model": model}},
        "2": {"class_type": kind, "inputs": {"pipeline": ["1", 0], **inputs}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": f"pipelines/{model}"}},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["2", 1]}},
    }
    for number, (name, file) in enumerate((images or {}).items(), start=10):
        graph[str(number)] = {"class_type": "LoadImage", "inputs": {"image": file}}
        graph["2"]["inputs"][name] = [str(number), 0]
    return graph
