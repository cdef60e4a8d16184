"""Masks against the frames that they are for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.conditioning.mask_fit import require_mask_fit
from custom_nodes.videogen.core.errors import VideoGenError

HD = (24, 90, 160)  # 24 frames of 1280×720


@pytest.mark.parametrize(
    "mask",
    [
        (1, 720, 1280),
        (24, 720, 1280),
        (1, 90, 160),
        (1, 2160, 3840),
        (1, 9, 16),
        (1, 1, 1),
        (1, 712, 1280),
        (1, 727, 1280),
    ],
)
def test_masks_of_the_frames_shape(mask: tuple[int, int, int]) -> None:
    require_mask_fit(mask, HD)


@pytest.mark.parametrize(
    "mask", [(1, 720, 720), (1, 1280, 720), (1, 480, 640), (1, 9, 9), (1, 700, 1280), (1, 740, 1280)]
)
def test_masks_of_another_shape(mask: tuple[int, int, int]) -> None:
    with pytest.raises(VideoGenError, match=f"`mask` is {mask[2]}×{mask[1]}, and the frames are 1280×720") as caught:
        require_mask_fit(mask, HD)
    assert caught.value.code == "mask-invalid"
    assert "one of the same shape" in caught.value.hint


def test_an_image_without_alpha() -> None:
    with pytest.raises(VideoGenError, match="64×64") as caught:
        require_mask_fit((1, 64, 64), HD)
    assert "without an alpha channel" in caught.value.hint
    require_mask_fit((1, 64, 64), (1, 64, 64))


@pytest.mark.parametrize(
    ("count", "frames", "shown"), [(2, 24, "24 frames"), (24, 1, "1 frame"), (25, 24, "24 frames")]
)
def test_as_many_masks_as_frames(count: int, frames: int, shown: str) -> None:
    with pytest.raises(
        VideoGenError, match=f"`left` has {count} masks for {shown}, expected one for all or one a frame"
    ):
        require_mask_fit((count, 720, 1280), (frames, 90, 160), "left")


@given(st.integers(16, 4096), st.integers(16, 4096), st.sampled_from([1, 8]))
def test_a_mask_in_the_size_that_was_asked_for_always_fits(width: int, height: int, divisor: int) -> None:
    """Nodes cut a size to whole latent cells; masks are made in the size as it was asked for, or in latent cells."""
    require_mask_fit((1, max(1, height // divisor), max(1, width // divisor)), (1, height // 8, width // 8))
