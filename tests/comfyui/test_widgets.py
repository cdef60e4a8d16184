"""Inputs that several nodes share, and the check before a prompt runs."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.needs import require_comfy

require_comfy()

from custom_nodes.videogen.comfyui.widgets import (
    adapter_inputs,
    check_known_span,
    choose_quality,
    span_inputs,
    validate,
)


def refuse(value: int) -> None:
    raise VideoGenError("widget-invalid", f"`value` is {value}")


def test_a_check_returns_true_or_the_message() -> None:
    assert validate(lambda value: value, 1) is True
    assert validate(refuse, 1) == "`value` is 1"


def test_a_value_of_another_node_is_not_checked_before_it_exists() -> None:
    assert validate(refuse, None) is True
    assert validate(lambda first, second: refuse(first), 1, None) is True


def test_an_error_of_another_kind_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        validate(lambda value: 1 / value, 0)


@pytest.mark.parametrize("span", [(None, None), (0.9, None), (None, 0.1), (0.2, 0.8)])
def test_a_span_of_which_one_end_is_known(span: tuple[float | None, float | None]) -> None:
    check_known_span(*span)


@pytest.mark.parametrize("span", [(0.8, 0.2), (1.5, None), (None, -0.5)])
def test_a_span_that_cannot_be(span: tuple[float | None, float | None]) -> None:
    with pytest.raises(VideoGenError) as caught:
        check_known_span(*span)
    assert caught.value.code == "widget-invalid"


def test_the_story_s_own_quality() -> None:
    assert choose_quality("story", "premium").name == "premium"
    assert choose_quality("draft", "premium").name == "draft"


def test_each_schema_has_inputs_of_its_own() -> None:
    assert [one.id for one in adapter_inputs()] == ["model", "ipadapter", "clip_vision"]
    assert [one.id for one in span_inputs()] == ["start_at", "end_at"]
    assert adapter_inputs()[0] is not adapter_inputs()[0]
