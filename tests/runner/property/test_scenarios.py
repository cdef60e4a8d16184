"""The smallest scenarios in which the property test has found something wrong, and one of each fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.runner.property.child import CTRL_C, KILL, POWER_CUT, TEAR, CrashPoint
from tests.runner.property.oracle import check_film, check_run
from tests.runner.property.world import World
from tests.support.servers.model.prompt_faults import PROMPT_FAULTS
from tests.support.servers.model.prompts import Habits

MakeWorld = Callable[..., World]

pytestmark = pytest.mark.parametrize("jobs", [False, True], ids=["history", "jobs"])


def set_habits(world: World, **habits: object) -> None:
    for server in world.servers.values():
        server.habits = Habits(**habits)  # type: ignore[arg-type]


def heal(world: World) -> None:
    for server in world.servers.values():
        server.faults.clear()
        if not server.healthy:
            server.restart()


@pytest.mark.parametrize("order", ["A", "AB", "own"])
@pytest.mark.parametrize("fault", PROMPT_FAULTS)
def test_a_fault_costs_nothing_that_a_server_could_still_render(fault: str, order: str, make_world: MakeWorld) -> None:
    world = make_world()
    own = order == "own"
    names = "A" if own else order
    world.arm("A", fault)
    check_run(world, world.run(*names, own=own))
    heal(world)
    check_run(world, world.run(*names, film=True, own=own))
    check_film(world)
    before = len(world.chronicle.executions)
    check_run(world, world.run(*names, own=own))
    assert len(world.chronicle.executions) == before


@pytest.mark.parametrize(("how", "shortfalls"), [(KILL, (2, 0, 1)), (CTRL_C, None)])
@pytest.mark.parametrize(
    "step",
    [
        *("before segment-submitted", "after segment-submitted", "after POST /prompt", "after segment-running"),
        *("after segment-fetched", "after segment-verified", "after rename segments", "after segment-done"),
    ],
)
def test_a_runner_that_is_ended_anywhere_goes_on(
    step: str, shortfalls: tuple[int, ...] | None, how: str, make_world: MakeWorld
) -> None:
    world = make_world(shortfalls=shortfalls, continues=(2,))
    check_run(world, world.run("A", crash=CrashPoint(step, 1, how)))
    world.servers["A"].work()
    check_run(world, world.run("A", crash=CrashPoint(step, 2, how)))
    check_run(world, world.run("A", film=True))
    check_film(world)


def test_half_a_line_in_the_journal_is_no_line(make_world: MakeWorld) -> None:
    world = make_world()
    check_run(world, world.run("A", crash=CrashPoint("before segment-verified", 1, TEAR)))
    check_run(world, world.run("A"))


@pytest.mark.parametrize("fault", ["output missing", "output damaged", "nothing saved"])
def test_an_output_that_is_not_whole_is_not_asked_for_from_the_cache(fault: str, make_world: MakeWorld) -> None:
    world = make_world(segments=1)
    world.arm("A", fault)
    check_run(world, world.run("A"))


@pytest.mark.parametrize("order", ["A", "AB"])
def test_heat_is_waited_for(order: str, make_world: MakeWorld) -> None:
    world = make_world()
    world.servers["A"].hot = 3
    check_run(world, world.run(*order))
    assert order != "A" or world.events("server-cooled")


@pytest.mark.parametrize("order", ["A", "BA"])
@pytest.mark.parametrize("fault", ["too hot", "disk full", "interrupted by another"])
def test_what_stopped_an_earlier_run_does_not_stop_this_one(fault: str, order: str, make_world: MakeWorld) -> None:
    """The power was cut before the first run had heard of it: this one finds it in the server's history."""
    world = make_world()
    world.arm("A", fault)
    check_run(world, world.run("A", crash=CrashPoint("after GET /history", 1, POWER_CUT)))
    check_run(world, run := world.run(*order))
    assert run.ended.status == 0, world.tell()


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("fault", ["node error", "out of memory", "output damaged", "output missing"])
def test_what_one_server_fails_again_and_again_is_tried_on_another(
    fault: str, segments: int, make_world: MakeWorld
) -> None:
    world = make_world(segments=segments)
    world.arm("A", *[fault] * 6)
    check_run(world, world.run("A", "B"))


def test_a_prompt_is_found_again_after_the_power_was_cut(make_world: MakeWorld) -> None:
    world = make_world()
    set_habits(world, looks=1)
    check_run(world, world.run("A", crash=CrashPoint("after POST /prompt", 2, POWER_CUT)))
    world.servers["A"].work()
    check_run(world, world.run("A"))


@pytest.mark.parametrize("works", [True, False], ids=["finished meanwhile", "still running"])
def test_a_prompt_is_looked_for_where_it_was_submitted(works: bool, make_world: MakeWorld) -> None:
    world = make_world()
    set_habits(world, looks=2)
    check_run(world, world.run("A", "B", crash=CrashPoint("after segment-running", 1)))
    for server in world.servers.values():
        if works:
            server.work()
    check_run(world, world.run("B", "A"))


@pytest.mark.parametrize("order", ["AC", "CA", "ABC"])
def test_what_a_server_has_finished_comes_before_what_another_has_failed(order: str, make_world: MakeWorld) -> None:
    """The first server was not in the run that went on; there the next attempt has failed, and nobody had heard of it."""
    world = make_world(segments=1)
    set_habits(world, looks=1)
    check_run(world, world.run("A", crash=CrashPoint("after segment-running", 1, POWER_CUT)))
    world.servers["A"].work()
    world.arm("C", "node error", "node error")
    check_run(world, world.run("C", crash=CrashPoint("after POST /prompt", 2, POWER_CUT)))
    world.servers["C"].work()
    check_run(world, world.run(*order))


def test_a_prompt_whose_output_is_broken_is_not_taken_up_again(make_world: MakeWorld) -> None:
    """Its failure would count against a server that has not been asked to render anything in this run."""
    world = make_world(segments=1)
    world.arm("C", "output missing")
    world.arm("B", *["output missing"] * 4)
    check_run(world, world.run("C", crash=CrashPoint("before segment-submitted", 2)))
    check_run(world, world.run("B"))
    check_run(world, world.run("B", "C"))
    submitted = [event for event in world.events("segment-submitted") if event["server"] == world.servers["C"].url]
    assert len({event["prompt_id"] for event in submitted}) == len(submitted), world.tell()


def test_going_back_to_an_earlier_prompt_renders_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    check_run(world, world.run("A"))
    world.edit(1, prompt="a river")
    check_run(world, world.run("A"))
    world.edit(1, prompt="a tree")
    check_run(world, world.run("A"))


def test_a_prompt_that_is_interrupted_leaves_the_former_one_as_it_was(make_world: MakeWorld) -> None:
    world = make_world()
    set_habits(world, looks=3)
    check_run(world, world.run("A"))
    world.edit(1, prompt="a river")
    check_run(world, world.run("A", crash=CrashPoint("after segment-running", 1, CTRL_C)))
    world.edit(1, prompt="a tree")
    check_run(world, world.run("A"))


def test_a_segment_stays_when_what_it_begins_from_comes_out_the_same(make_world: MakeWorld) -> None:
    world = make_world(continues=(2, 3))
    check_run(world, world.run("A"))
    world.spoil_file(2, "deleted")
    world.servers["A"].restart()
    check_run(world, world.run("A"))


def test_a_segment_stays_when_what_it_begins_from_was_given_up_and_comes_out_the_same(make_world: MakeWorld) -> None:
    world = make_world(segments=2, continues=(2,))
    check_run(world, world.run("A"))
    world.spoil_file(1, "deleted")
    world.servers["A"].restart()
    world.arm("A", *["node error"] * 3)
    check_run(world, world.run("A"))
    assert world.journal().segment(2).state == "failed"
    check_run(world, world.run("A"))
    assert world.events("segment-restored"), world.tell()


@pytest.mark.parametrize("server", ["A", "B"])
def test_a_server_that_lacks_the_model_is_left_out(server: str, make_world: MakeWorld) -> None:
    world = make_world()
    world.servers[server].has_model = False
    check_run(world, world.run("A", "B"))


@pytest.mark.parametrize("fault", ["interrupted by another", "disk full", "too hot"])
def test_a_take_that_was_judged_is_not_rendered_again(fault: str, make_world: MakeWorld) -> None:
    world = make_world(shortfalls=(3, 3, 3))
    world.arm("A", *["events lost"] * 3, fault)
    check_run(world, world.run("A"))
    check_run(world, world.run("A"))


def test_what_was_finished_when_its_interrupt_came_is_fetched(make_world: MakeWorld) -> None:
    world = make_world()
    set_habits(world, looks=3, interrupts=False)
    check_run(world, world.run("A", crash=CrashPoint("after segment-running", 1, CTRL_C)))
    world.servers["A"].work()
    world.edit(3, prompt="a river")
    check_run(world, world.run("A"))


def test_what_another_text_had_submitted_is_canceled(make_world: MakeWorld) -> None:
    world = make_world()
    set_habits(world, looks=5)
    check_run(world, world.run("A", "B", crash=CrashPoint("after segment-running", 1)))
    for number in world.numbers:
        world.edit(number, prompt="a river")
    check_run(world, world.run("B", "A"))
    assert all(execution.canceled for execution in world.chronicle.executions if execution.run == 1), world.tell()


def test_a_server_that_hangs_is_told_that_nothing_is_wanted_any_more(make_world: MakeWorld) -> None:
    world = make_world()
    world.arm("A", "hang")
    check_run(world, world.run("A"))
