"""Choices with inputs of their own: values after one that the server does not have stay in their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.workflows.workflow import Workflow, convert_workflow

OPTIONS = [
    {"key": "fast", "inputs": {"required": {"prompt": ["STRING", {}], "steps": ["INT", {}], "picture": ["IMAGE", {}]}}},
    {"key": "fine", "inputs": {"required": {"prompt": ["STRING", {}]}, "optional": {"seed": ["INT", {}]}}},
]
INFO = {
    "Clip": {
        "input": {
            "required": {
                "size": ["COMBO", {"options": ["720p", "1080p"]}],
                "model": ["COMFY_DYNAMICCOMBO_V3", {"options": OPTIONS}],
                "seed": ["INT", {"control_after_generate": True}],
                "watermark": ["BOOLEAN", {}],
            }
        },
        "input_order": {"required": ["size", "model", "seed", "watermark"]},
        "output": ["VIDEO"],
    }
}


def convert(*values: Any) -> tuple[dict[str, Any], list[str]]:
    notes: list[str] = []
    ui = {"nodes": [{"id": 7, "type": "Clip", "widgets_values": list(values)}], "links": []}
    graph = convert_workflow(Workflow(Path("film.json"), ui, None), INFO, warn=notes.append)
    return graph["7"]["inputs"], notes


def test_a_known_choice_has_its_inputs() -> None:
    inputs, notes = convert("720p", "fast", "a tree", 4, 9, "fixed", True)
    assert inputs == {
        "size": "720p",
        "model": "fast",
        "model.prompt": "a tree",
        "model.steps": 4,
        "seed": 9,
        "watermark": True,
    }
    assert notes == []


@pytest.mark.parametrize("inner", [(), ("a tree",), ("a tree", 4, "more", 2.5)])
@pytest.mark.parametrize("control", [("fixed",), ()])
def test_an_unknown_choice_moves_nothing(inner: tuple[Any, ...], control: tuple[str, ...]) -> None:
    """The seed was the prompt's text, and the watermark the seed: so it is in the editor too, which says nothing."""
    inputs, notes = convert("720p", "finest", *inner, 9, *control, True)
    assert inputs == {"size": "720p", "model": "finest", "seed": 9, "watermark": True}
    assert notes == [
        "node 7 (Clip): 'finest' is none of the choices of 'model' ('fast', 'fine'); what belongs to it is left out"
    ]
