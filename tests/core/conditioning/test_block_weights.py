"""Weight types and weights that go by the number of a block, against the tables of ComfyUI_IPAdapter_plus."""

from __future__ import annotations

import pytest

from custom_nodes.videogen.core.conditioning.block_weights import parse_block_weights
from custom_nodes.videogen.core.conditioning.layer_weights import Layer, choose_layers, weigh_layers
from custom_nodes.videogen.core.errors import VideoGenError

#: The blocks with cross-attention in the UNet's order, with the layers in each: what `transformer_index` counts there.
BLOCKS = {
    "SD 1.5": [
        *(("input", number, 1) for number in (1, 2, 4, 5, 7, 8)),
        ("middle", 0, 1),
        *(("output", number, 1) for number in range(3, 12)),
    ],
    "SDXL": [
        *(("input", number, depth) for number, depth in ((4, 2), (5, 2), (7, 10), (8, 10))),
        ("middle", 0, 10),
        *(("output", number, 10) for number in (0, 1, 2)),
        *(("output", number, 2) for number in (3, 4, 5)),
    ],
}


def in_files_order(family: str) -> tuple[list[Layer], list[int]]:
    """The layers in the order of IP-Adapter's files (middle last), and the number of each one's block."""
    parts = {"input": 0, "output": 1, "middle": 2}
    found = [
        (part, block, index, number)
        for number, (part, block, depth) in enumerate(BLOCKS[family])
        for index in range(depth)
    ]
    found.sort(key=lambda one: parts[one[0]])
    return [(part, block, index) for part, block, index, _ in found], [number for *_, number in found]


def theirs(weight_type: str, family: str, w: float, other: float) -> tuple[dict[int, float], set[int]]:
    """The weights by `transformer_index` and the blocks whose cond and uncond are exchanged, written after their README's
    and sources' tables: other is `style_boost`, `composition_boost` or `weight_composition`."""
    xl = family == "SDXL"
    every = range(11 if xl else 16)
    if weight_type == "style transfer precise":
        weights = (
            {3: other, 6: w} if xl else {**dict.fromkeys((0, 1, 2, 3, *range(9, 16)), w), 4: other * 0.25, 5: other}
        )
        return weights, {3} if xl else {4, 5}
    if weight_type == "composition precise":
        if xl:
            return {**dict.fromkeys(every, other * 0.1), 3: w, 6: other}, set(every) - {3}
        weights = dict.fromkeys((0, 1, 2, 3, *range(9, 16)), other)
        return {**weights, **dict.fromkeys((6, 7, 8), other * 0.1), 4: w * 0.25, 5: w}, set(every) - {4, 5}
    composition = {3} if xl else {4, 5}
    return {k: other if k in composition else w for k in every}, set()


@pytest.mark.parametrize("family", BLOCKS)
@pytest.mark.parametrize(
    "weight_type", ["style transfer precise", "composition precise", "strong style and composition"]
)
@pytest.mark.parametrize(("weight", "other"), [(1.0, 1.0), (0.8, 2.5), (1.2, 0.0), (-0.5, 0.5)])
def test_numbered_types_are_theirs(family: str, weight_type: str, weight: float, other: float) -> None:
    layers, numbers = in_files_order(family)
    found = choose_layers(weight_type, weight, layers, other=other)
    weights, exchanged = theirs(weight_type, family, weight, weight * other)
    assert found.weights == pytest.approx([weights.get(number, 0.0) for number in numbers])
    assert found.reversed == tuple(number in exchanged for number in numbers)


def test_other_weighs_the_composition_of_style_and_composition() -> None:
    layers, numbers = in_files_order("SDXL")
    found = choose_layers("style and composition", 0.8, layers, other=0.5)
    assert found.weights == pytest.approx([{6: 0.8, 3: 0.4}.get(number, 0.0) for number in numbers])
    assert choose_layers("linear", 0.8, layers, other=0.5).weights == weigh_layers("linear", 0.8, layers)


@pytest.mark.parametrize("family", BLOCKS)
def test_weights_by_block_replace_those_of_the_type(family: str) -> None:
    layers, numbers = in_files_order(family)
    given = parse_block_weights("0:1, 3: 0.5\n6:-1.5, 10:.25,")
    assert given == {0: 1.0, 3: 0.5, 6: -1.5, 10: 0.25}
    found = choose_layers("ease in", 0.8, layers, block_weights=given)
    assert found.weights == pytest.approx([0.8 * given.get(number, 0.0) for number in numbers])
    precise = choose_layers("style transfer precise", 1.0, layers, block_weights=given)
    assert precise.reversed == choose_layers("style transfer precise", 1.0, layers).reversed


@pytest.mark.parametrize("text", ["", " ", "\n,\n"])
def test_no_weights_by_block(text: str) -> None:
    assert parse_block_weights(text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("3", "has '3', expected the number of a block, a colon"),
        ("3: 1, six: 1", "has 'six: 1'"),
        ("3: nan", "has '3: nan'"),
        ("3: 99", "has '3: 99'"),
        ("3: 1 6: 1", "has '3: 1 6: 1'"),
        ("3: 1, 3: 2", "has block 3 twice"),
    ],
)
def test_what_cannot_be_read_is_quoted(text: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=f"`layer_weights` {said}") as caught:
        parse_block_weights(text)
    assert caught.value.code == "widget-invalid"


def test_blocks_and_unets_that_are_not_there() -> None:
    layers, _ = in_files_order("SDXL")
    with pytest.raises(VideoGenError, match="`layer_weights` has block 11, and this model has blocks 0 to 10"):
        choose_layers("linear", 1.0, layers, block_weights={11: 1.0})
    with pytest.raises(VideoGenError, match=r"'composition precise' is known for SD 1\.5 and SDXL"):
        choose_layers("composition precise", 1.0, layers[:8])
