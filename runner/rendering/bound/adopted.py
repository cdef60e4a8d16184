"""Workflows that were adopted: their Fit to Model node becomes the bindings that it stands for.

In the editor the node computes what a model gets for a segment. A run computes the same by itself, so that an adopted workflow
submits the graph that the same workflow submits when it is bound: the segments have one key, and one result serves both.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE, Graph, is_link, nodes_of
from custom_nodes.videogen.core.model_profiles.model import Profile
from custom_nodes.videogen.core.model_profiles.parser import parse_profiles
from custom_nodes.videogen.core.model_values.fit import OUTPUTS, UNKNOWN, Takes
from custom_nodes.videogen.core.model_values.model_workflow import Decided, NamedInput
from custom_nodes.videogen.core.roles.table import Role

#: What stands in an input that a segment decides until it does; the right type is enough.
_EMPTY: dict[Role, Any] = {Role.PROMPT: "", Role.SEED: 0, Role.FRAMES: 1, Role.FPS: 1}


@dataclass(frozen=True)
class AdoptedGraph:
    """A graph without its Fit to Model node.

    Attributes:
        graph: with the values of before in the inputs that the node gave a value to.
        decided: these inputs, and the model.
        index: of the segment that was open in the editor, and `prompt_override` its own text there; None and "" where the
            graph still has its VideoGenSegment, for other nodes of ours.
    """

    graph: Graph
    decided: Decided
    index: int | None = None
    prompt_override: str = ""


def resolve_fit(graph: Graph, profiles: Sequence[Profile]) -> AdoptedGraph | None:
    """The graph of an adopted workflow, with its Fit to Model node read; None for one without the node.

    Args:
        profiles: what is known of models.

    Raises:
        VideoGenError: `workflow-invalid` for several of these nodes, `widget-invalid`, `profile-invalid`.
    """
    nodes = nodes_of(graph, FIT_NODE)
    if not nodes:
        return None
    if len(nodes) > 1:
        raise VideoGenError(
            "workflow-invalid",
            f"the workflow has {len(nodes)} {FIT_NODE} nodes ({', '.join(nodes)}), expected one: a segment has one model",
        )
    graph = copy.deepcopy(graph)
    fit = graph.pop(nodes[0])["inputs"]
    takes = Takes.of_text(_text(fit, "takes"))
    former = {
        **_EMPTY,
        **takes.former,
        Role.NEGATIVE: _text(fit, "own_negative"),
        Role.WIDTH: _number(fit, "own_width"),
        Role.HEIGHT: _number(fit, "own_height"),
    }
    inputs = []
    for node_id, node in graph.items():
        for name, value in node["inputs"].items():
            if is_link(value) and value[0] == nodes[0]:
                role = OUTPUTS[value[1]] if 0 <= value[1] < len(OUTPUTS) else None
                if role is None:
                    raise VideoGenError(
                        "workflow-invalid",
                        f"{node_id}.{name} is connected to output {value[1]} of {FIT_NODE}, which it lacks",
                    )
                node["inputs"][name] = former.get(role)
                inputs.append(NamedInput(role.value, node_id, name))
    decided = Decided(tuple(inputs), *_find_profile(fit, profiles))
    index, override = _remove_unused(graph)
    return AdoptedGraph(graph, decided, index, override)


def _remove_unused(graph: Graph) -> tuple[int | None, str]:
    """Take away VideoGenSegment and VideoGenStory, where no other node reads them."""
    segments = nodes_of(graph, SEGMENT_NODE)
    if len(segments) != 1 or _is_read(graph, segments[0]):
        return None, ""
    inputs = graph.pop(segments[0])["inputs"]
    for story in nodes_of(graph, STORY_NODE):
        if not _is_read(graph, story):
            del graph[story]
    index, override = inputs.get("index"), inputs.get("prompt_override")
    return index if isinstance(index, int) else None, override if isinstance(override, str) else ""


def _is_read(graph: Graph, node_id: str) -> bool:
    return any(is_link(value) and value[0] == node_id for node in graph.values() for value in node["inputs"].values())


def _find_profile(fit: Mapping[str, Any], profiles: Sequence[Profile]) -> tuple[Profile | None, str]:
    own, name = _text(fit, "profile"), _text(fit, "model")
    if own.strip():
        return parse_profiles(own, f"`profile` of {FIT_NODE}")[0], "chosen in Fit to Model"
    found = next((profile for profile in profiles if profile.name == name), None)
    if found is None and name != UNKNOWN:
        raise VideoGenError(
            "workflow-invalid",
            f"`model` of {FIT_NODE} is {name!r}, which no profile has",
            "Choose another in the editor, or put its profile next to the workflow, in a folder profiles.",
        )
    return found, "chosen in Fit to Model"


def _text(inputs: Mapping[str, Any], name: str) -> str:
    value = inputs.get(name)
    return value if isinstance(value, str) else ""


def _number(inputs: Mapping[str, Any], name: str) -> int:
    value = inputs.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
