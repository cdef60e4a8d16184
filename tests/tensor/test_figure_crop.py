"""Cropping a reference to its figure: on figures that the storyboard draws in front of its scenery."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.media.story_file import load_story
from custom_nodes.videogen.media.storyboard.scene.scene_image import SceneImage
from custom_nodes.videogen.tensor.figure_crop import crop_to_figure, figure_box, find_figure, fit_square, square_around
from runner.comfyui.installation import PROJECT

#: Segments of the film by where they play and how near the man is, with the image's size.
SHOTS = {
    "a meadow, wide": (1, (768, 432)),
    "a meadow, near": (4, (512, 640)),
    "a field": (8, (512, 640)),
    "a field, wide": (11, (768, 432)),
    "a field, another man": (16, (512, 640)),
    "a field, close": (26, (512, 640)),
}


@cache
def draw(number, size):
    """A man of the film alone in his scenery: the image (height, width, 3), and the figure's box in it."""
    plan = plan_segment(load_story(PROJECT / "stories" / "apple_tree.json"), number)
    man = dataclasses.replace(plan.characters[0], region=None)
    scene = SceneImage(dataclasses.replace(plan, characters=(man,), objects=(), size=size), size, size[1] / 1080)
    image = scene.scenery()
    empty = np.asarray(image).copy()
    [sprite] = scene._sprites
    sprite.draw(image, 0.0, 0.0)
    changed = np.abs(np.asarray(image).astype(int) - empty).sum(-1) > 30
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    return torch.from_numpy(np.asarray(image).astype(np.float32) / 255), box


def box_of(image, crop):
    """The position of a crop, which is a view of the image, in it."""
    top, rest = divmod(crop.storage_offset() - image.storage_offset(), image.stride(0))
    left = rest // image.stride(1)
    return left, top, left + crop.shape[1], top + crop.shape[0]


# ------------------------------------------------------------------ what stands out


@pytest.mark.parametrize("shot", SHOTS)
def test_the_head_stays_in_the_crop(shot):
    image, (left, top, right, bottom) = draw(*SHOTS[shot])
    crop = crop_to_figure(image)
    x0, y0, x1, y1 = box_of(image, crop)
    assert crop.shape[0] == crop.shape[1]
    assert y0 <= top, "the head is cut"
    middle = (left + right) / 2
    half = (right - left) * 0.3
    assert x0 <= middle - half, "the figure is cut on its left"
    assert middle + half <= x1, "the figure is cut on its right"
    assert y1 >= top + min(bottom - top, x1 - x0) * 0.8


def test_a_figure_is_found_where_it_is():
    image, (left, top, right, bottom) = draw(*SHOTS["a field, close"])
    weight = find_figure(image)
    inside = torch.zeros_like(weight, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    assert float(weight[~inside].mean()) < 0.05
    assert float(weight[inside].mean()) > 0.4


def test_a_figure_on_a_plain_wall_is_cropped_close():
    image = torch.full((400, 600, 3), 0.8)
    image[80:320, 380:480] = torch.tensor([0.1, 0.2, 0.7])
    x0, y0, x1, y1 = box_of(image, crop_to_figure(image))
    assert x1 - x0 == y1 - y0 < 330
    assert x0 <= 380
    assert x1 >= 480
    assert y0 <= 70
    assert y1 >= 320


def noise():
    return torch.rand(120, 160, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(
    "image",
    [torch.full((120, 160, 3), 0.5), torch.zeros(120, 160, 3), noise(), torch.rand(1, 1, 3), torch.rand(2, 300, 3)],
    ids=["one color", "black", "noise", "a pixel", "a line"],
)
def test_an_image_without_a_figure_stays_whole(image):
    assert crop_to_figure(image) is image or crop_to_figure(image).shape == image.shape


def test_nothing_is_changed_in_the_image():
    image, _ = draw(*SHOTS["a field"])
    before = image.clone()
    crop_to_figure(image)
    assert torch.equal(image, before)


# ------------------------------------------------------------------ a mask


def test_a_mask_says_where_the_figure_is():
    image, _ = draw(*SHOTS["a field"])
    mask = torch.zeros(image.shape[:2])
    mask[300:400, 50:130] = 1
    mask[10, 500] = 1  # a speck of dust
    x0, y0, x1, y1 = box_of(image, crop_to_figure(image, mask))
    assert (x1 - x0, y1 - y0) == (122, 122)
    assert x0 < 50 < 130 < x1
    assert 300 - y0 > y1 - 400 > 0, "there is head room"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_mask_of_nothing_or_all_leaves_the_image_whole(value):
    image = noise()
    assert crop_to_figure(image, torch.full((120, 160), value)) is image


def test_the_box_of_a_mask():
    mask = torch.zeros(100, 200)
    mask[20:61, 30:131] = 0.9
    assert figure_box(mask) == (30, 20, 131, 61)
    assert figure_box(torch.zeros(4, 4)) is None


@pytest.mark.parametrize(
    ("box", "size", "square"),
    [
        ((400, 300, 500, 400), (1000, 1000), (389, 284, 511, 406)),
        ((0, 0, 100, 100), (1000, 1000), (0, 0, 122, 122)),
        ((900, 900, 1000, 1000), (1000, 1000), (878, 878, 1000, 1000)),
        ((100, 200, 300, 1000), (400, 1000), (0, 160, 400, 560)),
    ],
    ids=["in the middle", "in a corner", "in another", "higher than the picture is wide"],
)
def test_squares_stay_inside_the_image(box, size, square):
    assert square_around(box, size) == square


# ------------------------------------------------------------------ squares to show


@pytest.mark.parametrize(("height", "width"), [(100, 50), (50, 100), (64, 64), (1, 900)])
def test_an_image_is_shown_as_a_whole(height, width):
    square = fit_square(torch.ones(height, width, 3), 64)
    assert square.shape == (64, 64, 3)
    share = min(height, width) / max(height, width)
    assert float((square > 0.999).all(-1).float().mean()) == pytest.approx(share, abs=1 / 32)
    assert float(square.min()) in (0.5, 1.0)


def test_colors_are_kept():
    image = Image.new("RGB", (30, 20), (255, 0, 128))
    square = fit_square(torch.from_numpy(np.asarray(image).astype(np.float32) / 255), 30)
    assert torch.allclose(square[15, 15], torch.tensor([1.0, 0.0, 128 / 255]), atol=1e-5)
