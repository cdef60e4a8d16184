"""`videogen convert`: a workflow in the format that servers take."""

from __future__ import annotations

import argparse
import datetime
import sys
from pathlib import Path

from ..terminal.json_output import print_json
from ..workflows.conversion.prefixes import fill_dates
from ..workflows.workflow import convert_workflow, load_workflow
from .server_options import add_server_arguments, open_server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the workflow, and which server knows its nodes."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("workflow", metavar="WORKFLOW", help="workflow file, or the name of a shipped one")
    add_server_arguments(
        parser,
        "a running ComfyUI that knows the workflow's nodes\n(default: one is started for a workflow in UI format)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the workflow in API format.

    A workflow in API format is printed as it is, and no server is started for it. With ``--server``, inputs that the server's
    nodes do not have are left out.

    Raises:
        VideoGenError: `workflow-unreadable`, `workflow-invalid`, or why the server cannot be used.
    """
    workflow = load_workflow(Path(arguments.workflow))
    if workflow.api is not None and not arguments.server:
        graph = workflow.api
    else:
        with open_server(arguments) as client:
            graph = convert_workflow(workflow, client.object_info(), warn=_warn)
        graph = fill_dates(graph, datetime.datetime.now())
    print_json(graph, indent=2)
    return 0


def _warn(text: str) -> None:
    # Standard output is the graph alone.
    print(f"Note: {text}", file=sys.stderr)
