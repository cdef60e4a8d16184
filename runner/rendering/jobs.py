"""Jobs: the graph to submit for one attempt at a segment, made from the workflow's."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.media.story_file import LoadedStory

from ..comfyui.graph import FILM_NODE, RENDER_SIZE_NODE, SAVE_NODE, SEGMENT_NODE, STORY_NODE, Graph, is_link, nodes_of
from ..workflows.bindings import BINDABLE, FIRST_FRAME, InputRef, apply_setting, find_binding
from ..workflows.image_inputs import find_image_inputs, find_needs
from ..workflows.story_images import StoryImage, StoryImages, data_for_servers
from .retries import Variant
from .segment_key import HashFile, SegmentKeyMaker

#: The lowest `scale` of VideoGenRenderSize.
MIN_SCALE = 0.1


@dataclass(frozen=True)
class Job:
    """One attempt at a segment, ready to be submitted; `plan` has the seed and size of this attempt."""

    plan: SegmentPlan
    graph: Graph
    key: str
    workflow: dict[str, Any] | None


@dataclass(frozen=True)
class ConvertedWorkflow:
    """A workflow in the API format of one server.

    Attributes:
        graph: the whole workflow in API format.
        object_info: the schemas of the server's nodes.
        ui: the same workflow as the editor saves it, for the files' metadata; or None.
    """

    graph: Graph
    object_info: Mapping[str, Any]
    ui: dict[str, Any] | None = None


@dataclass(frozen=True)
class WorkflowChoices:
    """The user's choices for a workflow's inputs.

    Attributes:
        bindings: ``NAME=NODE.INPUT``, for workflows without VideoGenSegment.
        settings: ``NODE.INPUT=VALUE``.
        quality: sets the quality of VideoGenSaveSegment, when given.
    """

    bindings: Sequence[str] = ()
    settings: Sequence[str] = ()
    quality: str | None = None


class JobMaker:
    """Makes the jobs of a story from a converted workflow.

    Args:
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
        images: files of the cast next to the story.

    Raises:
        VideoGenError: `binding-invalid`, `workflow-invalid`.
    """

    def __init__(
        self,
        story: LoadedStory,
        workflow: ConvertedWorkflow,
        choices: WorkflowChoices,
        hash_input: Callable[[str], str],
        images: StoryImages | None = None,
    ) -> None:
        self.story, self.ui_workflow = story.story, workflow.ui
        # Every segment's key asks for the same files, which may have to come over the network.
        self.hash_input: HashFile = functools.cache(hash_input)
        # The runner makes the film itself, from the files that it has verified.
        film_nodes = find_downstream(workflow.graph, nodes_of(workflow.graph, FILM_NODE))
        self.graph: Graph = {key: copy.deepcopy(node) for key, node in workflow.graph.items() if key not in film_nodes}
        self.bindings = [find_binding(text, self.graph, workflow.object_info) for text in choices.bindings]
        for text in choices.settings:
            apply_setting(text, self.graph, workflow.object_info)
        if choices.quality:
            for node_id in nodes_of(self.graph, SAVE_NODE):
                self.graph[node_id]["inputs"]["quality"] = choices.quality
        self.segment_nodes = nodes_of(self.graph, SEGMENT_NODE)
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
        self.images = images or StoryImages(None, self.story.slug)
        self.image_inputs = find_image_inputs(self.graph)
        # The story as the servers get it: they have the files next to it under other names.
        self.sent_data = data_for_servers(self.story, story.data, self.image_inputs, self.images)
        # Widgets of the saved workflow that belong to the one segment that was open in the editor.
        self.saved_index = self.graph[self.segment_nodes[0]]["inputs"].get("index") if self.segment_nodes else None
        self._key_maker = SegmentKeyMaker(
            story_data=story.data,
            bindings=self.bindings,
            first_frame_inputs=self.first_frame_inputs,
            image_inputs=self.image_inputs,
            object_info=workflow.object_info,
            hash_input=self.hash_input,
            hash_image=self.hash_image,
        )

    def continues(self, number: int) -> bool:
        """Whether a segment begins from the last frame of the one before it, and the workflow can take that."""
        return self.story.segment(number).continues and bool(self.first_frame_inputs)

    def key(self, number: int, begins_from: str = "") -> str:
        """The key of a segment.

        Args:
            begins_from: SHA-256 of the file that it continues.
        """
        return self._key_maker.make(*self._prepare(number, Variant()), begins_from)

    def make(self, number: int, key: str = "", variant: Variant | None = None, first_frame: str = "") -> Job:
        """The job for one attempt at a segment.

        Args:
            key: of the segment, where it is known already.
            variant: how the attempt differs from the segment as the story has it.
            first_frame: name of the image to begin from, in the server's input folder.
        """
        variant = variant or Variant()
        key = key or self.key(number)
        graph, plan = self._prepare(number, variant)
        for node_id in nodes_of(graph, STORY_NODE):
            graph[node_id]["inputs"] = {"file": "text below", "text": self._story_text(number, plan, variant)}
        for node_id in nodes_of(graph, SAVE_NODE):
            # Part of the file's name: two runs on one server never write over each other's files.
            graph[node_id]["inputs"]["take"] = key[:12]
        for binding in self.bindings:
            if binding.value != FIRST_FRAME:
                binding.target.set(graph, BINDABLE[binding.value](plan))
        if variant.size:
            # The frames are sampled in a size of their own: without this a step down would spare no memory there.
            for node_id in nodes_of(graph, RENDER_SIZE_NODE):
                scale = graph[node_id]["inputs"].get("scale", 1.0)
                if not is_link(scale):
                    step = min(variant.size) / min(self.story.size)
                    graph[node_id]["inputs"]["scale"] = max(MIN_SCALE, round(scale * step, 3))
        if first_frame:
            for target in self.first_frame_inputs:
                target.set(graph, first_frame)
        return Job(plan, graph, key, self._workflow_for(number))

    def images_of(self, number: int) -> list[StoryImage]:
        """The images next to the story that a segment reads: they have to be on the server before it is rendered."""
        needs = find_needs(plan_segment(self.story, number), self.image_inputs) if self.image_inputs else []
        found = {name: self.images.find(name) for need in needs for name in need.names}
        return [image for image in found.values() if image is not None]

    def hash_image(self, name: str) -> str:
        """SHA-256 of an image of the cast, next to the story or else on the server; "" when it is nowhere."""
        image = self.images.find(name)
        return image.sha256 if image is not None else self.hash_input(name)

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

    def _find_first_frame_inputs(self) -> list[InputRef]:
        """The inputs for the image that a segment begins from: those of --bind, else LoadImage nodes of that title."""
        bound = [binding.target for binding in self.bindings if binding.value == FIRST_FRAME]
        titles = {str(node.get("id")): node.get("title") for node in (self.ui_workflow or {}).get("nodes", [])}
        titled = [
            InputRef(node_id, "image")
            for node_id in nodes_of(self.graph, "LoadImage")
            if str((self.graph[node_id].get("_meta") or {}).get("title") or titles.get(node_id)).lower()
            == "first frame"
        ]
        return bound or titled


def find_downstream(graph: Graph, node_ids: Iterable[str]) -> set[str]:
    """These nodes and all that depend on their outputs, directly or not."""
    found = set(node_ids)
    while more := {
        key
        for key, node in graph.items()
        if key not in found and any(is_link(value) and value[0] in found for value in node["inputs"].values())
    }:
        found |= more
    return found
