"""The node whose file is the clip, where several save one: the others save a part of it, its matte, or it beside its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .images import file_inputs
from .reader import ANY, GraphReader
from .savers import find_savers

#: Each saver is compared with each other; of more than these a binding has to name one.
_MAX_COMPARED = 8
_MATTES = ("alpha", "mask", "matte")


def find_outputs(reader: GraphReader, object_info: Mapping[str, Any]) -> list[str]:
    """Ids of the nodes whose file may be the clip: one, or several that have the same right to it."""
    savers = find_savers(reader.graph, object_info)
    if not savers:
        return _find_previews(reader)
    best = max(saver.rank for saver in savers)
    nodes = [saver.node for saver in savers if saver.rank == best]
    if not 1 < len(nodes) <= _MAX_COMPARED:
        return nodes
    left = [node for node in nodes if not _is_matte(reader, node)] or nodes
    parts = {node: {node, *_made_of(reader, node)} for node in left}
    before = {node: set(reader.upstream([node])) for node in left}
    for part in list(left):
        for whole in list(left):
            same = parts[whole] & before[part]  # whole is made of what part is made of, and nothing else
            if part != whole and {part, whole} <= set(left) and parts[part] & before[whole] and not same:
                # What shows the clip beside or after its source is not the clip; what has more of the same making is all of it.
                left.remove(whole if _shows_source(reader, whole, parts[part]) else part)
    return left


def _find_previews(reader: GraphReader) -> list[str]:
    """Nodes that only show images: where nothing is saved, also no sound or model, what they show is the result."""
    outputs = {node: reader.sockets(node) for node in reader.graph if reader.schema(node).get("output_node")}
    if any("filename" in one.name for sockets in outputs.values() for one in sockets):
        return []
    return [node for node, sockets in outputs.items() if any(one.kinds == {"IMAGE"} for one in sockets)]


def _saved(reader: GraphReader, saver: str) -> list[tuple[str, int]]:
    """The outputs whose images or video a node saves."""
    sockets = [one for one in reader.sockets(saver) if one.connected and one.kinds & {"IMAGE", "VIDEO"}]
    sources = [reader.source(reader.place(saver, socket.name)) for socket in sockets]
    return [source for source in sources if source is not None]


def _is_matte(reader: GraphReader, saver: str) -> bool:
    return any(reader.output_name(*source) in _MATTES for source in _saved(reader, saver))


def _made_of(reader: GraphReader, saver: str) -> set[str]:
    """The nodes that make the images that a node saves; of a node that puts images and sound together those of the images."""
    found: set[str] = set()
    for node, _ in _saved(reader, saver):
        images = [reader.place(node, one.name) for one in reader.sockets(node) if one.kind == "IMAGE"]
        linked = {place.value[0] for place in images if place.linked}
        found |= linked if linked and "VIDEO" in reader.outputs(node) else {node}
    return found


def _shows_source(reader: GraphReader, saver: str, parts: set[str]) -> bool:
    """Whether images of a loaded file get into what a node saves other than through a model.

    Args:
        parts: nodes that are not looked behind.
    """
    stack = _saved(reader, saver)
    seen = set(parts)
    while stack:
        node, output = stack.pop()
        if node in seen or node not in reader.graph or _is_model(reader, node):
            continue
        seen.add(node)
        if file_inputs(reader, node) and "AUDIO" not in reader.outputs(node)[output : output + 1]:
            return True
        names = reader.passed(node, output) or [
            one.name for one in reader.sockets(node) if one.connected and one.kinds & {"IMAGE", "VIDEO", *ANY}
        ]
        sources = [reader.source(reader.place(node, name)) for name in names]
        stack += [source for source in sources if source is not None]
    return False


def _is_model(reader: GraphReader, node: str) -> bool:
    """Whether a node's images come out of a model: it decodes latents, or is a model at a partner."""
    decodes = any(one.kind == "LATENT" and one.connected for one in reader.sockets(node))
    return decodes or bool(reader.schema(node).get("api_node"))
