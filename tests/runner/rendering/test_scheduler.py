"""Which segment goes to which server, and when."""

from __future__ import annotations

import threading
import time

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.rendering.failures import Failure
from runner.rendering.fleet.health import ServerHealth
from runner.rendering.fleet.loads import ServerLoad, choose_server
from runner.rendering.scheduler import Scheduler, Setback, Task
from tests.runner.rendering.fleet.scheduling import LONG, in_thread, make_scheduler, take, waits

# ------------------------------------------------------------------ choosing


@pytest.mark.parametrize(
    ("loads", "chosen"),
    [
        ({}, None),
        ({"a": ServerLoad(seconds=5)}, "a"),
        ({"a": ServerLoad(seconds=5, suspended_reason="gone")}, None),
        ({"a": ServerLoad(seconds=5), "b": ServerLoad(seconds=2)}, "b"),
        # b is faster, but three prompts of others wait there: 4 × 2 s against 5 s.
        ({"a": ServerLoad(seconds=5), "b": ServerLoad(seconds=2, waiting=3)}, "a"),
        # b is still busy for 10 s.
        ({"a": ServerLoad(seconds=5), "b": ServerLoad(seconds=2, busy=True, free_at=110)}, "a"),
        # b is busy for 1 s, and is still the first to finish.
        ({"a": ServerLoad(seconds=5), "b": ServerLoad(seconds=2, busy=True, free_at=101)}, "b"),
        # b should have been free 30 s ago: it may take as long again.
        ({"a": ServerLoad(seconds=5), "b": ServerLoad(seconds=2, busy=True, free_at=70)}, "a"),
        # What a server was busy with once does not matter any more.
        ({"a": ServerLoad(seconds=5), "b": ServerLoad(seconds=2, busy=False, free_at=70)}, "b"),
        # How fast b is, is unknown: it gets a chance.
        ({"a": ServerLoad(seconds=5, busy=True, free_at=102), "b": ServerLoad()}, "b"),
        ({"a": ServerLoad(seconds=5, suspended_reason="gone"), "b": ServerLoad(seconds=900)}, "b"),
        # b is faster, and on probation: the one in good standing that is idle comes first, but does not get a second one.
        ({"a": ServerLoad(seconds=5), "b": ServerLoad(seconds=1, health=ServerHealth(trusted=False))}, "a"),
        ({"a": ServerLoad(seconds=5, waiting=1), "b": ServerLoad(seconds=1, health=ServerHealth(trusted=False))}, "b"),
        ({"b": ServerLoad(seconds=1, health=ServerHealth(trusted=False))}, "b"),
    ],
)
def test_the_server_is_chosen_that_would_finish_first(loads: dict[str, ServerLoad], chosen: str | None) -> None:
    assert choose_server(loads, now=100.0) == chosen


# ------------------------------------------------------------------ one server


def test_tasks_come_in_the_order_of_the_story() -> None:
    scheduler = make_scheduler(None, None, None)
    for number in (1, 2, 3):
        task = take(scheduler)
        assert task.number == number
        scheduler.finish(task, "a", 1.0)
    assert scheduler.wait_finished(0)
    assert scheduler.take("a") is None


def test_a_task_that_is_put_back_comes_before_later_ones() -> None:
    scheduler = make_scheduler(None, None, None)
    first = take(scheduler)
    assert take(scheduler).number == 2
    scheduler.put_back(first)
    assert scheduler.is_waiting(first)
    assert take(scheduler).number == 1
    assert not scheduler.is_waiting(first)


def test_a_task_that_is_put_back_twice_is_handed_out_once() -> None:
    scheduler = make_scheduler(None)
    task = take(scheduler)
    scheduler.put_back(task)
    scheduler.put_back(task)
    take(scheduler)
    thread = waits(scheduler, "a")
    scheduler.finish(task, "a", 1.0)
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_run_lasts_until_the_last_task_is_done() -> None:
    scheduler = make_scheduler(None)
    task = take(scheduler)
    assert not scheduler.wait_finished(0)  # it is being collected
    thread = waits(scheduler, "a")
    scheduler.finish(task, "a", 1.0)
    thread.join(LONG)
    assert not thread.is_alive()
    assert scheduler.wait_finished(0)


def test_what_is_given_up_does_not_keep_the_others() -> None:
    scheduler = make_scheduler(None, None)
    scheduler.give_up(take(scheduler))
    scheduler.finish(take(scheduler), "a", 1.0)
    assert scheduler.wait_finished(0)


def test_nothing_is_handed_out_once_the_run_is_stopped() -> None:
    scheduler = make_scheduler(None, None)
    take(scheduler)
    thread, results = in_thread(lambda: scheduler.sleep(LONG))
    scheduler.stop(VideoGenError("disk-full", "first"))
    scheduler.stop(VideoGenError("server-lost", "second"))
    thread.join(LONG)
    assert results == [True]
    assert scheduler.take("a") is None
    assert scheduler.wait_finished(0)
    assert scheduler.error is not None
    assert scheduler.error.message == "first"


# ------------------------------------------------------------------ chains


def test_a_segment_waits_for_the_one_that_it_continues() -> None:
    scheduler = make_scheduler(None, 1, None)
    first = take(scheduler)
    assert take(scheduler).number == 3  # 2 is not ready
    thread, results = in_thread(lambda: scheduler.take("a"))
    thread.join(0.2)
    assert thread.is_alive()
    scheduler.finish(first, "a", 1.0)
    thread.join(LONG)
    assert isinstance(results[0], Task)
    assert results[0].number == 2


def test_a_segment_is_ready_when_the_one_before_was_done_by_an_earlier_run() -> None:
    scheduler = make_scheduler(None, 7, done=(7,))
    take(scheduler)
    assert take(scheduler).number == 2


def test_a_segment_comes_when_the_one_before_was_given_up_so_that_it_can_say_so() -> None:
    scheduler = make_scheduler(None, 1)
    scheduler.give_up(take(scheduler))
    assert take(scheduler).number == 2


def test_a_segment_comes_when_the_one_before_is_not_part_of_the_run() -> None:
    scheduler = make_scheduler(12)
    assert take(scheduler).depends_on == 12


# ------------------------------------------------------------------ several servers


def test_two_segments_go_to_two_servers_that_nobody_has_measured() -> None:
    scheduler = make_scheduler(None, None, servers=("a", "b"))
    assert {take(scheduler, "a").number, take(scheduler, "b").number} == {1, 2}


def test_a_slow_server_leaves_the_last_segment_to_a_fast_one() -> None:
    scheduler = make_scheduler(None, None, None, servers=("fast", "slow"))
    first, second = take(scheduler, "fast"), take(scheduler, "slow")
    scheduler.finish(first, "fast", 1000.0)
    scheduler.finish(second, "slow", 100_000.0)
    scheduler.free_server("slow")
    # The fast one is idle too, and would be done long before.
    waits(scheduler, "slow")
    assert take(scheduler, "fast").number == 3
    scheduler.stop()


def test_a_server_that_hangs_does_not_keep_the_others_from_the_rest() -> None:
    scheduler = make_scheduler(None, None, None, servers=("fast", "slow"))
    first, second = take(scheduler, "fast"), take(scheduler, "slow")
    scheduler.finish(first, "fast", 0.05)
    scheduler.finish(second, "slow", 0.3)
    scheduler.put_back(second)  # so that there are two left
    take(scheduler, "fast")  # and hangs with it
    scheduler.free_server("slow")
    assert isinstance(take(scheduler, "slow"), Task)  # as soon as the fast one is late


def test_a_server_that_is_out_gets_nothing_and_its_segments_go_to_the_other() -> None:
    scheduler = make_scheduler(None, None, servers=("a", "b"))
    task = take(scheduler, "a")
    scheduler.suspend("a", "cannot be reached")
    scheduler.put_back(task)
    waits(scheduler, "a")
    assert take(scheduler, "b").number == 1
    assert take(scheduler, "b").number == 2
    scheduler.stop()


def test_a_server_that_is_back_gets_segments_again() -> None:
    scheduler = make_scheduler(None, servers=("a",))
    scheduler.suspend("a", "cannot be reached")
    thread, results = in_thread(lambda: scheduler.take("a"))
    thread.join(0.2)
    assert thread.is_alive()
    scheduler.resume("a")
    thread.join(LONG)
    assert results


def test_only_servers_that_left_for_good_end_the_run() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    scheduler.suspend("b", "looked after, and may come back")
    assert scheduler.remove("a", "gone") is False
    scheduler.resume("b")
    assert take(scheduler, "b").number == 1
    assert scheduler.remove("b", "gone too") is True


def test_many_threads_share_many_segments_without_losing_or_doubling_one() -> None:
    servers = tuple("abcd")
    scheduler = make_scheduler(*[None] * 300, servers=servers)
    rendered: list[int] = []
    tripped: set[int] = set()

    def work(server: str) -> None:
        while (task := scheduler.take(server)) is not None:
            if task.number % 7 == 0 and task.number not in tripped:
                tripped.add(task.number)
                scheduler.put_back(task)
            elif task.number % 50 == 0:
                scheduler.give_up(task)
            else:
                rendered.append(task.number)
                scheduler.finish(task, server, 0.001)
            scheduler.free_server(server)

    threads = [threading.Thread(target=work, args=(server,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while not scheduler.wait_finished(1.0):
        assert time.monotonic() < deadline, "the run hangs"
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert sorted(rendered) == [number for number in range(1, 301) if number % 50]


# ------------------------------------------------------------------ servers that have failed


def fail(scheduler: Scheduler, task: Task, server: str, failure: Failure = Failure.STALLED) -> None:
    """A server fails with a task, and is back at once."""
    scheduler.suspend(server, "why", failed=True)
    task.failed_on[server] = Setback(failure, "why")
    scheduler.judge(task, server, failure, "", last=False)
    scheduler.put_back(task)
    scheduler.resume(server)


def test_what_a_server_has_failed_with_is_left_to_one_in_good_standing() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    task = take(scheduler, "a")
    fail(scheduler, task, "a")
    thread = waits(scheduler, "a")
    assert take(scheduler, "b") is task
    scheduler.finish(task, "b", 1.0)
    thread.join(LONG)
    assert not thread.is_alive()


def test_a_server_on_probation_gets_what_the_others_have_no_time_for_until_it_has_finished_something() -> None:
    scheduler = make_scheduler(None, None, None, None, servers=("a", "b"))
    first = take(scheduler, "a")
    fail(scheduler, first, "a")
    assert take(scheduler, "b") is first
    second = take(scheduler, "a")
    assert second.number == 2
    scheduler.free_server("b")
    assert take(scheduler, "b").number == 3
    scheduler.finish(second, "a", 1.0)
    scheduler.free_server("a")
    scheduler.put_back(first)
    scheduler.loads["b"].busy = True
    # It has won back its trust: what had stalled there may be tried again.
    assert take(scheduler, "a") is first


def test_alone_a_server_is_tried_again_with_what_it_has_not_failed_with_yet() -> None:
    scheduler = make_scheduler(None, None)
    fail(scheduler, take(scheduler), "a")
    second = take(scheduler)
    assert second.number == 2
    scheduler.finish(second, "a", 1.0)
    assert take(scheduler).number == 1


def test_what_all_that_tried_it_have_given_up_waits_for_the_one_that_is_away() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    task = take(scheduler, "a")
    scheduler.suspend("b", "gone")
    task.failed_on["a"], task.exhausted = Setback(Failure.NODE_ERROR, "why"), True
    scheduler.put_back(task)
    thread = waits(scheduler, "a")
    scheduler.remove("b", "gone for good")
    thread.join(LONG)
    assert not thread.is_alive(), "nobody is left who could try it first"


def test_a_task_is_kept_for_the_server_that_has_its_prompt() -> None:
    scheduler = make_scheduler(None, None, servers=("a", "b"))
    first = take(scheduler, "a")
    scheduler.suspend("a", "gone")
    scheduler.put_back(first)
    assert scheduler.reclaim(first, "a", first.attempt, finished=False)
    scheduler.resume("a")
    assert take(scheduler, "b").number == 2
    assert take(scheduler, "a") is first


def test_a_reserved_task_is_free_for_all_while_its_server_is_away() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    task = take(scheduler, "a")
    task.reserved_for = "a"
    scheduler.put_back(task)
    scheduler.suspend("a", "gone")
    assert take(scheduler, "b") is task


@pytest.mark.parametrize("finished", [True, False])
def test_only_a_finished_prompt_takes_a_segment_from_the_server_that_renders_it(finished: bool) -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    task = take(scheduler, "a")
    scheduler.mark_under_way(task)
    assert scheduler.reclaim(task, "b", task.attempt, finished=finished) is finished
    assert scheduler.owns(task, "a") is not finished
    assert scheduler.settle(task, "a") is not finished


def test_an_outcome_that_is_being_dealt_with_is_not_taken_away() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    task = take(scheduler, "a")
    scheduler.mark_under_way(task)
    assert scheduler.settle(task, "a")
    assert not scheduler.reclaim(task, "b", task.attempt, finished=True)
    scheduler.finish(task, "a", 1.0)
    assert not scheduler.reclaim(task, "b", task.attempt, finished=True)


def test_a_prompt_of_an_earlier_attempt_is_not_taken_for_the_present_one() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    task = take(scheduler, "a")
    task.begin_next()
    scheduler.put_back(task)
    assert not scheduler.reclaim(task, "a", 0, finished=True)


def test_a_server_that_only_failed_itself_has_not_tried_a_segment_once_it_is_trusted_again() -> None:
    scheduler = make_scheduler(None, servers=("a", "b"))
    task = take(scheduler)
    task.failed_on["b"] = Setback(Failure.SERVER_GONE, "nothing listens there")
    scheduler.suspend("b", "nothing listens there", failed=True)
    scheduler.resume("b")
    assert scheduler.others_for(task, "a") == (False, False)
    scheduler.note_success("b")
    assert scheduler.others_for(task, "a") == (True, True)
    task.failed_on["a"], task.exhausted = Setback(Failure.NODE_ERROR, "shapes do not match"), True
    scheduler.put_back(task)
    waits(scheduler, "a")
    assert take(scheduler, "b") is task
