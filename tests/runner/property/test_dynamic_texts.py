"""A prompt with choices: the same command again renders nothing, and what an earlier release has drawn is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.workflows.workflow import Workflow, convert_workflow
from tests.runner.property.oracle import check_run
from tests.runner.property.world import World, describe_nodes
from tests.support.servers.model.graphs import CHECKPOINT

MakeWorld = Callable[..., World]


def workflow(words: str) -> Workflow:
    """The workflow of a `World` as the editor saves it, with a text in its sampler."""
    places = {
        1: ("VideoGenStory", ["text below", ""], {}),
        2: ("VideoGenSegment", [1, "fixed", "", False], {"story": 1}),
        3: ("TestSampler", [words], {"segment": 2, "model": 6}),
        4: ("VideoGenSaveSegment", ["story", "h264"], {"images": 3, "segment": 2}),
        6: ("CheckpointLoaderSimple", [CHECKPOINT], {}),
    }
    nodes: list[dict[str, Any]] = []
    links: list[list[Any]] = []
    for number, (kind, values, inputs) in places.items():
        node = {"id": number, "type": kind, "mode": 0, "inputs": [], "outputs": [], "widgets_values": values}
        for name, source in inputs.items():
            links.append([len(links) + 1, source, 0, number, len(node["inputs"]), "*"])
            node["inputs"].append({"name": name, "type": "*", "link": len(links)})
        nodes.append(node)
    return Workflow(Path("film.json"), {"nodes": nodes, "links": links, "version": 0.4}, None)


def submitted(world: World) -> list[str]:
    prompts = (request.json()["prompt"] for request in world.servers["A"].front.asked("POST /prompt"))
    return [prompt["3"]["inputs"]["words"] for prompt in prompts]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    world = make_world()
    world.servers["A"].front.requests.clear()
    return world


@pytest.mark.parametrize(
    "words",
    [
        "a {red|green|blue|white|black|gray} tree in {ink|oil|chalk}",
        "{old|{very|rather|quite} young} tree, {a|b|c|d|e|f|g}",
        r"\{not a choice\}, {one|two|three|four|five|six|seven}",
    ],
)
def test_the_same_command_renders_nothing_again(world: World, words: str) -> None:
    world.workflow = workflow(words)
    for _ in range(4):
        check_run(world, world.run("A"))
        world.servers["A"].restart()  # so that it is not its cache that answers
    assert len(submitted(world)) == 3


def test_what_was_drawn_is_kept_when_another_segment_changes(world: World) -> None:
    world.workflow = workflow("a {red|green|blue|white|black|gray} tree")
    check_run(world, world.run("A"))
    world.edit(2, prompt="a river")
    check_run(world, world.run("A"))
    first = submitted(world)
    assert len(first) == 4
    assert first[3] == first[1]


def test_a_run_of_an_earlier_release_keeps_what_it_has_drawn(
    world: World, object_info: dict[str, Any], make_world: MakeWorld
) -> None:
    """It drew once for all segments, whatever came, and kept the drawn graph."""
    written = workflow("a {red|green|blue|white|black|gray} tree")
    drawn = convert_workflow(written, describe_nodes(object_info), seed=12345)
    # Rendered from the drawn texts, as that release did; only its record says from which workflow they came.
    world.workflow = workflow(drawn["3"]["inputs"]["words"])
    check_run(world, world.run("A"))
    record = json.loads((world.directory / "graph.json").read_text(encoding="utf-8"))
    del record["texts"]
    from custom_nodes.videogen.core.digest import digest

    record["workflow"] = digest(written.ui)
    (world.directory / "graph.json").write_text(json.dumps(record), encoding="utf-8")
    world.workflow = written
    check_run(world, world.run("A", selection=[1]))
    check_run(world, world.run("A"))
    assert len(submitted(world)) == 3
    world.edit(2, prompt="a river")
    check_run(world, world.run("A"))
    assert len(submitted(world)) == 4
