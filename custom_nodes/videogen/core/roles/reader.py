"""Reading a graph by its links and its nodes' schemas: types of inputs, and where a value comes from."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..graph import Graph, is_link
from .table import Place

_AUTOGROW, _DYNAMIC_COMBO = "COMFY_AUTOGROW_V3", "COMFY_DYNAMICCOMBO_V3"
#: Types that any value has.
ANY = ("*", "COMFY_MATCHTYPE_V3")
#: Types of values that are written into a field.
_WRITTEN = ("INT", "FLOAT", "STRING", "BOOLEAN")
_SWITCH = "ComfySwitchNode"
#: The class of nodes that compute.
MATH = "ComfyMathExpression"
_MAX_DEPTH = 64
#: Inputs that one input grows to; ComfyUI's own limit is the same.
_MOST_GROWN = 100

#: Given a node's id and its output, the inputs that the value is searched in next; none where the search ends.
Crossing = Callable[[str, int], Sequence[str]]


@dataclass(frozen=True)
class Socket:
    """An input of a node as its schema and the graph have it.

    Attributes:
        name: with dots where it is nested: ``ref_images.ref_image_0``, ``model.duration``.
        kind: the type; ``COMBO`` for choices.
        options: of its schema.
        connected: the graph has a value for it.
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    connected: bool

    @property
    def last(self) -> str:
        """The last part of its name, in lower case."""
        return self.name.rpartition(".")[2].lower()

    @property
    def kinds(self) -> set[str]:
        """The types that it takes."""
        return set(self.kind.split(","))

    @property
    def multiline(self) -> bool:
        return bool(self.options.get("multiline"))

    @property
    def choices(self) -> Sequence[Any]:
        """Of one that is chosen from a list: what can be chosen."""
        return self.options.get("options") or ()


class GraphReader:
    """A graph with the schemas of its nodes. It is read as it was when it came: nobody may change it meanwhile.

    Args:
        object_info: of the server; a node without a schema has no types, and its links are followed all the same.
    """

    def __init__(self, graph: Graph, object_info: Mapping[str, Any]) -> None:
        self.graph = graph
        self._schemas = object_info
        self._sockets: dict[str, list[Socket]] = {}
        self._passed: dict[tuple[str, int], Sequence[str]] = {}
        self._switches = 0  # those being read, each for the one before

    # ------------------------------------------------------------------ nodes

    def kind(self, node: str) -> str:
        return str(self.graph[node]["class_type"])

    def title(self, node: str) -> str:
        """The title that its user sees, in lower case."""
        return str((self.graph[node].get("_meta") or {}).get("title", "")).lower()

    def schema(self, node: str) -> Mapping[str, Any]:
        """Its schema; empty for a node that the server does not have."""
        return self._schemas.get(self.kind(node)) or {}

    def outputs(self, node: str) -> list[str]:
        """The types of its outputs."""
        return [kind if isinstance(kind, str) else "COMBO" for kind in self.schema(node).get("output") or []]

    def output_name(self, node: str, output: int) -> str:
        names = self.schema(node).get("output_name") or []
        return str(names[output]).lower() if output < len(names) else ""

    def sockets(self, node: str) -> list[Socket]:
        """The inputs of a node: those of its schema, with nested ones for the choices that it has, or those that are linked."""
        if node not in self._sockets:
            self._sockets[node] = list(self._read_sockets(node))
        return self._sockets[node]

    def _read_sockets(self, node: str) -> Iterator[Socket]:
        inputs = self.graph[node]["inputs"]
        groups = self.schema(node).get("input") or {}
        if not groups:
            return (Socket(name, "*", {}, True) for name in inputs)
        specs = {**groups.get("required", {}), **groups.get("optional", {})}
        return self._flatten(specs, inputs, "")

    def _flatten(self, specs: Mapping[str, Any], inputs: Mapping[str, Any], prefix: str) -> Iterator[Socket]:
        for name, spec in specs.items():
            if not isinstance(spec, list) or not spec:
                continue
            kind = spec[0] if isinstance(spec[0], str) else "COMBO"
            options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
            if isinstance(spec[0], list):
                options = {**options, "options": spec[0]}
            full = prefix + name
            if kind == _AUTOGROW:
                yield from self._grown(full, options, inputs)
            elif kind == _DYNAMIC_COMBO:
                yield Socket(full, "COMBO", options, full in inputs)
                yield from self._flatten(_nested(options, inputs, full), inputs, f"{full}.")
            else:
                yield Socket(full, kind, options, full in inputs)

    def unknown_choices(self, node: str) -> Iterator[Place]:
        """Inputs with nested ones whose choice the server's node does not have."""
        for socket in self.sockets(node):
            keys = [choice.get("key") for choice in socket.choices if isinstance(choice, dict)]
            place = self.place(node, socket.name)
            if keys and socket.connected and not place.linked and place.value not in keys:
                yield place

    @staticmethod
    def _grown(full: str, options: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[Socket]:
        """Sockets of an input that grows: the connected ones, and the next free one."""
        template = options.get("template")
        specs = list(_both_groups(template.get("input") if isinstance(template, dict) else None).values())
        kind = str(specs[0][0]) if specs and isinstance(specs[0], list) and specs[0] else "*"
        there = [name for name in inputs if name.startswith(f"{full}.")]
        for name in there:
            yield Socket(name, kind, {}, True)
        names = (f"{full}.{name}" for name in grown_names(options))
        free = next((name for name in names if name not in inputs), None)
        if free is not None:
            yield Socket(free, kind, {}, False)

    def socket(self, node: str, name: str) -> Socket | None:
        return next((socket for socket in self.sockets(node) if socket.name == name), None)

    def place(self, node: str, name: str) -> Place:
        inputs = self.graph[node]["inputs"]
        return Place(node, name, self.kind(node), inputs.get(name), free=name not in inputs)

    # ------------------------------------------------------------------ values

    def passed(self, node: str, output: int) -> Sequence[str]:
        """The inputs that an output may be, unchanged. Several where a switch cannot be read.

        Of reroutes, primitives and switches; and of nodes that hand a number or text on under its own name.
        """
        found = self._passed.get((node, output))
        if found is None:
            # A switch that depends on itself cannot be read.
            self._passed[node, output] = ("on_false", "on_true") if self.kind(node) == _SWITCH else ()
            found = self._passed[node, output] = self._find_passed(node, output)
        return found

    def _find_passed(self, node: str, output: int) -> Sequence[str]:
        inputs = self.graph[node]["inputs"]
        kind = self.kind(node)
        if kind == _SWITCH:
            self._switches += 1
            wanted = self.constant(self.place(node, "switch")) if self._switches <= _MAX_DEPTH else None
            self._switches -= 1
            names = ["on_true"] if wanted is True else ["on_false"] if wanted is False else ["on_false", "on_true"]
            return [name for name in names if name in inputs]
        if "any switch" in kind.lower():
            return [name for name in inputs if is_link(inputs[name])][:1]  # the first one that is connected
        sockets = [socket for socket in self.sockets(node) if socket.name in inputs]
        types = self.outputs(node)
        made = types[output] if output < len(types) else "*"
        same = [socket for socket in sockets if made in ANY or socket.kind == made or socket.kind in ANY]
        if len(sockets) > 1:
            # An output without a name of its own has that of its type.
            named = self.output_name(node, output)
            same = [one for one in same if made in _WRITTEN and one.last == named != made.lower()]
        return [socket.name for socket in same]

    def leaves(self, place: Place, cross: Crossing | None = None) -> list[Place]:
        """The inputs where a value is written: a literal, or a link to a node that makes it.

        Args:
            cross: what else the search goes through, besides `passed`.
        """
        found: dict[Place, None] = {}
        stack = [(place, 0)]
        seen = set()
        while stack:
            place, depth = stack.pop()
            if place in seen or depth > _MAX_DEPTH:
                continue
            seen.add(place)
            source = self.source(place)
            names: Sequence[str] = ()
            if source is not None:
                names = self.passed(*source) or (cross(*source) if cross else ())
            if source is None or not names:
                found[place] = None
                continue
            stack += [(self.place(source[0], name), depth + 1) for name in reversed(names)]
        return list(found)

    def source(self, place: Place) -> tuple[str, int] | None:
        """The node and output that a place is linked to; None for a literal, and for a node that is not there."""
        if not is_link(place.value) or place.value[0] not in self.graph or place.value[1] < 0:
            return None
        return place.value[0], place.value[1]

    def takers(self, node: str, output: int) -> Sequence[str]:
        """The nodes that take an output."""
        return self._takers.get((node, output), ())

    @cached_property
    def _takers(self) -> Mapping[tuple[str, int], Sequence[str]]:
        takers = defaultdict(list)
        for node, entry in self.graph.items():
            for node_id, output in filter(is_link, entry["inputs"].values()):
                takers[node_id, output].append(node)
        return takers

    def constant(self, place: Place) -> Any:
        """The literal that reaches a place; None where it depends on more than literals."""
        leaves = self.leaves(place)
        return leaves[0].value if len(leaves) == 1 and not leaves[0].linked else None

    def through_math(self, node: str, output: int) -> Sequence[str]:
        """A `Crossing` of expressions in one variable: they only change a value's scale."""
        if self.kind(node) != MATH:
            return ()
        names = [name for name in self.graph[node]["inputs"] if name.startswith("values.")]
        return names if len(names) == 1 else ()

    def upstream(self, roots: Sequence[str]) -> list[str]:
        """The nodes that some nodes depend on, these included, the nearest first; of a switch only the side that is on."""
        order: dict[str, None] = {}
        queue = [root for root in roots if root in self.graph]
        for node in queue:
            if node in order:
                continue
            order[node] = None
            inputs = self.graph[node]["inputs"]
            names = [*self.passed(node, 0), "switch"] if self.kind(node) == _SWITCH else list(inputs)
            queue += [inputs[name][0] for name in names if is_link(inputs.get(name)) and inputs[name][0] in self.graph]
        return list(order)


def _nested(options: Mapping[str, Any], inputs: Mapping[str, Any], full: str) -> Mapping[str, Any]:
    """The inputs that belong to a graph's choice; of a choice that is not known those of other choices that the graph has."""
    known: dict[str, Any] = {}
    for choice in options.get("options") or []:
        nested = _both_groups(choice.get("inputs") if isinstance(choice, dict) else None)
        if isinstance(choice, dict) and choice.get("key") == inputs.get(full):
            return nested
        known = {**nested, **known}
    there = {name.removeprefix(f"{full}.").partition(".")[0] for name in inputs if name.startswith(f"{full}.")}
    return {name: spec for name, spec in known.items() if name in there}


def _both_groups(groups: Any) -> dict[str, Any]:
    """The required and the optional inputs of a nested schema, which nobody has looked at before."""
    parts = [groups.get(name) for name in ("required", "optional")] if isinstance(groups, dict) else []
    return {name: spec for part in parts if isinstance(part, dict) for name, spec in part.items()}


def grown_names(options: Mapping[str, Any]) -> list[str]:
    """The names of an input that grows, without that of the input itself, in their order.

    Args:
        options: of the input's schema.
    """
    template = options.get("template")
    if not isinstance(template, dict):
        return []
    names, most = template.get("names"), template.get("max")
    if isinstance(names, list):
        return [str(name) for name in names[:_MOST_GROWN]]
    count = min(most, _MOST_GROWN) if isinstance(most, int) else 0
    return [f"{template.get('prefix', '')}{number}" for number in range(count)]


def is_condition(kind: str) -> bool:
    """Whether a type is that of what a sampler is conditioned on; packs with samplers of their own have ``…EMBEDS`` for it."""
    return kind == "CONDITIONING" or "EMBED" in kind


def same_value(values: Sequence[Any]) -> bool:
    """Whether literals are one value: 16 and 16.0 are."""
    first = values[0]
    return all(
        value == first
        or (isinstance(value, (int, float)) and isinstance(first, (int, float)) and math.isclose(value, first))
        for value in values
    )
