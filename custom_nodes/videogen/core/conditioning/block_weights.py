"""Weights by the number of a block in the UNet's order, as ComfyUI_IPAdapter_plus counts them.

Blocks are counted from 0 over the input blocks that have cross-attention, the middle block, and the output blocks: 16 in SD 1.5
(inputs 0 to 5, middle 6, outputs 7 to 15), 11 in SDXL (inputs 0 to 3, middle 4, outputs 5 to 10).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..errors import VideoGenError

#: Range of the share of a block, as that of a weight.
SHARE_RANGE = (-5.0, 5.0)


@dataclass(frozen=True)
class NumberedPattern:
    """Shares of the weight by block.

    Attributes:
        first: block → share of the weight.
        second: block → share of the second part's weight.
        reversed: the blocks in which the negative prompt sees the image, in place of the positive one.
    """

    first: Mapping[int, float]
    second: Mapping[int, float]
    reversed: frozenset[int] = field(default=frozenset())

    def share(self, block: int, other: float) -> float:
        """The share of a block, `other` being that of the second part."""
        return self.first.get(block, 0.0) + self.second.get(block, 0.0) * other


def _each(blocks: Iterable[int], share: float = 1.0) -> dict[int, float]:
    return dict.fromkeys(blocks, share)


#: weight type → number of blocks of the UNet → shares. From ComfyUI_IPAdapter_plus (`ipadapter_execute` in IPAdapterPlus.py and
#: `ipadapter_attention` in CrossAttentionPatch.py), which counts blocks 4, by a quarter, and 5 of SD 1.5 as composition.
NUMBERED_TYPES: dict[str, dict[int, NumberedPattern]] = {
    "style transfer precise": {
        11: NumberedPattern({6: 1.0}, {3: 1.0}, frozenset({3})),
        16: NumberedPattern(_each((0, 1, 2, 3, *range(9, 16))), {4: 0.25, 5: 1.0}, frozenset({4, 5})),
    },
    "composition precise": {
        11: NumberedPattern({3: 1.0}, {**_each(range(11), 0.1), 3: 0.0, 6: 1.0}, frozenset(range(11)) - frozenset({3})),
        16: NumberedPattern(
            {4: 0.25, 5: 1.0},
            {**_each((0, 1, 2, 3, *range(9, 16))), **_each((6, 7, 8), 0.1)},
            frozenset(range(16)) - frozenset({4, 5}),
        ),
    },
    "strong style and composition": {
        11: NumberedPattern({**_each(range(11)), 3: 0.0}, {3: 1.0}),
        16: NumberedPattern({**_each(range(16)), 4: 0.0, 5: 0.0}, {4: 1.0, 5: 1.0}),
    },
}

_PAIR = re.compile(r"(\d+)\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


def parse_block_weights(text: str) -> dict[int, float] | None:
    """Shares by block out of ``3: 1, 6: 0.5``, with commas or lines in between; None for an empty text.

    Raises:
        VideoGenError: `widget-invalid`, which quotes the part that cannot be read.
    """
    weights: dict[int, float] = {}
    low, high = SHARE_RANGE
    for part in (part.strip() for part in re.split(r"[,;\n]", text)):
        if not part:
            continue
        match = _PAIR.fullmatch(part)
        share = float(match[2]) if match else math.nan
        if match is None or not low <= share <= high:
            raise VideoGenError(
                "widget-invalid",
                f"`layer_weights` has {part!r}, expected the number of a block, a colon, and its share of the weight,"
                f" {low:g} to {high:g}",
                "Write for example 3: 1, 6: 0.5.",
            )
        if int(match[1]) in weights:
            raise VideoGenError("widget-invalid", f"`layer_weights` has block {int(match[1])} twice")
        weights[int(match[1])] = share
    return weights or None


def require_blocks(block_weights: Mapping[int, float], count: int) -> None:
    """Check that a UNet with `count` blocks has all blocks that are named.

    Raises:
        VideoGenError: `widget-invalid`.
    """
    unknown = sorted(number for number in block_weights if number >= count)
    if unknown:
        raise VideoGenError(
            "widget-invalid",
            f"`layer_weights` has block {unknown[0]}, and this model has blocks 0 to {count - 1}",
            "SD 1.5 has 16 blocks with cross-attention, SDXL 11.",
        )
