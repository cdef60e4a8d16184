"""The nodes of a graph that save images, and how good their files are as a clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..graph import SAVE_NODE, Graph

#: How good a node's files are: pictures, animations, videos.
PICTURES, ANIMATION, VIDEO = 1, 2, 3


@dataclass(frozen=True)
class Saver:
    """A node that saves images: its id, its class, and the kind of its files of `PICTURES`, `ANIMATION`, `VIDEO`."""

    node: str
    class_type: str
    rank: int

    def __str__(self) -> str:
        return f"{self.node} ({self.class_type})"


def find_savers(graph: Graph, object_info: Mapping[str, Any]) -> list[Saver]:
    """The nodes of a graph that certainly save images to files.

    These are output nodes that take images or a video and have a name for their files, as all savers of ComfyUI and of the
    common packs do. Others show only at the first segment.
    """
    return [
        Saver(node_id, node["class_type"], rank)
        for node_id, node in graph.items()
        if (rank := _rank(node, object_info.get(node["class_type"]) or {}))
    ]


def choose_savers(savers: Sequence[Saver]) -> list[Saver]:
    """Those whose file may be the segment, where nobody has named one: ours, else those with the best files."""
    best = max((saver.rank for saver in savers), default=0)
    ours = [saver for saver in savers if saver.class_type == SAVE_NODE]
    return ours or [saver for saver in savers if saver.rank == best]


def _rank(node: Mapping[str, Any], schema: Mapping[str, Any]) -> int:
    if node["class_type"] == SAVE_NODE:
        return VIDEO
    groups = schema.get("input") or {}
    inputs: dict[str, Any] = {**groups.get("required", {}), **groups.get("optional", {})}
    types = {spec[0] for spec in inputs.values() if isinstance(spec, list) and isinstance(spec[0], str)}
    named = any("filename" in name for name in inputs)
    if not schema.get("output_node") or not named or not types & {"IMAGE", "VIDEO"}:
        return 0
    if node["inputs"].get("save_output") is False:
        return 0  # a preview of VideoHelperSuite
    kind = str(node["inputs"].get("format", ""))
    if "VIDEO" in types or "codec" in inputs or kind.startswith("video/"):
        return VIDEO
    return ANIMATION if {"fps", "frame_rate"} & set(inputs) else PICTURES
