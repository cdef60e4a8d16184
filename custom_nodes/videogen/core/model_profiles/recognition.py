"""Which model a graph renders with: by its nodes and their loaders, and by names of files where these do not say it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .model import Profile, Recognized, Sign

#: How much each kind of evidence says. Nodes belong to one model, a loader's type to a family, and files have any name.
_NODES, _LOADER, _MORE = 4, 2, 1
#: Inputs of ComfyUI's text encoder loaders that name the family.
_LOADER_TYPE = "type"
_MODEL_SUFFIXES = (".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf")


def recognize(
    graph: Mapping[str, Mapping[str, Any]],
    object_info: Mapping[str, Any],
    profiles: Iterable[Profile],
    flow: Sequence[str] | None = None,
) -> Recognized | None:
    """The model that a graph renders its clip with.

    Titles and ids of nodes do not count. Of several families that fit, one of videos comes before one of images (which may
    draw its first frame), then the one with the better evidence, then the one that is nearer to the output. Of a family's
    models, the better evidence decides, then the order of `profiles`.

    Args:
        graph: in API format.
        object_info: schemas of the server's nodes; what a graph loads is less clear for nodes without one.
        profiles: those of the user first.
        flow: ids of the nodes that the clip is made by, the nearest to its output first; else all that output nodes depend on.

    Returns:
        None where no profile fits.
    """
    evidence = _Evidence(graph, object_info, list(flow) if flow is not None else find_flow(graph, object_info))
    candidates = []
    for order, profile in enumerate(profiles):
        for sign in profile.signs:
            seen = evidence.find(sign)
            if seen is not None:
                strength, node, how = seen
                candidates.append(
                    (profile.video, strength, -evidence.order[node], -order, Recognized(profile, node, how))
                )
    if not candidates:
        return None
    family = max(candidates, key=lambda one: one[:4])[-1].profile.family
    same = [one for one in candidates if one[-1].profile.family == family]
    return max(same, key=lambda one: (one[0], one[1], one[3], one[2]))[-1]


def find_flow(graph: Mapping[str, Mapping[str, Any]], object_info: Mapping[str, Any]) -> list[str]:
    """Ids of the nodes that the output nodes of a graph depend on, these first; all nodes where none is an output node."""
    kinds = {node: str(entry.get("class_type")) for node, entry in graph.items()}
    queue = [node for node, kind in kinds.items() if (object_info.get(kind) or {}).get("output_node")]
    order: dict[str, None] = {}
    for node in queue or list(graph):
        if node not in order:
            order[node] = None
            queue += [source for source in _sources(graph[node]) if source in graph]
    return list(order)


def _sources(entry: Mapping[str, Any]) -> Iterator[str]:
    for value in (entry.get("inputs") or {}).values():
        if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str):
            yield value[0]


class _Evidence:
    """What the nodes of a graph show."""

    def __init__(
        self, graph: Mapping[str, Mapping[str, Any]], object_info: Mapping[str, Any], flow: Sequence[str]
    ) -> None:
        self.order = {node: position for position, node in reversed(list(enumerate(flow)))}
        self._nodes: dict[str, str] = {}
        self._loaders: dict[str, str] = {}
        self._files: list[tuple[str, str]] = []
        self._partners: dict[str, str] = {}
        loaders: list[tuple[str, str]] = []
        for node in flow:
            kind = str(graph[node].get("class_type"))
            schema = object_info.get(kind) or {}
            self._nodes.setdefault(kind, node)
            outputs = [output for output in schema.get("output") or [] if isinstance(output, str)]
            inputs = graph[node].get("inputs") or {}
            if schema.get("api_node"):
                for output in outputs:
                    self._partners.setdefault(output, node)
            if isinstance(inputs.get(_LOADER_TYPE), str) and (not schema or "CLIP" in outputs):
                loaders.append((inputs[_LOADER_TYPE], node))
            if not schema or ("MODEL" in outputs and not _takes_model(schema)):
                self._files += [(name, node) for name in _model_files(inputs)]
        encoding = _find_encoding(graph, object_info, flow)
        for kind, node in loaders:
            if node in encoding:
                self._loaders.setdefault(kind, node)

    def find(self, sign: Sign) -> tuple[int, str, str] | None:
        """How strong the evidence for a sign is, the node that shows it, and what it is; None where a part of it is missing."""
        strength, nodes, said = 0, [], []
        for wanted, there, weight, what in (
            (sign.nodes, self._nodes, _NODES, "node {}"),
            (sign.also, self._nodes, _MORE, "node {}"),
            ((sign.partner,) if sign.partner else (), self._partners, _LOADER, "a partner node that makes {}"),
            (sign.loaders, self._loaders, _LOADER, "text encoder of type {}"),
        ):
            if not wanted:
                continue
            found = [name for name in wanted if name in there]
            if not found:
                return None
            nearest = min(found, key=lambda name: self.order[there[name]])
            strength += weight
            nodes.append(there[nearest])
            said.append(what.format(nearest))
        if sign.files:
            file = next(((name, node) for name, node in self._files if _matches(name, sign.files)), None)
            if file is None:
                return None
            strength += _MORE
            nodes.append(file[1])
            said.append(f"file {file[0]}")
        return (strength, nodes[0], ", ".join(said)) if nodes else None


def _find_encoding(
    graph: Mapping[str, Mapping[str, Any]], object_info: Mapping[str, Any], flow: Sequence[str]
) -> set[str]:
    """The nodes that a condition depends on: a text encoder may also be there as a language model, which writes prompts."""
    queue = []
    for node in flow:
        schema = object_info.get(str(graph[node].get("class_type"))) or {}
        if not schema or "CONDITIONING" in (schema.get("output") or []):
            queue.append(node)
    # Only along text encoders: a prompt that another model has written leads to the encoder of that one.
    found: set[str] = set()
    while queue:
        node = queue.pop()
        if node in found:
            continue
        found.add(node)
        for source in _sources(graph[node]):
            schema = object_info.get(str(graph[source].get("class_type"))) if source in graph else None
            if source in graph and (not schema or "CLIP" in (schema.get("output") or [])):
                queue.append(source)
    return found


def _takes_model(schema: Mapping[str, Any]) -> bool:
    """Whether a node changes a model, as loaders of LoRAs do, instead of loading one."""
    groups = (schema.get("input") or {}).values()
    specs = [spec for group in groups if isinstance(group, dict) for spec in group.values()]
    return any(isinstance(spec, list) and spec and spec[0] == "MODEL" for spec in specs)


def _model_files(inputs: Mapping[str, Any]) -> Iterator[str]:
    for value in inputs.values():
        if isinstance(value, str) and len(value) < 1000 and value.lower().endswith(_MODEL_SUFFIXES):
            yield value.replace("\\", "/").rpartition("/")[2]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)
