"""What is done about what goes wrong: the table, the classes, the ladder."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.errors import ERROR_CODES, VideoGenError
from runner.comfyui.outcome import Outcome, read_outcome
from runner.rendering.failures import (
    LADDER,
    REMEDIES,
    Failure,
    Remedy,
    choose_remedy,
    classify_error,
    classify_outcome,
    step_down,
)

FULL_HD = (1920, 1080)


def remedies(failure: Failure, count: int, retries: int = 2, size: tuple[int, int] = FULL_HD) -> list[Remedy]:
    return [choose_remedy(failure, times, retries, size) for times in range(1, count + 1)]


def test_every_failure_has_a_remedy_and_every_row_comes_to_an_end() -> None:
    assert set(REMEDIES) == set(Failure)
    for failure, row in REMEDIES.items():
        assert row, failure
        # What stands for all that follow must end the segment or the run: nothing is tried for ever.
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


# ------------------------------------------------------------------ reading errors into the rows


@pytest.mark.parametrize(
    ("kind", "message", "failure"),
    [
        ("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 3.96 GiB.", Failure.OUT_OF_MEMORY),
        ("torch.cuda.OutOfMemoryError", "Allocation on device", Failure.OUT_OF_MEMORY),
        ("RuntimeError", "CUDA error: out of memory", Failure.OUT_OF_MEMORY),
        ("RuntimeError", "[enforce fail] DefaultCPUAllocator: not enough memory", Failure.OUT_OF_MEMORY),
        ("OSError", "[Errno 12] Cannot allocate memory", Failure.OUT_OF_MEMORY),
        ("OSError", "[Errno 28] No space left on device", Failure.DISK_FULL),
        ("OSError", "[Errno 122] Disk quota exceeded", Failure.DISK_FULL),
        ("ValueError", "shapes do not match", Failure.NODE_ERROR),
        ("", "", Failure.NODE_ERROR),
    ],
)
def test_what_a_node_raised_is_told_by_its_type_and_words(kind: str, message: str, failure: Failure) -> None:
    assert classify_outcome(Outcome("error", message, exception_type=kind)) is failure


def test_an_interrupted_prompt_is_no_error_of_a_node() -> None:
    entry = {
        "status": {
            "status_str": "error",
            "messages": [
                ["execution_start", {"prompt_id": "x", "timestamp": 1000}],
                ["execution_interrupted", {"prompt_id": "x", "timestamp": 2000}],
            ],
        },
        "outputs": {},
    }
    assert classify_outcome(read_outcome(entry)) is Failure.INTERRUPTED


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("submission-rejected", Failure.VALIDATION),
        ("predecessor-missing", Failure.PREDECESSOR),
        ("output-missing", Failure.OUTPUT_BROKEN),
        ("media-broken", Failure.OUTPUT_BROKEN),
        ("server-unreachable", Failure.SERVER_GONE),
        ("server-lost", Failure.SERVER_GONE),
        ("server-refused", Failure.SERVER_GONE),
        ("server-stalled", Failure.STALLED),
        ("prompt-lost", Failure.LOST),
        ("disk-full", Failure.DISK_FULL),
        ("path-invalid", Failure.FATAL),
        ("workflow-invalid", Failure.FATAL),
    ],
)
def test_errors_of_our_own_have_their_rows(code: str, failure: Failure) -> None:
    assert classify_error(VideoGenError(code, "message")) is failure


def test_every_registered_error_is_in_some_row() -> None:
    for code in ERROR_CODES:
        assert isinstance(classify_error(VideoGenError(code, "message")), Failure)
