"""What a workflow's file may have around the graph: the body of a request, the export of a tool, the metadata of a picture."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from typing import Any

from custom_nodes.videogen.core.graph import Graph

#: Keys that a graph stands under, in the order in which they are tried: what the editor saves opens in the editor again.
_KEYS = ("extra_data", "extra_pnginfo", "workflow", "prompt", "input", "output", "comment")
_MAX_DEPTH = 5


def parse_json(text: str) -> Any:
    """JSON as the editor reads it and sends it on: NaN, which prompts in images' metadata contain, and numbers beyond all
    floats (``1e999``) are null. No server reads either.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=lambda _: None, parse_float=_parse_float)


def _parse_float(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def unwrap(data: Any) -> tuple[dict[str, Any] | None, Graph | None]:
    """The workflow in the content of a file: as the editor saves it, in API format, or neither.

    Read are a workflow itself; what a server is sent (``{"prompt": …}``, with the editor's form in its ``extra_data``); what
    hosting services take (``{"input": {"workflow": …}}``); and texts that are JSON, as metadata has them. The editor's form comes
    first: it has the titles, and what is bypassed.
    """
    found: list[Graph] = []
    ui = _search(data, found, 0)
    return ui, None if ui is not None else next(iter(found), None)


def _search(data: Any, graphs: list[Graph], depth: int) -> dict[str, Any] | None:
    """The first workflow in the editor's form; graphs in API format are collected on the way."""
    if isinstance(data, str):
        with contextlib.suppress(ValueError, RecursionError):
            return _search(parse_json(data), graphs, depth + 1)
        return None
    if not isinstance(data, dict) or depth > _MAX_DEPTH:
        return None
    if isinstance(data.get("nodes"), list) and "links" in data:
        return data
    if data and all(_is_api_node(node) for node in data.values()):
        graphs.append(link_by_names(data))
        return None
    for key in _KEYS:
        if (ui := _search(data.get(key), graphs, depth + 1)) is not None:
            return ui
    return None


def _is_api_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)


def link_by_names(graph: Mapping[str, Any]) -> Graph:
    """The graph with text as ids in its links: ``[4, 0]``, as some tools write it, is ``["4", 0]``, which servers read."""

    def link(value: Any) -> Any:
        is_number = isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value)
        return [str(value[0]), value[1]] if is_number and str(value[0]) in graph else value

    return {
        name: {**node, "inputs": {socket: link(value) for socket, value in node["inputs"].items()}}
        for name, node in graph.items()
    }
