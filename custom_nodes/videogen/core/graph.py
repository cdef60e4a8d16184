"""Graphs in ComfyUI's API format, and the ids of the nodes that the runner knows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Node id → ``{"class_type": …, "inputs": {name: value or link}}``.
Graph = dict[str, dict[str, Any]]

STORY_NODE, SEGMENT_NODE, SAVE_NODE, FILM_NODE, STORYBOARD_NODE = (
    "VideoGenStory",
    "VideoGenSegment",
    "VideoGenSaveSegment",
    "VideoGenCompileFilm",
    "VideoGenStoryboardFrames",
)
SAVE_REFERENCE_NODE = "VideoGenSaveReference"
RENDER_SIZE_NODE = "VideoGenRenderSize"
CONTINUITY_NODE = "VideoGenContinuity"
#: Gives a segment of a story to a model of others; `videogen adopt` puts it into their workflows.
FIT_NODE = "VideoGenFitModel"
#: The core's node that loads an image of the input folder.
IMAGE_LOADER = "LoadImage"


def nodes_of(graph: Graph, class_type: str) -> list[str]:
    """Ids of the nodes of one class."""
    return [node_id for node_id, node in graph.items() if node["class_type"] == class_type]


def is_link(value: Any) -> bool:
    """Whether an input's value is a link: [node id, output number]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def find_downstream(graph: Graph, node_ids: Iterable[str]) -> set[str]:
    """These nodes and all that depend on their outputs, directly or not."""
    found = set(node_ids)
    while more := {
        key
        for key, node in graph.items()
        if key not in found and any(is_link(value) and value[0] in found for value in node["inputs"].values())
    }:
        found |= more
    return found


def find_upstream(graph: Graph, node_ids: Iterable[str]) -> set[str]:
    """These nodes and all that their inputs depend on, directly or not; links to nodes that are not there lead nowhere."""
    found: set[str] = set()
    queue = [key for key in node_ids if key in graph]
    while queue:
        key = queue.pop()
        if key not in found:
            found.add(key)
            queue += [value[0] for value in graph[key]["inputs"].values() if is_link(value) and value[0] in graph]
    return found
