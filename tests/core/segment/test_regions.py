"""Who is where in a shot: regions out of the story, and out of who else is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.regions import ALONE, Area, Layer, lay_out
from custom_nodes.videogen.core.story.model import Entity
from custom_nodes.videogen.media.story_file import load_story
from custom_nodes.videogen.media.storyboard.scene.blocking import place_figures
from custom_nodes.videogen.media.storyboard.scene.scenery import read_scene
from custom_nodes.videogen.media.storyboard.scene.viewfinder import viewfinder_rect
from runner.comfyui.installation import PROJECT

LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 0.5, 1.0)
FIELD = Entity("location", "field", "Field")


def person(name, region=None):
    return Entity("character", name, name, region=region)


def thing(name, region=None):
    return Entity("object", name, name, region=region)


def boxes(characters, objects=()):
    """name → box, rounded."""
    return {
        area.entity.name: area.box and tuple(round(side, 4) for side in area.box)
        for area in lay_out(characters, objects, None)
    }


# ------------------------------------------------------------------ columns


@pytest.mark.parametrize(
    ("regions", "columns"),
    [
        (["left", "right"], [(0, 2), (1, 2)]),
        (["right", "left"], [(1, 2), (0, 2)]),
        (["left", "centre", "right"], [(0, 3), (1, 3), (2, 3)]),
        (["left", "centre"], [(0, 3), (1, 3)]),
        ([None, None], [(0, 2), (1, 2)]),
        (["left", None], [(0, 2), (1, 2)]),
        (["right", None], [(1, 2), (0, 2)]),
        (["centre", None], [(1, 3), (0, 3)]),
        ([None, "centre", None], [(0, 3), (1, 3), (2, 3)]),
        ([None, None, None], [(0, 3), (1, 3), (2, 3)]),
        ([None, "left", None, None], [(1, 4), (0, 4), (2, 4), (3, 4)]),
        (["centre", None, None, None], [(2, 5), (0, 5), (1, 5), (3, 5)]),
        (["left", "left"], [(0, 2), (0, 2)]),
    ],
)
def test_people_stand_in_columns(regions, columns):
    people = [person(str(index), region) for index, region in enumerate(regions)]
    expected = {
        str(index): (round(column / count, 4), 0.0, round(1 / count, 4), 1.0)
        for index, (column, count) in enumerate(columns)
    }
    assert boxes(people) == expected


@pytest.mark.parametrize("region", ["left", "centre", "right"])
def test_who_is_alone_has_two_thirds(region):
    [area] = lay_out([person("anna", region)], [], None)
    assert (area.box, area.layer) == (ALONE[region], Layer.GIVEN)


def test_who_is_alone_without_a_region_has_what_the_regions_leave():
    assert lay_out([person("anna")], [], None) == [Area(person("anna"), Layer.REST)]
    assert boxes([person("anna")], [thing("tree", "right")]) == {"anna": None, "tree": RIGHT}


def test_a_thing_with_a_region_makes_it_halves():
    assert boxes([person("anna", "left")], [thing("tree", "right")]) == {"anna": LEFT, "tree": RIGHT}


def test_a_thing_in_the_center_makes_it_thirds():
    found = boxes([person("anna"), person("ben")], [thing("tree", "centre")])
    assert [found[name][0] for name in ("anna", "tree", "ben")] == [0.0, 0.3333, 0.6667]


def test_boxes_and_masks_are_taken_as_they_are():
    box = (0.1, 0.2, 0.3, 0.4)
    areas = lay_out([person("anna", box), person("ben", "ben.png"), person("cleo")], [thing("can", box)], FIELD)
    assert areas == [
        Area(person("anna", box), Layer.GIVEN, box),
        Area(person("ben", "ben.png"), Layer.GIVEN, file="ben.png"),
        Area(person("cleo"), Layer.REST),
        Area(thing("can", box), Layer.OBJECT, box),
        Area(FIELD, Layer.REST),
    ]


# ------------------------------------------------------------------ what the regions leave


def test_each_kind_shares_what_the_regions_leave():
    areas = lay_out([person("anna")], [thing("can"), thing("spade"), thing("tree", "left")], FIELD)
    shares = {area.entity.name: area.share for area in areas if area.layer == Layer.REST}
    assert shares == {"anna": 1, "can": 0.5, "spade": 0.5, "field": 1}


def test_who_is_not_shown_takes_no_share_but_keeps_the_place():
    cast = [person("anna"), person("ben")], [thing("can"), thing("spade")]
    areas = lay_out(*cast, None, counted=[("character", "anna"), ("object", "can")])
    assert {area.entity.name: area.box for area in areas[:2]} == {"anna": LEFT, "ben": RIGHT}
    assert areas[2].share == 1


# ------------------------------------------------------------------ the story that ships, and its storyboard


def test_the_two_men_of_the_film_stand_left_and_right():
    story = load_story(PROJECT / "stories" / "apple_tree.json")
    plans = [plan_segment(story, number) for number in range(1, 34)]
    together = [plan for plan in plans if len(plan.characters) == 2]
    assert [plan.number for plan in together] == [22, 26, 27, 28, 33]
    for plan in together:
        assert boxes(plan.characters) == {"protagonist": LEFT, "second_man": RIGHT}


def middles(plan):
    """name → middle of a figure in the storyboard, as a share of the camera's frame."""
    size = (960, 540)
    scene = read_scene(plan)
    left, _, right, _ = viewfinder_rect(plan.shot, size, plan.size, 0.0)
    figures = place_figures(plan, size, scene.light, scene.horizon)
    return {
        figure.entity.name: (figure.x - left) / (right - left)
        for figure in figures
        if figure.entity.kind == "character"
    }


@pytest.mark.parametrize("regions", [("left", "right"), ("left", "centre", "right"), (None, None), ("left", None)])
def test_the_storyboard_draws_people_inside_their_regions(tmp_path: Path, regions):
    path = tmp_path / "story.yaml"
    lines = [f"  p{index}: {{{f'region: {region}' if region else ''}}}" for index, region in enumerate(regions)]
    path.write_text("\n".join(["characters:", *lines, "segments:", "  - {prompt: They talk, technical: Medium shot}"]))
    plan = plan_segment(load_story(path), 1)
    drawn, placed = middles(plan), boxes(plan.characters)
    assert {name: box[0] <= drawn[name] <= box[0] + box[2] for name, box in placed.items()} == dict.fromkeys(
        drawn, True
    )


def test_the_storyboard_draws_somebody_alone_inside_the_region():
    story = load_story(PROJECT / "stories" / "apple_tree.json")
    for number in (1, 4, 5, 8, 23, 24, 30):
        plan = plan_segment(story, number)
        [(name, x)] = middles(plan).items()
        box = boxes(plan.characters, plan.objects)[name]
        assert box[0] < x < box[0] + box[2], number
