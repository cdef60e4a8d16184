"""A story whose cast has images, and the graph that reads them."""

from __future__ import annotations

from typing import Any

from tests.support.stories import Graph, segment_graph

STORY: dict[str, Any] = {
    "title": "Garden",
    "fps": 4,
    "frames": 4,
    "size": [320, 180],
    "quality": "draft",
    "characters": {
        "anna": {"segments": "1,2", "reference": ["anna.png", "people/anna side.png"], "region": "anna_mask.png"},
        "ben": {"segments": "2,3"},
    },
    "objects": {"tree": {"segments": "1-3", "reference": "tree.png"}},
    "locations": {"field": {"segments": "1-3"}},
    "segments": [{"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"}],
}
WIDGETS = {"character_weight": 0.8, "object_weight": 0.5, "location_weight": 0.3, "missing": "stop"}
BEN = "videogen/garden/ben.png"


def cast_graph(**inputs: Any) -> Graph:
    """The segment graph with a VideoGenApplyCharacters in it, node 7."""
    node = {"class_type": "VideoGenApplyCharacters", "inputs": {"segment": ["2", 0], **WIDGETS, **inputs}}
    return segment_graph(STORY) | {"7": node}
