"""Time is exact: what the user wrote is what the film gets."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.timing import (
    count_frames,
    count_rendered_frames,
    exact,
    format_seconds,
    format_timecode,
    parse_timespan,
)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("00:08 - 00:16", 8, 16),
        ("0:08-0:16", 8, 16),
        ("00:08 – 00:16", 8, 16),  # en dash
        ("00:08 — 00:16", 8, 16),  # em dash
        ("00:08 − 00:16", 8, 16),  # minus sign
        ("00:08 bis 00:16", 8, 16),
        ("00:08 TO 00:16", 8, 16),
        ("  00:08 - 00:16  ", 8, 16),
        ("00:00.5 - 00:01,25", Fraction(1, 2), Fraction(5, 4)),
        ("01:02:03 - 01:02:04", 3723, 3724),
        ("59:59 - 1:00:00", 3599, 3600),
        ("90:00 - 90:01", 5400, 5401),  # minutes go on counting where there are no hours
        ("00:00 - 00:00.000000001", 0, Fraction(1, 10**9)),
    ],
)
def test_a_timespan_in_all_its_spellings(text, start, end):
    assert parse_timespan(text) == (start, end)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("00:16 - 00:08", "'00:16 - 00:08' runs backwards: the end must come after the start"),
        ("00:08 - 00:08", "'00:08 - 00:08' has no length: the end must come after the start"),
        ("00:08", 'found \'00:08\', expected "MM:SS - MM:SS" such as "00:08 - 00:16"'),
        ("8 until 16", 'found \'8 until 16\', expected "MM:SS - MM:SS" such as "00:08 - 00:16"'),
        ("00:00:08:12 - 00:00:16:00", "the last part of it seems to count frames: write a fraction of a second"),
        ("16 - 8", "runs backwards"),
        ("00:08 - 00:61", "found 61 seconds, expected less than 60"),
        ("1:60:00 - 2:00:00", "found 60 minutes after the hours, expected less than 60"),
        ("0:00 - 99999:00:00", 'expected "MM:SS - MM:SS"'),
        ("00:08 - 00:16 - 00:24", 'expected "MM:SS - MM:SS"'),
        ("", 'expected "MM:SS - MM:SS"'),
    ],
)
def test_a_timespan_that_cannot_be_read_says_why(text, message):
    with pytest.raises(ValueError, match=r".") as caught:
        parse_timespan(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("number", "fraction"),
    [
        (29.97, Fraction(2997, 100)),  # not 29.969999999999998863131622783839702606201171875
        ("24000/1001", Fraction(24000, 1001)),
        (" 3 ", 3),
        (".5", Fraction(1, 2)),
        ("2.", 2),
        (10**30, 10**30),
        (Fraction(1, 3), Fraction(1, 3)),
    ],
)
def test_numbers_are_taken_as_written(number, fraction):
    assert exact(number) == fraction


@pytest.mark.parametrize(
    "number",
    [
        float("nan"),
        float("inf"),
        "many",
        "",
        "1/0",
        "1e999999999",
        "1_000",
        pytest.param("9" * 5000, id="5,000 digits"),
    ],
)
def test_what_is_no_number_is_refused_at_once(number):
    # "1e999999999" is the bug: Fraction() computes it, which takes minutes and gigabytes.
    with pytest.raises(ValueError, match=r"^found "):
        exact(number)


def test_frames_of_a_file_are_the_nearest_number_and_of_a_render_enough_for_all_of_it():
    fps, duration = Fraction(24000, 1001), Fraction(8)
    assert duration * fps == Fraction(192000, 1001)  # 191.808…
    assert count_frames(duration, fps) == 192
    assert count_rendered_frames(duration, fps) == 192
    assert count_frames(Fraction(5, 2), Fraction(1)) == 3  # a half goes up
    assert count_rendered_frames(Fraction(9, 4), Fraction(1)) == 3
    assert count_frames(Fraction(1, 100), Fraction(1)) == count_rendered_frames(Fraction(1, 100), Fraction(1)) == 1


def test_no_frame_is_lost_over_a_long_film_in_ntsc():
    fps = Fraction(30000, 1001)
    assert count_frames(Fraction(3600), fps) == 107892
    assert sum(count_frames(Fraction(1001, 30000) * 3, fps) for _ in range(1000)) == 3000


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [(0, "00:00"), (184, "03:04"), (3784, "1:03:04"), (Fraction(599, 10), "00:59"), (36000, "10:00:00")],
)
def test_a_clock_rounds_down(seconds, clock):
    assert format_timecode(Fraction(seconds)) == clock


def test_a_clock_with_tenths():
    assert format_timecode(Fraction(18459, 100), tenths=True) == "03:04.5"


def test_seconds_in_messages():
    assert format_seconds(Fraction(8)) == "8.000 s"
    assert format_seconds(Fraction(1, 3)) == "0.333 s"


@given(st.integers(0, 359_999), st.integers(1, 10_000))
def test_what_a_clock_shows_is_read_back(start, length):
    text = f"{format_timecode(Fraction(start))} - {format_timecode(Fraction(start + length))}"
    assert parse_timespan(text) == (start, start + length)


@given(st.fractions(0, 3600), st.fractions(Fraction(1, 10), 240))
def test_rendered_frames_cover_the_duration_and_not_a_whole_frame_more(duration, fps):
    frames = count_rendered_frames(duration, fps)
    assert frames / fps >= duration
    assert frames == 1 or (frames - 1) / fps < duration
