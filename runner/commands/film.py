"""`videogen film`: the film of a run directory, made again from its segments."""

from __future__ import annotations

import argparse
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story

from ..rendering.film import update_film
from ..rendering.replaced_files import adopt_replaced
from ..rendering.run_log import RunLog
from ..reports.report import report_run, write_report
from ..state.own_files import require_own_files
from ..state.progress import LineDisplay
from ..state.run_directory import RunDirectory, read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the run directory."""
    parser.add_argument("directory", metavar="DIR", help="run directory; missing segments become slates")
    parser.add_argument(
        "--strict", action="store_true", help="make no film when a segment is missing, or older than the story"
    )
    parser.add_argument(
        "--adopt", action="store_true", help="take segment files that somebody has replaced since they were rendered"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Make the film and write the report.

    Raises:
        VideoGenError: `run-directory-invalid`, and those of `update_film`.
    """
    path = Path(arguments.directory)
    require_own_files(path)
    record = read_run(path)
    if record is None:
        raise VideoGenError("run-directory-invalid", f"{path} is not a run directory: it has no run.json")
    story = parse_story(record["story"], "run.json")
    with RunDirectory(path, story.title) as directory:
        display = LineDisplay()
        if arguments.adopt:
            adopt_replaced(directory, story, RunLog(directory.journal, display))
        update_film(directory, story, display, again=True, strict=arguments.strict)
        write_report(path, report_run(path, directory.journal))
    print(directory.film)
    return 0
