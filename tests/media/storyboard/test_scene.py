"""Figures, things, places and light, read off words."""

from __future__ import annotations

import dataclasses

import pytest

from custom_nodes.videogen.core.segment.shots import SHOT_SIZES, Shot
from custom_nodes.videogen.core.story.model import Entity
from custom_nodes.videogen.media.storyboard.drawing.colors import Light, read_light
from custom_nodes.videogen.media.storyboard.scene.blocking import place_figures
from custom_nodes.videogen.media.storyboard.scene.props import read_prop
from custom_nodes.videogen.media.storyboard.scene.scenery import read_scene
from custom_nodes.videogen.media.storyboard.scene.viewfinder import viewfinder_rect
from custom_nodes.videogen.media.storyboard.scene.words import read_look
from tests.support.storyboards import EXPERT, GROWN, HERO, SAPLING, first_frame, image_of, make_plan


@pytest.mark.parametrize("size", ["extreme-wide", "wide", "medium-wide", "medium"])
def test_a_person_is_as_tall_as_the_shot_says(size: str) -> None:
    plan = make_plan(shot=Shot(size, "static", 0.0), objects=())
    box = viewfinder_rect(plan.shot, (1600, 900), plan.size, 0.0)
    (figure,) = place_figures(plan, (1600, 900), Light(), 0.5)
    assert figure.height == pytest.approx(SHOT_SIZES[size][1] * (box[3] - box[1]))
    assert box[1] < figure.top < figure.base < box[3]


def test_a_close_up_shows_the_face_and_crops_the_legs() -> None:
    plan = make_plan(shot=Shot("close", "static", 0.0), objects=())
    box = viewfinder_rect(plan.shot, (1600, 900), plan.size, 0.0)
    (figure,) = place_figures(plan, (1600, 900), Light(), 0.5)
    assert box[1] < figure.top < box[1] + 0.3 * (box[3] - box[1])
    assert figure.base > box[3]


@pytest.mark.parametrize("size", ["wide", "medium-wide", "medium", "medium-close", "close"])
def test_a_zoom_ends_on_the_face(size: str) -> None:
    plan = make_plan(shot=Shot(size, "zoom-in", 1.0), objects=())
    left, top, right, bottom = viewfinder_rect(plan.shot, (1600, 900), plan.size, 1.0)
    (figure,) = place_figures(plan, (1600, 900), Light(), 0.5)
    assert left < figure.x < right
    assert top < figure.top < figure.top + 0.16 * figure.height < bottom


def test_regions_put_people_where_the_story_wants_them() -> None:
    left, right = dataclasses.replace(HERO, region="left"), dataclasses.replace(EXPERT, region="right")
    figures = place_figures(make_plan(characters=(right, left), objects=(GROWN,)), (1600, 900), Light(), 0.5)
    x = {figure.entity.name: figure.x for figure in figures}
    assert x["hero"] < 800 - 200
    assert x["expert"] > 800 + 200
    assert x["hero"] < x["grown_tree"] < x["expert"], "the tree stands in the gap"


def test_sapling_and_grown_tree_are_told_apart() -> None:
    sapling, grown = read_prop(SAPLING), read_prop(GROWN)
    assert (sapling.kind, grown.kind) == ("sapling", "tree")
    assert sapling.height == pytest.approx(1.35)
    assert grown.height == pytest.approx(3.5)


def test_red_apples_hang_on_the_grown_tree_only() -> None:
    def red(thing: Entity) -> int:
        plan = make_plan(characters=(), objects=(thing,), size=(960, 540))
        frame = image_of(first_frame(plan), plan).astype(int)
        return int(((frame[..., 0] > 150) & (frame[..., 1] < 80) & (frame[..., 2] < 80)).sum())

    assert red(GROWN) > 200
    assert red(SAPLING) == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("spade", "spade"),
        ("Gießkanne", "can"),
        ("elixir_bottle", "bottle"),
        ("Lieferwagen", "car"),
        ("old farmhouse", "house"),
        ("Hund", "dog"),
        ("building voucher", "paper"),
        ("Apfelbäumchen", "sapling"),
        ("quux", "thing"),
    ],
)
def test_things_are_known_by_their_names(name: str, kind: str) -> None:
    assert read_prop(Entity("object", name, name)).kind == kind


@pytest.mark.parametrize(
    ("description", "features"),
    [
        ("a man with a straw hat, a full beard and glasses", {"beard": True, "glasses": True, "bald": False}),
        ("Mann ohne Hut, mit Vollbart", {"hat": None, "beard": True}),
        ("a man that nobody knows, whose kind face sits on a rock", {"hat": None, "child": False, "dress": None}),
        ("ein Mann in einem dunkelblauen Hemd", {"top": (45, 66, 112)}),
        ("red cap, blue shirt, brown trousers", {"cap": True, "top": (66, 116, 186), "trousers": (128, 92, 66)}),
        (
            "eine Frau mit langem blondem Haar und rotem Kleid",
            {"feminine": True, "long_hair": True, "dress": (196, 74, 66)},
        ),
        ("nobody in particular", {"top": (1, 2, 3)}),
    ],
)
def test_features_are_read_off_a_description(description: str, features: dict[str, object]) -> None:
    look = read_look(Entity("character", "x", "X", description), (1, 2, 3))
    assert {name: getattr(look, name) for name in features} == features


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Feld", "field"),
        ("Baumschule", "nursery"),
        ("greenhouse in the field", "nursery"),
        ("Wald", "forest"),
        ("Altstadt", "city"),
        ("beach", "sea"),
        ("Küche", "room"),
        ("the Alps", "mountain"),
        ("Wüste", "desert"),
        ("Nowhere", "country"),
    ],
)
def test_a_place_is_known_by_its_name(name: str, kind: str) -> None:
    assert read_scene(make_plan(location=Entity("location", name, name))).kind == kind


def test_light_is_read_off_words_and_kelvin() -> None:
    assert read_light("a street at night", None).time == "night"
    assert read_light("bright daylight", (5500, 6000)).gain == (1.0, 1.0, 1.0)
    warm, cool = read_light("", (2700, 3000)).gain, read_light("", (8000, 9000)).gain
    assert warm[0] > 1 > warm[2]
    assert cool[0] < 1 < cool[2]
