"""Nodes that exist in the editor only: the server never sees them, and what is linked through them is linked directly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The editor's own.
_OWN = frozenset({"Note", "MarkdownNote", "PrimitiveNode", "Reroute", "GetNode", "SetNode"})
#: Those of packs, as their scripts declare them.
_OF_PACKS = frozenset(
    {
        *(
            f"{name} (rgthree)"
            for name in (
                "Bookmark",
                "Fast Actions Button",
                "Fast Bypasser",
                "Fast Groups Bypasser",
                "Fast Groups Muter",
                "Fast Muter",
                "Label",
                "Mute / Bypass Relay",
                "Mute / Bypass Repeater",
                "Node Collector",
                "Random Unmuter",
                "Reroute",
            )
        ),
        "easy getNode",
        "easy setNode",
        "Note Plus (mtb)",
        "Anything Everywhere",
        "Anything Everywhere?",
        "Anything Everywhere3",
        "Prompts Everywhere",
        "Seed Everywhere",
    }
)
PRIMITIVE = "PrimitiveNode"
_SETTERS = {"GetNode": "SetNode", "easy getNode": "easy setNode"}


def is_editor_node(kind: str, object_info: Mapping[str, Any]) -> bool:
    """Whether a class exists in the editor only. What a server has under such a name of a pack is a node of the server."""
    return kind in _OWN or (kind in _OF_PACKS and kind not in object_info)


def setter_of(kind: str) -> str | None:
    """The class of the nodes that a node of this class gets its value from, by their name; or None for another node."""
    return _SETTERS.get(kind)


def name_of(data: Mapping[str, Any]) -> str:
    """The name that such a node sets or gets."""
    values = data.get("widgets_values")
    first = values[0] if isinstance(values, list) and values else None
    return first if isinstance(first, str) else ""
