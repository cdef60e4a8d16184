"""Which images a segment's cast needs, and what they are called."""

from __future__ import annotations

import copy
import json

import pytest

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.references import (
    DEFAULT_WEIGHTS,
    cast_roles,
    describe_unknown_name,
    mask_name,
    missing_image,
    reference_names,
    rename_images,
    story_cast,
)
from custom_nodes.videogen.core.story.parser import parse_story

DATA = {
    "title": "Über den Garten",
    "characters": {
        "anna": {"segments": "1,3", "reference": ["anna.png", "more\\anna side.png"], "weight": 1.2},
        "ben": {"segments": "1", "region": "masks/ben.png"},
    },
    "objects": {"can": {"segments": "1-2"}, "ghost": {"segments": "2", "weight": 0}},
    "locations": {"garden": {"segments": "1-2"}, "house": {"segments": "3", "reference": "house.jpg"}},
    "segments": [{"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"}],
}


def story(data=DATA):
    return parse_story(copy.deepcopy(data))


def roles(number, weights=DEFAULT_WEIGHTS, given=()):
    """name → (weight, files)."""
    found = cast_roles(plan_segment(story(), number), weights, given)
    return {role.entity.name: (role.weight, role.names) for role in found}


def test_images_are_the_story_s_or_have_the_default_name():
    anna, ben, *_ = story_cast(story())
    assert reference_names("uber_den_garten", anna) == ("anna.png", "more/anna side.png")
    assert reference_names("uber_den_garten", ben) == ("videogen/uber_den_garten/ben.png",)


def test_characters_and_objects_are_kept_the_same_and_a_location_that_has_an_image():
    assert roles(1) == {
        "anna": (1.2, ("anna.png", "more/anna side.png")),
        "ben": (0.8, ("videogen/uber_den_garten/ben.png",)),
        "can": (0.5, ("videogen/uber_den_garten/can.png",)),
    }
    assert roles(3) == {"anna": (1.2, ("anna.png", "more/anna side.png")), "house": (0.3, ("house.jpg",))}


def test_a_weight_of_none_leaves_an_entity_out_and_of_a_kind_all_of_it():
    assert set(roles(2)) == {"can"}
    off = {"character": 0.0, "object": 1.0, "location": 1.0}
    assert roles(1, off) == {"can": (1.0, ("videogen/uber_den_garten/can.png",))}
    assert set(roles(3, off)) == {"house"}


def test_what_the_workflow_shows_needs_no_files():
    found = roles(1, given=("anna", "garden", "somebody else"))
    assert found["anna"] == (1.2, ())
    assert found["garden"] == (0.3, ())
    assert found["ben"][1] == ("videogen/uber_den_garten/ben.png",)


@pytest.mark.parametrize(
    ("region", "name"), [(None, ""), ("left", ""), ("center", ""), ([0, 0, 1, 1], ""), ("a\\mask.png", "a/mask.png")]
)
def test_the_mask_of_a_region(region, name):
    data = copy.deepcopy(DATA)
    data["characters"]["ben"] = {} if region is None else {"region": region}
    assert mask_name(story(data).characters[1]) == name


def test_what_is_missing_is_named_with_its_place_in_the_story():
    anna, ben, can, *_ = story_cast(story())
    assert str(missing_image(anna, "anna.png")) == (
        "characters.anna: its picture 'anna.png' is not in ComfyUI's input folder"
    )
    assert str(missing_image(can, "videogen/x/can.png", "the input folder of http://host:1")) == (
        "objects.can: it has no `reference`, and the picture of its default name 'videogen/x/can.png' is not in the input"
        " folder of http://host:1"
    )
    assert str(missing_image(ben, "masks/ben.png")) == (
        "characters.ben: the mask 'masks/ben.png' of its region is not in ComfyUI's input folder"
    )


def test_a_name_that_nobody_has():
    assert (
        describe_unknown_name("ana", story_cast(story())) == "'ana' is not in the story's cast (did you mean 'anna'?)"
    )
    assert describe_unknown_name("zebra", story_cast(story())[:2]).startswith(
        "'zebra' is not in the story's cast; it has '"
    )
    assert describe_unknown_name("zebra", []) == "'zebra' is not in the story's cast, which is empty"


# ------------------------------------------------------------------ other names


def test_images_get_other_names_in_the_story():
    renamed = rename_images(
        story(),
        DATA,
        {"anna.png": "x/1.png", "videogen/uber_den_garten/can.png": "x/2.png", "masks/ben.png": "x/3.png"},
    )
    changed = parse_story(json.loads(json.dumps(renamed)))
    anna, ben, can, ghost, garden, house = story_cast(changed)
    assert anna.references == ("x/1.png", "more/anna side.png")
    assert (ben.region, ben.references) == ("x/3.png", ())
    assert can.references == ("x/2.png",)
    assert (ghost.references, garden.references, house.references) == ((), (), ("house.jpg",))
    assert anna.weight == pytest.approx(1.2)


def test_renaming_nothing_changes_nothing():
    assert rename_images(story(), DATA, {"other.png": "x.png"}) == DATA


def test_the_story_itself_is_not_changed():
    before = copy.deepcopy(DATA)
    rename_images(story(), DATA, {"anna.png": "x/1.png"})
    assert before == DATA
