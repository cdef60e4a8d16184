"""Nodes as ComfyUI calls them, with the hidden inputs on their graph."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any


def in_graph(node: type, wanted: Iterable[int] = ()) -> Any:
    """A node class as node 1 of a graph, in which other nodes are linked to these of its outputs."""
    prompt = {"1": {"class_type": node.__name__, "inputs": {}}}
    prompt |= {
        str(number): {"class_type": "Any", "inputs": {"value": ["1", output]}}
        for number, output in enumerate(wanted, 2)
    }
    return type(node.__name__, (node,), {"hidden": SimpleNamespace(prompt=prompt, unique_id="1")})
