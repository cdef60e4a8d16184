"""The outputs of a run besides its segments: the record ``run.json``, the film and the report."""

from __future__ import annotations

import shlex
import sys
import traceback
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.media.film.compile import FilmReport

from ..rendering.film import done_files, update_film
from ..reports.command_line import hide_secrets
from ..reports.report import report_run, write_report
from ..state.events import RunnerError
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from .request import RunRequest


def write_record(directory: RunDirectory, request: RunRequest, versions: dict[str, str]) -> None:
    """Write ``run.json``: the run's request, and the versions that render it."""
    story = request.loaded.story
    record = {
        "format": 1,
        "run_id": directory.run_id,
        "title": story.title,
        "command": shlex.join(["videogen", *hide_secrets(sys.argv[1:])]),
        "folder": str(Path.cwd()),
        "story": request.loaded.data,
        "workflow": {
            "path": str(request.workflow.path),
            "graph": request.workflow.ui or request.workflow.api,
        },
        "settings": {
            "quality": story.quality,
            "set": request.settings,
            "bind": request.bindings,
            "retries": request.retries,
        },
        "versions": versions,
    }
    directory.write_json("run.json", record)


def make_film(directory: RunDirectory, request: RunRequest, display: Display) -> FilmReport | None:
    """Make the film, once every segment was tried; None when there is none to make, or it is up to date."""
    story, journal = request.loaded.story, directory.journal
    done = done_files(directory.path, journal.segments)
    numbers = [segment.number for segment in story.segments]
    untried = [number for number in numbers if number not in done and journal.segment(number).state != "failed"]
    if untried:
        # A run of four segments of 33 is not meant to end in a film of slates.
        display.say(
            f"No film yet, segments {format_selection(untried)} are not rendered;"
            f" `videogen film {directory.path}` makes one with slates in their place"
        )
        return None
    if not done or (request.strict and len(done) < len(story.segments)):
        display.say("No film: segments are missing" + (" (--strict)" if done else ""))
        return None
    return update_film(directory, story, display)


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
