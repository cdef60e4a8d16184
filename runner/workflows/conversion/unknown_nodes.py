"""Nodes that neither the server has nor the editor without their pack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .flattening import FlatWorkflow

_OURS = "VideoGen"


def drop_unused(flat: FlatWorkflow, object_info: Mapping[str, Any]) -> list[str]:
    """Leave out nodes of unknown classes that nothing is linked to: notes, labels, buttons. Others are missing on the server.

    Returns:
        which were left out, as sentences.
    """
    linked = {str(end) for _, origin, _, target, *_ in flat.ui["links"] for end in (origin, target)}
    alone = {
        node["id"]: node["type"]
        for node in flat.ui["nodes"]
        if node["type"] not in object_info and node["id"] not in linked and not _is_meant(node)
    }
    flat.ui["nodes"][:] = [node for node in flat.ui["nodes"] if node["id"] not in alone]
    return list(_describe(alone))


def _is_meant(node: Mapping[str, Any]) -> bool:
    """Whether a node is there for the film all the same: one of ours, or one that declares the models that it needs."""
    properties = node.get("properties")
    return str(node["type"]).startswith(_OURS) or (isinstance(properties, dict) and bool(properties.get("models")))


def _describe(alone: Mapping[str, str]) -> Iterator[str]:
    for node_id, kind in alone.items():
        yield f"node {node_id} ({kind}) is left out: the server does not have it, and nothing is linked to it"
