"""Whose fault a failure is: counted per server as well as per segment."""

from __future__ import annotations

import pytest

from runner.rendering.failures import SERVER_FAILURES, Failure
from runner.rendering.fleet.health import SAME_FAILURES, ServerHealth
from runner.rendering.retries import AttemptState, Variant


def fail(health: ServerHealth, number: int, signature: str = "ValueError: no", **options: object) -> Failure:
    return health.judge(number, AttemptState(), Failure.NODE_ERROR, signature, last=False, **options)[0]  # type: ignore[arg-type]


def test_several_segments_in_a_row_are_the_server_s_fault() -> None:
    health = ServerHealth()
    found = [fail(health, number) for number in range(1, SAME_FAILURES + 1)]
    assert found == [Failure.NODE_ERROR] * (SAME_FAILURES - 1) + [Failure.SERVER_SICK]


def test_one_segment_however_often_it_fails_is_its_own() -> None:
    health = ServerHealth()
    assert {fail(health, 1) for _ in range(10)} == {Failure.NODE_ERROR}


def test_something_finished_in_between_clears_the_server() -> None:
    health = ServerHealth()
    for number in range(1, 20):
        assert fail(health, number) is Failure.NODE_ERROR
        health.note_success()


def test_failures_of_different_kinds_are_those_of_the_segments() -> None:
    health = ServerHealth()
    assert {fail(health, number, f"ValueError: {'abc'[number % 3]}") for number in range(20)} == {Failure.NODE_ERROR}


def test_what_another_server_fails_at_in_the_same_way_is_the_workflow_s_fault() -> None:
    health, other = ServerHealth(), ServerHealth()
    fail(other, 9)
    assert {fail(health, number, others=[other]) for number in range(10)} == {Failure.NODE_ERROR}


def test_a_server_is_looked_after_once_for_the_same_thing_unless_it_has_finished_something() -> None:
    health = ServerHealth()
    assert [fail(health, number) for number in range(20)].count(Failure.SERVER_SICK) == 1
    health.note_success()
    assert [fail(health, number) for number in range(20)].count(Failure.SERVER_SICK) == 1


def test_where_one_would_be_given_up_fewer_are_enough() -> None:
    health = ServerHealth()
    fail(health, 1)
    assert health.judge(2, AttemptState(), Failure.NODE_ERROR, "ValueError: no", last=True)[0] is Failure.SERVER_SICK


def test_those_that_were_wronged_get_back_their_retries_and_seeds() -> None:
    health = ServerHealth()
    states = [AttemptState(variant=Variant(5)) for _ in range(SAME_FAILURES)]
    states[0].failures[Failure.NODE_ERROR] = 1  # from before, on another server
    for number, state in enumerate(states):
        failure, wronged = health.judge(number, state, Failure.NODE_ERROR, "ValueError: no", last=False)
        state.failures[failure] += 1
        state.begin_next(state.variant.with_next_seed())
    assert [trial.state for trial in wronged] == states
    for trial in wronged:
        trial.excuse(waiting=True)
    assert [state.count(Failure.NODE_ERROR) for state in states] == [1, 0, 0]
    assert {state.variant for state in states} == {Variant(5)}


def test_a_segment_that_is_being_rendered_again_keeps_the_seed_that_it_is_rendered_with() -> None:
    health, state = ServerHealth(), AttemptState()
    health.judge(1, state, Failure.NODE_ERROR, "ValueError: no", last=False)
    state.begin_next(Variant(1))
    health.trials[1].excuse(waiting=False)
    assert state.variant == Variant(1)


@pytest.mark.parametrize("failure", sorted(SERVER_FAILURES))
def test_failures_of_the_server_are_not_counted_as_the_segments(failure: Failure) -> None:
    health = ServerHealth()
    for number in range(10):
        assert health.judge(number, AttemptState(), failure, "", last=False) == (failure, [])
    assert health.doubts == set(range(10))


@pytest.mark.parametrize("failure", [Failure.STALLED, Failure.DEVICE])
@pytest.mark.parametrize(
    ("health", "counts"),
    [
        (ServerHealth(), True),
        (ServerHealth(trusted=False), False),
        # A new process that fails again is evidence against the segment.
        (ServerHealth(restarts=True, trusted=False), True),
    ],
)
def test_what_an_untrusted_server_fails_at_says_nothing_of_the_segment(
    failure: Failure, health: ServerHealth, counts: bool
) -> None:
    assert health.counts(failure) is counts
    assert health.counts(Failure.NODE_ERROR)


def test_trust_is_won_back_by_finishing_something() -> None:
    health = ServerHealth()
    health.distrust()
    assert not health.trusted
    fail(health, 1)
    assert not health.trusted
    health.note_success()
    assert health.trusted
    assert health.doubts == set()
