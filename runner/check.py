"""Whether a workflow and a story fit a server: everything that is missing or wrong, before anything runs."""

from __future__ import annotations

import re

from custom_nodes.videogen.core.errors import Problem, ProblemList, VideoGenError
from custom_nodes.videogen.core.segment.references import reference_names
from custom_nodes.videogen.media.story_file import LoadedStory

from .check_result import CheckResult
from .comfyui.client import ComfyClient
from .comfyui.graph import SEGMENT_NODE, STORY_NODE, Graph, nodes_of
from .references.generate import find_drawable
from .references.graph import MEMBER_NODE, ReferencesGraph
from .workflows.image_inputs import find_image_inputs, find_unknown_references
from .workflows.model_sizes import ModelSizes
from .workflows.story_images import StoryImages, explain_missing, find_missing
from .workflows.validate import check_graph
from .workflows.workflow import Workflow, convert_workflow


def check_on_server(
    client: ComfyClient, workflow: Workflow, loaded: LoadedStory | None, references: Workflow | None
) -> CheckResult:
    """Check a workflow and a story against a server.

    Args:
        loaded: None when it cannot be read: then the workflow alone is checked.
        references: draws missing reference images; None: they are not drawn.

    Raises:
        VideoGenError: `workflow-invalid`, when it cannot be converted, or what the client raises.
    """
    info = client.object_info()
    graph = convert_workflow(workflow, info)
    sizes = ModelSizes()
    result = CheckResult()
    found = check_graph(_with_story(graph), info, workflow, client.list_models, sizes.ask)
    chosen = nodes_of(graph, SEGMENT_NODE)
    if len(chosen) != 1 and not nodes_of(graph, MEMBER_NODE):  # one that draws references has its own way
        what = f"has {len(chosen)} VideoGenSegment nodes" if chosen else "has no VideoGenSegment node"
        found.append(Problem("", f"{what}, expected one; without one it can be run with --bind"))
    lacking: list[Problem] = []
    hint = ""
    if loaded is not None:
        story = loaded.story
        found += find_unknown_references(graph, story)
        missing = find_missing(
            story,
            [segment.number for segment in story.segments],
            find_image_inputs(graph),
            StoryImages(loaded.folder, story.slug),
            {client.url: client.hash_input_file},
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
