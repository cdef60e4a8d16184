"""The shape of a workflow as the editor saves it: what is read of it has the kind that it must have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import Problem, ProblemList

#: Field of a node → the kinds of value that it can have, and how these are called. All but `type` may be missing.
_NODE_FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "type": ((str,), "text"),
    "id": ((int, str), "a number or text"),
    "mode": ((int,), "a number"),
    "inputs": ((list,), "a list"),
    "outputs": ((list,), "a list"),
    "widgets_values": ((list, dict), "a list or an object"),
    "properties": ((dict,), "an object"),
}
#: What a link is as a list.
_LINK_FIELDS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
_SHOWN = 20


def list_links(ui: dict[str, Any]) -> dict[str, Any]:
    """The workflow with its links as lists: version 1 of the format has objects, as subgraphs have in both."""
    links = ui.get("links")
    if not isinstance(links, list) or not any(isinstance(link, dict) for link in links):
        return ui
    listed = [[link.get(name) for name in _LINK_FIELDS] if isinstance(link, dict) else link for link in links]
    return {**ui, "links": listed}


def require_ui_format(path: Path, ui: dict[str, Any]) -> None:
    """Refuse a workflow whose nodes have fields of another kind than the editor writes.

    Raises:
        ProblemList: `workflow-unreadable`, with the first twenty problems.
    """
    problems = []
    for problem in _find_problems(ui):
        problems.append(problem)
        if len(problems) == _SHOWN:
            break
    if problems:
        raise ProblemList("workflow-unreadable", f"{path} is not as the editor saves it", problems)


def _find_problems(ui: dict[str, Any]) -> Iterator[Problem]:
    yield from _check_level("", ui)
    definitions = ui.get("definitions")
    if definitions is not None and not isinstance(definitions, dict):
        yield Problem("definitions", "is no object")
        return
    subgraphs = (definitions or {}).get("subgraphs")
    if subgraphs is not None and not isinstance(subgraphs, list):
        yield Problem("definitions.subgraphs", "is no list")
        return
    for place, subgraph in enumerate(subgraphs or [], 1):
        if isinstance(subgraph, dict):
            yield from _check_level(f"subgraphs[{place}].", subgraph)
        else:
            yield Problem(f"subgraphs[{place}]", "is no object")


def _check_level(where: str, level: dict[str, Any]) -> Iterator[Problem]:
    for key in ("nodes", "links"):
        if not isinstance(level.get(key) or [], list):
            yield Problem(f"{where}{key}", "is no list")
            return
    for place, node in enumerate(level.get("nodes") or [], 1):
        if isinstance(node, dict):
            yield from _check_node(f"{where}nodes[{place}]", node)
        else:
            yield Problem(f"{where}nodes[{place}]", "is no object")


def _check_node(where: str, node: dict[str, Any]) -> Iterator[Problem]:
    if not node.get("type"):
        yield Problem(f"{where}.type", "is missing, expected the node's class")
    for key, (kinds, expected) in _NODE_FIELDS.items():
        value = node.get(key)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            yield Problem(f"{where}.{key}", f"is {type(value).__name__}, expected {expected}")
    for key in ("inputs", "outputs"):
        sockets = node.get(key)
        for place, socket in enumerate(sockets if isinstance(sockets, list) else [], 1):
            if not isinstance(socket, dict):
                yield Problem(f"{where}.{key}[{place}]", "is no object")
            elif not isinstance(socket.get("name"), (str, type(None))):
                yield Problem(f"{where}.{key}[{place}].name", "is no text")
