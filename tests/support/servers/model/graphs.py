"""Graphs as a model server reads them: what they render, and from what."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from custom_nodes.videogen.core.digest import digest
from tests.support.servers.model.tiny_segments import render_clip

#: The checkpoint that the workflow asks for.
CHECKPOINT = "dream.safetensors"
#: The prompt of a segment that no server can render.
IMPOSSIBLE = "the impossible"

#: A node that only some servers have, and that for LoRAs.
FOG, LORA = "TestFog", "LoraLoaderModelOnly"

Graph = dict[str, dict[str, Any]]


def read_graph(graph: Graph, inputs: Mapping[str, bytes]) -> dict[str, Any]:
    """Everything that determines the frames of the graph's segment.

    Args:
        inputs: files in the server's input folder.
    """
    story = json.loads(graph["1"]["inputs"]["text"])
    number = graph["2"]["inputs"]["index"]
    segment = story["segments"][number - 1]
    first = graph.get("9", {}).get("inputs", {}).get("image", "") if segment.get("continues") else ""
    return {
        "number": number,
        "prompt": segment["prompt"],
        "seed": segment["seed"],
        "style": story["style"]["master_prompt"],
        "size": story["size"],
        # The runner names the image after the file whose last frame it is.
        "begins from": first if first in inputs else "",
        **({"look": look} if (look := _read_look(graph)) else {}),
    }


def _read_look(graph: Graph) -> list[list[Any]]:
    """What else changes the frames: nodes of a segment's own workflow, and its LoRAs."""
    return [
        [node["class_type"], *(value for value in node["inputs"].values() if not isinstance(value, list))]
        for _, node in sorted(graph.items())
        if node["class_type"] in (FOG, LORA)
    ]


def render_graph(graph: Graph, content: Mapping[str, Any]) -> tuple[str, bytes, dict[str, Any]]:
    """The file that a graph saves below ``output/videogen``: its name, its bytes, and the outputs that tell of it."""
    story = json.loads(graph["1"]["inputs"]["text"])
    data = render_clip(content, Fraction(story["frames"], story["fps"]))
    name = f"segment_{content['number']:02d}_{graph['4']['inputs'].get('take', '')}.mp4"
    record = {"quality": "draft", "seed": content["seed"], "sha256": hashlib.sha256(data).hexdigest()}
    saved = {"images": [{"filename": name, "subfolder": "videogen", "type": "output"}], "animated": [True]}
    return name, data, {"4": {**saved, "videogen": [record]}}


def digest_frames(graph: Graph) -> str:
    """A digest of what the saving node gets: the frames are rendered again only when it changes."""
    found: dict[str, Any] = {}
    to_do = [value[0] for value in graph["4"]["inputs"].values() if isinstance(value, list)]
    while to_do:
        node = to_do.pop()
        if node not in found:
            found[node] = graph[node]
            to_do += [value[0] for value in graph[node]["inputs"].values() if isinstance(value, list)]
    return digest(found)


def name_content(content: Mapping[str, Any]) -> str:
    """A segment's content in a few words."""
    return f"segment {content['number']} ({content['prompt']}, {content['style']}, seed {content['seed']})"
