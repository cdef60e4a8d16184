"""IP-Adapter Options, Frame Weights and Image Noise, through the nodes that take what they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import torch
from torch import Tensor

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.nodes.characters.image_noise import VideoGenImageNoise
from custom_nodes.videogen.nodes.characters.ip_adapter import cut_to_tiles
from custom_nodes.videogen.nodes.characters.ip_adapter_options import VideoGenFrameWeights, VideoGenIPAdapterOptions
from custom_nodes.videogen.nodes.characters.reference import VideoGenReference
from custom_nodes.videogen.tensor.ip_adapter.embeds_scaling import SCALINGS
from custom_nodes.videogen.tensor.ip_adapter.reference_tiles import cut_tiles, tile_masks
from runner.bench.models.random_weights.unets import TINY_SDXL
from tests.nodes.characters.garden_story import look, segment
from tests.nodes.characters.test_ip_adapter_nodes import (
    FRAMES,
    HEIGHT,
    WIDTH,
    _adapter,
    _apply,
    _assert_different,
    _assert_same,
    _images,
    _model,
    _sample,
)
from tests.support.models.seeing_models import NEGATIVE, POSITIVE, distance, make_latents, predict


def choose(scaling: str = "V only", other: float = 1.0, layers: str = "", frames: Any = None) -> Any:
    return VideoGenIPAdapterOptions.execute(scaling, other, layers, frames).result[0]


def curve(weights: str, timing: str = "linear", frames: int = FRAMES, **more: Any) -> list[float]:
    return VideoGenFrameWeights.execute(weights, timing, frames, **more).result[0]


# ------------------------------------------------------------------ options


def test_the_defaults_change_nothing_bit_by_bit(model: Any, encoder: Any) -> None:
    assert torch.equal(_sample(_apply(model, encoder, options=choose())), _sample(_apply(model, encoder)))


def test_each_scaling_has_its_own_result(model: Any, encoder: Any) -> None:
    # Weights far from 1 in the tiny model's narrow layers, or the penalty would hide the rest.
    results = [_sample(_apply(model, encoder, weight=3.0, options=choose(one)), steps=1) for one in SCALINGS]
    assert torch.equal(results[0], _sample(_apply(model, encoder, weight=3.0), steps=1))
    for number, one in enumerate(results):
        assert all(not torch.equal(one, other) for other in results[number + 1 :])


def test_weights_by_block_are_those_of_a_weight_type(model: Any, encoder: Any) -> None:
    """SD 1.5's composition is blocks 4, 5 and the middle one, 6."""
    by_block = _apply(model, encoder, options=choose(layers="4: 1, 5: 1, 6: 1"))
    assert torch.equal(_sample(by_block, steps=1), _sample(_apply(model, encoder, weight_type="composition"), steps=1))
    half = _apply(model, encoder, weight=1.6, weight_type="ease in", options=choose(layers="4: .5\n5: .5\n6: .5"))
    _assert_same(_sample(half, steps=1), _sample(by_block, steps=1))
    with pytest.raises(VideoGenError, match="`layer_weights` has block 16"):
        _apply(model, encoder, options=choose(layers="16: 1"))


FIRST_PARTS = {
    "style transfer precise": "0:1,1:1,2:1,3:1,9:1,10:1,11:1,12:1,13:1,14:1,15:1",
    "composition precise": "4:.25,5:1",
}


@pytest.mark.parametrize("weight_type", FIRST_PARTS)
def test_precise_types_move_away_in_the_other_layers(model: Any, encoder: Any, weight_type: str) -> None:
    """The other part acts on the negative prompt alone: without guidance it has no effect, whatever its weight."""

    def sample(other: float, cfg: float) -> Tensor:
        patched = _apply(model, encoder, weight_type=weight_type, options=choose(other=other))
        return _sample(patched, steps=1, cfg=cfg)

    first_part = _apply(model, encoder, options=choose(layers=FIRST_PARTS[weight_type]))
    assert torch.equal(sample(0.0, 4.0), _sample(first_part, steps=1))
    _assert_different(*(sample(other, 4.0) for other in (0.0, 1.0, 3.0)))
    for other in (0.0, 1.0, 3.0):
        _assert_same(sample(other, 1.0), _sample(first_part, steps=1, cfg=1.0))


def test_precise_types_in_sdxl(encoder: Any) -> None:
    model, latents = _model(TINY_SDXL), make_latents(1)

    def run(**changes: Any) -> Tensor:
        patched = _apply(model, encoder, ipadapter=_adapter("plain", TINY_SDXL), **changes)
        return predict(patched, TINY_SDXL, latents, chunks=(POSITIVE, NEGATIVE))

    style = run(weight_type="style transfer")
    assert torch.equal(run(weight_type="style transfer precise", options=choose(other=0.0)), style)
    assert torch.equal(run(weight_type="linear", options=choose(layers="6: 1")), style)
    precise = run(weight_type="style transfer precise")
    assert distance(precise[:1], style[:1]) < 1e-5
    assert distance(precise[1:], style[1:]) > 1e-4
    layout = run(weight_type="composition precise")
    assert distance(layout[:1], run(weight_type="composition")[:1]) < 1e-5
    assert distance(layout[1:], run(weight_type="composition")[1:]) > 1e-4


def test_apply_characters_takes_the_options_too(apply: Any, model: Any, folder: Path) -> None:
    plain = _sample(apply(segment(1))[0], steps=1)
    assert torch.equal(_sample(apply(segment(1), options=choose())[0], steps=1), plain)
    faded = _sample(apply(segment(1), options=choose(frames=[1.0, 0.0, 1.0]))[0], steps=1)
    _assert_same(faded[[0, 2]], plain[[0, 2]])
    _assert_same(faded[1:2], _sample(model, steps=1)[1:2])
    scaled = _sample(apply(segment(1), options=choose("K+V", layers="4:3, 5:3"))[0], steps=1)
    _assert_different(plain, scaled)


# ------------------------------------------------------------------ weights frame by frame


@pytest.mark.parametrize("scaling", SCALINGS)
def test_weights_of_frames_on_the_weight_and_in_the_options(model: Any, encoder: Any, scaling: str) -> None:
    weights = curve("1.2, 0.0")
    assert weights == pytest.approx([1.2, 0.6, 0.0])
    on_weight = _sample(_apply(model, encoder, weight=weights, options=choose(scaling)), steps=1)
    in_options = _sample(_apply(model, encoder, weight=1.0, options=choose(scaling, frames=weights)), steps=1)
    assert torch.equal(on_weight, in_options)
    for frame, weight in enumerate(weights):
        alone = _sample(_apply(model, encoder, weight=weight, options=choose(scaling)), steps=1)
        _assert_same(on_weight[frame : frame + 1], alone[frame : frame + 1])


def test_weights_of_both_are_multiplied(model: Any, encoder: Any) -> None:
    both = _apply(model, encoder, weight=[0.5, 1.0], options=choose(frames=[1.0, 1.0, 0.5]))
    _assert_same(_sample(both, steps=1), _sample(_apply(model, encoder, weight=[0.5, 1.0, 0.5]), steps=1))
    whole = _apply(model, encoder, weight=0.8, options=choose(frames=0.5))
    _assert_same(_sample(whole, steps=1), _sample(_apply(model, encoder, weight=0.4), steps=1))


def test_a_shot_of_weights_of_zero_needs_no_encoder(model: Any, encoder: Any) -> None:
    before = encoder.images
    assert _apply(model, encoder, image=_images(1, seed=98), weight=[0.0, 0.0]) is model
    assert encoder.images == before


@pytest.mark.parametrize("weight", ["strong", [], [1.0, 9.0], [1.0, "x"], None, True])
def test_weights_that_are_none(model: Any, encoder: Any, weight: Any) -> None:
    with pytest.raises(VideoGenError, match="`weight`"):
        _apply(model, encoder, weight=weight)


def test_a_segment_sets_the_number_of_frames() -> None:
    plan = segment(1)
    assert len(curve("1, 0", segment=plan)) == plan.frames != FRAMES
    forwards, backwards = VideoGenFrameWeights.execute("1, 0.5, 0", "one per frame", 3).result
    assert backwards == forwards[::-1] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("check", "values", "said"),
    [
        (VideoGenIPAdapterOptions, ("Q only", 1.0, ""), "`embeds_scaling` is 'Q only'"),
        (VideoGenIPAdapterOptions, ("V only", 9.0, ""), "`other_part` is 9"),
        (VideoGenIPAdapterOptions, ("V only", 1.0, "x"), "`layer_weights` has 'x'"),
        (VideoGenFrameWeights, ("1, y", "linear"), "`weights` has 'y'"),
        (VideoGenFrameWeights, ("1", "sudden"), "`timing` is 'sudden'"),
        (VideoGenImageNoise, ("snow", 1.0, 0), "`kind` is 'snow'"),
        (VideoGenImageNoise, ("fade", 2.0, 0), "`strength` is 2"),
        (VideoGenImageNoise, ("fade", 1.0, 99), "`blur` is 99"),
    ],
)
def test_widgets_are_checked_before_the_graph_runs(check: Any, values: tuple[Any, ...], said: str) -> None:
    assert said in check.validate_inputs(*values)
    assert check.validate_inputs(*[None] * len(values)) is True


def test_options_of_another_pack_are_named(model: Any, encoder: Any) -> None:
    with pytest.raises(VideoGenError, match="`options` got dict, expected the output of VideoGenIPAdapterOptions"):
        _apply(model, encoder, options={})


# ------------------------------------------------------------------ tiles


def test_each_tile_is_an_adapter_of_its_own_in_its_part(model: Any, encoder: Any) -> None:
    wide = torch.rand(1, 40, 100, 3, generator=torch.Generator().manual_seed(1))
    tiles = cut_tiles(100, 40)
    masks = tile_masks(tiles, 100, 40)
    chained = model
    for tile, mask in zip(tiles, masks, strict=True):
        left, top, right, bottom = tile.box
        # The tile's mask has the picture's shape, which only the node's own masks may have.
        size = torch.nn.functional.interpolate(mask[None], (HEIGHT // 8, WIDTH // 8), mode="bicubic")[0]
        chained = _apply(chained, encoder, image=wide[:, top:bottom, left:right], mask=size.clamp(0, 1))
    tiled = _sample(_apply(model, encoder, image=wide, crop="tiles"), steps=1)
    difference = (_sample(chained, steps=1) - tiled).norm() / (tiled - _sample(model, steps=1)).norm()
    assert difference < 0.2  # resized twice here
    _assert_different(tiled, _sample(_apply(model, encoder, image=wide, crop="center"), steps=1))


def test_tiles_of_the_same_color_are_one_picture(model: Any, encoder: Any) -> None:
    plain = torch.full((1, 40, 100, 3), 0.7)
    tiled = _sample(_apply(model, encoder, image=plain, crop="tiles"), steps=1)
    whole = _sample(_apply(model, encoder, image=plain, crop="center"), steps=1)
    assert (tiled - whole).norm() / (whole - _sample(model, steps=1)).norm() < 0.02


@pytest.mark.parametrize("combine", ["concat", "average", "one per frame"])
def test_tiles_of_several_pictures_inside_a_mask(model: Any, encoder: Any, combine: str) -> None:
    images = torch.rand(3, 100, 40, 3, generator=torch.Generator().manual_seed(1))
    nowhere = torch.zeros(1, HEIGHT, WIDTH)
    found = _sample(_apply(model, encoder, image=images, crop="tiles", combine=combine, mask=nowhere), steps=1)
    _assert_same(found, _sample(model, steps=1))
    _assert_different(found, _sample(_apply(model, encoder, image=images, crop="tiles", combine=combine), steps=1))


def test_tiles_without_anything_in_them_are_left_out() -> None:
    """The air above a figure that was cut out."""
    picture = torch.rand(1, 120, 40, 4)
    picture[..., 3] = 0
    picture[:, 80:, :, 3] = 1
    assert [part.shape[1] for part, _ in cut_to_tiles(picture, None)] == [40]


# ------------------------------------------------------------------ transparency, noise


def test_a_transparent_reference_is_its_own_mask() -> None:
    """As in files: gray where it is transparent, and the figure is what is opaque."""
    image = torch.rand(2, 20, 30, 4)
    image[..., 3] = 1
    image[1, :, :15, 3] = 0
    (_, opaque), (_, cut) = VideoGenReference.execute("anna", image).result[0].images
    assert torch.equal(opaque.image, image[0, ..., :3])
    assert torch.equal(cut.image[:, 15:], image[1, :, 15:, :3])
    assert (cut.image[:, :15] == 0.5).all()
    assert torch.equal(cut.figure, image[1, ..., 3])
    drawn = VideoGenReference.execute("anna", image, mask=torch.ones(1, 20, 30)).result[0].images[1][1]
    assert (drawn.figure == 1).all()
    plain = VideoGenReference.execute("anna", image[..., :3]).result[0].images
    assert all(one.figure is None for _, one in plain)


def test_the_alpha_of_a_file_and_of_the_graph_is_the_same(apply: Any, folder: Path) -> None:
    from PIL import Image

    from custom_nodes.videogen.media.images.image_files import read_reference_image

    rgba = Image.open(folder / "anna.png").convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    rgba.save(folder / "anna.png")
    from_file = apply(segment(1), crop_to_figure=True)
    pixels = torch.frombuffer(bytearray(rgba.tobytes()), dtype=torch.uint8).reshape(1, rgba.height, rgba.width, 4)
    given = VideoGenReference.execute("anna", pixels.float() / 255).result[0]
    from_graph = apply(segment(1), crop_to_figure=True, references=given)
    assert read_reference_image(folder / "anna.png", "anna.png").alpha is not None
    torch.testing.assert_close(look(from_file[0]), look(from_graph[0]))


@pytest.mark.parametrize("kind", ["fade", "dissolve", "gaussian", "shuffle"])
def test_noise_as_the_negative_picture(model: Any, encoder: Any, kind: str) -> None:
    images = _images(1)
    noise = VideoGenImageNoise.execute(kind, 0.8, 2, 7, images).result[0]
    assert noise.shape == images.shape
    _assert_different(
        _sample(_apply(model, encoder, image_negative=noise), steps=1), _sample(_apply(model, encoder), steps=1)
    )


def test_noise_without_a_picture() -> None:
    noise = VideoGenImageNoise.execute("fade", 1.0, 0, 1).result[0]
    assert noise.shape == (1, 224, 224, 3)
    assert float(noise.std()) == pytest.approx(12**-0.5, abs=0.01)
