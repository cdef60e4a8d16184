"""Whether a workflow and a story fit a server: everything that is missing or wrong, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import Problem, ProblemList, VideoGenError
from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE, Graph, nodes_of
from custom_nodes.videogen.core.roles.describe import find_unclear, summarize
from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.segment.references import reference_names
from custom_nodes.videogen.media.profiles.library import load_profiles, profile_folders
from custom_nodes.videogen.media.story_file import LoadedStory

from .check_result import CheckResult
from .comfyui.client import ComfyClient
from .references.generate import find_drawable
from .references.graph import MEMBER_NODE, ReferencesGraph
from .references.provenance import hide_foreign
from .rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from .rendering.per_segment.job_makers import group_by_loras
from .workflows.bindings import find_bindings, find_output, parse_binding
from .workflows.image_inputs import find_image_inputs, find_unknown_references
from .workflows.model_sizes import ModelSizes
from .workflows.output_node import find_output_problems
from .workflows.own_workflows import WorkflowUse, list_uses, name_segments
from .workflows.story_images import StoryImages, explain_missing, find_missing
from .workflows.validate import check_graph
from .workflows.workflow import Workflow, convert_workflow

#: A job's key: what a graph lacks does not depend on it, and to make it takes requests.
_NO_KEY = "-"


def check_on_server(
    client: ComfyClient,
    workflow: Workflow,
    loaded: LoadedStory | None,
    references: Workflow | None,
    bindings: Sequence[str] = (),
    own: Mapping[int, Workflow] | None = None,
) -> CheckResult:
    """Check the workflows of a story against a server, and the story itself.

    Args:
        loaded: None when it cannot be read: then the workflow alone is checked.
        references: draws missing reference images; None: they are not drawn.
        bindings: ``NAME=NODE.INPUT`` for a workflow without VideoGenSegment.
        own: the workflows of segments that name one, by their numbers.

    Raises:
        VideoGenError: `workflow-invalid`, when it cannot be converted; `binding-invalid`; or what the client raises. Where there
            are several workflows, what is wrong with one of them is among the problems.
    """
    info = client.object_info()
    result = CheckResult()
    uses = [WorkflowUse(workflow, ())] if loaded is None else list_uses(loaded.story, workflow, own or {})
    sizes = ModelSizes()
    # Profiles are a user's own: a story brings none.
    profiles = profile_folders(workflow.path)
    for use in uses:
        check = _WorkflowCheck(client, info, sizes, use, loaded, () if use.is_own else bindings, profiles)
        try:
            check.run(references, result)
        except VideoGenError as error:
            if len(uses) == 1 or error.code not in ("workflow-invalid", "binding-invalid"):
                raise
            result.problems.append(f"{name_segments(use.numbers)} ({use.workflow.path.name}): {error}")
    result.problems[:] = dict.fromkeys(result.problems)
    result.notes[:] = dict.fromkeys(result.notes)
    return result


class _WorkflowCheck:
    """Checks one workflow of a story, for the segments that are rendered with it."""

    def __init__(
        self,
        client: ComfyClient,
        info: dict[str, Any],
        sizes: ModelSizes,
        use: WorkflowUse,
        loaded: LoadedStory | None,
        bindings: Sequence[str],
        profiles: Sequence[Path],
    ) -> None:
        self.profiles = profiles
        self.client, self.info, self.sizes = client, info, sizes
        self.use, self.workflow, self.loaded, self.bindings = use, use.workflow, loaded, bindings
        segments = [] if loaded is None else [loaded.story.segment(number) for number in use.numbers]
        self.with_loras = any(segment.loras for segment in segments)
        self.with_keyframes = any(segment.begins_with_picture or segment.last_frame for segment in segments)

    def run(self, references: Workflow | None, result: CheckResult) -> None:
        """Add what is found to a result.

        Raises:
            VideoGenError: `workflow-invalid`, when it cannot be converted; `binding-invalid`.
        """
        client, info, workflow = self.client, self.info, self.workflow
        name = workflow.path.name
        graph = convert_workflow(workflow, info, warn=lambda text: result.notes.append(f"{name}: {text}"))
        chosen = nodes_of(graph, SEGMENT_NODE)
        problems: list[Problem] = []
        maker = None
        if not nodes_of(graph, MEMBER_NODE):  # one that draws references has its own way
            if len(chosen) > 1:
                problems.append(Problem("", f"has {len(chosen)} VideoGenSegment nodes, expected one"))
            problems += (
                find_output_problems(graph, info) if chosen else _check_roles(graph, info, self.bindings, result)
            )
            bound = not chosen or self.with_loras or self.with_keyframes or bool(nodes_of(graph, FIT_NODE))
            if self.loaded is not None and bound and not problems:
                maker = self._bind(self.loaded, ConvertedWorkflow(graph, info), result)
        found = [*self._check_graphs(graph, maker), *problems]
        lacking: list[Problem] = []
        hint = ""
        if self.loaded is not None:
            story = self.loaded.story
            found += find_unknown_references(graph, story)
            missing = find_missing(
                story,
                self.use.numbers,
                maker.image_inputs if maker else find_image_inputs(graph),
                StoryImages(self.loaded.folder, story.slug),
                {client.url: hide_foreign(story, client.hash_input_file, client.read_input_file)},
                {number: maker.keyframes_of(number) for number in self.use.numbers} if maker else {},
            )
            drawn = find_drawable(story, missing) if references else []
            if drawn and references:
                names = ", ".join(entity.name for entity in drawn)
                result.notes.append(f"missing reference pictures are drawn first, with {references.path.name}: {names}")
                found += _check_references(references, graph, info, client, self.sizes, found)
            to_draw = {reference_names(story.slug, entity)[0] for entity in drawn}
            lacking, hint = explain_missing(one for one in missing if one.name not in to_draw)
        if found:
            whose = f"{name_segments(self.use.numbers)}: " if self.use.is_own else ""
            result.problems.append(str(ProblemList("workflow-invalid", f"{whose}{name} on {client.url}", found)))
        if lacking:
            result.problems.append(str(ProblemList("reference-missing", "the story's pictures", lacking, hint)))

    def _check_graphs(self, graph: Graph, maker: JobMaker | None) -> list[Problem]:
        """What a server lacks for the graphs of the segments: those with other LoRAs have other nodes.

        What a segment replaces in a workflow need not be there.
        """
        graphs: dict[tuple[int, ...], tuple[Graph, Collection[str]]] = {(): (_with_story(graph), ())}
        if maker is not None and self.loaded is not None:
            groups = group_by_loras(self.loaded.story, self.use.numbers)
            graphs = {
                tuple(numbers): (maker.make(numbers[0], _NO_KEY).graph, maker.brought_for(numbers[0]))
                for numbers in groups.values()
            }
        found: dict[Problem, list[int]] = {}
        for numbers, (submitted, brought) in graphs.items():
            client = self.client
            for problem in check_graph(
                submitted,
                self.info,
                self.workflow,
                client.list_models,
                self.sizes.ask,
                brought,
                client.has_input_file,
            ):
                found.setdefault(problem, []).extend(numbers)
        every = sum(map(len, graphs))
        return [
            problem
            if len(numbers) == every
            else Problem(f"{name_segments(sorted(numbers))}, {problem.where}".removesuffix(", "), problem.message)
            for problem, numbers in found.items()
        ]

    def _bind(self, loaded: LoadedStory, converted: ConvertedWorkflow, result: CheckResult) -> JobMaker:
        """The jobs of the segments; what a user should know of them becomes notes.

        Raises:
            VideoGenError: `workflow-invalid` where nothing changes from segment to segment, or nothing could take a LoRA.
        """
        choices = WorkflowChoices(self.bindings, profiles=load_profiles(self.profiles))
        images = StoryImages(loaded.folder, loaded.story.slug)
        maker = JobMaker(loaded, converted, choices, self.client.hash_input_file, images, numbers=self.use.numbers)
        result.notes += [note for note in maker.roles.notes if note not in result.notes]
        return maker


def _check_roles(graph: Graph, info: dict[str, Any], bindings: Sequence[str], result: CheckResult) -> list[Problem]:
    """What is unclear about the inputs that a segment decides, in a workflow that knows no segments; what is clear is a note.

    Raises:
        VideoGenError: `binding-invalid`.
    """
    find_bindings(bindings, graph, info)
    table = find_roles(graph, info, find_output(bindings, graph))
    result.notes += [f"a segment decides: {summarize(table)}"] if table.findings else []
    result.notes += table.notes
    return [Problem("", sentence) for sentence in find_unclear(table, {parse_binding(text).value for text in bindings})]


def _check_references(
    references: Workflow,
    film: Graph,
    info: dict[str, object],
    client: ComfyClient,
    sizes: ModelSizes,
    known: list[Problem],
) -> list[Problem]:
    """Problems of the references workflow, without those that the film's workflow has too."""
    try:
        found = ReferencesGraph(references, info, film).check(info, client.list_models, sizes.ask)
    except VideoGenError as error:
        return [Problem(references.path.name, error.message)]
    said = {(_subject(problem.where), problem.message) for problem in known}
    start = f"{references.path.name}, "
    return [problem for problem in found if (_subject(problem.where.removeprefix(start)), problem.message) not in said]


def _subject(where: str) -> str:
    """The model or class that a problem concerns, without node numbers, which differ between workflows; "" for a value."""
    return "" if where.startswith("node ") else re.sub(r" \(nodes? [^()]*\)$", "", where)


def _with_story(graph: Graph) -> Graph:
    """The graph with an empty VideoGenStory: a run fills in the story, so that the node's widgets do not matter."""
    return {
        key: {**node, "inputs": {"file": "text below", "text": ""}} if node["class_type"] == STORY_NODE else node
        for key, node in graph.items()
    }
