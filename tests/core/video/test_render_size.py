"""The size that a model renders in."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.render_size import (
    MAX_MEGAPIXELS,
    MIN_MEGAPIXELS,
    MULTIPLES,
    NATIVE_MEGAPIXELS,
    fit_cover,
    fit_render_size,
)

FULL_HD = (1920, 1080)


@pytest.mark.parametrize(
    ("size", "megapixels", "multiple", "expected"),
    [
        (FULL_HD, NATIVE_MEGAPIXELS["SD 1.5"], 64, (896, 512)),
        (FULL_HD, NATIVE_MEGAPIXELS["SD 1.5"], 8, (896, 504)),
        (FULL_HD, NATIVE_MEGAPIXELS["SD 2"], 64, (1024, 576)),
        (FULL_HD, NATIVE_MEGAPIXELS["SDXL"], 64, (1344, 768)),
        (FULL_HD, 0.33, 64, (768, 448)),
        ((1080, 1920), NATIVE_MEGAPIXELS["SDXL"], 64, (768, 1344)),
        ((1000, 1000), NATIVE_MEGAPIXELS["SDXL"], 64, (1024, 1024)),
        ((512, 512), 0.0165, 8, (128, 128)),
    ],
)
def test_sizes_that_the_models_are_used_at(
    size: tuple[int, int], megapixels: float, multiple: int, expected: tuple[int, int]
) -> None:
    assert fit_render_size(size, megapixels, multiple) == expected


@given(
    st.tuples(st.integers(16, 8192), st.integers(16, 8192)).filter(lambda size: 1 / 8 <= size[0] / size[1] <= 8),
    st.floats(MIN_MEGAPIXELS, MAX_MEGAPIXELS),
    st.sampled_from(MULTIPLES),
)
def test_every_size_can_be_sampled_and_is_near_to_what_was_asked(
    size: tuple[int, int], megapixels: float, multiple: int
) -> None:
    width, height = fit_render_size(size, megapixels, multiple)
    assert width % multiple == height % multiple == 0
    assert min(width, height) >= multiple
    if megapixels >= 0.5:
        assert 0.6 <= width * height / (megapixels * 1e6) <= 1.6
        assert 0.75 <= width / height / (size[0] / size[1]) <= 1.34


@given(
    st.integers(64, 4096), st.integers(64, 4096), st.floats(MIN_MEGAPIXELS, MAX_MEGAPIXELS), st.sampled_from(MULTIPLES)
)
@example(3522, 1252, 1.0, 32)
def test_a_turned_film_gets_the_turned_size(width: int, height: int, megapixels: float, multiple: int) -> None:
    turned = fit_render_size((height, width), megapixels, multiple)
    assert fit_render_size((width, height), megapixels, multiple) == turned[::-1]


@pytest.mark.parametrize("megapixels", [0.0, -1.0, 0.001, 100.0, float("nan")])
def test_no_number_of_pixels_for_an_image(megapixels: float) -> None:
    with pytest.raises(VideoGenError, match=r"`megapixels` is .*, expected 0.002 to 16"):
        fit_render_size(FULL_HD, megapixels, 64)


def test_an_odd_multiple() -> None:
    with pytest.raises(VideoGenError, match="`multiple` is 7, expected one of 8, 16, 32, 64"):
        fit_render_size(FULL_HD, 1.0, 7)


@pytest.mark.parametrize(
    ("source", "target", "box"),
    [
        ((1344, 768), FULL_HD, (0, 6, 1344, 762)),
        ((704, 384), FULL_HD, (10.666666666666686, 0, 693.3333333333333, 384)),
        ((640, 360), FULL_HD, (0, 0, 640, 360)),
        ((640, 360), (100, 100), (140, 0, 500, 360)),
    ],
)
def test_what_is_kept_of_an_image(
    source: tuple[int, int], target: tuple[int, int], box: tuple[float, float, float, float]
) -> None:
    assert fit_cover(source, target) == pytest.approx(box)
