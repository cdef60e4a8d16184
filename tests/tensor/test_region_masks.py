"""Masks of a segment's regions: soft, without bleeding, and never above 1 together."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.segment.regions import Layer, lay_out
from custom_nodes.videogen.core.story.model import Entity
from custom_nodes.videogen.tensor.region_masks import make_region_masks, mask_size, soft_box, soften

SIZE = (160, 90)
ROUNDING = 1e-6
FIELD = Entity("location", "field", "Field")


def person(name, region=None):
    return Entity("character", name, name, region=region)


def thing(name, region=None):
    return Entity("object", name, name, region=region)


def masks_of(characters, objects=(), location=None, *, size=SIZE, **options):
    """name → mask."""
    areas = lay_out(characters, objects, location)
    masks = make_region_masks(areas, size, **options)
    return {area.entity.name: mask for area, mask in zip(areas, masks, strict=True)}


# ------------------------------------------------------------------ two people


@pytest.mark.parametrize("feather", [0.0, 0.01, 0.06, 0.2, 0.5])
def test_two_people_share_the_frame_without_a_gap_or_an_overlap(feather):
    masks = masks_of([person("anna", "left"), person("ben", "right")], feather=feather)
    assert torch.equal(masks["anna"] + masks["ben"], torch.ones(90, 160))
    assert torch.equal(masks["anna"], masks["ben"].flip(1))
    assert bool((masks["anna"].diff(dim=1) <= 0).all())


@pytest.mark.parametrize("feather", [0.06, 0.2])
def test_nobody_bleeds_into_the_other_s_core(feather):
    masks = masks_of([person("anna", "left"), person("ben", "right")], feather=feather)
    core = round(160 * (0.5 - feather / 2))
    assert bool((masks["anna"][:, :core] == 1).all())
    assert bool((masks["anna"][:, -core:] == 0).all())
    # Soft in between: the ramp takes as many columns as were asked for.
    between = (masks["anna"][0] > 0) & (masks["anna"][0] < 1)
    assert int(between.sum()) == pytest.approx(160 * feather, abs=2)


def test_three_people_and_a_thing_between_two_fill_the_frame():
    for masks in (
        masks_of([person("a", "left"), person("b", "centre"), person("c", "right")]),
        masks_of([person("a"), person("b")], [thing("tree", "centre")]),
    ):
        assert torch.equal(torch.stack(list(masks.values())).sum(0), torch.ones(90, 160))


def test_the_edges_of_the_frame_are_hard():
    assert bool((soft_box((0, 0, 1, 1), SIZE, 0.2) == 1).all())
    corner = soft_box((0, 0, 0.5, 0.5), SIZE, 0.1)
    assert float(corner[0, 0]) == 1
    assert bool((corner[:, 0][:30] == 1).all())


def test_edges_are_as_wide_upwards_as_sideways():
    mask = soft_box((0.25, 0.25, 0.5, 0.5), (400, 200), 0.1)
    across, down = mask[100], mask[:, 200]
    width = int(((across > 0) & (across < 1)).sum()) / 2
    height = int(((down > 0) & (down < 1)).sum()) / 2
    assert width == pytest.approx(40, abs=1)
    assert height == pytest.approx(40, abs=1)


# ------------------------------------------------------------------ who yields to whom


def test_things_yield_to_people():
    masks = masks_of([person("anna", (0, 0, 0.5, 1))], [thing("tree", (0.25, 0, 0.5, 1))])
    assert bool((masks["anna"][:, :70] == 1).all())
    assert bool((masks["tree"][:, :70] == 0).all())
    assert bool((masks["tree"][:, 90:110] == 1).all())


def test_overlapping_boxes_of_people_share_the_overlap():
    masks = masks_of([person("a", (0, 0, 0.6, 1)), person("b", (0.4, 0, 0.6, 1))], feather=0.02)
    assert masks["a"][45, 80] == pytest.approx(0.5, abs=1e-6)
    assert masks["b"][45, 80] == pytest.approx(0.5, abs=1e-6)


def test_people_who_were_put_into_columns_yield_to_a_box():
    masks = masks_of([person("a"), person("b"), person("c", (0.4, 0.5, 0.2, 0.5))], feather=0.02)
    assert float(masks["c"][80, 80]) == 1
    assert float(masks["a"][80, 75]) == 0
    assert float(masks["a"][20, 75]) == 1


def test_what_the_regions_leave_is_for_the_others():
    masks = masks_of([person("anna", (0, 0, 0.4, 1))], [thing("can"), thing("spade")], FIELD)
    rest = 1 - masks["anna"]
    assert torch.equal(masks["field"], rest)
    assert torch.allclose(masks["can"], rest / 2)
    assert torch.allclose(masks["spade"], rest / 2)


def test_without_regions_everybody_is_everywhere():
    assert masks_of([person("anna")], [thing("tree")], FIELD) == {"anna": None, "tree": None, "field": None}
    shared = masks_of([], [thing("can"), thing("spade")])
    assert torch.allclose(shared["can"], torch.full((90, 160), 0.5))


REGIONS = st.one_of(
    st.none(),
    st.sampled_from(["left", "centre", "right", "drawn.png"]),
    st.tuples(*[st.floats(0.0, 0.7)] * 2, *[st.floats(0.01, 0.3)] * 2),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(REGIONS, max_size=5), st.lists(REGIONS, max_size=4), st.booleans(), st.floats(0.0, 0.5))
def test_masks_never_add_up_above_one(people, things, with_location, feather):
    characters = [person(f"p{index}", region) for index, region in enumerate(people)]
    objects = [thing(f"t{index}", region) for index, region in enumerate(things)]
    areas = lay_out(characters, objects, FIELD if with_location else None)
    drawn = torch.zeros(37, 64)
    drawn[5:30, 10:40] = 1
    masks = make_region_masks(areas, (64, 36), feather=feather, files={"drawn.png": drawn})
    full = [torch.ones(36, 64) if mask is None else mask for mask in masks]
    for mask in full:
        assert 0 <= float(mask.min()) <= float(mask.max()) <= 1 + ROUNDING
    for chosen in (
        lambda area: area.layer != Layer.REST,
        lambda area: area.entity.kind == "character",
        lambda area: area.entity.kind == "object",
    ):
        members = [mask for area, mask in zip(areas, full, strict=True) if chosen(area)]
        if members:
            assert float(torch.stack(members).double().sum(0).max()) <= 1 + ROUNDING


# ------------------------------------------------------------------ mask images


def test_a_mask_image_is_scaled_and_made_soft():
    drawn = torch.zeros(180, 320)
    drawn[:, :160] = 1
    masks = masks_of([person("anna", "anna.png"), person("ben")], feather=0.1, files={"anna.png": drawn})
    box = soft_box((0, 0, 0.5, 1), SIZE, 0.1)
    assert masks["anna"].shape == (90, 160)
    assert float((masks["anna"] - box).abs().max()) < 0.04
    assert torch.equal(masks["ben"], 1 - masks["anna"])


def test_two_mask_images_that_fit_together_still_do_when_they_are_soft():
    one = (torch.rand(90, 160, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    together = soften(one, 12.0) + soften(1 - one, 12.0)
    assert float((together - 1).abs().max()) < 1e-5


def test_softening_reaches_half_the_feather_and_no_further():
    mask = torch.zeros(60, 60)
    mask[:, 30:] = 1
    soft = soften(mask, 10.0)
    assert bool((soft[:, :24] == 0).all())
    assert bool((soft[:, 36:] > 1 - 1e-6).all())
    assert 0 < float(soft[30, 29]) < 0.5 < float(soft[30, 30]) < 1


@pytest.mark.parametrize("feather", [0.0, 0.5, 500.0])
def test_softening_takes_any_width(feather):
    mask = torch.zeros(3, 5)
    mask[1, 2] = 1
    soft = soften(mask, feather)
    assert soft.shape == (3, 5)
    assert bool(torch.isfinite(soft).all())


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("frame", "size"),
    [((1920, 1080), (512, 288)), ((1080, 1920), (288, 512)), ((512, 512), (512, 512)), ((8192, 512), (512, 32))],
)
def test_masks_have_the_shape_of_the_frames(frame, size):
    assert mask_size(frame) == size


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (512, 32)])
def test_any_size_of_mask_works(size):
    masks = masks_of([person("anna", "left"), person("ben", "right")], size=size)
    assert torch.equal(masks["anna"] + masks["ben"], torch.ones(size[1], size[0]))
