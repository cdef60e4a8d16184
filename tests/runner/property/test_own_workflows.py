"""Runs whose segments have workflows and LoRAs of their own, on servers of which some lack these."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from tests.runner.property.child import KILL, CrashPoint
from tests.runner.property.oracle import check_film, check_run
from tests.runner.property.world import World
from tests.support.servers.model.graphs import FOG

MakeWorld = Callable[..., World]
RAIN = "rain.safetensors"


def rendered(world: World, run: int = 0) -> dict[int, str]:
    """Segment → the server that has rendered it, in one run or in all."""
    return {
        execution.content["number"]: execution.server
        for execution in world.chronicle.executions
        if execution.rendered and run in (0, execution.run)
    }


def looks(world: World) -> dict[int, list[list[object]]]:
    """What the files of segments were rendered with besides the run's own workflow."""
    return {number: world.content_of(number).get("look", []) for number in world.numbers}


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_a_server_that_lacks_a_node_of_one_segment_renders_the_others(order: str, make_world: MakeWorld) -> None:
    world = make_world(segments=4)
    world.render_with_fog(2)
    world.servers["B"].lacking = {FOG}
    check_run(world, run := world.run(*order, film=True))
    assert run.ended.status == 0, world.tell()
    check_film(world)
    assert rendered(world)[2] == "A"
    assert "B" in rendered(world).values()
    assert looks(world) == {1: [], 2: [[FOG, 0.5]], 3: [], 4: []}
    log = (world.folder / "run_1.log").read_text(encoding="utf-8")
    assert (
        f"renders other segments: segment 2: fog.json does not fit the ComfyUI at {world.servers['B'].url}: {FOG}"
        in log
    )
    record = json.loads((world.directory / "run.json").read_text(encoding="utf-8"))
    (own,) = record["workflows"]
    assert (own["path"], own["segments"]) == ("fog.json", [2])
    assert FOG in json.dumps(own["graph"])
    assert FOG not in json.dumps(record["workflow"])
    check_run(world, world.run(*order))
    assert rendered(world, run=2) == {}, "nothing is rendered twice"


def test_only_the_segment_whose_workflow_changes_is_rendered_again_and_what_continues_it(make_world: MakeWorld) -> None:
    world = make_world(segments=5, continues=(4, 5))
    world.render_with_fog(3)
    world.servers["A"].lacking = set()
    check_run(world, world.run("A"))
    assert sorted(rendered(world)) == [1, 2, 3, 4, 5]
    world.render_with_fog(3, density=0.75)
    check_run(world, world.run("A", film=True))
    assert sorted(rendered(world, run=2)) == [3, 4, 5]
    assert looks(world)[3] == [[FOG, 0.75]]
    world.own.clear()
    world.fields.clear()
    check_run(world, world.run("A"))
    assert sorted(rendered(world, run=3)) == [3, 4, 5], "with the workflow of the run"
    world.render_with_fog(3)
    check_run(world, world.run("A"))
    assert rendered(world, run=4) == {}, "its first file comes back"


@pytest.mark.parametrize("fogged", [(2,), (3,)], ids=["from another workflow", "into another workflow"])
def test_a_segment_continues_one_of_another_workflow(fogged: tuple[int, ...], make_world: MakeWorld) -> None:
    world = make_world(segments=3, continues=(3,))
    world.render_with_fog(*fogged)
    check_run(world, world.run("A"))
    begins = {execution.content["number"]: execution.content["begins from"] for execution in world.chronicle.executions}
    state = world.journal().segment(2)
    assert begins == {1: "", 2: "", 3: f"videogen/{state.result['sha256'][:24]}.png"}


def test_a_workflow_that_no_server_can_render_is_told_before_anything_is_submitted(make_world: MakeWorld) -> None:
    world = make_world(segments=3)
    world.render_with_fog(2)
    for server in world.servers.values():
        server.lacking = {FOG}
    for order in ("B", "AB"):
        run = world.run(*order)
        assert run.ended.status == 2, world.tell()
        assert "segment 2: " in run.ended.message
        assert FOG in run.ended.message
    assert world.chronicle.executions == []


def test_the_run_ends_when_the_only_server_for_a_segment_dies(make_world: MakeWorld) -> None:
    world = make_world(segments=4)
    world.render_with_fog(3)
    world.servers["B"].lacking = {FOG}
    world.arm("A", "crash")
    run = world.run("A", "B")
    assert run.ended.status == 1, world.tell()
    assert set(rendered(world)) == {1, 2, 4}
    (failed,) = world.events("segment-failed")
    assert failed["segment"] == 3
    assert "no server of this run can render it" in failed["message"]
    assert FOG in failed["message"]
    world.servers["A"].restart()
    check_run(world, again := world.run("B", "A"))
    assert again.ended.status == 0
    assert rendered(world, run=2) == {3: "A"}


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_a_lora_that_one_server_has_is_used_there(order: str, make_world: MakeWorld) -> None:
    world = make_world(segments=4)
    world.fields[2] = {"loras": [{"file": RAIN, "strength": 0.6}]}
    world.servers["A"].loras = [RAIN]
    check_run(world, run := world.run(*order))
    assert run.ended.status == 0, world.tell()
    assert rendered(world)[2] == "A"
    assert looks(world)[2] == [["LoraLoaderModelOnly", RAIN, 0.6]]
    world.fields[2] = {"loras": [{"file": RAIN, "strength": 0.7}]}
    check_run(world, world.run(*order))
    assert rendered(world, run=2) == {2: "A"}


def test_a_lora_that_no_server_has_is_named_with_those_that_are_there(make_world: MakeWorld) -> None:
    world = make_world(segments=2)
    world.fields[2] = {"loras": [{"file": RAIN}]}
    world.servers["A"].loras = ["rain_v2.safetensors", "fog.safetensors"]
    run = world.run("A")
    assert run.ended.status == 2
    assert "segment 2: " in run.ended.message
    assert f"model {RAIN!r}" in run.ended.message
    assert "rain_v2.safetensors" in run.ended.message


def test_a_runner_that_is_killed_goes_on_with_the_same_workflows(make_world: MakeWorld) -> None:
    world = make_world(segments=4)
    world.render_with_fog(2, 4)
    world.servers["B"].lacking = {FOG}
    check_run(world, world.run("A", "B", crash=CrashPoint("after segment-verified", 2, KILL)))
    for server in world.servers.values():
        server.work()
    check_run(world, run := world.run("B", "A"))
    assert run.ended.status == 0
    assert {rendered(world)[2], rendered(world)[4]} == {"A"}


def test_a_run_with_nothing_to_do_starts_no_server(make_world: MakeWorld) -> None:
    """The graphs of all workflows are kept."""
    world = make_world(segments=3)
    world.render_with_fog(2)
    world.servers["A"].loras = [RAIN]
    world.fields[3] = {"loras": [{"file": RAIN}]}
    check_run(world, world.run("A", own=True))
    assert looks(world) == {1: [], 2: [[FOG, 0.5]], 3: [["LoraLoaderModelOnly", RAIN, 1.0]]}
    check_run(world, world.run("A", own=True))
    log = (world.folder / "run_2.log").read_text(encoding="utf-8")
    assert "All 3 segments are done already" in log
    record = json.loads((world.directory / "run.json").read_text(encoding="utf-8"))
    assert [one["segments"] for one in record["workflows"]] == [[2]]


def test_a_workflow_that_no_wanted_segment_has_need_not_fit(make_world: MakeWorld) -> None:
    world = make_world(segments=4)
    world.render_with_fog(2)
    check_run(world, world.run("A"))
    world.render_with_fog(2, density=0.75)
    world.servers["A"].lacking = world.servers["B"].lacking = {FOG}
    run = world.run("A", "B", selection=(1, 3))
    assert run.ended.status == 0, world.tell()
    assert rendered(world, run=2) == {}


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_servers_lack_everything_is_rendered_that_one_of_them_can_render(
    seed: int, make_world: MakeWorld
) -> None:
    """Three servers, each with or without the node and the LoRA; segments with either, both or none of these."""
    draw = random.Random(seed)
    world = make_world(segments=6, continues=draw.sample(range(2, 7), 2))
    fogged = draw.sample(range(1, 7), 2)
    world.render_with_fog(*fogged)
    rained = draw.sample(range(1, 7), 2)
    for number in rained:
        world.fields.setdefault(number, {})["loras"] = [{"file": RAIN}]
    for server in world.servers.values():
        server.lacking = {FOG} if draw.random() < 0.5 else set()
        server.loras = [RAIN] if draw.random() < 0.5 else []
    wanted = [(number in fogged, number in rained) for number in world.numbers]
    able = [(FOG not in server.lacking, RAIN in server.loras) for server in world.servers.values()]
    possible = all(any(fog <= has_fog and rain <= has_rain for has_fog, has_rain in able) for fog, rain in wanted)
    run = world.run(*draw.sample("ABC", 3))
    if possible:
        check_run(world, run)
    assert run.ended.status == (0 if possible else 2), world.tell()
    assert set(rendered(world)) == (set(world.numbers) if possible else set())
    for number, name in rendered(world).items():
        server = world.servers[name]
        assert not (number in fogged and server.lacking)
        assert not (number in rained and not server.loras)
