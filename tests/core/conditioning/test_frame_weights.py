"""Weights frame by frame."""

from __future__ import annotations

import math

import pytest

from custom_nodes.videogen.core.conditioning.frame_weights import (
    CUSTOM,
    TIMINGS,
    check_weights,
    parse_weights,
    spread_weights,
)
from custom_nodes.videogen.core.errors import VideoGenError


@pytest.mark.parametrize("timing", [timing for timing in TIMINGS if timing != CUSTOM])
@pytest.mark.parametrize("frames", [2, 5, 24])
def test_a_curve_is_that_of_ipadapter_plus(timing: str, frames: int) -> None:
    """IPAdapterWeights with two numbers, written anew: start + (end − start) · f(i / (frames − 1))."""
    start, end = 1.2, 0.2
    ways = {
        "linear": lambda t: t,
        "ease in": lambda t: math.sin(t * math.pi / 2),
        "ease out": lambda t: 1 - math.cos(t * math.pi / 2),
        "ease in-out": lambda t: (1 - math.cos(t * math.pi)) / 2,
    }
    expected = [start + (end - start) * ways[timing](frame / (frames - 1)) for frame in range(frames)]
    assert spread_weights([start, end], timing, frames) == pytest.approx(expected)


def test_more_numbers_are_at_equal_distances() -> None:
    assert spread_weights([0, 1, 0], "linear", 5) == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert spread_weights([0, 1, 0, 1], "ease in-out", 7)[::2] == pytest.approx([0, 1, 0, 1])


def test_one_per_frame_continues_with_the_last() -> None:
    assert spread_weights([1, 0.5, 0], CUSTOM, 5) == [1, 0.5, 0, 0, 0]
    assert spread_weights([1, 0.5, 0], CUSTOM, 2) == [1, 0.5]


@pytest.mark.parametrize("timing", TIMINGS)
def test_one_number_or_one_frame(timing: str) -> None:
    assert spread_weights([0.7], timing, 3) == [0.7] * 3
    assert spread_weights([0.7, 0.1], timing, 1) == [0.7]


def test_numbers_are_read_with_commas_or_lines() -> None:
    assert parse_weights("1.0, 0.5\n-1,3;0,") == [1.0, 0.5, -1.0, 3.0, 0.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 weights"),
        ("1, x", "has 'x', expected numbers"),
        ("1, 3.5", "weight 2 of `weights` is 3.5, expected -1 to 3"),
        ("nan", "weight 1 of `weights` is nan"),
        ("inf", "weight 1 of `weights` is inf"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=said) as caught:
        parse_weights(text)
    assert caught.value.code == "widget-invalid"


def test_too_many_are_refused() -> None:
    with pytest.raises(VideoGenError, match="has 100001 weights, expected 1 to 100000"):
        check_weights([0.0] * 100_001)
