"""A saved workflow with its subgraphs unfolded: every node at each place where it is used, with the links around it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: What stands for a subgraph's border in its own links: where its inputs come in, and where its outputs go out.
INPUT_BORDER, OUTPUT_BORDER = "-10", "-20"
MUTED, BYPASSED = 2, 4
_ORIGIN = ("origin_id", "origin_slot")
_TARGET = ("target_id", "target_slot")


@dataclass(frozen=True)
class Link:
    """Where a link comes from, and the node that it goes to."""

    origin: str
    slot: int
    target: str


@dataclass(frozen=True)
class Definition:
    """The nodes and links of a workflow, or of a subgraph's definition.

    Attributes:
        links: id → link.
        inputs, outputs: of a subgraph.
        leaving: output → the first link to it.
    """

    nodes: tuple[dict[str, Any], ...]
    links: dict[str, Link]
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    leaving: dict[int, Link] = field(default_factory=dict)


@dataclass(eq=False)
class Level:
    """The content of a workflow, or of a subgraph where it is used once.

    Attributes:
        host: the node that is this subgraph; None for the workflow itself.
        nodes: by the id that they have in the file.
    """

    definition: Definition
    host: PlacedNode | None
    nodes: dict[str, PlacedNode] = field(default_factory=dict)

    def find_link(self, socket: Mapping[str, Any]) -> Link | None:
        """The link into an input, or None, also when the file has no such link any more."""
        number = socket.get("link")
        return self.definition.links.get(str(number)) if number is not None else None


@dataclass(eq=False)
class PlacedNode:
    """A node at one place.

    Attributes:
        id: its id in the graph of the server: ``"7"``, or ``"5:7"`` inside of subgraph 5.
        data: as the file has it.
        inner: what is in it, for a subgraph.
    """

    id: str
    data: dict[str, Any]
    level: Level
    inner: Level | None = None

    @property
    def kind(self) -> str:
        """Its class."""
        return str(self.data.get("type"))

    @property
    def mode(self) -> Any:
        """`MUTED`, `BYPASSED`, or another value for a node that is executed."""
        return self.data.get("mode", 0)

    @functools.cached_property
    def inputs(self) -> list[dict[str, Any]]:
        """Its inputs, as the file has them."""
        return [socket for socket in self.data.get("inputs") or [] if isinstance(socket, dict)]

    @functools.cached_property
    def outputs(self) -> list[dict[str, Any]]:
        """Its outputs, as the file has them."""
        return [socket for socket in self.data.get("outputs") or [] if isinstance(socket, dict)]


def unfold(ui: Mapping[str, Any]) -> Level:
    """Unfold a workflow. Subgraphs do not contain themselves, and the whole is no larger than `limits` allows.

    Args:
        ui: as the editor saves it, with links as lists.
    """
    definitions = {
        one["id"]: _read_definition(one)
        for one in _dicts((ui.get("definitions") or {}).get("subgraphs"))
        if isinstance(one.get("id"), str)
    }
    return _place(_read_definition(ui), None, "", definitions)


def executed_nodes(level: Level) -> Iterator[PlacedNode]:
    """The nodes that are neither muted nor bypassed: those of a subgraph in its place, unless it is muted or bypassed itself."""
    for node in level.nodes.values():
        if node.mode in (MUTED, BYPASSED):
            continue
        if node.inner is not None:
            yield from executed_nodes(node.inner)
        else:
            yield node


def _place(definition: Definition, host: PlacedNode | None, prefix: str, known: Mapping[str, Definition]) -> Level:
    level = Level(definition, host)
    for data in definition.nodes:
        node = PlacedNode(f"{prefix}{data.get('id')}", data, level)
        if (inner := known.get(node.kind)) is not None:
            node.inner = _place(inner, node, f"{node.id}:", known)
        level.nodes[str(data.get("id"))] = node
    return level


def _read_definition(data: Mapping[str, Any]) -> Definition:
    links: dict[str, Link] = {}
    leaving: dict[int, Link] = {}
    for entry in data.get("links") or []:
        link = _read_link(entry)
        if link is None:
            continue
        number, origin, origin_slot, target, target_slot = link
        links[str(number)] = Link(str(origin), origin_slot, str(target))
        if str(target) == OUTPUT_BORDER:
            leaving.setdefault(target_slot, links[str(number)])
    return Definition(
        tuple(_dicts(data.get("nodes"))),
        links,
        tuple(_dicts(data.get("inputs"))),
        tuple(_dicts(data.get("outputs"))),
        leaving,
    )


def _read_link(entry: Any) -> tuple[Any, Any, int, Any, int] | None:
    """Id, origin, its output, target, its input; of both forms, or None for what is neither."""
    if isinstance(entry, dict):
        values = [entry.get(name) for name in ("id", *_ORIGIN, *_TARGET)]
    elif isinstance(entry, (list, tuple)) and len(entry) >= 5:
        values = list(entry[:5])
    else:
        return None
    number, origin, origin_slot, target, target_slot = values
    if not isinstance(origin_slot, int) or not isinstance(target_slot, int) or origin_slot < 0:
        return None
    return number, origin, origin_slot, target, target_slot


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
