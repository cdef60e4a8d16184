"""Choices that a node would make from what its server has: made once for a run, for all servers, and written into the graph."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.graph import Graph, nodes_of
from custom_nodes.videogen.core.video.upscale_models import AUTO, NONE, find_preferred

from .bindings import parse_setting
from .missing_parts import read_choices

UPSCALE_NODE = "VideoGenUpscale"
#: The node's input for what *auto* stands for; older packs do not have it.
UPSCALE_INPUT = "auto_model"


@dataclass(frozen=True)
class SettledChoices:
    """A graph in which nothing depends on what is in a server's folders.

    Attributes:
        choices: node class → what its *auto* stands for; empty when the graph has none to settle.
        notes: a sentence for each choice that is made now.
    """

    graph: Graph
    choices: dict[str, str]
    notes: tuple[str, ...] = ()


def settle_choices(
    graph: Graph,
    servers: Mapping[str, Mapping[str, Any]],
    kept: Mapping[str, str] | None = None,
    settings: Sequence[str] = (),
) -> SettledChoices:
    """Settle *auto* of VideoGenUpscale: two servers, or one before and after a download, must not mix two looks in a film.

    Args:
        servers: address → the schemas of its nodes.
        kept: choices of an earlier run in the same directory; they stay as long as all servers can do them.
        settings: of ``--set``, which will be written into the graph.
    """
    set_by_user = {(target.node, target.input) for target in map(parse_setting, settings)}
    asking = [
        node_id
        for node_id in nodes_of(graph, UPSCALE_NODE)
        if graph[node_id]["inputs"].get("model", AUTO) == AUTO
        and not {(node_id, "model"), (UPSCALE_NODE, "model")} & set_by_user
    ]
    if not asking or not all(_has_input(info) for info in servers.values()):
        return SettledChoices(graph, {})
    there = {url: _files(info) for url, info in servers.items()}
    common = set.intersection(*map(set, there.values()))
    before = (kept or {}).get(UPSCALE_NODE, "")
    choice = before if before == NONE or before in common else find_preferred(common) or NONE
    settled = copy.deepcopy(graph)
    for node_id in asking:
        settled[node_id]["inputs"][UPSCALE_INPUT] = choice
    notes = () if choice == before else (_describe(choice, before, there),)
    return SettledChoices(settled, {UPSCALE_NODE: choice}, notes)


def kept_choices(record: Mapping[str, Any] | None) -> dict[str, str]:
    """The choices in the record of an earlier run."""
    found = (record or {}).get("choices")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def forget_choices(graph: Graph) -> Graph:
    """The graph as it was before `settle_choices`, changed in place."""
    for node_id in nodes_of(graph, UPSCALE_NODE):
        graph[node_id]["inputs"].pop(UPSCALE_INPUT, None)
    return graph


def _has_input(info: Mapping[str, Any]) -> bool:
    groups = (info.get(UPSCALE_NODE) or {}).get("input") or {}
    return any(UPSCALE_INPUT in (group or {}) for group in groups.values())


def _files(info: Mapping[str, Any]) -> Sequence[str]:
    spec = info[UPSCALE_NODE]["input"]["required"]["model"]
    return [str(name) for name in read_choices(spec) or () if name not in (AUTO, NONE)]


def _describe(choice: str, before: str, there: Mapping[str, Sequence[str]]) -> str:
    what = "a Lanczos filter" if choice == NONE else choice
    lacking = [url for url, files in there.items() if before and before not in files]
    if before:
        return f"Upscale: auto was {before}, which {' and '.join(lacking)} does not have; it is {what} now"
    elsewhere = sorted({find_preferred(files) for files in there.values()} - {"", choice})
    only_some = f"; {', '.join(elsewhere)} is not on all servers" if elsewhere and len(there) > 1 else ""
    return f"Upscale: auto is {what} in this run{only_some}"
