"""--bind and --set: inputs of a workflow that a segment's values, or the user's own, are written into.

Their forms are read before there is a graph, so that a typing error costs no server start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan

from ..comfyui.graph import Graph, nodes_of

#: What --bind can set, and where in a segment its value comes from.
BINDABLE: dict[str, Callable[[SegmentPlan], Any]] = {
    "prompt": lambda plan: plan.prompt,
    "negative": lambda plan: plan.negative,
    "seed": lambda plan: plan.seed,
    "frames": lambda plan: plan.frames,
    "fps": lambda plan: _number(plan.fps),
    "width": lambda plan: plan.size[0],
    "height": lambda plan: plan.size[1],
    "name": lambda plan: plan.file_stem,
}
#: Takes the last frame of the segment before, for segments that continue it.
FIRST_FRAME = "first_frame"
_BINDING = re.compile(r"([^=]+)=([^.=]+(?:\.[^.=]+)*)\.([^.=]+)")


@dataclass(frozen=True)
class Target:
    """An input of a node, as an option names it: by the node's id or its class.

    Attributes:
        option: the whole option, for messages.
        value: the name of `BINDABLE` of a ``--bind``, the text of a ``--set``.
    """

    option: str
    node: str
    input: str
    value: str


def parse_binding(text: str) -> Target:
    """The target of ``--bind NAME=NODE.INPUT``.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    match = _BINDING.fullmatch(text)
    names = [*BINDABLE, FIRST_FRAME]
    if not match or match[1] not in names:
        raise VideoGenError(
            "binding-invalid",
            f"--bind {text!r} cannot be read, expected NAME=NODE.INPUT with NAME one of {', '.join(names)}",
        )
    return Target(f"--bind {text}", match[2], match[3], match[1])


def parse_setting(text: str) -> Target:
    """The target of ``--set NODE.INPUT=VALUE``.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    target, separator, value = text.partition("=")
    node, dot, input_name = target.rpartition(".")
    if not separator or not dot:
        raise VideoGenError("binding-invalid", f"--set {text!r} cannot be read, expected NODE.INPUT=VALUE")
    return Target(f"--set {text}", node, input_name, value)


@dataclass(frozen=True)
class InputRef:
    """An input of a node in a graph."""

    node_id: str
    name: str

    def set(self, graph: Graph, value: Any) -> None:
        graph[self.node_id]["inputs"][self.name] = value

    def remove(self, graph: Graph) -> None:
        graph[self.node_id]["inputs"].pop(self.name, None)


@dataclass(frozen=True)
class Binding:
    """A value of each segment, by its name in `BINDABLE` or `FIRST_FRAME`, and the input that gets it."""

    value: str
    target: InputRef


def find_binding(text: str, graph: Graph, object_info: Mapping[str, Any]) -> Binding:
    """The binding of ``NAME=NODE.INPUT`` in a graph.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    target = parse_binding(text)
    return Binding(target.value, find_input(graph, object_info, target))


def apply_setting(text: str, graph: Graph, object_info: Mapping[str, Any]) -> None:
    """Write the value of ``NODE.INPUT=VALUE`` into a graph.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    target = parse_setting(text)
    find_input(graph, object_info, target).set(graph, _parse_value(target.value))


def find_input(graph: Graph, object_info: Mapping[str, Any], target: Target) -> InputRef:
    """The input of a node that an option names; by its class when the graph has only one node of that class.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    by_class = nodes_of(graph, target.node)
    node_id = target.node if target.node in graph else by_class[0] if len(by_class) == 1 else ""
    if not node_id:
        listed = ", ".join(f"{key} ({item['class_type']})" for key, item in graph.items())
        reason = f"there are {len(by_class)} nodes {target.node!r}" if by_class else f"there is no node {target.node!r}"
        raise VideoGenError("binding-invalid", f"{target.option}: {reason}; the workflow has {listed}")
    schema = object_info.get(graph[node_id]["class_type"], {}).get("input", {})
    known = [*schema.get("required", {}), *schema.get("optional", {})] or list(graph[node_id]["inputs"])
    if target.input not in known:
        raise VideoGenError(
            "binding-invalid",
            f"{target.option}: node {node_id} has no input {target.input!r}, it has {', '.join(known)}",
        )
    return InputRef(node_id, target.input)


def _parse_value(text: str) -> Any:
    """A JSON value, or the text itself where it is not JSON. NaN and infinities are not: no server accepts them."""
    try:
        return json.loads(text, parse_constant=lambda name: text)
    except (ValueError, RecursionError):
        return text


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
