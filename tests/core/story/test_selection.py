"""Segment numbers as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.story.selection import format_selection, parse_selection


@pytest.mark.parametrize(
    ("written", "numbers"),
    [
        ("1,4,8-11", (1, 4, 8, 9, 10, 11)),
        (" 1 , 4 , 8 - 11 ", (1, 4, 8, 9, 10, 11)),
        ("8–11", (8, 9, 10, 11)),  # en dash
        ("8..11", (8, 9, 10, 11)),
        ("5,3,3,2-4", (2, 3, 4, 5)),  # any order, doubles, overlaps
        ("7", (7,)),
        ("7-7", (7,)),
        (7, (7,)),
        (7.0, (7,)),  # as a spreadsheet writes it
        ([1, "3-5", 4], (1, 3, 4, 5)),
        ("1-33", tuple(range(1, 34))),
    ],
)
def test_selections(written, numbers):
    assert parse_selection(written, 33) == numbers


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("99", "segment 99 does not exist: the story has segments 1 to 33"),
        ("30-40", "segment 40 does not exist: the story has segments 1 to 33"),
        ("0", "segment 0 does not exist: the story has segments 1 to 33"),
        ("11-8", "the range '11-8' runs backwards"),
        ("1,,2", "found text (''), expected segment numbers such as \"1,4,8-11\""),
        ("", "found text (''), expected segment numbers"),
        ("all", "found text ('all'), expected segment numbers"),
        ("-3", "found text ('-3'), expected segment numbers"),
        ("1-3-5", "found text ('1-3-5'), expected segment numbers"),
        ("1.5", "found text ('1.5'), expected segment numbers"),
        (-3, "found -3, expected segment numbers"),
        (1.5, "found 1.5, expected segment numbers"),
        (True, "found true, expected segment numbers"),
        (None, "found nothing (null), expected segment numbers"),
        ({"from": 1}, "found a mapping, expected segment numbers"),
        ([], "found no segment, expected segment numbers"),
        ([[1]], "found a list, expected segment numbers"),
        ([1, None], "found nothing (null), expected segment numbers"),
        pytest.param(10**5000, "found a number of more than 1,000 digits, expected segment numbers", id="huge"),
        pytest.param("1" * 5000, "expected segment numbers", id="long"),
    ],
)
def test_what_cannot_be_read_is_named(written, message):
    with pytest.raises(ValueError, match=r".") as caught:
        parse_selection(written, 33)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("numbers", "text"),
    [((1, 4, 8, 9, 10, 11), "1,4,8-11"), ((1, 2), "1,2"), ((3, 1, 2), "1-3"), ((5, 5), "5"), ((), "")],
)
def test_the_shortest_spelling(numbers, text):
    assert format_selection(numbers) == text


def test_the_same_range_many_times_is_read_once():
    assert len(parse_selection(["1-10000"] * 20_000, 10_000)) == 10_000


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (["1"] * 20_001, "has 20,001 parts, at most 20,000"),
        ("1," * 20_001, "has 20,002 parts, at most 20,000"),
        ("1" * 100_001, "has 100,001 characters, at most 100,000"),
    ],
    ids=["list", "text", "long text"],
)
def test_a_selection_that_is_too_long_is_refused_with_its_length(selection, said):
    with pytest.raises(ValueError, match=said):
        parse_selection(selection, 10_000)


@given(st.sets(st.integers(1, 500), min_size=1))
def test_what_is_formatted_is_read_back(numbers):
    assert parse_selection(format_selection(list(numbers)), 500) == tuple(sorted(numbers))


@given(st.text("0123456789,-–. ", max_size=20) | st.text(max_size=10))
def test_any_text_is_read_or_refused(text):
    try:
        numbers = parse_selection(text, 33)
    except ValueError:
        return
    assert numbers == tuple(sorted(set(numbers)))
    assert 1 <= numbers[0] <= numbers[-1] <= 33
