"""A segment's key: the hash of everything that determines its frames, and of nothing else.

A key that comes out differently for the same frames makes finished films render again. Another formula needs another
`FORMULA`, and the former one in a module of its own next to `former_key`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.graph import (
    SAVE_NODE,
    SEGMENT_NODE,
    STORY_NODE,
    STORYBOARD_NODE,
    Graph,
    is_link,
    nodes_of,
)
from custom_nodes.videogen.core.segment.plan import CAPTIONS, SegmentPlan

from ...workflows.model_catalog import find_folder, looks_like_model
from ...workflows.story_images import record_with_bytes
from .dataflow import Dataflow, read_options
from .former_key import make_former_key
from .key_sources import KeySources

FORMULA = 2

#: A learned word in a prompt: a file in ``models/embeddings``, with or without its suffix.
_EMBEDDING = re.compile(r"embedding:([^\s,()\[\]:<>|\"]+)")
_EMBEDDING_SUFFIXES = ("", ".safetensors", ".pt", ".bin")


@dataclass(frozen=True)
class SegmentKeyMaker:
    """Makes the keys of a run's segments."""

    sources: KeySources

    def make(self, graph: Graph, plan: SegmentPlan, begins_from: str = "") -> str:
        """The key of a segment.

        Args:
            graph: with the segment chosen.
            plan: of the segment, without a variant.
            begins_from: SHA-256 of the file that it continues.
        """
        return self._make(graph, plan, begins_from, models=True)

    def former(self, graph: Graph, plan: SegmentPlan, begins_from: str = "") -> Iterator[str]:
        """Keys under which the same segment may have been rendered by a release or on a server that could see less.

        What they could not see cannot be told; such a result is accepted once, and recorded under the key of `make`.
        """
        yield self._make(graph, plan, begins_from, models=False)
        for models in (True, False):
            yield self._make(graph, plan, begins_from, models=models, with_tokens=True)
        if not self.sources.output_node:  # no release before could be told
            yield make_former_key(self.sources, graph, plan, begins_from)

    def _make(
        self, graph: Graph, plan: SegmentPlan, begins_from: str, *, models: bool, with_tokens: bool = False
    ) -> str:
        sources = self.sources
        written = self._write_segment(graph, plan, continued=bool(begins_from))
        flow = Dataflow(written, sources.object_info, sources.output_node, with_tokens)
        record = self._describe_segment(flow, plan)
        files = {name: sources.hash_input(name) for name in self._input_files(flow)}
        found = dict(self._model_files(flow, record)) if models else {}
        return digest(
            {
                "formula": FORMULA,
                "frames": flow.digest,
                "segment": record,
                "files": files,
                "models": found,
                "begins from": begins_from,
            }
        )

    def _write_segment(self, graph: Graph, plan: SegmentPlan, *, continued: bool) -> Graph:
        """The graph as it is submitted, without what the segment's record tells already, and names of files to write."""
        bare = {key: {"class_type": node["class_type"], "inputs": dict(node["inputs"])} for key, node in graph.items()}
        for node_id in nodes_of(bare, SEGMENT_NODE):
            inputs = bare[node_id]["inputs"]
            override = inputs.get("prompt_override")
            for name in ("story", "index", *(() if is_link(override) else ("prompt_override",))):
                inputs.pop(name, None)
        for node_id in nodes_of(bare, STORY_NODE):
            # Only where a node besides VideoGenSegment reads the story.
            bare[node_id]["inputs"] = {"story": digest(self.sources.story_data)}
        for node_id in nodes_of(bare, SAVE_NODE):
            bare[node_id]["inputs"].pop("take", None)
        for binding in self.sources.bindings:
            if binding.value == "name":
                binding.target.remove(bare)
            else:
                binding.write(bare, plan)
        # A segment that continues none begins from what the workflow has there.
        for target in self.sources.first_frame_inputs if continued else ():
            target.remove(bare)
        return bare

    def _describe_segment(self, flow: Dataflow, plan: SegmentPlan) -> dict[str, Any]:
        sources = self.sources
        if not nodes_of(flow.graph, SEGMENT_NODE):
            # Everything else that such a workflow takes from the story is bound, and the file that is made of its images
            # has the segment's length and size.
            return {"duration": str(plan.duration), "size": list(plan.size), "quality": plan.quality}
        record = (
            record_with_bytes(plan, sources.image_inputs, sources.hash_image)
            if sources.image_inputs
            else plan.to_dict()
        )
        drawn = any(flow.graph[node_id]["class_type"] == STORYBOARD_NODE for node_id in flow.nodes)
        return record if drawn else {name: value for name, value in record.items() if name not in CAPTIONS}

    def _input_files(self, flow: Dataflow) -> list[str]:
        """Names of the files in the server's input folder that the frames depend on."""
        bound = {(target.node_id, target.name) for target in self.sources.first_frame_inputs}
        names = {
            value
            for node_id, name in bound
            if node_id in flow.nodes and isinstance(value := flow.graph[node_id]["inputs"].get(name), str)
        }
        for kind, name, value in flow.literals:
            inputs = self.sources.object_info.get(kind, {}).get("input", {})
            options = read_options({**(inputs.get("required") or {}), **(inputs.get("optional") or {})}.get(name))
            if isinstance(value, str) and any(key.endswith("_upload") and options[key] for key in options):
                names.add(value)
        return sorted(names)

    def _model_files(self, flow: Dataflow, record: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """Name and hash of each model file that can be told; the others count by their names."""
        texts = [value for *_, value in flow.literals if isinstance(value, str)]
        texts += [str(record[name]) for name in ("prompt", "negative", "context") if name in record]
        for kind, name, value in flow.literals:
            if looks_like_model(value) and (found := self.sources.hash_model(find_folder(kind, name), value)):
                yield value, found
        yield from self._embeddings(texts)

    def _embeddings(self, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
        for name in sorted({match for text in texts for match in _EMBEDDING.findall(text)}):
            found = (self.sources.hash_model("embeddings", name + suffix) for suffix in _EMBEDDING_SUFFIXES)
            if first := next(filter(None, found), ""):
                yield f"embedding:{name}", first
