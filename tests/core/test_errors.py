"""The error family: every error has a registered code, a message and a next step."""

import pytest

from custom_nodes.videogen.core.errors import (
    ERROR_CODES,
    FORMER_CODES,
    Problem,
    ProblemList,
    VideoGenError,
    find_former_code,
)


def test_an_error_has_message_hint_and_exit_status():
    error = VideoGenError("story-invalid", "segments[7].timespan: found 'soon'", "Write it as 00:08 - 00:16.")
    assert str(error) == "segments[7].timespan: found 'soon'\nWrite it as 00:08 - 00:16."
    assert error.exit_status == 2


def test_without_a_hint_there_is_no_empty_line():
    assert str(VideoGenError("disk-full", "the disk is full")) == "the disk is full"


def test_a_code_that_is_not_registered_is_refused():
    with pytest.raises(KeyError, match="'story-odd' is not registered"):
        VideoGenError("story-odd", "?")


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_code_has_a_meaning_and_an_exit_status_of_the_command_line(code):
    assert code == code.lower()
    assert " " not in code
    assert ERROR_CODES[code].meaning
    assert ERROR_CODES[code].exit_status in (1, 2, 3, 4)


def test_only_an_internal_error_has_the_status_of_internal_errors():
    assert [code for code, entry in ERROR_CODES.items() if entry.exit_status == 4] == ["runner-failed"]


def test_a_full_disk_is_no_bad_input():
    assert VideoGenError("disk-full", "the disk is full").exit_status == 1


@pytest.mark.parametrize(("former", "present"), FORMER_CODES.items())
def test_a_former_code_is_its_present_one(former, present):
    assert former not in ERROR_CODES
    error = VideoGenError(former, "?")
    assert (error.code, error.exit_status) == (present, ERROR_CODES[present].exit_status)
    assert find_former_code(error.code) == former


def test_most_codes_had_no_other_name():
    assert find_former_code("disk-full") is None
    assert find_former_code("") is None


def test_a_list_of_problems_is_one_error():
    error = ProblemList(
        "story-invalid", "film.json", [Problem("fps", "found 0"), Problem("", "is odd")], "See the docs."
    )
    assert str(error) == "film.json: 2 problems\n  - fps: found 0\n  - is odd\nSee the docs."
    assert [problem.where for problem in error.problems] == ["fps", ""]


def test_one_problem_is_not_problems():
    assert str(ProblemList("story-invalid", "film.json", [Problem("fps", "found 0")])).startswith(
        "film.json: 1 problem\n"
    )
