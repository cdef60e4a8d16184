"""`videogen roles`: which inputs of a workflow a segment decides."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import BAD_INPUT
from custom_nodes.videogen.core.roles.describe import find_unclear
from custom_nodes.videogen.core.roles.finder import find_roles
from custom_nodes.videogen.core.roles.table import Place, RoleTable

from ..terminal.json_output import print_json
from ..workflows.workflow import convert_workflow, load_workflow
from .server_options import add_server_arguments, open_server

_LONGEST = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the workflow, the form of the output, and which server knows the workflow's nodes."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.epilog = "Exit status: 0 all roles are clear, 2 one has to be named with --bind, 3 no server."
    parser.add_argument("workflow", metavar="WORKFLOW", help="workflow file, or the name of a shipped one")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    add_server_arguments(
        parser, "a running ComfyUI that knows the workflow's nodes\n(default: one is started, which takes about 15 s)"
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the table of roles: which inputs get a segment's prompt, seed, frames, images, …, and why these.

    Raises:
        VideoGenError: `workflow-unreadable`, `workflow-invalid`, or why the server cannot be used.
    """
    workflow = load_workflow(Path(arguments.workflow))
    with open_server(arguments) as client:
        object_info = client.object_info()
    table = find_roles(convert_workflow(workflow, object_info), object_info)
    if arguments.json:
        print_json(_to_json(table), indent=2)
    else:
        _print(table)
    return BAD_INPUT if table.ambiguous or len(table.output) != 1 else 0


def _print(table: RoleTable) -> None:
    from rich.table import Table

    from ..terminal.console import PlainConsole

    rows = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("role", "input", "is now", "found as"):
        rows.add_column(name, overflow="fold")
    for role, finding in table.findings.items():
        for number, place in enumerate(finding.places):
            rows.add_row("" if number else role.value, str(place), _describe(place), "" if number else finding.how)
    for role, candidates in table.ambiguous.items():
        for number, candidate in enumerate(candidates):
            place = candidate.places[0]
            rows.add_row("" if number else f"{role.value} ?", str(place), _describe(place), candidate.how)
    console = PlainConsole()
    console.print(rows)
    for sentence in find_unclear(table):
        print(sentence)
    for note in table.notes:
        print(f"Note: {note}")


def _describe(place: Place) -> str:
    if place.free:
        return "nothing connected"
    if place.linked:
        return f"from node {place.value[0]}"
    text = " ".join(str(place.value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _to_json(table: RoleTable) -> dict[str, Any]:
    def inputs(places: tuple[Place, ...]) -> list[dict[str, Any]]:
        return [
            {"node": one.node, "input": one.input, "class": one.class_type, "value": one.value, "free": one.free}
            for one in places
        ]

    return {
        "output": list(table.output),
        "roles": {
            role.value: {"inputs": inputs(finding.places), "found": finding.how}
            for role, finding in table.findings.items()
        },
        "ambiguous": {
            role.value: [{"inputs": inputs(one.places), "found": one.how} for one in candidates]
            for role, candidates in table.ambiguous.items()
        },
        "notes": table.notes,
    }
