"""Group nodes, which came before subgraphs: each is unfolded as if it were a subgraph of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError

from .levels import INPUT_BORDER, OUTPUT_BORDER
from .sockets import input_specs, is_widget

_PREFIXES = ("workflow>", "workflow/")
#: Nodes and links in all group nodes together.
MAX_SIZE = 20_000
_HINT = "Open it in the editor, convert the group node to nodes or to a subgraph (in its menu), and save it."


def replace_group_nodes(ui: dict[str, Any], object_info: Mapping[str, Any]) -> dict[str, Any]:
    """The workflow with a subgraph in place of each group node; the nodes inside have the ids that the editor gives them.

    Raises:
        VideoGenError: `workflow-invalid`, for a group node that is not as simple as most.
    """
    if not any(_is_group(node) for node in _dicts(ui.get("nodes"))):
        return ui
    found = copy.deepcopy(ui)
    extra = found.get("extra")
    groups = extra.get("groupNodes") if isinstance(extra, dict) else None
    definitions = found.setdefault("definitions", {}).setdefault("subgraphs", [])
    size = 0
    for node in _dicts(found["nodes"]):
        if _is_group(node):
            name = node["type"][len(_PREFIXES[0]) :]
            group = groups.get(name) if isinstance(groups, dict) else None
            try:
                size += _size(group)
                if size > MAX_SIZE:
                    raise _UnusualError(
                        f"with those before it more than {MAX_SIZE:,} nodes and links are in group nodes"
                    )
                definition = _Group(node, group, object_info).define()
            except (_UnusualError, KeyError, IndexError, TypeError) as error:
                reason = f": {error}" if isinstance(error, _UnusualError) else ""
                raise VideoGenError(
                    "workflow-invalid",
                    f"node {node.get('id')} is the group node {name!r}, which cannot be unfolded{reason}",
                    _HINT,
                ) from None
            definitions.append(definition)
            node["type"] = definition["id"]
    return found


class _UnusualError(Exception):
    """Why a group node cannot be unfolded."""


class _Group:
    """A group node, and what is in it.

    Args:
        group: nodes, numbered from 0, and links ``[origin, output, target, input, …]``.
    """

    def __init__(self, node: dict[str, Any], group: Any, object_info: Mapping[str, Any]) -> None:
        if not isinstance(group, dict):
            raise _UnusualError("the file does not say what is in it")
        if group.get("config"):
            raise _UnusualError("its inputs or widgets were renamed or hidden")
        self._node, self._info = node, object_info
        self._inner = _dicts(group["nodes"])
        self._inside = [link for link in group["links"] if link[0] is not None]
        self._external = {(one[0], one[1]) for one in group.get("external") or ()}
        for one in self._inner:
            if one["type"] not in object_info:
                raise _UnusualError(f"the server has no node {one['type']}")
            if any(socket.get("widget") for socket in _dicts(one.get("inputs"))):
                raise _UnusualError("widgets in it are inputs")

    def define(self) -> dict[str, Any]:
        """The definition of a subgraph with the same content and this node's values."""
        values = list(self._node.get("widgets_values") or [])
        definition: dict[str, Any] = {"id": f"group node {self._node['id']}", "inputs": [], "outputs": []}
        links: list[list[Any]] = []
        for number, link in enumerate(self._inside):
            links.append([number, link[0], link[1], link[2], link[3], None])
        into = {(link[2], link[3]): number for number, link in enumerate(self._inside)}
        outwards = {(link[0], link[1]) for link in self._inside}
        nodes = []
        for index, one in enumerate(self._inner):
            own = len(one.get("widgets_values") or [])
            sockets = self._sockets(one)
            for slot, socket in enumerate(sockets):
                number = into.get((index, slot), len(links))
                if number == len(links):
                    links.append([number, INPUT_BORDER, len(definition["inputs"]), index, slot, socket["type"]])
                    definition["inputs"].append(self._border(len(definition["inputs"]), socket["type"], number))
                socket["link"] = number
            for slot, kind in enumerate(self._info[one["type"]].get("output") or ()):
                if (index, slot) not in outwards or (index, slot) in self._external:
                    links.append([len(links), index, slot, OUTPUT_BORDER, len(definition["outputs"]), kind])
                    definition["outputs"].append({"name": str(kind), "type": kind, "linkIds": [len(links) - 1]})
            nodes.append({**one, "id": index, "inputs": sockets, "widgets_values": values[:own]})
            values = values[own:]
        if values:
            raise _UnusualError("it has more values than the nodes in it")
        return {**definition, "nodes": nodes, "links": links}

    def _sockets(self, inner: dict[str, Any]) -> list[dict[str, Any]]:
        """The inputs of a node inside that have no widget, which is how its links count them."""
        schema = self._info[inner["type"]]
        return [{"name": name, "type": spec[0]} for name, spec in input_specs(schema) if not is_widget(spec)]

    def _border(self, place: int, kind: Any, number: int) -> dict[str, Any]:
        """An input of the group node: those without a widget are in the order of the nodes inside."""
        outer = _dicts(self._node.get("inputs"))
        if place >= len(outer) or outer[place].get("type") != kind:
            raise _UnusualError("its inputs are others than those of the nodes in it")
        return {"name": outer[place].get("name"), "type": kind, "linkIds": [number]}


def _size(group: Any) -> int:
    return sum(len(group[name]) for name in ("nodes", "links")) if isinstance(group, dict) else 0


def _is_group(node: Mapping[str, Any]) -> bool:
    return isinstance(node.get("type"), str) and node["type"].startswith(_PREFIXES)


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
