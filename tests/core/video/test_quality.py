"""How large a video is, and where an image goes in it."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.video.quality import QUALITIES, Quality, fit_size, place_image

even_side = st.integers(8, 4096).map(lambda half: 2 * half)
quality = st.sampled_from(list(QUALITIES.values()))


@pytest.mark.parametrize(
    ("size", "preset", "expected"),
    [
        ((1920, 1080), "draft", (854, 480)),
        ((1920, 1080), "high", (1920, 1080)),
        ((1920, 1080), "premium", (3840, 2160)),
        ((1080, 1920), "high", (1080, 1920)),  # portrait: the box turns
        ((1080, 1920), "draft", (480, 854)),
        ((1000, 1000), "standard", (720, 720)),
        ((320, 180), "draft", (854, 480)),
        ((8192, 512), "draft", (854, 54)),
    ],
)
def test_a_video_is_as_large_as_the_preset_lets_it_be(
    size: tuple[int, int], preset: str, expected: tuple[int, int]
) -> None:
    assert fit_size(size, QUALITIES[preset]) == expected


@given(width=even_side, height=even_side, preset=quality)
def test_a_fitted_size_is_even_inside_the_box_and_touches_it(width: int, height: int, preset: Quality) -> None:
    fitted = fit_size((width, height), preset)
    box = (preset.width, preset.height) if width >= height else (preset.height, preset.width)
    assert all(side % 2 == 0 and side >= 2 for side in fitted)
    assert all(side <= limit for side, limit in zip(fitted, box, strict=True))
    assert any(side == limit for side, limit in zip(fitted, box, strict=True))


@given(width=even_side, height=even_side, preset=quality)
def test_a_fitted_size_keeps_the_shape_to_a_pixel(width: int, height: int, preset: Quality) -> None:
    fitted = fit_size((width, height), preset)
    box = (preset.width, preset.height) if width >= height else (preset.height, preset.width)
    scale = min(Fraction(box[0], width), Fraction(box[1], height))
    assert max(abs(fitted[0] - width * scale), abs(fitted[1] - height * scale)) <= 2


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((1920, 1080), (1920, 1080), (1920, 1080, 0, 0)),
        ((854, 480), (1920, 1080), (1920, 1080, 0, 0)),  # 0.08 % off: no bar of one pixel
        ((1080, 1080), (1920, 1080), (1080, 1080, 420, 0)),
        ((1080, 1920), (1920, 1080), (608, 1080, 656, 0)),
        ((1920, 800), (1920, 1080), (1920, 800, 0, 140)),
    ],
)
def test_an_image_lies_in_the_middle(
    source: tuple[int, int], target: tuple[int, int], expected: tuple[int, int, int, int]
) -> None:
    assert place_image(source, target) == expected


@given(source=st.tuples(even_side, even_side), target=st.tuples(even_side, even_side))
def test_a_placed_image_is_even_inside_and_centered(source: tuple[int, int], target: tuple[int, int]) -> None:
    width, height, x, y = place_image(source, target)
    assert all(number % 2 == 0 for number in (width, height, x, y))
    assert min(x, y) >= 0
    assert x + width <= target[0]
    assert y + height <= target[1]
    # As far from one side as from the other, but for the rounding to even numbers.
    assert abs(target[0] - width - 2 * x) <= 2
    assert abs(target[1] - height - 2 * y) <= 2
    assert width == target[0] or height == target[1]
