"""A prefix with a date: servers get the moment, keys do not; and what the conversion of a workflow notes is said."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.runner.property.oracle import check_run
from tests.runner.property.test_dynamic_texts import workflow
from tests.runner.property.world import World

MakeWorld = Callable[..., World]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world()
    made = workflow("a tree")
    assert made.ui is not None
    made.ui["nodes"] += [
        {
            "id": 7,
            "type": "SaveImage",
            "widgets_values": ["%date:yyyy%/%date:hhmmss%"],
            "inputs": [{"name": "images", "link": 9}],
        },
        {"id": 8, "type": "Sticky (of a pack)", "widgets_values": ["a note"]},
    ]
    made.ui["links"].append([9, 3, 0, 7, 0, "IMAGE"])
    world.workflow = made
    return world


def test_a_date_is_written_when_a_segment_is_submitted_and_renders_nothing_again(world: World) -> None:
    world.servers["A"].front.requests.clear()
    for _ in range(2):
        check_run(world, world.run("A"))
        world.servers["A"].restart()
    prompts = [request.json()["prompt"] for request in world.servers["A"].front.asked("POST /prompt")]
    assert len(prompts) == 3
    assert all(re.fullmatch(r"20\d\d/\d{6}", prompt["7"]["inputs"]["filename_prefix"]) for prompt in prompts)


def test_what_the_conversion_notes_is_said_once(world: World) -> None:
    check_run(world, world.run("A"))
    said = (world.folder / "run_1.log").read_text(encoding="utf-8")
    assert said.count("node 8 (Sticky (of a pack)) is left out") == 1
