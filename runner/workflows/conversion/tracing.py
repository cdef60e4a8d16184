"""Where the value of an input comes from, past everything that only the editor knows: the editor's own rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError

from .editor_nodes import PRIMITIVE, is_editor_node, name_of, setter_of
from .levels import BYPASSED, INPUT_BORDER, MUTED, Level, Link, PlacedNode
from .promotion import Promotion
from .sockets import find_bypass, open_inputs, output_type


@dataclass(frozen=True)
class Output:
    """An output of a node that the server executes."""

    node: PlacedNode
    slot: int


@dataclass(frozen=True)
class Value:
    """A value that stands elsewhere in the editor: in a primitive, or in the widget of a subgraph."""

    value: Any


#: None: nothing arrives, so that the widget's own value counts.
Source = Output | Value | None


@dataclass(frozen=True)
class _At:
    """A place on the way: an input of a node, or an output; and the type that is asked for."""

    node: PlacedNode
    slot: int
    wanted: Any
    outgoing: bool
    #: Whether it was reached by links alone: a primitive reaches no widget through a node.
    direct: bool


class Tracer:
    """Follows links upstream through bypassed nodes, reroutes, Get and Set nodes, and the borders of subgraphs.

    Args:
        object_info: the schemas of the server's nodes.
    """

    def __init__(self, object_info: Mapping[str, Any]) -> None:
        self._info = object_info
        #: What was found for a place, for those that are reached from many.
        self._found: dict[tuple[Any, ...], Source] = {}
        self._setters: dict[tuple[int, str], dict[str, PlacedNode]] = {}
        self._open: dict[int, list[dict[str, Any]]] = {}
        self._promotion = Promotion()

    def trace(self, node: PlacedNode, slot: int) -> Source:
        """The source of an input of the file.

        Raises:
            VideoGenError: `workflow-invalid`, for links in a circle of nodes that only pass on.
        """
        at: _At | None = _At(node, slot, None, outgoing=False, direct=True)
        found: Source = None
        passed: dict[tuple[Any, ...], None] = {}
        while at is not None:
            key = (id(at.node), at.slot, str(at.wanted), at.outgoing, at.direct)
            if key in self._found:
                found = self._found[key]
                break
            if key in passed:
                raise VideoGenError(
                    "workflow-invalid",
                    f"node {node.id} ({node.kind}): its input {node.inputs[slot].get('name')!r} comes from links that go round in"
                    f" a circle at node {at.node.id} ({at.node.kind})",
                    "Remove one of these links in the editor.",
                )
            passed[key] = None
            step = self._leave(at) if at.outgoing else self._enter(at)
            if isinstance(step, _At):
                at = step
            else:
                at, found = None, step
        self._found.update(dict.fromkeys(passed, found))
        return found

    def _enter(self, at: _At) -> _At | Source:
        """From an input along its link."""
        inputs = self._inputs(at.node)
        if at.slot >= len(inputs):
            return None
        socket = inputs[at.slot]
        link = at.node.level.find_link(socket)
        if link is None:
            return None
        return self._follow(at.node.level, link, at.wanted or socket.get("type"), at.direct)

    def _follow(self, level: Level, link: Link, wanted: Any, direct: bool) -> _At | Source:
        if link.origin == INPUT_BORDER and level.host is not None:
            return self._go_up(level.host, level, link.slot, direct)
        origin = level.nodes.get(link.origin)
        return _At(origin, link.slot, wanted, outgoing=True, direct=direct) if origin is not None else None

    def _go_up(self, host: PlacedNode, level: Level, slot: int, direct: bool) -> _At | Source:
        """From inside a subgraph to what its input gets; if nothing is linked to it, to its widget."""
        borders = level.definition.inputs
        if slot >= len(borders):
            return None
        name = borders[slot].get("name")
        index = next((index for index, one in enumerate(host.inputs) if one.get("name") == name), None)
        if index is not None and host.level.find_link(host.inputs[index]) is not None:
            return _At(host, index, None, outgoing=False, direct=direct)
        values = self._promotion.values(host)
        return Value(values[slot]) if slot in values else None

    def _leave(self, at: _At) -> _At | Source:
        """From an output to what the node gives there."""
        node, schema = at.node, self._info.get(at.node.kind)
        if node.kind == PRIMITIVE:
            # Its value is written into the widget whether it is muted or not.
            values = node.data.get("widgets_values")
            return Value(values[0]) if at.direct and isinstance(values, list) and values else None
        if node.mode == MUTED:
            return None
        if node.mode == BYPASSED:
            out = output_type(node, at.slot, schema)
            index = find_bypass(self._inputs(node), at.slot, out, at.wanted)
            return None if index is None else _At(node, index, None, outgoing=False, direct=False)
        if node.inner is not None:
            link = node.inner.definition.leaving.get(at.slot)
            return None if link is None else self._follow(node.inner, link, at.wanted, at.direct)
        if not is_editor_node(node.kind, self._info):
            return Output(node, at.slot)
        setter = self._find_setter(node)
        through = setter or node
        if at.slot >= len(through.inputs):
            return None
        return _At(through, at.slot, at.wanted, outgoing=False, direct=False)

    def _inputs(self, node: PlacedNode) -> list[dict[str, Any]]:
        """A bypassed node chooses among all inputs that it has in the editor; elsewhere those of the file are enough."""
        if node.mode != BYPASSED:
            return node.inputs
        if id(node) not in self._open:
            self._open[id(node)] = open_inputs(node, self._info.get(node.kind))
        return self._open[id(node)]

    def _find_setter(self, node: PlacedNode) -> PlacedNode | None:
        """The Set node of a Get node: in the same graph, else in those around it."""
        kind, level = setter_of(node.kind), node.level
        while kind is not None:
            key = (id(level), kind)
            if key not in self._setters:
                named = [(name_of(one.data), one) for one in level.nodes.values() if one.kind == kind]
                self._setters[key] = dict(reversed(named))
            if (found := self._setters[key].get(name_of(node.data))) is not None:
                return found
            if level.host is None:
                return None
            level = level.host.level
        return None
