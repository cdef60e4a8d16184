"""What is done about what goes wrong: the tables, the ladder, and how the next attempt differs."""

from __future__ import annotations

import pytest

from runner.rendering.failures import Failure
from runner.rendering.retries import (
    LADDER,
    REFERENCE_REMEDIES,
    REMEDIES,
    AttemptState,
    Remedy,
    Variant,
    choose_remedy,
    segment_remedies,
    step_down,
)

FULL_HD = (1920, 1080)


def remedies(failure: Failure, count: int, retries: int = 2, size: tuple[int, int] = FULL_HD) -> list[Remedy]:
    return [choose_remedy(failure, times, segment_remedies(retries), size) for times in range(1, count + 1)]


def test_every_failure_has_a_remedy_and_every_row_comes_to_an_end() -> None:
    assert set(REMEDIES) == set(Failure)
    for failure, row in REMEDIES.items():
        assert row, failure
        # The entry for all later failures must end the segment or the run: nothing is tried for ever.
        assert row[-1] in (Remedy.GIVE_UP, Remedy.STOP), failure


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (
            Failure.OUT_OF_MEMORY,
            [Remedy.FREE_AND_REPEAT, Remedy.STEP_DOWN, Remedy.STEP_DOWN, Remedy.GIVE_UP, Remedy.GIVE_UP],
        ),
        (Failure.NODE_ERROR, [Remedy.NEXT_SEED, Remedy.NEXT_SEED, Remedy.GIVE_UP, Remedy.GIVE_UP]),
        (Failure.VALIDATION, [Remedy.GIVE_UP, Remedy.GIVE_UP]),
        (Failure.PREDECESSOR, [Remedy.GIVE_UP]),
        (Failure.LOST, [Remedy.REPEAT, Remedy.REPEAT, Remedy.REPEAT, Remedy.GIVE_UP]),
        (Failure.OUTPUT_BROKEN, [Remedy.REPEAT, Remedy.REPEAT, Remedy.GIVE_UP]),
        (Failure.STALLED, [Remedy.OTHER_SERVER, Remedy.OTHER_SERVER, Remedy.GIVE_UP]),
        (Failure.DISK_FULL, [Remedy.STOP]),
        (Failure.INTERRUPTED, [Remedy.STOP]),
        (Failure.FATAL, [Remedy.STOP]),
    ],
)
def test_remedies_come_in_the_order_of_the_table(failure: Failure, expected: list[Remedy]) -> None:
    assert remedies(failure, len(expected)) == expected


def test_a_server_that_goes_away_again_and_again_costs_a_segment_at_last() -> None:
    row = remedies(Failure.SERVER_GONE, 50)
    assert row[:5] == [Remedy.OTHER_SERVER] * 5
    assert row[-1] is Remedy.GIVE_UP


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (1, 2), (5, 6)])
def test_retries_say_how_often_another_seed_is_tried(retries: int, tries: int) -> None:
    row = remedies(Failure.NODE_ERROR, tries, retries)
    assert row == [Remedy.NEXT_SEED] * retries + [Remedy.GIVE_UP]


@pytest.mark.parametrize(
    ("size", "below"),
    [
        ((3840, 2160), (1920, 1080)),
        ((1920, 1080), (1280, 720)),
        ((1280, 720), (856, 480)),
        ((856, 480), None),
        ((320, 180), None),
        ((1080, 1920), (720, 1280)),  # portrait
        ((1024, 1024), (720, 720)),
        ((2048, 858), (1720, 720)),  # wide
        ((8000, 481), (7984, 480)),
    ],
)
def test_the_ladder_goes_down_in_the_same_shape(size: tuple[int, int], below: tuple[int, int] | None) -> None:
    assert step_down(size) == below


def test_the_ladder_ends_whatever_the_size() -> None:
    for size in ((7680, 4320), (4096, 4096), (500, 9000), (482, 481), (8, 8)):
        steps = 0
        current: tuple[int, int] | None = size
        while (current := step_down(current)) is not None:
            assert all(side % 8 == 0 and side > 0 for side in current)
            assert min(current) in LADDER
            steps += 1
            assert steps <= len(LADDER)


def test_nothing_is_stepped_down_below_the_last_rung() -> None:
    assert remedies(Failure.OUT_OF_MEMORY, 2, size=(320, 180)) == [Remedy.FREE_AND_REPEAT, Remedy.GIVE_UP]


@pytest.mark.parametrize(
    ("failure", "retries"),
    [
        (Failure.OUT_OF_MEMORY, 1),
        (Failure.NODE_ERROR, 1),
        (Failure.LOST, 3),
        (Failure.OUTPUT_BROKEN, 2),
        (Failure.SERVER_GONE, 20),
        (Failure.STALLED, 2),
        (Failure.DEVICE, 2),
        (Failure.VALIDATION, 0),
        (Failure.PREDECESSOR, 0),
        (Failure.DISK_FULL, 0),
        (Failure.INTERRUPTED, 0),
        (Failure.TOO_HOT, 0),
        (Failure.FATAL, 0),
    ],
)
def test_a_reference_image_keeps_its_seed_and_size_and_is_given_up_in_the_end(failure: Failure, retries: int) -> None:
    row = [choose_remedy(failure, times, REFERENCE_REMEDIES, FULL_HD) for times in range(1, retries + 3)]
    assert row[retries:] == [Remedy.GIVE_UP] * 2
    assert not {Remedy.GIVE_UP, Remedy.STOP, Remedy.NEXT_SEED, Remedy.STEP_DOWN} & set(row[:retries])


def test_every_failure_of_a_reference_image_has_a_remedy() -> None:
    assert set(REFERENCE_REMEDIES) == set(Failure)


# ------------------------------------------------------------------ how the next attempt differs


@pytest.mark.parametrize(
    ("remedy", "variant"),
    [
        (Remedy.REPEAT, Variant(1)),
        (Remedy.FREE_AND_REPEAT, Variant(1)),
        (Remedy.NEXT_SEED, Variant(2)),
        (Remedy.STEP_DOWN, Variant(1, (1280, 720))),
    ],
)
def test_another_attempt_has_a_number_of_its_own(remedy: Remedy, variant: Variant) -> None:
    state = AttemptState(attempt=3, variant=Variant(1), may_be_on_server=True)
    state.apply(remedy, FULL_HD)
    assert (state.attempt, state.variant, state.may_be_on_server) == (4, variant, False)


def test_after_a_server_went_away_the_same_attempt_is_looked_for() -> None:
    state = AttemptState(attempt=3, may_be_on_server=True)
    state.apply(Remedy.OTHER_SERVER, FULL_HD)
    assert (state.attempt, state.may_be_on_server) == (3, True)


def test_a_prompt_that_has_ended_is_tried_again_under_an_id_of_its_own() -> None:
    """The server knows the old one as failed. Seed and size stay."""
    state = AttemptState(attempt=3, variant=Variant(1), may_be_on_server=True)
    state.apply(Remedy.OTHER_SERVER, FULL_HD, ended=True)
    assert (state.attempt, state.variant, state.may_be_on_server) == (4, Variant(1), False)


def test_excused_failures_do_not_count() -> None:
    state = AttemptState()
    state.failures[Failure.NODE_ERROR] = 5
    state.excused[Failure.NODE_ERROR] = 3
    assert state.count(Failure.NODE_ERROR) == 2


# ------------------------------------------------------------------ several servers


@pytest.mark.parametrize("failure", [failure for failure, row in REMEDIES.items() if row[-1] is Remedy.GIVE_UP])
def test_nothing_is_given_up_that_another_server_has_not_tried(failure: Failure) -> None:
    table = segment_remedies(0)
    alone = choose_remedy(failure, 100, table, (320, 180))
    assert alone is Remedy.GIVE_UP
    expected = Remedy.GIVE_UP if failure is Failure.PREDECESSOR else Remedy.ASK_ANOTHER
    assert choose_remedy(failure, 100, table, (320, 180), others=True, away=True) is expected
    assert choose_remedy(failure, 100, table, (320, 180), away=True) is expected


def test_a_node_s_error_asks_a_healthy_server_first_and_waits_for_none() -> None:
    table = segment_remedies(2)
    assert choose_remedy(Failure.NODE_ERROR, 1, table, FULL_HD, others=True, away=True) is Remedy.ASK_ANOTHER
    assert choose_remedy(Failure.NODE_ERROR, 1, table, FULL_HD, away=True) is Remedy.NEXT_SEED
