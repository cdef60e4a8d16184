"""`videogen report`: the report of a run directory, written again."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..reports.report import report_directory, write_report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the run directory."""
    parser.add_argument("directory", metavar="DIR", help="run directory")


def execute(arguments: argparse.Namespace) -> int:
    """Write report.html and report.json.

    Raises:
        VideoGenError: `run-directory-invalid`, `path-invalid`, `disk-full`.
    """
    path = Path(arguments.directory)
    data = report_directory(path)
    target = write_report(path, data)
    print(f"{data['done']} of {data['count']} segments are done; {target}")
    return 0
