"""Which node of a graph saves the segment, as far as the graph and the nodes' schemas tell; `comfyui/outputs` has the rule."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.errors import Problem

from ..comfyui.answers import MalformedAnswerError, read_as, reading
from ..comfyui.graph import CONTINUITY_NODE, SAVE_NODE, SAVE_REFERENCE_NODE, Graph, is_link, nodes_of
from ..comfyui.outcome import Outcome
from ..comfyui.outputs import ANIMATION, PICTURES, VIDEO, ambiguous

#: An input that changes nothing but the key under which ComfyUI caches a node; no node has it, so ComfyUI passes it to none.
#: Versions 0.3.75 to 0.37 hash all inputs of a graph's node for its key, known or not.
ATTEMPT_INPUT = "videogen_attempt"


@dataclass(frozen=True)
class Saver:
    """A node that saves images: its id, its class, and the kind of its files (see `comfyui/outputs`)."""

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


def find_output_problems(graph: Graph, object_info: Mapping[str, Any], output_node: str = "") -> Iterator[Problem]:
    """What is unclear about the node that saves the segment.

    Args:
        output_node: the one that ``--bind output=NODE`` names, or "".
    """
    savers = find_savers(graph, object_info)
    ours = [saver for saver in savers if saver.class_type == SAVE_NODE]
    best = [saver for saver in savers if saver.rank == max(one.rank for one in savers)]
    candidates = ours or best
    if not output_node and len(candidates) > 1:
        error = ambiguous([str(saver) for saver in candidates])
        yield Problem("", f"{error.message}; {_lower(_name_one(candidates))}")


def _name_one(savers: list[Saver]) -> str:
    return f"Name it with --bind output=NODE, such as --bind output={savers[-1].node}, or remove the others"


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def count_frames_of(graph: Graph, node: str, outcome: Outcome) -> int | None:
    """How many frames a node got to save, where the prompt itself tells: a continuity node has counted the same images.

    Args:
        node: id of the node that has saved them.
    """
    source = _images_of(graph, node)
    for counter in nodes_of(graph, CONTINUITY_NODE) if source is not None else ():
        if source in ([counter, 0], _images_of(graph, counter)):
            record = outcome.outputs.get(counter, {}).get("videogen")
            with contextlib.suppress(MalformedAnswerError), reading():
                return read_as(record[0]["continuity"]["scores"]["frames"]["count"], int)  # type: ignore[index]
    return None


def _images_of(graph: Graph, node: str) -> list[Any] | None:
    """The link that a node's images come from."""
    inputs = graph.get(node, {}).get("inputs", {})
    return next((inputs[name] for name in ("images", "image") if is_link(inputs.get(name))), None)


def force_execution(graph: Graph, object_info: Mapping[str, Any], attempt: int) -> None:
    """Make ComfyUI execute the output nodes of a graph again, from cached frames where it has them.

    A file that was lost or damaged is not made again by the same graph: ComfyUI takes the node's result out of its cache, which
    names the file that is not there.

    Args:
        attempt: number of the attempt; nothing changes for the first, 0.
    """
    if not attempt:
        return
    for node in graph.values():
        kind = node["class_type"]
        if kind in (SAVE_NODE, SAVE_REFERENCE_NODE) or (
            # Our other output nodes save nothing: what they have measured is still true.
            (object_info.get(kind) or {}).get("output_node") and not kind.startswith("VideoGen")
        ):
            node["inputs"][ATTEMPT_INPUT] = attempt
