"""Prefixes of files: values and dates that the editor writes into the graph that it sends."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.graph import Graph
from runner.workflows.conversion.prefixes import fill_dates, format_date
from runner.workflows.workflow import Workflow, convert_workflow
from tests.support.graphs.conversions import schemas

NOW = datetime.datetime(2026, 3, 7, 5, 9, 4)
INFO = schemas()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("yyyy-MM-dd", "2026-03-07"),
        ("yy_M_d", "26_3_7"),
        ("hhmmss", "050904"),
        ("h:m:s", "5:9:4"),
        ("yyy y H", "yyy y H"),
        ("", ""),
    ],
)
def test_dates_are_written_as_the_editor_does(written: str, read: str) -> None:
    assert format_date(written, NOW) == read


def test_dates_are_filled_where_a_file_is_saved_and_nowhere_else() -> None:
    graph: Graph = {
        "1": {
            "class_type": "SaveVideo",
            "inputs": {"filename_prefix": "%date:yyyy%/%date%_%year%_%date:d.M%", "video": ["2", 0]},
        },
        "2": {"class_type": "CLIPTextEncode", "inputs": {"text": "%date:yyyy%", "filename_prefix": "%date:yyyy%"}},
    }
    filled = fill_dates(graph, NOW)
    assert filled["1"]["inputs"] == {"filename_prefix": "2026/%date%_%year%_%date:d.M%", "video": ["2", 0]}
    assert filled["2"] == graph["2"]
    assert graph["1"]["inputs"]["filename_prefix"].startswith("%date:yyyy%"), "the graph itself was changed"


def convert(prefix: str, *values: Any) -> tuple[str, list[str]]:
    """A prefix in the graph, and what the user is told; the values are those of an EmptyImage with a title."""
    ui = {
        "nodes": [
            {"id": 1, "type": "EmptyImage", "title": "Size", "widgets_values": list(values) or [64, 32, 1, 0]},
            {"id": 2, "type": "SaveImage", "widgets_values": [prefix], "inputs": [{"name": "images", "link": 1}]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
    }
    notes: list[str] = []
    graph = convert_workflow(Workflow(Path("film.json"), ui, None), INFO, warn=notes.append)
    return graph["2"]["inputs"]["filename_prefix"], notes


@pytest.mark.parametrize(
    ("prefix", "filled"),
    [
        ("a_%EmptyImage.width%x%Size.height%", "a_64x32"),
        ("%date:yyyy%_%width%", "%date:yyyy%_%width%"),
        ("100%_%EmptyImage.width%", "100%_%EmptyImage.width%"),  # "_" stands between the first two signs
        ("%a.b.c%", "%a.b.c%"),
    ],
)
def test_values_are_filled_in(prefix: str, filled: str) -> None:
    assert convert(prefix) == (filled, [])


def test_what_is_no_part_of_a_file_s_name_is_replaced() -> None:
    assert convert("%Size.width%", 'a/b:c*"d"')[0] == "a_b_c__d_"


def test_a_name_that_nothing_has_stays_and_is_said() -> None:
    prefix, notes = convert("%Size.images%_%Nobody.width%")
    assert prefix == "%Size.images%_%Nobody.width%"
    assert [note.partition(",")[0] for note in notes] == [
        "node 2: filename_prefix names %Size.images%",
        "node 2: filename_prefix names %Nobody.width%",
    ]
