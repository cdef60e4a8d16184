"""`videogen check`: everything that is missing or wrong, before anything runs and in one message."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from custom_nodes.videogen.core.errors import BAD_INPUT, VideoGenError
from custom_nodes.videogen.media.story_file import LoadedStory

from ..check_result import CheckResult
from ..comfyui.installation import find_installation
from ..comfyui.transport import normalize_url
from ..workflows.bindings import parse_binding
from ..workflows.own_workflows import list_uses, load_own_workflows
from ..workflows.story_files import list_story_files
from ..workflows.workflow import Workflow
from .server_options import add_server_arguments, open_server, read_headers
from .story_options import (
    add_bind_argument,
    add_story_arguments,
    find_story,
    load_film_workflow,
    load_references_workflow,
)

T = TypeVar("T")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the story, the workflows and the servers."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.epilog = "Exit status: 0 ready to render, 2 something is wrong, 3 no server."
    add_story_arguments(parser)
    add_bind_argument(parser, "for workflows without VideoGenSegment: as in videogen run")
    add_server_arguments(
        parser, "a running ComfyUI to check against\n(default: one is started, which takes about 15 s)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print what the story makes videogen read, upload and write, and all notes and problems.

    Everything that can be told without a server is checked first. If something is wrong there, no ComfyUI is started: a
    typing error is answered at once, and not after the 15 s that a start takes. A server of ``--server`` runs already, and is
    asked in any case, so that all problems come in one message.

    Raises:
        VideoGenError: why no server can be used, when nothing else is wrong.
    """
    result = CheckResult()
    workflow = _collect(result, lambda: load_film_workflow(arguments))
    loaded = _collect(result, lambda: find_story(arguments, workflow))
    own: dict[int, Workflow] | None = {}
    if workflow is not None and loaded is not None:
        own = _collect(result, lambda: load_own_workflows(loaded, workflow))
    references = _collect(result, lambda: load_references_workflow(arguments))
    _collect(result, lambda: [parse_binding(text) for text in arguments.bindings])
    _collect(result, lambda: (read_headers(arguments), [normalize_url(url) for url in arguments.server]))
    if loaded is not None:
        result.notes += loaded.story.warnings
        named = (workflow, references, *(own or {}).values())
        workflows = list(dict.fromkeys(one.path for one in named if one is not None))
        files, unusable = list_story_files(loaded, workflows, Path("runs") / loaded.story.slug)
        result.problems += map(str, unusable)
        # First, and also when no server can be started: whoever got the story from somebody else wants to know this.
        print("\n".join(files), flush=True)
    if workflow is not None and not result.problems:
        result.add(_check_on_server(arguments, workflow, loaded, references, own or {}))
    elif workflow is not None and arguments.server:
        found = _collect(result, lambda: _check_on_server(arguments, workflow, loaded, references, own or {}))
        result.add(found or CheckResult())
    elif workflow is not None:
        result.notes.append(f"{workflow.path.name} is checked against ComfyUI once this is corrected")
    for problem in result.problems:
        print(problem)
    for note in result.notes:
        print(f"Note: {note}")
    if result.problems or workflow is None or loaded is None:
        return BAD_INPUT
    story = loaded.story
    length = f"{len(story.segments)} segments, {float(story.duration):.3f} s"
    names = list(dict.fromkeys(use.workflow.path.name for use in list_uses(story, workflow, own or {})))
    print(f"{story.title}: {length}; {', '.join(names)} {'fit' if len(names) > 1 else 'fits'} the server")
    return 0


def _collect(result: CheckResult, load: Callable[[], T]) -> T | None:
    """The result of `load`, or None when it raises an error, which becomes one of the problems."""
    try:
        return load()
    except VideoGenError as error:
        result.problems.append(str(error))
        return None


def _check_on_server(
    arguments: argparse.Namespace,
    workflow: Workflow,
    loaded: LoadedStory | None,
    references: Workflow | None,
    own: Mapping[int, Workflow],
) -> CheckResult:
    # A problem that needs no server is answered without these imports, which take longer than to find it.
    from ..check import check_on_server

    with open_server(arguments) as client:
        result = check_on_server(client, workflow, loaded, references, arguments.bindings, own)
    if not arguments.server and any("models/" in problem for problem in result.problems):
        result.notes.append(f"models/ is {find_installation().comfyui / 'models'}")
    return result
