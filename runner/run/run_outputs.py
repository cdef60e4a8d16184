"""The outputs of a run besides its segments: the record ``run.json``, the film and the report."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.redaction import hide_in_arguments, hide_in_setting
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.media.film.compile import FilmReport

from ..rendering.film import HOW_TO_RENDER_STALE, describe_stale, done_files, find_stale, update_film
from ..rendering.replaced_files import HOW_TO_RENDER_REPLACED, describe_replaced, find_replaced
from ..reports.report import report_run, write_report
from ..state.events import RunnerError
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from .request import RunRequest


def write_record(
    directory: RunDirectory,
    request: RunRequest,
    versions: dict[str, str],
    choices: dict[str, str],
    workflow: dict[str, Any] | None = None,
    *,
    own: Any = None,
) -> None:
    """Write ``run.json``: the run's request, and the versions that render it.

    Args:
        choices: what nodes' *auto* stands for in this directory, see `settle_choices`.
        workflow: the record of the same workflow, as an earlier run has written it: it knew which widgets are secrets, which
            only a server can tell.
        own: the same of the workflows that segments have of their own.
    """
    story = request.loaded.story
    record = {
        "format": 1,
        "run_id": directory.run_id,
        "title": story.title,
        "command": shlex.join(["videogen", *hide_in_arguments(sys.argv[1:])]),
        "folder": str(Path.cwd()),
        "story": request.loaded.data,
        "workflow": {
            **(workflow or {"graph": request.workflow.ui or request.workflow.api}),
            "path": str(request.workflow.path),
        },
        **({"workflows": own} if own and request.own else {}),
        "settings": {
            "quality": story.quality,
            "set": [hide_in_setting(text) for text in request.settings],
            "bind": request.bindings,
            "retries": request.retries,
            "keep_results": request.keep_results,
        },
        **({"choices": choices} if choices else {}),
        "versions": versions,
    }
    # The story is the user's own text, of which nothing may be lost: the film is made of it again.
    directory.write_json("run.json", record, keep=("story",))


def make_film(directory: RunDirectory, request: RunRequest, display: Display) -> FilmReport | None:
    """Make the film, once every segment was tried; None when there is none to make, or it is up to date."""
    story, journal = request.loaded.story, directory.journal
    done = done_files(directory.path, journal.segments)
    numbers = [segment.number for segment in story.segments]
    untried = [number for number in numbers if number not in done and journal.segment(number).state != "failed"]
    if untried:
        # A run of four segments of 33 is not meant to end in a film of slates.
        if stale := find_stale(journal):
            display.say(f"Note: {describe_stale(stale)}. {HOW_TO_RENDER_STALE}")
        display.say(
            f"No film yet, segments {format_selection(untried)} are not rendered;"
            f" `videogen film {directory.path}` makes one with slates in their place"
        )
        return None
    if not done or (request.strict and len(done) < len(story.segments)):
        display.say("No film: segments are missing" + (" (--strict)" if done else ""))
        return None
    if replaced := find_replaced(directory.path, journal.segments):
        # Of segments that this run was not to render.
        display.say(f"No film: {describe_replaced(replaced)}. {HOW_TO_RENDER_REPLACED}")
        return None
    return update_film(directory, story, display, strict=request.strict)


def write_run_report(directory: RunDirectory, display: Display) -> None:
    """Write the report's files.

    Raises:
        VideoGenError: `path-invalid`, `disk-full`. An internal error is only noted.
    """
    try:
        write_report(directory.path, report_run(directory.path, directory.journal))
    except VideoGenError:
        raise
    except Exception as error:  # an internal error in a page about the run must not take the run's result away
        event = directory.journal.append(
            RunnerError(message=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
        )
        display.event(event)
        display.say(f"The report could not be written: {type(error).__name__}: {error}")
