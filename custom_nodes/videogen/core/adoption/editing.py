"""Changes to a workflow as the editor saves it: nodes, links, and inputs that a subgraph shows on its outside."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator
from typing import Any

from ..errors import VideoGenError

Node = dict[str, Any]
#: The node id that a subgraph's links have for its own inputs.
_BORDER = -10
#: Of a link as a list.
_FIELDS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
_HINT = "Move the nodes out of the group in the editor, save, and adopt the workflow again."


class Level:
    """The workflow itself, or one of its subgraphs, with links that can be changed.

    Args:
        data: of the workflow or the subgraph's definition; it is changed in place.
        is_root: whether it is the workflow, whose links are lists.
    """

    def __init__(self, data: dict[str, Any], is_root: bool) -> None:
        self.data, self.is_root = data, is_root

    @property
    def nodes(self) -> list[Node]:
        found: list[Node] = self.data.setdefault("nodes", [])
        return found

    def node(self, number: str) -> Node | None:
        """The node of an id, as text."""
        return next((node for node in self.nodes if str(node.get("id")) == number), None)

    def link(self, number: Any) -> dict[str, Any] | None:
        """A link by its id, with the names of `_FIELDS`."""
        for link in self.data.get("links") or []:
            found = dict(zip(_FIELDS, link, strict=False)) if isinstance(link, list) else link
            if isinstance(found, dict) and found.get("id") == number:
                return found
        return None

    def add_link(self, source: Any, output: int, target: Any, slot: int, kind: str) -> int:
        """Add a link; the sockets at both ends are the caller's."""
        number = self._next_link()
        link = dict(zip(_FIELDS, (number, source, output, target, slot, kind), strict=True))
        self.data.setdefault("links", []).append([*link.values()] if self.is_root else link)
        return number

    def remove_link(self, number: Any) -> None:
        """Take a link away, at its source and among the points that it is drawn through as well."""
        found = self.link(number)
        if found is None:
            return
        self.data["links"] = [
            link for link in self.data["links"] if (link[0] if isinstance(link, list) else link.get("id")) != number
        ]
        source = self.node(str(found.get("origin_id")))
        for output in (source or {}).get("outputs") or []:
            if isinstance(output.get("links"), list) and number in output["links"]:
                output["links"].remove(number)
        extra = self.data.get("extra")
        for points in (self.data.get("reroutes"), extra.get("reroutes") if isinstance(extra, dict) else None):
            for point in points or []:
                if isinstance(point, dict) and number in (point.get("linkIds") or []):
                    point["linkIds"].remove(number)

    def _next_link(self) -> int:
        numbers = [link[0] if isinstance(link, list) else link.get("id") for link in self.data.get("links") or []]
        state = self.data.get("state")
        known = [self.data.get("last_link_id"), state.get("lastLinkId") if isinstance(state, dict) else None]
        number = max((one for one in (*numbers, *known) if isinstance(one, int)), default=0) + 1
        if self.is_root or "last_link_id" in self.data:
            self.data["last_link_id"] = number
        if isinstance(state, dict):
            state["lastLinkId"] = number
        return number


class EditedWorkflow:
    """A workflow that is being changed.

    Args:
        data: as the editor saves it; it is changed in place.
        together: inputs that get new sources, (id of the node in the server's graph, name): what a subgraph shows once for
            several inputs is connected on its outside only where all of them do.
    """

    def __init__(self, data: dict[str, Any], together: Collection[tuple[str, str]] = ()) -> None:
        self.root = Level(data, True)
        self._together = together
        definitions = data.get("definitions")
        subgraphs = definitions.get("subgraphs") if isinstance(definitions, dict) else None
        self._definitions = {str(one.get("id")): Level(one, False) for one in subgraphs or [] if isinstance(one, dict)}

    def levels(self) -> Iterator[Level]:
        """The workflow and all its subgraphs."""
        yield self.root
        yield from self._definitions.values()

    def add_node(self, node: Node) -> Node:
        """Add a node to the workflow itself, and give it an id and an order.

        Returns:
            The node.
        """
        numbers = [one["id"] for one in self.root.nodes if isinstance(one.get("id"), int)]
        last = self.root.data.get("last_node_id")
        state = self.root.data.get("state")
        known = [last, state.get("lastNodeId") if isinstance(state, dict) else None]
        number = max((one for one in (*numbers, *known) if isinstance(one, int)), default=0) + 1
        self.root.data["last_node_id"] = number
        if isinstance(state, dict):
            state["lastNodeId"] = number
        node = {"id": number, "flags": {}, "order": 0, "mode": 0, **node}
        self.root.nodes.append(node)
        return node

    def connect(self, source: Node, output: int, target: Node, name: str) -> None:
        """Connect an output of one of the workflow's own nodes to an input of another."""
        slot = next(place for place, socket in enumerate(target["inputs"]) if socket["name"] == name)
        self._plug(self.root, source, output, target, slot)

    def connect_inside(self, source: Node, output: int, place: str, name: str, kind: str, value: Any) -> None:
        """Connect an output of one of the workflow's own nodes to an input that may be inside subgraphs.

        What gives the input its value now is replaced, where the value enters: at a subgraph's outside, if it is shown there.

        Args:
            place: id of the node in the server's graph, such as ``12`` or ``57:8``.
            kind: type of the input.
            value: of the input now, for subgraphs that come to show it.

        Raises:
            VideoGenError: `workflow-invalid` for a node in a group node, whose inside only the editor knows.
        """
        chain = self._find(place)
        level, node = chain.pop()
        slot = _slot_of(node, name, kind)
        path = place.rpartition(":")[0]
        # Where one input is shown on the outside, all that it leads to inside get the new source.
        inside = {(place, name)}
        while True:
            link = level.link(node["inputs"][slot].get("link"))
            if link is not None and link.get("origin_id") == _BORDER and self._is_theirs(level, path, link, inside):
                border = link.get("origin_slot")
            elif level.is_root:
                break
            else:
                border = self._show(level, node, slot, value)
            shown = level.data["inputs"][border]
            level, node = chain.pop()
            slot = _slot_of(node, shown["name"], shown.get("type") or "*")
            inside, path = {(path, shown["name"])}, path.rpartition(":")[0]
        self._plug(level, source, output, node, slot)

    def _is_theirs(self, level: Level, path: str, link: dict[str, Any], inside: set[tuple[str, str]]) -> bool:
        """Whether everything that a subgraph's input leads to gets the new source."""
        border = level.data["inputs"][link["origin_slot"]]
        for number in border.get("linkIds") or []:
            other = level.link(number) or {}
            target = level.node(str(other.get("target_id")))
            sockets = (target or {}).get("inputs") or []
            slot = other.get("target_slot")
            name = sockets[slot].get("name") if isinstance(slot, int) and slot < len(sockets) else None
            found = (f"{path}:{other.get('target_id')}", name)
            if found not in inside and found not in self._together:
                return False
        return True

    def _find(self, place: str) -> list[tuple[Level, Node]]:
        """A node and the subgraphs that it is in, from the outside."""
        chain: list[tuple[Level, Node]] = []
        level = self.root
        for number in place.split(":"):
            node = level.node(number)
            inner = self._definitions.get(str(node.get("type"))) if node is not None else None
            if node is None:
                raise VideoGenError(
                    "workflow-invalid", f"node {place} is inside a group node, which only the editor can open", _HINT
                )
            chain.append((level, node))
            level = inner or Level({}, False)
        return chain

    def _plug(self, level: Level, source: Node, output: int, target: Node, slot: int) -> None:
        socket = target["inputs"][slot]
        level.remove_link(socket.get("link"))
        number = level.add_link(source["id"], output, target["id"], slot, source["outputs"][output]["type"])
        socket["link"] = number
        outgoing = source["outputs"][output]
        outgoing["links"] = [*(outgoing.get("links") or []), number]

    def _show(self, level: Level, node: Node, slot: int, value: Any) -> int:
        """Show an input of a subgraph's node on the subgraph's outside, on every node that stands for it.

        Returns:
            The place of the new input.
        """
        socket = node["inputs"][slot]
        level.remove_link(socket.get("link"))
        inputs = level.data.setdefault("inputs", [])
        taken = {str(one.get("name")) for one in inputs}
        base = str(socket["name"]).rpartition(".")[2]
        name = next(one for one in (base, *(f"{base}_{n}" for n in range(2, 10_000))) if one not in taken)
        kind = str(socket.get("type") or "*")
        number = level.add_link(_BORDER, len(inputs), node["id"], slot, kind)
        socket["link"] = number
        border = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{level.data.get('id')} {name}")), "name": name}
        inputs.append({**border, "type": kind, "linkIds": [number]})
        for outside in self.levels():
            for one in outside.nodes:
                if str(one.get("type")) == str(level.data.get("id")):
                    shown = sum("widget" in known for known in one.get("inputs") or [])
                    _slot_of(one, name, kind, widget="widget" in socket)
                    values = one.get("widgets_values")
                    # A shorter list goes without: the widgets inside have their own values.
                    if "widget" in socket and isinstance(values, list) and len(values) == shown:
                        values.append(value)
        return len(inputs) - 1


def _slot_of(node: Node, name: str, kind: str = "*", widget: bool = True) -> int:
    """The place of a node's input; one that the file does not have is added: not all versions save those of widgets."""
    inputs = node.setdefault("inputs", [])
    for place, socket in enumerate(inputs):
        if socket.get("name") == name:
            return place
    inputs.append({"name": name, "type": kind, **({"widget": {"name": name}} if widget else {}), "link": None})
    return len(inputs) - 1
