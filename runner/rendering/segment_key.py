"""A segment's key: the hash of everything that determines its frames.

A key that comes out differently for the same frames makes finished films render again; `tests/…/test_frozen_keys.py`
compares with the keys of earlier releases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.segment.plan import CAPTIONS, SegmentPlan, digest

from ..comfyui.graph import (
    CONTINUITY_NODE,
    SAVE_NODE,
    SEGMENT_NODE,
    STORY_NODE,
    STORYBOARD_NODE,
    Graph,
    is_link,
    nodes_of,
)
from ..workflows.bindings import Binding, InputRef
from ..workflows.image_inputs import ImageInput
from ..workflows.story_images import record_with_bytes

HashFile = Callable[[str], str]


@dataclass(frozen=True)
class SegmentKeyMaker:
    """Makes the keys of a run's segments.

    Attributes:
        story_data: the story as plain data that carries everything itself.
        first_frame_inputs: for the image that a segment begins from.
        image_inputs: nodes of the graph that read images of the story.
        object_info: the schemas of the server's nodes.
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
        hash_image: the same of an image of the cast, wherever it is.
    """

    story_data: Mapping[str, Any]
    bindings: Sequence[Binding]
    first_frame_inputs: Sequence[InputRef]
    image_inputs: Sequence[ImageInput]
    object_info: Mapping[str, Any]
    hash_input: HashFile
    hash_image: HashFile

    def make(self, graph: Graph, plan: SegmentPlan, begins_from: str = "") -> str:
        """The key of a segment.

        Args:
            graph: with the segment chosen.
            plan: of the segment, without a variant.
            begins_from: SHA-256 of the file that it continues.
        """
        bare = self._strip(graph)
        files = {name: self.hash_input(name) for name in self._input_files(bare)}
        for target in self.first_frame_inputs if begins_from else ():
            target.remove(bare)
        record = record_with_bytes(plan, self.image_inputs, self.hash_image) if self.image_inputs else plan.to_dict()
        if not nodes_of(graph, STORYBOARD_NODE):
            record = {name: value for name, value in record.items() if name not in CAPTIONS}
        return digest({"graph": bare, "segment": record, "files": files, "begins from": begins_from})

    def _strip(self, graph: Graph) -> Graph:
        """The graph without everything that changes no frame of the segment, or that its record tells already."""
        # Without `_meta`: renaming a node changes no image.
        bare = {key: {"class_type": node["class_type"], "inputs": dict(node["inputs"])} for key, node in graph.items()}
        for node_id in nodes_of(bare, SEGMENT_NODE):
            bare[node_id]["inputs"].pop("index", None)
        story_nodes = nodes_of(bare, STORY_NODE)
        feeds_others = any(
            node["class_type"] != SEGMENT_NODE and is_link(value) and value[0] in story_nodes
            for node in graph.values()
            for value in node["inputs"].values()
        )
        for node_id in story_nodes:
            # The segment's own record says what the story means for it, unless another node reads the story too.
            bare[node_id]["inputs"] = {"story": digest(self.story_data)} if feeds_others else {}
        for node_id in nodes_of(bare, SAVE_NODE):
            bare[node_id]["inputs"].pop("take", None)
        for node_id in nodes_of(bare, CONTINUITY_NODE):
            # Thresholds do not change the frames.
            bare[node_id]["inputs"] = {name: value for name, value in bare[node_id]["inputs"].items() if is_link(value)}
        for binding in self.bindings:
            binding.target.remove(bare)
        return bare

    def _input_files(self, graph: Graph) -> list[str]:
        """Names of the files in the server's input folder that a graph reads."""
        names = set()
        for node in graph.values():
            inputs = self.object_info.get(node["class_type"], {}).get("input", {})
            for name, spec in [*inputs.get("required", {}).items(), *inputs.get("optional", {}).items()]:
                options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
                value = node["inputs"].get(name)
                if isinstance(value, str) and any(key.endswith("_upload") and options[key] for key in options):
                    names.add(value)
        return sorted(names)
