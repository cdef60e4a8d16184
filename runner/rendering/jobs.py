"""Jobs: the graph to submit for one attempt at a segment, made from the workflow's."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from custom_nodes.videogen.core.errors import Problem, ProblemList, VideoGenError
from custom_nodes.videogen.core.graph import (
    FILM_NODE,
    RENDER_SIZE_NODE,
    SAVE_NODE,
    SEGMENT_NODE,
    STORY_NODE,
    Graph,
    find_downstream,
    is_link,
    nodes_of,
)
from custom_nodes.videogen.core.model_profiles.model import Profile
from custom_nodes.videogen.core.redaction import SECRETS, find_address_secrets, hide_in_workflow
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.media.story_file import LoadedStory

from ..workflows.automatic_choices import forget_choices
from ..workflows.bindings import (
    Binding,
    apply_setting,
    find_bindings,
    find_input,
    find_kept,
    find_output,
    parse_setting,
)
from ..workflows.dynamic_prompts import draw_in_workflow, draw_prompts, find_dynamic_texts
from ..workflows.image_inputs import find_image_inputs, find_needs
from ..workflows.output_node import find_output_problems
from ..workflows.own_workflows import without_own_workflows
from ..workflows.story_images import StoryImage, StoryImages, data_for_servers
from .borders.pictures import add_border_notes, find_border_pictures
from .borders.shared_frames import SHARED, find_clip_frames, index_of_last_shown
from .bound.adopted import resolve_fit
from .bound.bind import BoundRoles, FixedInputs, bind_roles
from .keys.key_sources import HashFile, HashModel, KeySources
from .keys.secret_inputs import find_secret_inputs
from .keys.segment_key import SegmentKeyMaker
from .per_segment.loras import ModelLoaders, find_model_loaders
from .retries import Variant

#: The lowest `scale` of VideoGenRenderSize.
MIN_SCALE = 0.1


@dataclass(frozen=True)
class Job:
    """One attempt at a segment, ready to be submitted; `plan` has the seed and size of this attempt.

    Attributes:
        output_node: id of the node whose file is the segment, where the user has named one; else "".
        object_info: the schemas of the graph's nodes.
    """

    plan: SegmentPlan
    graph: Graph
    key: str
    workflow: dict[str, Any] | None
    output_node: str = ""
    object_info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConvertedWorkflow:
    """A workflow in the API format of one server.

    Attributes:
        graph: the whole workflow in API format.
        object_info: the schemas of the server's nodes.
        ui: the same workflow as the editor saves it, for the files' metadata; or None.
        written: its dynamic prompts are as they are written; otherwise nothing in it is drawn.
    """

    graph: Graph
    object_info: Mapping[str, Any]
    ui: dict[str, Any] | None = None
    written: bool = False


@dataclass(frozen=True)
class WorkflowChoices:
    """The user's choices for a workflow's inputs.

    Attributes:
        bindings: ``NAME=NODE.INPUT``, for workflows without VideoGenSegment; ``output=NODE``, for those that save several files.
        settings: ``NODE.INPUT=VALUE``.
        quality: sets the quality of VideoGenSaveSegment, when given.
        profiles: what is known of models, for workflows without VideoGenSegment.
        find_roles: find the inputs that a segment decides in these; otherwise nothing but what `bindings` name is set.
        drop_shared: leave the frame out of a segment that the one it continues has shown; earlier releases did not.
    """

    bindings: Sequence[str] = ()
    settings: Sequence[str] = ()
    quality: str | None = None
    profiles: Sequence[Profile] = ()
    find_roles: bool = True
    drop_shared: bool = True


class JobMaker:
    """Makes the jobs of a story from a converted workflow.

    Args:
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
        images: files of the cast next to the story.
        hash_model: SHA-256 of a model file, by its folder and name, or "" when it cannot be told.
        numbers: of the segments that are rendered with this workflow; None for all.

    Attributes:
        before: makes the jobs of an earlier release, whose keys are former keys of ours; or None.

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
        hash_model: HashModel = lambda folder, name: "",
        numbers: Collection[int] | None = None,
    ) -> None:
        self.story, self.object_info = story.story, workflow.object_info
        numbers = None if numbers is None else frozenset(numbers)
        # Every segment's key asks for the same files, which may have to come over the network.
        self.hash_input: HashFile = functools.cache(hash_input)
        self.adopted = resolve_fit(workflow.graph, choices.profiles)
        graph = self.adopted.graph if self.adopted else workflow.graph
        # The runner makes the film itself, from the files that it has verified.
        film_nodes = find_downstream(graph, nodes_of(graph, FILM_NODE))
        self.graph: Graph = {key: copy.deepcopy(node) for key, node in graph.items() if key not in film_nodes}
        self.before: JobMaker | None = None
        # Before --set: what is given there is meant as it is.
        self.dynamic_texts = find_dynamic_texts(self.graph, workflow.object_info) if workflow.written else {}
        named = find_bindings(choices.bindings, self.graph, workflow.object_info)
        self.output_node = find_output(choices.bindings, self.graph)
        marked = [apply_setting(text, self.graph, workflow.object_info) for text in choices.settings]
        self.secret_inputs = find_secret_inputs(self.graph, workflow.object_info) | {
            found for found in marked if found is not None
        }
        self.ui_workflow = hide_in_workflow(workflow.ui, self._note_secrets())
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
        self.clip_frames = find_clip_frames(self.graph, workflow.object_info, self.output_node)
        self.roles = BoundRoles(named)
        if (not self.segment_nodes or self.adopted) and choices.find_roles:
            self.roles = bind_roles(
                self.graph,
                workflow.object_info,
                self.story,
                choices.profiles,
                self._find_fixed(named, choices),
                numbers,
                SHARED if self.clip_frames and choices.drop_shared else 0,
            )
        self.bindings = self.roles.bindings
        self.output_node = self.output_node or self.roles.output_node
        if not self.segment_nodes and not self.bindings:
            raise VideoGenError(
                "workflow-invalid",
                "the workflow has no VideoGenSegment node, and no input that a segment could decide was found: nothing in it"
                " would change from segment to segment",
                "Add the node, or say what to set with --bind, such as --bind prompt=6.text --bind seed=3.seed;"
                " `videogen roles` shows what was found.",
            )
        self.borders = find_border_pictures(self.graph, self.ui_workflow, self.bindings, self.roles)
        self.roles = add_border_notes(self.roles, self.borders, self.story, numbers)
        self.model_loaders = self._find_model_loaders(numbers)
        self.images = images or StoryImages(None, self.story.slug)
        self.image_inputs = find_image_inputs(self.graph)
        if self.roles.references is not None:
            self.image_inputs.append(self.roles.references)
        # The story as the servers get it: they have the files next to it under other names.
        self.sent_data = data_for_servers(self.story, story.data, self.image_inputs, self.images)
        self._submitted_data = without_own_workflows(self.sent_data)
        # Widgets of the saved workflow that belong to the one segment that was open in the editor.
        self.saved_index = self.graph[self.segment_nodes[0]]["inputs"].get("index") if self.segment_nodes else None
        if self.adopted and not self.segment_nodes:
            self.saved_index = self.adopted.index
        self._key_maker = SegmentKeyMaker(
            KeySources(
                story_data=without_own_workflows(story.data),
                bindings=self.bindings,
                # A loader that is put in is in the graph of segments that begin from an image only.
                first_frame_inputs=[one.target for one in self.borders.first if one.socket is None],
                image_inputs=self.image_inputs,
                object_info=workflow.object_info,
                hash_input=self.hash_input,
                hash_image=self.hash_image,
                hash_model=functools.cache(hash_model),
                output_node=self.output_node,
            )
        )

    def source(self, number: int) -> int | None:
        """Number of the segment whose last frame a segment begins with; None where it, or the workflow, takes none."""
        return self.story.segment(number).continues_from if self.borders.first else None

    def shares_frames(self, number: int) -> bool:
        """Whether the first frames of a segment are left out, as the segment that it continues shows them."""
        return self.roles.values is not None and number in self.roles.values.shared

    def key(self, number: int, begins_from: str = "") -> str:
        """The key of a segment.

        Args:
            begins_from: SHA-256 of the file that it continues.
        """
        return self._key_maker.make(*self._prepare_for_key(number), begins_from)

    def _prepare_for_key(self, number: int) -> tuple[Graph, SegmentPlan]:
        graph, plan = self._prepare(number, Variant())
        if self.roles.references is not None:
            self.roles.references.write(graph, plan, lambda name: {"sha256": self.hash_image(name)})
        self.borders.write(graph, self.story.segment(number), lambda name: {"sha256": self.hash_image(name)})
        for found in self.secret_inputs:
            # It changes no frame, and a hash of few possible values can be turned back.
            found.remove(graph)
        return graph, plan

    def _note_secrets(self) -> set[str]:
        """The values of the graph's secrets; from now on they are hidden wherever something is written."""
        values = {str(self.graph[found.node_id]["inputs"][found.name]) for found in self.secret_inputs}
        texts = (value for node in self.graph.values() for value in node["inputs"].values() if isinstance(value, str))
        for value in values.union(*map(find_address_secrets, texts)):
            SECRETS.add(value)
        return values

    def former_keys(self, number: int, begins_from: str = "") -> Iterator[str]:
        """Keys under which the same segment may have been rendered before, see `SegmentKeyMaker.former`."""
        if self.before is not None:
            yield self.before.key(number, begins_from)
            yield from self.before.former_keys(number, begins_from)
        yield from self._key_maker.former(*self._prepare_for_key(number), begins_from)
        # Earlier releases settled nothing, and had secrets in their keys.
        graph, plan = self._prepare(number, Variant())
        yield from self._key_maker.former(forget_choices(graph), plan, begins_from)

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
            binding.write(graph, plan)
        if self.roles.references is not None:
            self.roles.references.write(graph, plan, self._name_on_servers)
        if variant.size:
            # The frames are sampled in a size of their own: without this a step down would spare no memory there.
            for node_id in nodes_of(graph, RENDER_SIZE_NODE):
                scale = graph[node_id]["inputs"].get("scale", 1.0)
                if not is_link(scale):
                    step = min(variant.size) / min(self.story.size)
                    graph[node_id]["inputs"]["scale"] = max(MIN_SCALE, round(scale * step, 3))
        self.borders.write(graph, self.story.segment(number), self._name_on_servers, first_frame)
        self._keep_last_frame(graph, plan)
        return Job(plan, graph, key, self._workflow_for(number, graph), self.output_node, self.object_info)

    def find_output_problems(self) -> list[Problem]:
        """What is unclear about the node whose file is the segment."""
        return list(find_output_problems(self.graph, self.object_info, self.output_node))

    def images_of(self, number: int) -> list[StoryImage]:
        """The images next to the story that a segment reads: they have to be on the server before it is rendered."""
        needs = find_needs(plan_segment(self.story, number), self.image_inputs) if self.image_inputs else []
        names = [*(name for need in needs for name in need.names), *self.keyframes_of(number)]
        found = {name: self.images.find(name) for name in names}
        return [image for image in found.values() if image is not None]

    def keyframes_of(self, number: int) -> list[str]:
        """The story's names of the pictures that a segment begins and ends with, where the workflow takes them."""
        return self.borders.given_to(self.story.segment(number))

    def brought_for(self, number: int) -> set[str]:
        """Names of the files that are uploaded before a segment is submitted."""
        return {image.name for image in self.images_of(number)}

    def _name_on_servers(self, name: str) -> str:
        image = self.images.find(name)
        return image.name if image is not None else name

    def hash_image(self, name: str) -> str:
        """SHA-256 of an image of the cast, next to the story or else on the server; "" when it is nowhere."""
        image = self.images.find(name)
        return image.sha256 if image is not None else self.hash_input(name)

    def _prepare(self, number: int, variant: Variant) -> tuple[Graph, SegmentPlan]:
        """The workflow's graph with this segment chosen, and the segment as this attempt renders it."""
        graph = copy.deepcopy(self.graph)
        self.model_loaders.insert(graph, self.story.segment(number).loras)
        override = self.adopted.prompt_override if self.adopted and number == self.saved_index else ""
        for node_id in self.segment_nodes:
            inputs = graph[node_id]["inputs"]
            if not is_link(inputs.get("prompt_override")) and number != self.saved_index:
                inputs["prompt_override"] = ""
            override = inputs.get("prompt_override") or ""
            inputs["index"] = number
        plan = plan_segment(self.story, number, override if isinstance(override, str) else "")
        # By the segment's own seed: another take is another try at the same text.
        draw_prompts(graph, self.dynamic_texts, plan.seed)
        plan = replace(plan, seed=(plan.seed + variant.seed_offset) % 2**64, size=variant.size or plan.size)
        self._drop_shared_frames(graph, plan)
        return graph, plan

    def _drop_shared_frames(self, graph: Graph, plan: SegmentPlan) -> None:
        values = self.roles.values
        if values is not None and self.clip_frames is not None and (count := values.shared.get(plan.number)):
            clip = values.plan_frames(plan)
            self.clip_frames.drop_first(graph, count, (clip.frames - count) / clip.fps, count / clip.fps)

    def _keep_last_frame(self, graph: Graph, plan: SegmentPlan) -> None:
        """Have the frame kept that another segment begins with."""
        values = self.roles.values
        if self.clip_frames is None or plan.number not in self.story.continued:
            return
        known = values is not None and values.counts_frames and values.knows_rate
        index = index_of_last_shown(plan.duration, values.rate(plan)) if known and values else None
        self.clip_frames.keep_last(graph, index)

    def _story_text(self, number: int, plan: SegmentPlan, variant: Variant) -> str:
        data = self._submitted_data
        if variant != Variant():
            data = {**copy.deepcopy(data), "size": list(plan.size)}
            data["segments"][number - 1]["seed"] = plan.seed
        return json.dumps(data, ensure_ascii=False)

    def _workflow_for(self, number: int, graph: Graph) -> dict[str, Any] | None:
        """The editor's workflow with this segment chosen, so that a dropped file opens where it was made."""
        if self.ui_workflow is None:
            return None
        workflow = copy.deepcopy(self.ui_workflow)
        draw_in_workflow(workflow, self.dynamic_texts, graph)
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

    def _find_fixed(self, named: Sequence[Binding], choices: WorkflowChoices) -> FixedInputs:
        """What the user has said of the workflow's inputs."""
        return FixedInputs(
            named=named,
            kept=find_kept(choices.bindings),
            settings={find_input(self.graph, self.object_info, parse_setting(text)) for text in choices.settings},
            output_node=self.output_node,
            decided=self.adopted.decided if self.adopted else None,
        )

    def _find_model_loaders(self, numbers: Collection[int] | None) -> ModelLoaders:
        """Where the LoRAs of these segments go."""
        segments = [one for one in self.story.segments if one.loras and (numbers is None or one.number in numbers)]
        if not segments:
            return ModelLoaders(())
        loaders = find_model_loaders(self.graph, self.object_info, self.output_node)
        if problems := list(loaders.explain_unfit(segments)):
            raise ProblemList("workflow-invalid", self.story.title, problems)
        return loaders
