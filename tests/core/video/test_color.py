"""What a video's colors are: by its tags, and by its size where it has none."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.video.color import FULL, LIMITED, ColorTags, read_colors

HD, SD = (1920, 1080), (854, 480)


@pytest.mark.parametrize(
    ("size", "matrix"),
    [
        ((640, 360), "BT.601"),
        ((854, 480), "BT.601"),
        ((1024, 576), "BT.601"),
        ((480, 854), "BT.709"),
        ((1280, 544), "BT.709"),
        ((1280, 720), "BT.709"),
        ((720, 1280), "BT.709"),
        ((3840, 2160), "BT.709"),
    ],
)
def test_a_video_without_tags_is_read_by_its_size_as_players_do(size: tuple[int, int], matrix: str) -> None:
    colors = read_colors(ColorTags(), size, "yuv420p")
    assert (colors.describe(), colors.guessed) == (matrix, True)


def test_tags_count_before_the_size() -> None:
    assert read_colors(ColorTags(matrix=1), SD, "yuv420p").fits_film
    assert read_colors(ColorTags(matrix=6), HD, "yuv420p").describe() == "BT.601"
    assert not read_colors(ColorTags(matrix=6), HD, "yuv420p").guessed


def test_the_primaries_tell_a_matrix_that_has_no_tag() -> None:
    assert read_colors(ColorTags(primaries=9), HD, "yuv420p10le").describe() == "BT.2020"
    assert read_colors(ColorTags(primaries=1), SD, "yuv420p").describe() == "BT.709"


def test_full_range_is_told_by_the_tag_or_by_the_format() -> None:
    assert not read_colors(ColorTags(matrix=1, range=LIMITED), HD, "yuv420p").full
    assert read_colors(ColorTags(matrix=1, range=FULL), HD, "yuv420p").full
    assert read_colors(ColorTags(matrix=1), HD, "yuvj420p").full
    assert not read_colors(ColorTags(matrix=1, range=FULL), HD, "yuv420p").fits_film


def test_bt601_has_the_primaries_of_srgb_unless_they_are_tagged() -> None:
    assert not read_colors(ColorTags(matrix=6), SD, "yuv420p").needs_management
    assert read_colors(ColorTags(matrix=6, primaries=6), SD, "yuv420p").needs_management


def test_wide_color_and_hdr_need_more_than_a_matrix() -> None:
    assert read_colors(ColorTags(matrix=9), HD, "yuv420p10le").needs_management
    pq = read_colors(ColorTags(9, 9, 16, LIMITED), HD, "yuv420p10le")
    assert (pq.is_hdr, pq.describe()) == (True, "BT.2020, HDR (PQ)")
    assert read_colors(ColorTags(9, 9, 18, LIMITED), HD, "yuv420p10le").describe() == "BT.2020, HDR (HLG)"


def test_rgb_has_no_matrix_and_all_levels() -> None:
    colors = read_colors(ColorTags(matrix=0), SD, "gbrp")
    assert (colors.full, colors.guessed, colors.needs_management) == (True, False, False)


def test_a_matrix_that_cannot_be_converted_is_refused() -> None:
    with pytest.raises(ValueError, match="matrix 8"):
        read_colors(ColorTags(matrix=8), HD, "yuv420p")
