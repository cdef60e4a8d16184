"""Which segments go to a server that lacks something for some of them."""

from __future__ import annotations

from runner.rendering.scheduler import Lacks, Task
from tests.runner.rendering.fleet.scheduling import LONG, in_thread, make_scheduler, take, waits


def lacks_of(**segments: tuple[int, ...]) -> Lacks:
    """Server → the segments that it lacks something for."""
    return lambda server: dict.fromkeys(segments.get(server, ()), f"{server} lacks rain.safetensors")


def test_a_server_gets_the_segments_that_it_can_render() -> None:
    scheduler = make_scheduler(None, None, None, servers=("a", "b"), lacks=lacks_of(a=(1, 2)))
    assert take(scheduler, "a").number == 3
    assert take(scheduler, "b").number == 1


def test_segments_for_others_do_not_keep_a_server_from_its_own() -> None:
    """More of them than a server looks at before it waits."""
    scheduler = make_scheduler(*[None] * 301, servers=("a", "b"), lacks=lacks_of(a=tuple(range(1, 301))))
    assert take(scheduler, "a").number == 301


def test_what_no_server_can_render_is_handed_out_to_be_refused_at_once() -> None:
    scheduler = make_scheduler(None, None, 2, servers=("a", "b"), lacks=lacks_of(a=(2,), b=(2,)))
    refused = take(scheduler, "b")
    assert refused.number == 2
    reasons = {"a": "a lacks rain.safetensors", "b": "b lacks rain.safetensors"}
    assert scheduler.explain_hopeless(refused) == reasons
    scheduler.give_up(refused)
    first = take(scheduler, "a")
    assert first.number == 1
    assert not scheduler.explain_hopeless(first)
    assert take(scheduler, "b").number == 3, "its worker finds out that there is nothing to begin from"


def test_a_server_that_may_come_back_is_waited_for_and_one_that_will_not_is_a_reason() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"), lacks=lacks_of(a=(1,)))
    scheduler.suspend("b", "b is gone")
    thread, results = in_thread(lambda: scheduler.take("a"))
    thread.join(0.2)
    assert thread.is_alive()
    assert not scheduler.remove("b", "b is gone for good")
    thread.join(LONG)
    (task,) = results
    assert isinstance(task, Task)
    assert scheduler.explain_hopeless(task) == {"a": "a lacks rain.safetensors", "b": "b is gone for good"}


def test_a_server_that_comes_back_with_what_it_lacked_gets_the_segment() -> None:
    lacking: dict[str, dict[int, str]] = {"a": {1: "a lacks rain.safetensors"}}
    scheduler = make_scheduler(None, servers=("a", "b"), lacks=lambda server: lacking.get(server, {}))
    scheduler.suspend("b", "b is gone")
    thread = waits(scheduler, "a")
    lacking["a"] = {}
    scheduler.resume("a")
    thread.join(LONG)
    assert not thread.is_alive()
