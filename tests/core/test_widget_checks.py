"""Values of widgets: what can be used, and how the others are named."""

from __future__ import annotations

import math

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.widget_checks import check_choice, check_range, check_span


def test_a_value_that_is_no_choice_is_named_with_the_choices() -> None:
    check_choice("crop", "center", ("center", "none"))
    with pytest.raises(VideoGenError, match=r"^`crop` is 'middle', expected one of center, none$") as caught:
        check_choice("crop", "middle", ("center", "none"))
    assert caught.value.code == "widget-invalid"
    with pytest.raises(VideoGenError, match=r"^`multiple` is 7, expected one of 8, 16$"):
        check_choice("multiple", 7, (8, 16))


@pytest.mark.parametrize("value", [-0.1, 2.01, math.nan, math.inf, -math.inf])
def test_a_value_outside_its_range_is_named_with_the_range(value: float) -> None:
    check_range("strength", 0.0, 0, 2)
    check_range("strength", 2.0, 0, 2)
    with pytest.raises(VideoGenError, match=f"^`strength` is {value:g}, expected 0 to 2$") as caught:
        check_range("strength", value, 0, 2)
    assert caught.value.code == "widget-invalid"


def test_a_span_may_be_empty_but_not_turned_around() -> None:
    check_span(0.0, 1.0)
    check_span(0.5, 0.5)
    with pytest.raises(VideoGenError, match=r"`start_at` is 0.6 and `end_at` 0.5: the end comes before the start"):
        check_span(0.6, 0.5)
    for start, end, shown in (
        (-0.1, 1.0, "`start_at` is -0.1"),
        (0.0, 1.1, "`end_at` is 1.1"),
        (math.nan, 1.0, "is nan"),
    ):
        with pytest.raises(VideoGenError, match=f"{shown}, expected 0 to 1"):
            check_span(start, end)
