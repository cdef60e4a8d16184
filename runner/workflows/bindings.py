"""--bind and --set: inputs of a workflow that a segment's values, or the user's own, are written into.

Their forms are read before there is a graph, so that a typing error costs no server start.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph, nodes_of
from custom_nodes.videogen.core.model_values.model_workflow import KEEP
from custom_nodes.videogen.core.redaction import HIDDEN, SECRETS, hide_in_setting, is_secret_name, names_variable
from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.plan_values import BINDABLE

#: Take the pictures that a segment begins and ends with; the first one is the last frame of a segment that it continues.
FIRST_FRAME, LAST_FRAME = "first_frame", "last_frame"
#: What a workflow without our nodes can have as well; which inputs these are is found, see `core/roles`.
FOUND_ROLES = ("duration", "resolution", "aspect_ratio", LAST_FRAME, "reference", "input_video", "input_sound")
#: Names the node whose file is the segment, instead of an input.
OUTPUT = "output"
_NODES_LISTED = 50
_BINDING = re.compile(r"([^=]+)=([^.=]+(?:\.[^.=]+)*)\.([^.=]+)")
_OUTPUT_BINDING = re.compile(rf"{OUTPUT}=([^=]+)")
_KEEPING = re.compile(rf"([^=]+)={KEEP}")


@dataclass(frozen=True)
class Target:
    """An input of a node, as an option names it: by the node's id or its class.

    Attributes:
        option: the whole option, for messages.
        value: the name of `BINDABLE` of a ``--bind``, the text of a ``--set``.
        secret: the value is one, by the input's name or because it came from the environment.
    """

    option: str
    node: str
    input: str
    value: str
    secret: bool = False


def parse_binding(text: str) -> Target:
    """The target of ``--bind NAME=NODE.INPUT``, or of those without an input: ``--bind output=NODE``, ``--bind NAME=keep``.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    output = _OUTPUT_BINDING.fullmatch(text)
    if output:
        return Target(f"--bind {text}", output[1].strip(), "", OUTPUT)
    names = [*BINDABLE, FIRST_FRAME, *FOUND_ROLES]
    keeping = _KEEPING.fullmatch(text)
    if keeping and keeping[1] in names:
        return Target(f"--bind {text}", "", "", keeping[1])
    match = _BINDING.fullmatch(text)
    if not match or match[1] not in names:
        raise VideoGenError(
            "binding-invalid",
            f"--bind {text!r} cannot be read, expected NAME=NODE.INPUT with NAME one of {', '.join(names)};"
            f" NAME={KEEP}; or {OUTPUT}=NODE",
        )
    return Target(f"--bind {text}", match[2], match[3], match[1])


def parse_setting(text: str) -> Target:
    """The target of ``--set NODE.INPUT=VALUE``.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    target, separator, value = text.partition("=")
    node, dot, input_name = target.rpartition(".")
    shown = hide_in_setting(text)
    if not separator or not dot:
        raise VideoGenError("binding-invalid", f"--set {shown!r} cannot be read, expected NODE.INPUT=VALUE")
    is_secret = is_secret_name(input_name)
    if value == HIDDEN:
        raise VideoGenError(
            "binding-invalid",
            f"--set {shown}: *** stands for the value in a report, it is stored nowhere",
            f"Give the value again, or set it in the environment and write --set {target}=env:NAME.",
        )
    if names_variable(value):
        variable = value.removeprefix("env:")
        is_secret, value = True, os.environ.get(variable, "")
        if not value:
            raise VideoGenError(
                "binding-invalid",
                f"--set {shown}: the environment variable {variable} is not set",
                "Set it and try again.",
            )
    if is_secret:
        SECRETS.add(value)
    return Target(f"--set {shown}", node, input_name, value, is_secret)


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
    """A value of each segment, and the input that gets it.

    Attributes:
        value: its name in `BINDABLE`, `FIRST_FRAME`, or one of `FOUND_ROLES`.
        make: makes the value of a segment; None for what `BINDABLE` has under that name.
    """

    value: str
    target: InputRef
    make: Callable[[SegmentPlan], Any] | None = field(default=None, compare=False)

    def write(self, graph: Graph, plan: SegmentPlan) -> None:
        """Write a segment's value into a graph; nothing for what is no value of it, such as a picture."""
        make = self.make or BINDABLE.get(self.value)
        if make is not None:
            self.target.set(graph, make(plan))


def find_binding(text: str, graph: Graph, object_info: Mapping[str, Any]) -> Binding:
    """The binding of ``NAME=NODE.INPUT`` in a graph.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    target = parse_binding(text)
    return Binding(target.value, find_input(graph, object_info, target))


def apply_setting(text: str, graph: Graph, object_info: Mapping[str, Any]) -> InputRef | None:
    """Write the value of ``NODE.INPUT=VALUE`` into a graph.

    Returns:
        The input, when its value is a secret.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    target = parse_setting(text)
    found = find_input(graph, object_info, target)
    # A key of digits is a text as well.
    found.set(graph, target.value if target.secret else _parse_value(target.value))
    return found if target.secret else None


def find_node(graph: Graph, target: Target) -> str:
    """The id of the node that an option names; by its class when the graph has only one node of that class.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    node_id, by_class = _find_named(graph, target.node)
    if not node_id:
        listed = ", ".join(f"{key} ({item['class_type']})" for key, item in islice(graph.items(), _NODES_LISTED))
        listed += f" and {len(graph) - _NODES_LISTED} more" if len(graph) > _NODES_LISTED else ""
        reason = f"there are {len(by_class)} nodes {target.node!r}" if by_class else f"there is no node {target.node!r}"
        raise VideoGenError("binding-invalid", f"{target.option}: {reason}; the workflow has {listed}")
    return node_id


def _find_named(graph: Graph, name: str) -> tuple[str, list[str]]:
    """The node of an id or class, or "", and all nodes of that class."""
    by_class = nodes_of(graph, name)
    return name if name in graph else by_class[0] if len(by_class) == 1 else "", by_class


def find_output(texts: Iterable[str], graph: Graph) -> str:
    """The id of the node of ``--bind output=NODE`` among all bindings; "" without one.

    Raises:
        VideoGenError: `binding-invalid`, also for two of them.
    """
    targets = [target for text in texts if (target := parse_binding(text)).value == OUTPUT]
    if len(targets) > 1:
        raise VideoGenError("binding-invalid", f"{targets[1].option}: {targets[0].option} names the node already")
    return find_node(graph, targets[0]) if targets else ""


def find_bindings(texts: Iterable[str], graph: Graph, object_info: Mapping[str, Any]) -> list[Binding]:
    """The bindings of inputs among all bindings, see `find_binding`.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    return [find_binding(text, graph, object_info) for text in texts if parse_binding(text).input]


def find_kept(texts: Iterable[str]) -> set[str]:
    """The names of ``--bind NAME=keep`` among all bindings.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    return {target.value for text in texts if not (target := parse_binding(text)).node}


def find_input(graph: Graph, object_info: Mapping[str, Any], target: Target) -> InputRef:
    """The input of a node that an option names; see `find_node`.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    # Inputs of a choice have dots in their names: 5.model.duration.
    named = target
    while "." in named.node and not _find_named(graph, named.node)[0]:
        node, _, first = named.node.rpartition(".")
        named = replace(named, node=node, input=f"{first}.{named.input}")
    target = named if _find_named(graph, named.node)[0] else target
    node_id = find_node(graph, target)
    schema = object_info.get(graph[node_id]["class_type"], {}).get("input", {})
    known = [*schema.get("required", {}), *schema.get("optional", {})] or list(graph[node_id]["inputs"])
    # What a choice has of them, only the server knows how to read.
    if target.input not in known and ("." not in target.input or target.input.partition(".")[0] not in known):
        raise VideoGenError(
            "binding-invalid",
            f"{target.option}: node {node_id} has no input {target.input!r}, it has {', '.join(known)}",
        )
    return InputRef(node_id, target.input)


def _parse_value(text: str) -> Any:
    """A JSON value, or the text itself where it is not JSON. NaN and infinities are not: no server accepts them."""
    try:
        return json.loads(text, parse_constant=lambda name: text, parse_float=_parse_finite)
    except (ValueError, RecursionError):
        return text


def _parse_finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text
