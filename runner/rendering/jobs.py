"""One segment's graph out of the workflow's, and the key that says what determines its frames."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import CAPTIONS, SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.model import Story

from ..workflows.image_inputs import find_needs, find_readers
from ..workflows.story_images import StoryImage, StoryImages, data_for_servers, record_with_bytes
from ..workflows.workflow import (
    CONTINUITY_NODE,
    FILM_NODE,
    RENDER_SIZE_NODE,
    SAVE_NODE,
    SEGMENT_NODE,
    STORY_NODE,
    STORYBOARD_NODE,
    Graph,
    is_link,
    nodes_of,
)
from .failures import Variant

#: What --bind can set, and where in a segment its value comes from.
BINDABLE: dict[str, Callable[[SegmentPlan], Any]] = {
    "prompt": lambda plan: plan.prompt,
    "negative": lambda plan: plan.negative,
    "seed": lambda plan: plan.seed,
    "frames": lambda plan: plan.frames,
    "fps": lambda plan: _number(plan.fps),
    "width": lambda plan: plan.size[0],
    "height": lambda plan: plan.size[1],
    "name": lambda plan: plan.file_stem,
}
#: The least that VideoGenRenderSize takes.
SMALLEST_SCALE = 0.1
#: Takes the last frame of the segment before, for segments that continue it.
FIRST_FRAME = "first_frame"
_TARGET = re.compile(r"([^=]+)=([^.=]+(?:\.[^.=]+)*)\.([^.=]+)")


@dataclass(frozen=True)
class Job:
    """One attempt at a segment, ready to be submitted; `plan` has the seed and size of this attempt."""

    plan: SegmentPlan
    graph: Graph
    key: str
    workflow: dict[str, Any] | None


class JobMaker:
    """Makes jobs out of a converted workflow.

    Args:
        graph: the whole workflow in API format.
        ui_workflow: the same as the editor saves it, for the files' metadata; or None.
        story_data: the story as plain data that carries everything itself.
        bindings: ``NAME=NODE.INPUT`` for workflows without VideoGenSegment.
        settings: ``NODE.INPUT=VALUE``.
        quality: sets the quality of VideoGenSaveSegment, when given.
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
        images: what lies beside the story.

    Raises:
        VideoGenError: `binding-invalid`, `workflow-invalid`.
    """

    def __init__(
        self,
        graph: Graph,
        ui_workflow: dict[str, Any] | None,
        story: Story,
        story_data: dict[str, Any],
        *,
        bindings: list[str],
        settings: list[str],
        quality: str | None,
        object_info: Mapping[str, Any],
        hash_input: Callable[[str], str],
        images: StoryImages | None = None,
    ) -> None:
        self.story, self.story_data, self.ui_workflow = story, story_data, ui_workflow
        # Every segment's key asks for the same files, which may have to come over the network.
        self.object_info, self.hash_input = object_info, functools.cache(hash_input)
        # The runner makes the film itself, from the files that it has verified.
        film_nodes = find_downstream(graph, nodes_of(graph, FILM_NODE))
        self.graph: Graph = {key: copy.deepcopy(node) for key, node in graph.items() if key not in film_nodes}
        self.bindings = [self._parse_binding(text) for text in bindings]
        for text in settings:
            self._apply_setting(text)
        if quality:
            for node_id in nodes_of(self.graph, SAVE_NODE):
                self.graph[node_id]["inputs"]["quality"] = quality
        self.segment_nodes = nodes_of(self.graph, SEGMENT_NODE)
        self.story_nodes = nodes_of(self.graph, STORY_NODE)
        if len(self.segment_nodes) > 1:
            raise VideoGenError(
                "workflow-invalid",
                f"the workflow has {len(self.segment_nodes)} VideoGenSegment nodes ({', '.join(self.segment_nodes)}),"
                " expected one: the runner sets its index for each segment",
            )
        if not self.segment_nodes and not self.bindings:
            raise VideoGenError(
                "workflow-invalid",
                "the workflow has no VideoGenSegment node, so nothing in it would change from segment to segment",
                "Add the node, or say what to set with --bind, such as --bind prompt=6.text --bind seed=3.seed.",
            )
        self.first_frame_inputs = self._find_first_frame_inputs()
        self.images = images or StoryImages(None, story.slug)
        self.readers = find_readers(self.graph)
        # The story as the servers get it: they have what lies beside it under other names.
        self.sent_data = data_for_servers(story, story_data, self.readers, self.images)
        # Widgets of the saved workflow that belong to the one segment that was open in the editor.
        self.saved_index = self.graph[self.segment_nodes[0]]["inputs"].get("index") if self.segment_nodes else None

    def continues(self, number: int) -> bool:
        """Whether a segment begins from the last frame of the one before it, and the workflow can take that."""
        return self.story.segment(number).continues and bool(self.first_frame_inputs)

    def key(self, number: int, begins_from: str = "") -> str:
        """The key of a segment.

        Args:
            begins_from: SHA-256 of the file that it continues.
        """
        return self._key(*self._prepare(number, Variant()), begins_from)

    def make(self, number: int, key: str = "", variant: Variant | None = None, first_frame: str = "") -> Job:
        """What to submit for one attempt at a segment.

        Args:
            key: of the segment, where it is known already.
            variant: how the attempt differs from the segment as the story has it.
            first_frame: name of the image to begin from, in the server's input folder.
        """
        variant = variant or Variant()
        key = key or self.key(number)
        graph, plan = self._prepare(number, variant)
        for node_id in self.story_nodes:
            graph[node_id]["inputs"] = {"file": "text below", "text": self._story_text(number, plan, variant)}
        for node_id in nodes_of(graph, SAVE_NODE):
            # Part of the file's name: two runs on one server never write over each other's files.
            graph[node_id]["inputs"]["take"] = key[:12]
        for name, node_id, input_name in self.bindings:
            if name != FIRST_FRAME:
                graph[node_id]["inputs"][input_name] = BINDABLE[name](plan)
        if variant.size:
            # The frames are sampled in a size of their own: without this a step down would spare no memory there.
            for node_id in nodes_of(graph, RENDER_SIZE_NODE):
                scale = graph[node_id]["inputs"].get("scale", 1.0)
                if not is_link(scale):
                    step = min(variant.size) / min(self.story.size)
                    graph[node_id]["inputs"]["scale"] = max(SMALLEST_SCALE, round(scale * step, 3))
        if first_frame:
            for node_id, input_name in self.first_frame_inputs:
                graph[node_id]["inputs"][input_name] = first_frame
        return Job(plan, graph, key, self._workflow_for(number))

    def images_of(self, number: int) -> list[StoryImage]:
        """What a segment reads of the images beside the story: it has to be on the server before it is rendered."""
        needs = find_needs(plan_segment(self.story, number), self.readers) if self.readers else []
        found = {name: self.images.find(name) for need in needs for name in need.names}
        return [image for image in found.values() if image is not None]

    def hash_image(self, name: str) -> str:
        """SHA-256 of an image of the cast, wherever it lies; "" when it is nowhere."""
        beside = self.images.find(name)
        return beside.sha256 if beside is not None else self.hash_input(name)

    def _prepare(self, number: int, variant: Variant) -> tuple[Graph, SegmentPlan]:
        """The workflow's graph with this segment chosen, and the segment as this attempt renders it."""
        graph = copy.deepcopy(self.graph)
        override = ""
        for node_id in self.segment_nodes:
            inputs = graph[node_id]["inputs"]
            if not is_link(inputs.get("prompt_override")) and number != self.saved_index:
                inputs["prompt_override"] = ""
            override = inputs.get("prompt_override") or ""
            inputs["index"] = number
        plan = plan_segment(self.story, number, override if isinstance(override, str) else "")
        plan = replace(plan, seed=(plan.seed + variant.seed_offset) % 2**64, size=variant.size or plan.size)
        return graph, plan

    def _key(self, graph: Graph, plan: SegmentPlan, begins_from: str) -> str:
        # Without `_meta`: renaming a node changes no image.
        bare = {key: {"class_type": node["class_type"], "inputs": dict(node["inputs"])} for key, node in graph.items()}
        for node_id in self.segment_nodes:
            bare[node_id]["inputs"].pop("index", None)
        feeds_others = any(
            node["class_type"] != SEGMENT_NODE and is_link(value) and value[0] in self.story_nodes
            for node in graph.values()
            for value in node["inputs"].values()
        )
        for node_id in self.story_nodes:
            # The segment's own record says what the story means for it, unless another node reads the story too.
            bare[node_id]["inputs"] = {"story": digest(self.story_data)} if feeds_others else {}
        for node_id in nodes_of(bare, SAVE_NODE):
            bare[node_id]["inputs"].pop("take", None)
        for node_id in nodes_of(bare, CONTINUITY_NODE):
            # What is asked of the frames does not change them.
            bare[node_id]["inputs"] = {name: value for name, value in bare[node_id]["inputs"].items() if is_link(value)}
        for _, node_id, input_name in self.bindings:
            bare[node_id]["inputs"].pop(input_name, None)
        files = {name: self.hash_input(name) for name in self._input_files(bare)}
        for node_id, input_name in self.first_frame_inputs if begins_from else ():
            bare[node_id]["inputs"].pop(input_name, None)
        record = record_with_bytes(plan, self.readers, self.hash_image) if self.readers else plan.to_dict()
        if not nodes_of(graph, STORYBOARD_NODE):
            record = {name: value for name, value in record.items() if name not in CAPTIONS}
        return digest({"graph": bare, "segment": record, "files": files, "begins from": begins_from})

    def _input_files(self, graph: Graph) -> list[str]:
        names = set()
        for node in graph.values():
            inputs = self.object_info.get(node["class_type"], {}).get("input", {})
            for name, spec in [*inputs.get("required", {}).items(), *inputs.get("optional", {}).items()]:
                options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
                value = node["inputs"].get(name)
                if isinstance(value, str) and any(key.endswith("_upload") and options[key] for key in options):
                    names.add(value)
        return sorted(names)

    def _story_text(self, number: int, plan: SegmentPlan, variant: Variant) -> str:
        data = self.sent_data
        if variant != Variant():
            data = {**copy.deepcopy(data), "size": list(plan.size)}
            data["segments"][number - 1]["seed"] = plan.seed
        return json.dumps(data, ensure_ascii=False)

    def _workflow_for(self, number: int) -> dict[str, Any] | None:
        """The editor's workflow with this segment chosen, so that a dropped file opens where it was made."""
        if self.ui_workflow is None:
            return None
        workflow = copy.deepcopy(self.ui_workflow)
        story_text = json.dumps(self.sent_data, ensure_ascii=False, indent=2)
        for node in workflow.get("nodes", []):
            values = node.get("widgets_values")
            if not isinstance(values, list):
                continue
            if node.get("type") == SEGMENT_NODE and values:
                # index, what happens to it after a run, prompt_override
                values[0] = number
                if number != self.saved_index and len(values) > 2:
                    values[2] = ""
            elif node.get("type") == STORY_NODE and len(values) >= 2:
                values[:2] = ["text below", story_text]
        return workflow

    def _find_first_frame_inputs(self) -> list[tuple[str, str]]:
        """Where the image goes that a segment begins from: what --bind says, else LoadImage nodes of that title."""
        bound = [(node_id, input_name) for name, node_id, input_name in self.bindings if name == FIRST_FRAME]
        titles = {str(node.get("id")): node.get("title") for node in (self.ui_workflow or {}).get("nodes", [])}
        titled = [
            (node_id, "image")
            for node_id in nodes_of(self.graph, "LoadImage")
            if str((self.graph[node_id].get("_meta") or {}).get("title") or titles.get(node_id)).lower()
            == "first frame"
        ]
        return bound or titled

    def _parse_binding(self, text: str) -> tuple[str, str, str]:
        match = _TARGET.fullmatch(text)
        names = [*BINDABLE, FIRST_FRAME]
        if not match or match[1] not in names:
            raise VideoGenError(
                "binding-invalid",
                f"--bind {text!r} cannot be read, expected NAME=NODE.INPUT with NAME one of {', '.join(names)}",
            )
        node_id, input_name = self._find_input(match[2], match[3], f"--bind {text}")
        return match[1], node_id, input_name

    def _apply_setting(self, text: str) -> None:
        target, separator, value = text.partition("=")
        node, dot, input_name = target.rpartition(".")
        if not separator or not dot:
            raise VideoGenError("binding-invalid", f"--set {text!r} cannot be read, expected NODE.INPUT=VALUE")
        node_id, input_name = self._find_input(node, input_name, f"--set {text}")
        self.graph[node_id]["inputs"][input_name] = _parse_value(value)

    def _find_input(self, node: str, input_name: str, option: str) -> tuple[str, str]:
        """A node by its id, or by its class when there is only one of it; and one of its inputs."""
        by_class = nodes_of(self.graph, node)
        node_id = node if node in self.graph else by_class[0] if len(by_class) == 1 else ""
        if not node_id:
            listed = ", ".join(f"{key} ({item['class_type']})" for key, item in self.graph.items())
            reason = f"there are {len(by_class)} nodes {node!r}" if by_class else f"there is no node {node!r}"
            raise VideoGenError("binding-invalid", f"{option}: {reason}; the workflow has {listed}")
        schema = self.object_info.get(self.graph[node_id]["class_type"], {}).get("input", {})
        known = [*schema.get("required", {}), *schema.get("optional", {})] or list(self.graph[node_id]["inputs"])
        if input_name not in known:
            raise VideoGenError(
                "binding-invalid", f"{option}: node {node_id} has no input {input_name!r}, it has {', '.join(known)}"
            )
        return node_id, input_name


def find_downstream(graph: Graph, node_ids: Iterable[str]) -> set[str]:
    """These nodes and all that hang on their outputs, directly or not."""
    found = set(node_ids)
    while more := {
        key
        for key, node in graph.items()
        if key not in found and any(is_link(value) and value[0] in found for value in node["inputs"].values())
    }:
        found |= more
    return found


def _parse_value(text: str) -> Any:
    """A JSON value, or the text itself where it is none. NaN and infinities are none: no server takes them."""
    try:
        return json.loads(text, parse_constant=lambda name: text)
    except (ValueError, RecursionError):
        return text


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else float(value)
