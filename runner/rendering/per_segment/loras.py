"""LoRAs of a segment: put into a graph, after the nodes that load its models and before everything that uses these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from custom_nodes.videogen.core.errors import Problem
from custom_nodes.videogen.core.graph import SAVE_NODE, Graph, is_link, nodes_of
from custom_nodes.videogen.core.roles.reader import GraphReader
from custom_nodes.videogen.core.story.model import Lora, Segment

from ...workflows.model_catalog import looks_like_model
from ...workflows.output_node import find_savers

#: ComfyUI's nodes: for a model with its text encoder, and for a model alone.
LORA_LOADER, MODEL_LORA_LOADER = "LoraLoader", "LoraLoaderModelOnly"
_MODEL, _CLIP = "MODEL", "CLIP"
_NODE = "videogen_lora_{}"
#: Nodes that load models, in a graph that gets LoRAs: each LoRA is a node more for each of them.
MAX_LOADERS = 100


@dataclass(frozen=True)
class ModelLoader:
    """A node that loads a model.

    Attributes:
        node: its id.
        model: number of the output with the model.
        clip: number of the output with the model's own text encoder; None where it has none, or nothing uses it.
        files: names of the model files that it loads.
    """

    node: str
    model: int
    clip: int | None
    files: tuple[str, ...]

    def is_for(self, lora: Lora) -> bool:
        """Whether a LoRA changes its model."""
        return not lora.model or any(lora.model in name.lower() for name in self.files)


@dataclass(frozen=True)
class ModelLoaders:
    """The nodes of a graph that load the models of its clip.

    Attributes:
        unknown: the server does not know all nodes of the graph, so that one of these may load a model too.
    """

    found: Sequence[ModelLoader]
    unknown: bool = False

    def insert(self, graph: Graph, loras: Iterable[Lora]) -> None:
        """Put LoRAs into a graph, which is changed in place: in this order, the first one next to the model's loader."""
        loras = list(loras)
        if not loras:
            return
        users: dict[tuple[str, int], list[tuple[str, str]]] = {}
        for node, entry in graph.items():
            for socket, value in entry["inputs"].items():
                if is_link(value):
                    users.setdefault((value[0], value[1]), []).append((node, socket))
        free = (one for one in map(_NODE.format, count(1)) if one not in graph)
        for loader in self.found:
            model, clip = [loader.node, loader.model], [loader.node, loader.clip]
            for lora in filter(loader.is_for, loras):
                name = next(free)
                graph[name] = _make_node(lora, model, clip if loader.clip is not None else None)
                model, clip = [name, 0], [name, 1]
            for node, socket in users.get((loader.node, loader.model), ()):
                graph[node]["inputs"][socket] = [*model]
            for node, socket in users.get((loader.node, loader.clip), ()) if loader.clip is not None else ():
                graph[node]["inputs"][socket] = [*clip]

    def explain_unfit(self, segments: Iterable[Segment]) -> Iterator[Problem]:
        """The LoRAs that nothing in the graph could take, by their places in the story."""
        for segment in segments:
            where = f"segments[{segment.number}].loras"
            if segment.loras and len(self.found) > MAX_LOADERS:
                yield Problem(
                    where, f"the workflow loads {len(self.found):,} models, LoRAs are put into {MAX_LOADERS} at most"
                )
                continue
            if segment.loras and not self.unknown and not self.found:
                yield Problem(
                    where,
                    "the workflow has no node that loads a model, which a LoRA could change; remove `loras`, or name a"
                    " `workflow` that has one",
                )
                continue
            for index, lora in enumerate(segment.loras, 1):
                if not self.unknown and not any(loader.is_for(lora) for loader in self.found):
                    files = ", ".join(name for loader in self.found for name in loader.files) or "none by its name"
                    yield Problem(
                        f"{where}[{index}].model",
                        f"no model file of the workflow has {lora.model!r} in its name; it loads {files}",
                    )


def find_model_loaders(graph: Graph, object_info: Mapping[str, Any], output_node: str = "") -> ModelLoaders:
    """The nodes that load the models that a clip is made with: they make a MODEL and take none.

    Args:
        object_info: schemas of the server's nodes.
        output_node: the node whose file is the segment, where it is known; else every node that saves counts.
    """
    reader = GraphReader(graph, object_info)
    flow = reader.upstream(_find_outputs(graph, object_info, output_node))
    found = [
        ModelLoader(node, outputs.index(_MODEL), _find_clip(reader, node, outputs), _files_of(graph[node]["inputs"]))
        for node in flow
        if _MODEL in (outputs := reader.outputs(node))
        and not any(_MODEL in socket.kinds for socket in reader.sockets(node))
    ]
    return ModelLoaders(found, any(not reader.schema(node) for node in flow))


def _find_outputs(graph: Graph, object_info: Mapping[str, Any], output_node: str) -> list[str]:
    if output_node in graph:
        return [output_node]
    saving = nodes_of(graph, SAVE_NODE) or [saver.node for saver in find_savers(graph, object_info)]
    if saving:
        return saving
    return [node for node in graph if (object_info.get(graph[node]["class_type"]) or {}).get("output_node")]


def _find_clip(reader: GraphReader, node: str, outputs: list[str]) -> int | None:
    output = outputs.index(_CLIP) if _CLIP in outputs else None
    # Files without a text encoder have the output too.
    return output if output is not None and reader.takers(node, output) else None


def _files_of(inputs: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(value for value in inputs.values() if looks_like_model(value))


def _make_node(lora: Lora, model: list[Any], clip: list[Any] | None) -> dict[str, Any]:
    inputs: dict[str, Any] = {"model": model, "lora_name": lora.file, "strength_model": lora.strength}
    if clip is not None:
        inputs |= {"clip": clip, "strength_clip": lora.strength}
    return {"class_type": MODEL_LORA_LOADER if clip is None else LORA_LOADER, "inputs": inputs}
