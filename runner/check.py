"""Whether a workflow and a story fit a server: everything that is missing or wrong, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from custom_nodes.videogen.core.errors import Problem, ProblemList, VideoGenError
from custom_nodes.videogen.core.graph import SEGMENT_NODE, STORY_NODE, Graph, nodes_of
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
from .workflows.bindings import find_bindings, find_output, parse_binding
from .workflows.image_inputs import find_image_inputs, find_unknown_references
from .workflows.model_sizes import ModelSizes
from .workflows.output_node import find_output_problems
from .workflows.story_images import StoryImages, explain_missing, find_missing
from .workflows.validate import check_graph
from .workflows.workflow import Workflow, convert_workflow


def check_on_server(
    client: ComfyClient,
    workflow: Workflow,
    loaded: LoadedStory | None,
    references: Workflow | None,
    bindings: Sequence[str] = (),
) -> CheckResult:
    """Check a workflow and a story against a server.

    Args:
        loaded: None when it cannot be read: then the workflow alone is checked.
        references: draws missing reference images; None: they are not drawn.
        bindings: ``NAME=NODE.INPUT`` for a workflow without VideoGenSegment.

    Raises:
        VideoGenError: `workflow-invalid`, when it cannot be converted; `binding-invalid`; or what the client raises.
    """
    info = client.object_info()
    result = CheckResult()
    graph = convert_workflow(workflow, info, warn=lambda text: result.notes.append(f"{workflow.path.name}: {text}"))
    sizes = ModelSizes()
    chosen = nodes_of(graph, SEGMENT_NODE)
    problems: list[Problem] = []
    maker = None
    if not nodes_of(graph, MEMBER_NODE):  # one that draws references has its own way
        if len(chosen) > 1:
            problems.append(Problem("", f"has {len(chosen)} VideoGenSegment nodes, expected one"))
        problems += find_output_problems(graph, info) if chosen else _check_roles(graph, info, bindings, result)
        if loaded is not None and not chosen and not problems:
            maker = _bind(workflow, loaded, ConvertedWorkflow(graph, info), bindings, client, result)
    # What a segment replaces in a workflow need not be there.
    submitted, brought = (maker.make(1).graph, maker.brought_for(1)) if maker else (_with_story(graph), ())
    found = (
        check_graph(submitted, info, workflow, client.list_models, sizes.ask, brought, client.has_input_file) + problems
    )
    lacking: list[Problem] = []
    hint = ""
    if loaded is not None:
        story = loaded.story
        found += find_unknown_references(graph, story)
        missing = find_missing(
            story,
            [segment.number for segment in story.segments],
            maker.image_inputs if maker else find_image_inputs(graph),
            StoryImages(loaded.folder, story.slug),
            {client.url: hide_foreign(story, client.hash_input_file, client.read_input_file)},
        )
        drawn = find_drawable(story, missing) if references else []
        if drawn and references:
            names = ", ".join(entity.name for entity in drawn)
            result.notes.append(f"missing reference pictures are drawn first, with {references.path.name}: {names}")
            found += _check_references(references, graph, info, client, sizes, found)
        to_draw = {reference_names(story.slug, entity)[0] for entity in drawn}
        lacking, hint = explain_missing(one for one in missing if one.name not in to_draw)
    if found:
        result.problems.append(str(ProblemList("workflow-invalid", f"{workflow.path.name} on {client.url}", found)))
    if lacking:
        result.problems.append(str(ProblemList("reference-missing", "the story's pictures", lacking, hint)))
    return result


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


def _bind(
    workflow: Workflow,
    loaded: LoadedStory,
    converted: ConvertedWorkflow,
    bindings: Sequence[str],
    client: ComfyClient,
    result: CheckResult,
) -> JobMaker:
    """The jobs of a workflow that knows no segments; what a user should know of them becomes notes.

    Raises:
        VideoGenError: `workflow-invalid` where nothing changes from segment to segment.
    """
    choices = WorkflowChoices(bindings, profiles=load_profiles(profile_folders(workflow.path)))
    images = StoryImages(loaded.folder, loaded.story.slug)
    maker = JobMaker(loaded, converted, choices, client.hash_input_file, images)
    result.notes += [note for note in maker.roles.notes if note not in result.notes]
    return maker


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
