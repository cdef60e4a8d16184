"""Weight by layer: names to numbers."""

from __future__ import annotations

import math

import pytest

from custom_nodes.videogen.core.conditioning.layer_weights import WEIGHT_TYPES, Layer, check_weight, weigh_layers
from custom_nodes.videogen.core.errors import VideoGenError


def _layers(*blocks: tuple[str, int, int]) -> list[Layer]:
    """Layers out of (part, block, depth of its transformer)."""
    return [(part, block, index) for part, block, depth in blocks for index in range(depth)]


#: In the order of IP-Adapter's files: input, output, middle.
SD15 = _layers(
    *(("input", number, 1) for number in (1, 2, 4, 5, 7, 8)),
    *(("output", number, 1) for number in range(3, 12)),
    ("middle", 0, 1),
)
SDXL = _layers(
    *(("input", number, 2) for number in (4, 5)),
    *(("input", number, 10) for number in (7, 8)),
    *(("output", number, 10) for number in (0, 1, 2)),
    *(("output", number, 2) for number in (3, 4, 5)),
    ("middle", 0, 10),
)
TOPOLOGIES = {"SD 1.5": SD15, "SDXL": SDXL}


def _active(weight_type: str, layers: list[Layer]) -> set[tuple[str, int]]:
    weights = weigh_layers(weight_type, 1.0, layers)
    assert set(weights) <= {0.0, 1.0}
    return {(part, block) for (part, block, _), weight in zip(layers, weights, strict=True) if weight}


def test_the_published_number_of_layers() -> None:
    assert (len(SD15), len(SDXL)) == (16, 70)


def test_names_are_for_ever() -> None:
    assert WEIGHT_TYPES == (
        "linear",
        "ease in",
        "ease out",
        "ease in-out",
        "reverse in-out",
        "weak input",
        "weak middle",
        "weak output",
        "strong middle",
        "prompt is more important",
        "style transfer",
        "strong style transfer",
        "composition",
        "style and composition",
        "style transfer precise",
        "composition precise",
        "strong style and composition",
    )


@pytest.mark.parametrize("layers", TOPOLOGIES.values(), ids=TOPOLOGIES)
@pytest.mark.parametrize("weight_type", WEIGHT_TYPES)
def test_every_type_scales_with_the_weight(weight_type: str, layers: list[Layer]) -> None:
    whole, half, off, away = (weigh_layers(weight_type, weight, layers) for weight in (1.0, 0.5, 0.0, -1.0))
    assert len(whole) == len(layers)
    assert all(0.0 <= weight <= 1.0 for weight in whole)
    assert any(whole)
    assert half == pytest.approx([weight / 2 for weight in whole])
    assert not any(off)
    assert away == pytest.approx([-weight for weight in whole])


@pytest.mark.parametrize("layers", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_linear_is_the_same_everywhere(layers: list[Layer]) -> None:
    assert set(weigh_layers("linear", 0.8, layers)) == {0.8}


def test_ease_runs_in_the_order_of_the_unet_and_not_of_the_file() -> None:
    """The middle is last in the file, and comes between input and output."""
    weights = dict(zip(SD15, weigh_layers("ease in", 1.0, SD15), strict=True))
    order = [*SD15[:6], SD15[-1], *SD15[6:-1]]
    falling = [weights[layer] for layer in order]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] == 1.0
    # ComfyUI_IPAdapter_plus: 0.05 + 0.95 · (1 - 6 / 16) in the middle, which is the seventh of sixteen.
    assert weights["middle", 0, 0] == pytest.approx(0.05 + 0.95 * (1 - 6 / 16))
    assert weights["output", 11, 0] == pytest.approx(0.05 + 0.95 / 16)


def test_ease_treats_all_layers_of_a_transformer_alike() -> None:
    weights = dict(zip(SDXL, weigh_layers("ease out", 1.0, SDXL), strict=True))
    # Eleven transformers; the first, the one in the middle, which is the fifth, and the last.
    for block, depth, number in ((("input", 4), 2, 0), (("middle", 0), 10, 4), (("output", 5), 2, 10)):
        found = [weights[(*block, index)] for index in range(depth)]
        assert found == pytest.approx([0.05 + 0.95 * number / 11] * depth)


@pytest.mark.parametrize("layers", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_slopes_mirror_each_other(layers: list[Layer]) -> None:
    for one, other in (("ease in", "ease out"), ("ease in-out", "reverse in-out")):
        pairs = zip(weigh_layers(one, 1.0, layers), weigh_layers(other, 1.0, layers), strict=True)
        assert [left + right for left, right in pairs] == pytest.approx([1.05] * len(layers))
    assert weigh_layers("prompt is more important", 0.7, layers) == weigh_layers("ease out", 0.7, layers)


@pytest.mark.parametrize(
    ("weight_type", "weak"),
    [
        ("weak input", {"input"}),
        ("weak middle", {"middle"}),
        ("weak output", {"output"}),
        ("strong middle", {"input", "output"}),
    ],
)
@pytest.mark.parametrize("layers", TOPOLOGIES.values(), ids=TOPOLOGIES)
def test_a_weak_part_keeps_a_fifth(weight_type: str, weak: set[str], layers: list[Layer]) -> None:
    weights = weigh_layers(weight_type, 1.0, layers)
    assert {part for (part, _, _), weight in zip(layers, weights, strict=True) if weight == 0.2} == weak
    assert set(weights) == {0.2, 1.0}


def test_instant_style_in_sdxl() -> None:
    """diffusers' ``{"up": {"block_0": [0, 1, 0]}}`` and ``{"down": {"block_2": [0, 1]}}``."""
    assert _active("style transfer", SDXL) == {("output", 1)}
    assert _active("composition", SDXL) == {("input", 8)}
    assert _active("style and composition", SDXL) == {("output", 1), ("input", 8)}
    assert _active("strong style transfer", SDXL) == {layer[:2] for layer in SDXL} - {("input", 8)}
    assert sum(weigh_layers("style transfer", 1.0, SDXL)) == 10
    assert weigh_layers("style transfer", 1.0, SDXL)[34:44] == (1.0,) * 10


def test_instant_style_in_sd15() -> None:
    """The authors' ``["up_blocks.1"]`` and ``["down_blocks.2", "mid_block", "up_blocks.1"]``."""
    up_1 = {("output", 3), ("output", 4), ("output", 5)}
    layout = {("input", 7), ("input", 8), ("middle", 0)}
    assert _active("style transfer", SD15) == up_1
    assert _active("composition", SD15) == layout
    assert _active("style and composition", SD15) == up_1 | layout
    assert _active("strong style transfer", SD15) == {layer[:2] for layer in SD15} - layout


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(VideoGenError, match="`weight_type` is 'channel penalty', expected one of linear, ease in"):
        weigh_layers("channel penalty", 1.0, SD15)


def test_style_in_an_unknown_unet() -> None:
    layers = _layers(("input", 3, 1), ("output", 1, 1), ("middle", 0, 1))
    assert weigh_layers("linear", 1.0, layers) == (1.0, 1.0, 1.0)
    with pytest.raises(
        VideoGenError, match=r"known for SD 1.5 and SDXL; this model has cross-attention in the input blocks 3"
    ):
        weigh_layers("style transfer", 1.0, layers)


@pytest.mark.parametrize("weight", [-1.0, 0.0, 0.8, 3.0])
def test_weights_that_can_be_used(weight: float) -> None:
    assert check_weight(weight) == weight


@pytest.mark.parametrize(
    ("weight", "shown"),
    [(1e9, "1e\\+09"), (3.01, "3.01"), (-1.5, "-1.5"), (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")],
)
def test_weights_that_cannot_be_used(weight: float, shown: str) -> None:
    with pytest.raises(VideoGenError, match=f"^`weight` is {shown}, expected -1 to 3$") as caught:
        check_weight(weight)
    assert caught.value.code == "widget-invalid"
