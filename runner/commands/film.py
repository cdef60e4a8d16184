"""`videogen film`: the film of a run directory, made again from its segments."""

from __future__ import annotations

import argparse
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story

from ..rendering.film import update_film
from ..reports.report import report_run, write_report
from ..state.progress import LineDisplay
from ..state.run_directory import RunDirectory, read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the run directory."""
    parser.add_argument("directory", metavar="DIR", help="run directory; missing segments become slates")


def execute(arguments: argparse.Namespace) -> int:
    """Make the film and write the report.

    Raises:
        VideoGenError: `run-directory-invalid`, and those of `update_film`.
    """
    path = Path(arguments.directory)
    record = read_run(path)
    if record is None:
        raise VideoGenError("run-directory-invalid", f"{path} is not a run directory: it has no run.json")
    story = parse_story(record["story"], "run.json")
    with RunDirectory(path, story.title) as directory:
        update_film(directory, story, LineDisplay(), again=True)
        write_report(path, report_run(path, directory.journal))
    print(directory.film)
    return 0
