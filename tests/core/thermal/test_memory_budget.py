"""The limit of memory."""

from __future__ import annotations

import math

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.memory_budget import format_memory, memory_limit


@pytest.mark.parametrize(
    ("limit_gb", "total", "is_card", "expected"),
    [
        (0, 24e9, True, 20.4e9),
        (0, 80e9, True, 40e9),
        (0, 256e9, False, 217.6e9),
        (16, 24e9, True, 16e9),
        (24, 24e9, True, 24e9),
    ],
)
def test_limits(limit_gb: float, total: float, is_card: bool, expected: float) -> None:
    assert memory_limit(limit_gb, int(total), is_card=is_card) == pytest.approx(expected)


@pytest.mark.parametrize("limit_gb", [-1, math.nan, 48.0])
def test_refused(limit_gb: float) -> None:
    with pytest.raises(VideoGenError) as caught:
        memory_limit(limit_gb, int(24e9), is_card=True)
    assert caught.value.code == "guard-invalid"


def test_a_limit_above_the_card_is_explained() -> None:
    with pytest.raises(
        VideoGenError, match=r"`limit_gb` is 48 GB, but the card has only 24\.0 GB: this limit would never be reached"
    ):
        memory_limit(48, int(24e9), is_card=True)
    with pytest.raises(VideoGenError, match=r"but this computer has only 24\.0 GB"):
        memory_limit(48, int(24e9), is_card=False)


def test_sizes() -> None:
    assert format_memory(12_345_000_000) == "12.3 GB"
    assert format_memory(850_000_000) == "850 MB"
