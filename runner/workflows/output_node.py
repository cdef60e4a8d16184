"""Which node of a graph saves the segment, as far as the graph and the nodes' schemas tell; `comfyui/outputs` has the rule."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from custom_nodes.videogen.core.errors import Problem
from custom_nodes.videogen.core.graph import CONTINUITY_NODE, SAVE_NODE, SAVE_REFERENCE_NODE, Graph, is_link, nodes_of
from custom_nodes.videogen.core.roles.savers import Saver, choose_savers, find_savers

from ..comfyui.answers import MalformedAnswerError, read_as, reading
from ..comfyui.outcome import Outcome
from ..comfyui.outputs import ambiguous

#: An input that changes nothing but the key under which ComfyUI caches a node; no node has it, so ComfyUI passes it to none.
#: Versions 0.3.75 to 0.37 hash all inputs of a graph's node for its key, known or not.
ATTEMPT_INPUT = "videogen_attempt"


def find_output_problems(graph: Graph, object_info: Mapping[str, Any], output_node: str = "") -> Iterator[Problem]:
    """What is unclear about the node that saves the segment.

    Args:
        output_node: the one that ``--bind output=NODE`` names, or "".
    """
    candidates = choose_savers(find_savers(graph, object_info))
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
