"""A workflow as it is written down: nodes in groups from left to right, links by names, notes. No coordinates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Space between groups, between nodes, around the nodes of a group, and what the titles take, in the graph's units.
GROUP_GAP, NODE_GAP, PADDING = 60, 40, 15
#: Between the lanes of buses.
LANE = 14
GROUP_TITLE, NODE_TITLE = 40, 30
DEFAULT_WIDTH = 330
MUTED = 2

Size = tuple[int, int]
Rect = tuple[int, int, int, int]


@dataclass(frozen=True)
class Node:
    """A node to be made.

    Attributes:
        key: its name in `GraphPlan.links`.
        kind: its class.
        widgets: values by the widget's name; the only widget of a note is called "".
        models: names of published model files that it loads.
        width, height: of the body without the title; 0: the group's width, and as high as its widgets need.
    """

    key: str
    kind: str
    widgets: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    mode: int = 0
    models: tuple[str, ...] = ()
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Group:
    """Nodes one below the other, with a frame and a title.

    Attributes:
        top: how far its upper edge is below the row's, so that links pass where there is no node.
        below: whether it is below the group before it instead of next to it.
    """

    title: str
    color: str
    nodes: tuple[Node, ...]
    width: int = DEFAULT_WIDTH
    top: int = 0
    below: bool = False


@dataclass(frozen=True)
class Bus:
    """Links of one output that go to far columns: along a lane above or below the groups, and down between them.

    Attributes:
        source: ``"segment.segment"``.
        targets: ``"save.segment"``, …
        lane: 0 is the one next to the groups; above them, or below.
    """

    source: str
    targets: tuple[str, ...]
    lane: int = 0
    above: bool = True


@dataclass(frozen=True)
class GraphPlan:
    """A whole workflow.

    Attributes:
        name: of its file.
        id: a fixed one, so that the same graph is the same file.
        notes: placed above the groups, from left to right.
        links: ``"segment.seed > noise.seed"``: from a node's output to another's input, nodes by their keys.
        buses: links in addition to those in `links`.
    """

    name: str
    id: str
    notes: tuple[Node, ...]
    groups: tuple[Group, ...]
    links: tuple[str, ...]
    buses: tuple[Bus, ...] = ()

    def nodes(self) -> Iterator[Node]:
        """All nodes in the order of their ids: along the groups, notes last."""
        for group in self.groups:
            yield from group.nodes
        yield from self.notes

    def split_links(self) -> list[tuple[str, str, str, str]]:
        """(from node, output, to node, input) of every link."""
        parts = []
        for link in self.links:
            source, _, target = link.partition(" > ")
            parts.append((*source.split("."), *target.split(".")))
        return parts  # type: ignore[return-value]


@dataclass(frozen=True)
class Placement:
    """The position of everything: nodes by key without their titles, groups in order; (x, y, width, height)."""

    nodes: dict[str, Rect]
    groups: list[Rect]

    def group_of(self, key: str) -> Rect:
        """The group that a node is in."""
        x, y, _, _ = self.nodes[key]
        return next(box for box in self.groups if box[0] <= x < box[0] + box[2] and box[1] <= y < box[1] + box[3])


def route_bus(placement: Placement, bus: Bus) -> dict[str, list[tuple[int, int]]]:
    """The points that each link of a bus passes, by its target: on the lane, at the gaps before the groups on its way."""
    upper, lower = min(box[1] for box in placement.groups), max(box[1] + box[3] for box in placement.groups)
    y = upper - LANE * (bus.lane + 1) if bus.above else lower + LANE * (bus.lane + 1)
    source = placement.group_of(bus.source.split(".")[0])
    start = source[0] + source[2] + GROUP_GAP // 2
    stops = {target: placement.group_of(target.split(".")[0])[0] - GROUP_GAP // 2 for target in bus.targets}
    return {
        target: [(start, y), *((x, y) for x in sorted(set(stops.values())) if start < x <= stop)]
        for target, stop in stops.items()
    }


def place_nodes(plan: GraphPlan, least: Mapping[str, Size]) -> Placement:
    """Lay a workflow out.

    Args:
        least: width and height that each node needs at least, as the editor says.
    """
    nodes: dict[str, Rect] = {}
    notes = {note.key: (note.width, max(note.height, least[note.key][1])) for note in plan.notes}
    note_height = max((height for _, height in notes.values()), default=0)
    x = 0
    for key, (width, height) in notes.items():
        nodes[key] = (x, NODE_TITLE, width, height)
        x += width + NODE_GAP
    lanes = 1 + max((bus.lane for bus in plan.buses if bus.above), default=-1)
    row = NODE_TITLE + note_height + NODE_GAP + LANE * lanes if plan.notes else 0
    groups: list[Rect] = []
    x = 0
    for group in plan.groups:
        if group.below and groups:
            left, upper, width, height = groups[-1]
            x, top = left, upper + height + NODE_GAP + group.top
        else:
            x = groups[-1][0] + max(g[2] for g in groups if g[0] == groups[-1][0]) + GROUP_GAP if groups else 0
            top = row + group.top
        y = top + GROUP_TITLE
        for node in group.nodes:
            width = max(node.width or group.width, least[node.key][0])
            height = max(node.height, least[node.key][1])
            y += NODE_TITLE
            nodes[node.key] = (x + PADDING, y, width, height)
            y += height + NODE_GAP
        widest = max(nodes[node.key][2] for node in group.nodes)
        groups.append((x, top, widest + 2 * PADDING, y - NODE_GAP + PADDING - top))
    return Placement(nodes, groups)
