"""Secrets in a graph: no frame depends on them, and no key, file or report may have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.redaction import is_secret_name

from ...workflows.bindings import InputRef
from ...workflows.missing_parts import read_choices


def find_secret_inputs(graph: Graph, object_info: Mapping[str, Any]) -> set[InputRef]:
    """The inputs of a graph that have a text of the user's and a secret's name."""

    def is_choice(kind: str, name: str) -> bool:
        inputs = object_info.get(kind, {}).get("input", {})
        spec = {**(inputs.get("required") or {}), **(inputs.get("optional") or {})}.get(name)
        return bool(spec) and read_choices(spec) is not None

    return {
        InputRef(node_id, name)
        for node_id, node in graph.items()
        for name, value in node["inputs"].items()
        if isinstance(value, str) and value and is_secret_name(name) and not is_choice(node["class_type"], name)
    }
