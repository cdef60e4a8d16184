"""Options of the verbs that need a story: its file, the workflow, and the workflow that draws reference images."""

from __future__ import annotations

import argparse
from pathlib import Path

from custom_nodes.videogen.media.story_file import LoadedStory, load_story_data, load_story_text

from ..comfyui.installation import DEFAULT_STORY, DEFAULT_WORKFLOW
from ..references.graph import DEFAULT_REFERENCES
from ..workflows.workflow import Workflow, load_workflow


def add_story_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``STORY``, ``--workflow`` and ``--references``."""
    add_story_file(parser)
    parser.add_argument(
        "--workflow",
        metavar="W",
        help="workflow file, UI or API format, or the name of a shipped\none (default: preview)",
    )
    parser.add_argument(
        "--references",
        metavar="W",
        help="workflow that draws missing reference pictures,\nor none (default: character_references)",
    )


def add_story_file(parser: argparse.ArgumentParser) -> None:
    """Declare ``STORY``."""
    parser.add_argument(
        "story",
        nargs="?",
        metavar="STORY",
        help="story file, JSON or YAML (default: the one in --workflow,\nelse the apple tree)",
    )


def add_bind_argument(parser: argparse.ArgumentParser, text: str) -> None:
    """Declare ``--bind``, with a help text of the verb's own."""
    parser.add_argument("--bind", action="append", default=[], metavar="NAME=NODE.INPUT", dest="bindings", help=text)


def load_film_workflow(arguments: argparse.Namespace) -> Workflow:
    """The workflow of ``--workflow``, or the one that ships.

    Raises:
        VideoGenError: `workflow-unreadable`.
    """
    return load_workflow(Path(arguments.workflow) if arguments.workflow else DEFAULT_WORKFLOW)


def load_references_workflow(arguments: argparse.Namespace) -> Workflow | None:
    """The workflow that draws missing reference images; None when they are not to be drawn.

    Raises:
        VideoGenError: `workflow-unreadable`.
    """
    if arguments.references == "none":
        return None
    return load_workflow(Path(arguments.references) if arguments.references else DEFAULT_REFERENCES)


def find_story(arguments: argparse.Namespace, workflow: Workflow | None) -> LoadedStory:
    """The story of ``STORY``; else the one in the workflow of ``--workflow``; else the one that ships.

    Its `folder` tells where it came from: images of its cast are looked for there.

    Args:
        workflow: None when it cannot be read.

    Raises:
        VideoGenError: `story-unreadable`, `story-invalid`.
    """
    if arguments.story:
        return load_story_data(Path(arguments.story))
    text = workflow.story_text() if workflow and arguments.workflow else ""
    if workflow is None or not text:
        return load_story_data(DEFAULT_STORY)
    # Without .json: the text in the widget may be YAML.
    return load_story_text(text, f"the story in {workflow.path.stem}", workflow.path.absolute().parent)
