"""What a run says and checks before it renders: everything that is wrong in one message, and the space for all takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from runner.run import execution
from runner.run.request import RunRequest
from runner.state.progress import LineDisplay
from runner.workflows.workflow import Workflow
from tests.runner.property.world import World

MakeWorld = Callable[..., World]

LACKING = {"anna": {"description": "a tall woman", "segments": "1", "reference": "anna.png"}}


def said(world: World) -> str:
    return (world.folder / f"run_{world.chronicle.run}.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        (["4.codec=av1"], ["'codec' is 'av1'", "anna.png"]),
        (["4.codec=av1", "6.ckpt_name=gone.safetensors"], ["'codec' is 'av1'", "gone.safetensors", "anna.png"]),
        ([], ["anna.png"]),
    ],
)
def test_what_does_not_fit_and_what_is_missing_come_in_one_message(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, setting: list[str], named: list[str]
) -> None:
    world = make_world()
    with_cast(world, monkeypatch, setting)
    run = world.run("A")
    assert run.ended.status == 2
    for word in named:
        assert word in run.ended.message, run.ended.message
    assert run.ended.message.count("Nothing was submitted.") == 1
    assert ("does not fit" in run.ended.message) == bool(setting)


def with_cast(world: World, monkeypatch: pytest.MonkeyPatch, settings: list[str]) -> None:
    """A story whose first segment shows somebody without a picture, with a workflow that reads it."""
    request, graph = world.request, world.graph
    graph["7"] = {
        "class_type": "VideoGenApplyCharacters",
        "inputs": {"model": ["6", 0], "segment": ["2", 0], "missing": "stop"},
    }
    graph["3"]["inputs"]["model"] = ["7", 0]
    story = {**world.story, "characters": LACKING}
    schema: dict[str, Any] = {
        "input": {
            "required": {"model": ["MODEL", {}], "segment": ["SEGMENT", {}], "missing": [["stop", "ignore"], {}]}
        },
        "output": ["MODEL"],
        "output_node": False,
    }
    for server in world.servers.values():
        server._object_info["VideoGenApplyCharacters"] = schema
    monkeypatch.setattr(World, "story", property(lambda self: story))

    def asked(*arguments: Any) -> RunRequest:
        found = request(*arguments)
        found.workflow, found.settings = Workflow(found.workflow.path, None, graph), settings
        return found

    monkeypatch.setattr(world, "request", asked)


# ------------------------------------------------------------------ space


def needed(world: World, monkeypatch: pytest.MonkeyPatch) -> float:
    """Megabytes that a run asks for."""

    def refuse(path: Any, needed: int, *_: Any) -> None:
        raise RuntimeError(f"needed {needed}")

    monkeypatch.setattr(execution, "check_space", refuse)
    run = world.run("A")
    found = re.search(r"needed (\d+)", run.ended.message)
    assert found, run.ended.message
    return int(found[1]) / 1e6 - 50


@pytest.mark.parametrize("takes", [1, 3, 6])
def test_every_take_needs_its_space(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, takes: int) -> None:
    """Three segments of half a second and their film, at the 1.5 Mbit/s of draft."""
    world = make_world(shortfalls=(0, 0, 0))
    world.takes = takes
    assert needed(world, monkeypatch) == pytest.approx(1.5 * 1.5 / 8 * (takes + 1), abs=0.001)


@pytest.mark.parametrize("measured", [True, False])
def test_segments_that_are_not_rendered_again_need_it_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, measured: bool
) -> None:
    world = make_world(shortfalls=(0, 0, 0) if measured else None)
    world.edit(render_again=False)
    assert needed(world, monkeypatch) == pytest.approx(1.5 * 1.5 / 8 * 2, abs=0.001)


# ------------------------------------------------------------------ counting


def test_a_run_of_two_segments_counts_two(make_world: MakeWorld) -> None:
    world = make_world()
    world.arm("A", "node error")
    world.run("A", selection=(2, 3))
    assert "Segment 2 (1 of 2): node error" in said(world)
    assert "Segment 3 (2 of 2): done" in said(world)
    assert "/3" not in said(world)
    world.run("A")
    assert "Segment 1/3: done" in said(world)
    assert LineDisplay().place(1, 3) == "1/3"
