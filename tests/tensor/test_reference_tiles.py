"""References that are not square, cut into tiles."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from custom_nodes.videogen.tensor.ip_adapter.reference_tiles import cut_tiles, tile_masks

SIZES = [(224, 448), (448, 224), (300, 1000), (1000, 301), (512, 512), (500, 401), (97, 1), (4000, 500), (333, 337)]


@pytest.mark.parametrize("size", SIZES)
def test_tiles_are_squares_that_cover_the_picture(size: tuple[int, int]) -> None:
    width, height = size
    tiles = cut_tiles(width, height)
    short, long = min(size), max(size)
    if long / short < 1.33:
        assert len(tiles) == 4  # 2 × 2 of the middle square
    else:
        assert len(tiles) == min(4, math.ceil(long / short))
    covered = torch.zeros(height, width)
    for tile in tiles:
        left, top, right, bottom = tile.box
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert right - left == bottom - top
        covered[top:bottom, left:right] = 1
    used = (short, short) if len(tiles) == 4 and long / short < 1.33 else (short, min(long, 4 * short))
    assert covered.sum() == used[0] * used[1]
    # What is left out is the same on both sides.
    assert abs(int(covered.any(0).int().argmax()) * 2 - (width - int(covered.any(0).sum()))) <= 1


@pytest.mark.parametrize("size", SIZES)
def test_masks_add_up_to_one_everywhere(size: tuple[int, int]) -> None:
    tiles = cut_tiles(*size)
    masks = tile_masks(tiles, *size)
    assert masks.shape[:2] == (len(tiles), 1)
    torch.testing.assert_close(masks.sum(0), torch.ones_like(masks[0]))


def test_neighbors_share_what_both_show() -> None:
    """3 tiles of 300×300 in 1000×300... are 4: each is a quarter of the frame and a bit."""
    tiles = cut_tiles(1000, 300)
    assert [tile.box for tile in tiles] == [
        (0, 0, 300, 300),
        (233, 0, 533, 300),
        (467, 0, 767, 300),
        (700, 0, 1000, 300),
    ]
    masks = tile_masks(tiles, 1000, 300, torch.ones(1, 3, 1000))[:, 0, 1]
    assert masks[:, 100].tolist() == [1, 0, 0, 0]
    assert masks[:, 250].tolist() == [0.5, 0.5, 0, 0]
    assert masks[:, 600].tolist() == [0, 0, 1, 0]


def test_tiles_act_inside_another_mask_only() -> None:
    tiles = cut_tiles(448, 224)
    left_half = torch.zeros(2, 4, 8)
    left_half[:, :, :4] = 0.5
    masks = tile_masks(tiles, 448, 224, left_half)
    assert masks.shape == (2, 2, 4, 8)
    assert masks[0, :, :, :4].unique().tolist() == [0.5]
    assert not masks[1].any()
