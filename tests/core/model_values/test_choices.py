"""Options of partner nodes: shapes and sizes of a film."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from custom_nodes.videogen.core.model_values.choices import choose_aspect_ratio, choose_size

WIDE, TALL = Fraction(16, 9), Fraction(9, 16)
RATIOS = ["16:9", "9:16", "1:1", "4:3"]


@pytest.mark.parametrize(
    ("options", "aspect", "chosen"),
    [
        (RATIOS, WIDE, "16:9"),
        (RATIOS, TALL, "9:16"),
        (RATIOS, Fraction(1920, 1088), "16:9"),
        (RATIOS, Fraction(1000, 999), "1:1"),
        (["1280:720", "720:1280"], TALL, "720:1280"),
        (["landscape", "portrait"], TALL, "portrait"),
        (["1280x720", "1024×1792"], TALL, "1024×1792"),
        (["auto", "720p"], WIDE, None),
        (["0:9", "9:0"], WIDE, None),
        ([], WIDE, None),
    ],
)
def test_the_aspect_ratio_nearest_to_the_film(options: list[Any], aspect: Fraction, chosen: Any) -> None:
    assert choose_aspect_ratio(options, aspect) == chosen


SIZES = ["1280x720", "720x1280", "1920x1080", "1080x1920"]


@pytest.mark.parametrize(
    ("options", "aspect", "now", "chosen"),
    [
        (SIZES, WIDE, "1920x1080", "1920x1080"),
        (SIZES, TALL, "1920x1080", "1080x1920"),
        (SIZES, TALL, "1280x720", "720x1280"),
        (SIZES, TALL, "nobody knows this one", "720x1280"),
        (["480p", "720p", "4K"], TALL, "720p", None),
        ([720, 1080], TALL, 720, None),
    ],
)
def test_the_size_nearest_to_the_film_and_to_what_is_chosen(
    options: list[Any], aspect: Fraction, now: Any, chosen: Any
) -> None:
    assert choose_size(options, aspect, now) == chosen
