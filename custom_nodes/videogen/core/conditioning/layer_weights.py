"""Weights of an image in the cross-attention layers of a UNet: named patterns, as one number a layer.

A layer is named by ComfyUI's block: ``("input", 4, 1)`` is the second transformer layer in input block 4. Layers are in
the order of IP-Adapter's files: input blocks, then output blocks, then the middle block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import VideoGenError
from ..widget_checks import check_choice, check_range
from .block_weights import NUMBERED_TYPES, require_blocks

#: (part, block, transformer layer), as ComfyUI names a cross-attention layer.
Layer = tuple[str, int, int]
#: (part, block): the unit of a pattern; the transformer layers of one block always have the same weight.
Block = tuple[str, int]

#: Range of the weight of an image. Above 1 the image dominates more and more; below 0 it pushes away from the image.
WEIGHT_RANGE = (-1.0, 3.0)

#: Share of a weak part, and the floor of the slopes; as in ComfyUI_IPAdapter_plus, so that its settings carry over.
_WEAK, _FLOOR = 0.2, 0.05


@dataclass(frozen=True)
class Place:
    """Position of a block in the UNet: `depth` is 0 at its beginning and grows towards 1."""

    part: str
    depth: float


#: weight type → share of the weight in a block. The formulas are ComfyUI_IPAdapter_plus's (CrossAttentionPatch.py), whose
#: depth is the block's number in the UNet's order, divided by the number of blocks that have cross-attention.
_SLOPES: dict[str, Callable[[Place], float]] = {
    "linear": lambda place: 1.0,
    "ease in": lambda place: _slope(1 - place.depth),
    "ease out": lambda place: _slope(place.depth),
    "ease in-out": lambda place: _slope(1 - abs(2 * place.depth - 1)),
    "reverse in-out": lambda place: _slope(abs(2 * place.depth - 1)),
    "weak input": lambda place: _WEAK if place.part == "input" else 1.0,
    "weak middle": lambda place: _WEAK if place.part == "middle" else 1.0,
    "weak output": lambda place: _WEAK if place.part == "output" else 1.0,
    "strong middle": lambda place: 1.0 if place.part == "middle" else _WEAK,
    "prompt is more important": lambda place: _slope(place.depth),
}

#: input blocks with cross-attention → (blocks that carry style, blocks that carry composition).
#: SDXL: InstantStyle (Wang et al. 2024, arXiv 2404.02733, section 3): up_blocks.0.attentions.1 and down_blocks.2.attentions.1,
#: which diffusers' `set_ip_adapter_scale` documents as well. SD 1.5: the authors' infer_style_sd15.py, "experimental, not
#: obvious as SDXL": up_blocks.1, and down_blocks.2 with mid_block.
_STYLE_AND_COMPOSITION: dict[tuple[int, ...], tuple[frozenset[Block], frozenset[Block]]] = {
    (4, 5, 7, 8): (frozenset({("output", 1)}), frozenset({("input", 8)})),
    (1, 2, 4, 5, 7, 8): (
        frozenset({("output", 3), ("output", 4), ("output", 5)}),
        frozenset({("input", 7), ("input", 8), ("middle", 0)}),
    ),
}

#: weight type → whether a block takes part, by whether it carries style and whether it carries composition.
_CHOICES: dict[str, Callable[[bool, bool], bool]] = {
    "style transfer": lambda style, composition: style,
    "strong style transfer": lambda style, composition: not composition,
    "composition": lambda style, composition: composition,
    "style and composition": lambda style, composition: style or composition,
}

#: All names, in the order in which a widget shows them. Saved workflows contain them.
WEIGHT_TYPES = (*_SLOPES, *_CHOICES, *NUMBERED_TYPES)


@dataclass(frozen=True)
class LayerWeights:
    """The weight of an image in each cross-attention layer.

    Attributes:
        weights: one per layer.
        reversed: for each layer whether the negative prompt sees the image there in place of the positive one, which pushes the
            result away from it.
    """

    weights: tuple[float, ...]
    reversed: tuple[bool, ...]

    def __mul__(self, factor: float) -> LayerWeights:
        return LayerWeights(tuple(weight * factor for weight in self.weights), self.reversed)


def choose_layers(
    weight_type: str,
    weight: float,
    layers: Sequence[Layer],
    *,
    other: float = 1.0,
    block_weights: Mapping[int, float] | None = None,
) -> LayerWeights:
    """The weight of each of `layers`, in their order, and where it acts on the negative prompt.

    Args:
        weight_type: one of `WEIGHT_TYPES`.
        weight: weight of a layer that takes part in full.
        layers: all cross-attention layers of a UNet, for example the 16 of SD 1.5 or the 70 of SDXL.
        other: of types with two parts, the weight of the second one, as a share of `weight`: the composition in "style and
            composition" and "strong style and composition", the layers that are reversed in the precise ones.
        block_weights: number of a block in the UNet's order → share of the weight there, in place of the type's; a block that is
            not named has none. Which layers are reversed stays the type's choice.

    Raises:
        VideoGenError: `widget-invalid` for an unknown type or block, or a choice of blocks in a UNet that it is not known for.
    """
    blocks = [(part, block) for part, block, _ in layers]
    number_of = {block: number for number, block in enumerate(_order(blocks))}
    numbers = [number_of[block] for block in blocks]
    flipped = (False,) * len(layers)
    if weight_type in NUMBERED_TYPES:
        pattern = NUMBERED_TYPES[weight_type].get(len(number_of))
        if pattern is None:
            raise _unknown_unet(weight_type, blocks)
        flipped = tuple(number in pattern.reversed for number in numbers)
        weights = tuple(weight * pattern.share(number, other) for number in numbers)
    else:
        weights = _weigh_named(weight_type, weight, layers)
        if weight_type == "style and composition" and other != 1:
            _, composition = _STYLE_AND_COMPOSITION[_input_blocks(blocks)]
            weights = tuple(
                share * other if block in composition else share for share, block in zip(weights, blocks, strict=True)
            )
    if block_weights is not None:
        require_blocks(block_weights, len(number_of))
        weights = tuple(weight * block_weights.get(number, 0.0) for number in numbers)
    return LayerWeights(weights, flipped)


def weigh_layers(weight_type: str, weight: float, layers: Sequence[Layer]) -> tuple[float, ...]:
    """The weights of `choose_layers`, with its defaults."""
    return choose_layers(weight_type, weight, layers).weights


def _weigh_named(weight_type: str, weight: float, layers: Sequence[Layer]) -> tuple[float, ...]:
    """The weights of a type that goes by slopes, or by the blocks of style and composition."""
    blocks = [(part, block) for part, block, _ in layers]
    if weight_type in _SLOPES:
        order = _order(blocks)
        share = {
            block: _SLOPES[weight_type](Place(block[0], number / len(order))) for number, block in enumerate(order)
        }
        return tuple(weight * share[block] for block in blocks)
    check_choice("weight_type", weight_type, WEIGHT_TYPES)
    inputs = _input_blocks(blocks)
    if inputs not in _STYLE_AND_COMPOSITION:
        raise _unknown_unet(weight_type, blocks)
    style, composition = _STYLE_AND_COMPOSITION[inputs]
    takes_part = _CHOICES[weight_type]
    return tuple(weight if takes_part(block in style, block in composition) else 0.0 for block in blocks)


def check_weight(weight: float, name: str = "weight") -> float:
    """The weight, if it is valid.

    Raises:
        VideoGenError: `widget-invalid` when it is not a number or outside `WEIGHT_RANGE`.
    """
    check_range(name, weight, *WEIGHT_RANGE)
    return weight


def _unknown_unet(weight_type: str, blocks: Sequence[Block]) -> VideoGenError:
    inputs = _input_blocks(blocks)
    return VideoGenError(
        "widget-invalid",
        f"`weight_type` {weight_type!r} is known for SD 1.5 and SDXL; this model has cross-attention in the input blocks"
        f" {', '.join(map(str, inputs)) or 'none'}",
        "Choose another weight type, for example linear.",
    )


def _input_blocks(blocks: Sequence[Block]) -> tuple[int, ...]:
    return tuple(sorted({number for part, number in blocks if part == "input"}))


def _slope(height: float) -> float:
    return _FLOOR + (1 - _FLOOR) * height


def _order(blocks: Sequence[Block]) -> list[Block]:
    """The blocks in the order in which the UNet runs: input, middle, output."""
    parts = {"input": 0, "middle": 1, "output": 2}
    return sorted(set(blocks), key=lambda block: (parts[block[0]], block[1]))
