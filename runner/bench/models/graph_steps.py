"""A graph in API format, node by node in this process: real nodes, with stand-ins for those that load models.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from comfy_api.latest import io

from custom_nodes.videogen.extension import NODE_MODULES

Graph = dict[str, dict[str, Any]]
#: Core nodes of these modules can be used; the rest of ComfyUI is not loaded.
CORE_MODULES = ("nodes", "comfy_extras.nodes_custom_sampler")


def find_nodes() -> dict[str, Any]:
    """Node classes by their ids: the pack's, and core ones."""
    found: dict[str, Any] = {}
    for name in CORE_MODULES:
        module = importlib.import_module(name)
        found |= getattr(module, "NODE_CLASS_MAPPINGS", {})
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, io.ComfyNode) and value is not io.ComfyNode:
                node: Any = value
                found[node.GET_SCHEMA().node_id] = node
    for name in NODE_MODULES:
        for node in importlib.import_module(f"custom_nodes.videogen.nodes.{name}").NODES:
            found[node.GET_SCHEMA().node_id] = node
    return found


def describe_nodes(classes: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a server's `/object_info` on these nodes that a workflow's conversion needs."""
    return {
        kind: node.GET_NODE_INFO_V1() if issubclass(node, io.ComfyNode) else _describe_old_node(node)
        for kind, node in classes.items()
    }


def _describe_old_node(node: Any) -> dict[str, Any]:
    inputs = node.INPUT_TYPES()
    return {
        "input": inputs,
        "input_order": {group: list(names) for group, names in inputs.items()},
        "output": list(node.RETURN_TYPES),
    }


def run_steps(
    graph: Graph,
    stand_ins: Mapping[str, Callable[..., tuple[Any, ...]]],
    classes: Mapping[str, Any],
    around: Callable[[str], AbstractContextManager[None]] = lambda kind: nullcontext(),
) -> dict[str, tuple[Any, ...]]:
    """Execute every node once, as soon as its inputs are computed.

    Args:
        stand_ins: by class, called with the node's inputs in its place.
        classes: of `find_nodes`.
        around: entered with a node's class while it is executed.

    Returns:
        outputs by node id.
    """
    done: dict[str, tuple[Any, ...]] = {}
    waiting = dict(graph)
    with torch.inference_mode():  # as ComfyUI does
        while waiting:
            ready = [key for key, node in waiting.items() if all(link[0] in done for link in links_of(node))]
            assert ready, f"nodes {sorted(waiting)} wait for each other"
            for key in ready:
                node = waiting.pop(key)
                inputs = {
                    name: done[value[0]][value[1]] if _is_link(value) else value
                    for name, value in node["inputs"].items()
                }
                kind = node["class_type"]
                with around(kind):
                    done[key] = (
                        stand_ins[kind](**inputs) if kind in stand_ins else execute(classes[kind], inputs, graph, key)
                    )
    return done


def execute(node: Any, inputs: dict[str, Any], graph: Graph, key: str) -> tuple[Any, ...]:
    """One node's outputs; it is given the graph and its own id in it, as ComfyUI does."""
    if not issubclass(node, io.ComfyNode):
        return tuple(getattr(node(), node.FUNCTION)(**inputs))
    hidden = {io.Hidden.prompt: graph, io.Hidden.unique_id: key}
    fixed = node.PREPARE_CLASS_CLONE(
        {**hidden, "hidden_inputs": hidden}
    )  # 0.3.75 takes them bare, later versions named
    output = fixed.execute(**inputs)
    return tuple(output.args or ()) if isinstance(output, io.NodeOutput) else tuple(output)


def links_of(node: dict[str, Any]) -> list[list[Any]]:
    return [value for value in node["inputs"].values() if _is_link(value)]


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
