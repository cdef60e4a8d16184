"""A reference image that is not square, cut into squares that each act in their own part of the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Aspect ratios (longer side / shorter side) up to which an image is cropped to a square of 2 × 2 tiles, and the most tiles of
#: a longer one: as IPAdapterTiled of ComfyUI_IPAdapter_plus, whose limits are 0.75 to 1.33 and 4.
_NEARLY_SQUARE, MAX_TILES = 1.33, 4
#: Longer side in pixels of the tiles' masks where no other mask sets their size.
_MASK_SIDE = 512


@dataclass(frozen=True)
class Tile:
    """A square of an image.

    Attributes:
        box: left, top, right, bottom in the image's pixels.
        place: left, top, right, bottom as shares of the part of the image that is used, which is the frame.
    """

    box: tuple[int, int, int, int]
    place: tuple[float, float, float, float]


def cut_tiles(width: int, height: int) -> list[Tile]:
    """The tiles of an image of this size, row by row.

    Nearly square: 2 × 2 tiles of the middle square. Otherwise as few squares of the shorter side as cover the longer one, which
    overlap evenly; of an image longer than `MAX_TILES` squares, its middle.
    """
    short, long = min(width, height), max(width, height)
    if long / short < _NEARLY_SQUARE:
        side, used_width, used_height = (short + 1) // 2, short, short
        columns = rows = 2
    else:
        side, used = short, min(long, short * MAX_TILES)
        count = math.ceil(used / short)
        used_width, used_height = (used, short) if width > height else (short, used)
        columns, rows = (count, 1) if width > height else (1, count)
    left, top = (width - used_width) // 2, (height - used_height) // 2
    tiles = []
    for y in _starts(used_height, side, rows):
        for x in _starts(used_width, side, columns):
            place = (x / used_width, y / used_height, (x + side) / used_width, (y + side) / used_height)
            tiles.append(Tile((left + x, top + y, left + x + side, top + y + side), place))
    return tiles


def tile_masks(tiles: list[Tile], width: int, height: int, mask: Tensor | None = None) -> Tensor:
    """Where each tile acts, (tiles, 1 or masks, rows, columns): a sum of 1 everywhere, tiles that overlap share their area.

    Args:
        width, height: of the image, whose shape the masks have without `mask`.
        mask: (masks, rows, columns): the tiles act inside it only.
    """
    if mask is None:
        scale = _MASK_SIDE / max(width, height)
        rows, columns = max(8, round(height * scale)), max(8, round(width * scale))
    else:
        rows, columns = mask.shape[1:]
    areas = torch.zeros(len(tiles), 1, rows, columns)
    for area, tile in zip(areas, tiles, strict=True):
        left, top, right, bottom = tile.place
        area[0, round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)] = 1
    areas /= areas.sum(dim=0, keepdim=True).clamp(min=1)
    return areas if mask is None else areas * mask[None].to(areas)


def _starts(length: int, side: int, count: int) -> list[int]:
    return [0] if count == 1 else [round(index * (length - side) / (count - 1)) for index in range(count)]
