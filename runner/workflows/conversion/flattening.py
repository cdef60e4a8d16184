"""A workflow as one flat graph without anything that only the editor knows, which the converter reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .editor_nodes import is_editor_node
from .levels import Level, PlacedNode, executed_nodes
from .tracing import Output, Tracer, Value


@dataclass
class FlatWorkflow:
    """What a converter gets, and what it does not know.

    Attributes:
        ui: nodes with direct links, with the ids that they have in the server's graph.
        values: (node, input) → the value that it gets from elsewhere in the editor, which counts before that of its widget.
        nodes: those of `ui`, as they are placed.
    """

    ui: dict[str, Any]
    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    nodes: list[PlacedNode] = field(default_factory=list)


def flatten(level: Level, object_info: Mapping[str, Any]) -> FlatWorkflow:
    """Flatten an unfolded workflow.

    Raises:
        VideoGenError: `workflow-invalid`, for links in a circle of nodes that only pass on.
    """
    tracer = Tracer(object_info)
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    flat = FlatWorkflow({"nodes": nodes, "links": links})
    for node in executed_nodes(level):
        if is_editor_node(node.kind, object_info):
            continue
        sockets = [dict(socket) for socket in node.inputs]
        for slot, socket in enumerate(sockets):
            source = tracer.trace(node, slot)
            socket["link"] = None
            if isinstance(source, Output):
                socket["link"] = len(links) + 1
                links.append([len(links) + 1, source.node.id, source.slot, node.id, slot, socket.get("type")])
            elif isinstance(source, Value) and isinstance(socket.get("name"), str):
                flat.values[node.id, socket["name"]] = source.value
        nodes.append({**node.data, "id": node.id, "inputs": sockets})
        flat.nodes.append(node)
    return flat
