"""Links of "Anything Everywhere", which the pack draws in the browser: a saved workflow has a list of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from .sockets import can_connect

_LIST = "ue_links"
_BROADCASTS = frozenset(
    {"Anything Everywhere", "Anything Everywhere?", "Anything Everywhere3", "Prompts Everywhere", "Seed Everywhere"}
)


def add_everywhere_links(ui: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The workflow with links of its own for those that the pack has saved.

    Returns:
        the workflow, and what cannot be linked, as sentences.
    """
    if not any(_saved(level) for level in _levels(ui)):
        return ui, [
            f"node {node.get('id')} ({node['type']}) links inputs in the browser only, and the workflow has no list of these"
            " links; draw them in the editor"
            for level in _levels(ui)
            for node in _dicts(level.get("nodes"))
            if node.get("type") in _BROADCASTS
            and any(one.get("link") is not None for one in _dicts(node.get("inputs")))
        ]
    found = copy.deepcopy(ui)
    return found, [note for level in _levels(found) for note in _add_links(level)]


def _add_links(level: dict[str, Any]) -> Iterator[str]:
    nodes = {str(node.get("id")): node for node in _dicts(level.get("nodes"))}
    for number, saved in enumerate(_saved(level)):
        node, slot = nodes.get(str(saved.get("downstream"))), saved.get("upstream_slot")
        if node is None or str(saved.get("upstream")) not in nodes or not isinstance(slot, int):
            continue  # it was deleted since
        inputs, kind = _dicts(node.get("inputs")), saved.get("type")
        free = [one for one in inputs if one.get("link") is None and can_connect(one.get("type"), kind)]
        socket = _find_input(inputs, saved.get("downstream_slot"), free)
        if socket is None:
            if free:
                origin = f"node {saved['upstream']}"
                yield f"node {node.get('id')} ({node.get('type')}): it is unclear which input gets the {kind} of {origin}"
            continue
        socket["link"] = f"everywhere {number}"
        level["links"].append([socket["link"], saved["upstream"], slot, node.get("id"), 0, kind])


def _find_input(inputs: list[dict[str, Any]], slot: Any, free: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The free input that is meant: its place is that in the browser, where there may be more inputs than in the file."""
    if isinstance(slot, int) and 0 <= slot < len(inputs) and any(inputs[slot] is one for one in free):
        return inputs[slot]
    return free[0] if len(free) == 1 else None


def _levels(ui: dict[str, Any]) -> list[dict[str, Any]]:
    return [ui, *_dicts((ui.get("definitions") or {}).get("subgraphs"))]


def _saved(level: dict[str, Any]) -> list[dict[str, Any]]:
    extra = level.get("extra")
    return _dicts(extra.get(_LIST)) if isinstance(extra, dict) and isinstance(level.get("links"), list) else []


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
