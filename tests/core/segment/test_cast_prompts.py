"""The prompt for the reference image of a cast member."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.cast_prompts import CHARACTER_WORDS, OBJECT_WORDS, drawable_cast, plan_member
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story

STORY: dict[str, Any] = {
    "title": "Garden",
    "style": {"prefix": "A painting", "suffix": "steady camera", "lighting": "noon", "negative": "text, "},
    "characters": {"anna": {"description": "Anna is tall", "seed": 5}, "ben": {"label": "The gardener"}},
    "objects": {"apple_tree": {"reference": ["tree.png", "bark.png"]}},
    "locations": {"field": {"description": "a field"}},
    "segments": [{"prompt": "one"}],
}


def make_story(**changes: Any) -> Story:
    return parse_story(STORY | changes, "test")


def test_characters_come_before_objects_and_places_are_not_among_them() -> None:
    assert [entity.name for entity in drawable_cast(make_story())] == ["anna", "ben", "apple_tree"]


def test_a_member_is_asked_for_in_its_own_words_and_the_story_s_style() -> None:
    member = plan_member(make_story(), 1)
    assert member.prompt == f"{CHARACTER_WORDS}. Anna is tall. A painting."
    assert "steady camera" not in member.prompt
    assert member.negative.startswith("text, second person")
    assert (member.seed, member.file, member.count) == (5, "videogen/garden/anna.png", 3)


@pytest.mark.parametrize(("index", "subject"), [(2, "The gardener"), (3, "Apple tree")])
def test_who_has_no_description_is_called_by_name(index: int, subject: str) -> None:
    prompt = plan_member(make_story(), index).prompt
    assert subject.lower() in prompt.lower()
    assert prompt.startswith(CHARACTER_WORDS if index == 2 else OBJECT_WORDS)


def test_the_first_of_several_images_is_drawn() -> None:
    assert plan_member(make_story(), 3).file == "tree.png"


def test_a_seed_follows_from_the_name_where_the_story_gives_none() -> None:
    seeds = {plan_member(make_story(), index).seed for index in (1, 2, 3)}
    assert len(seeds) == 3
    assert plan_member(make_story(), 2).seed == plan_member(make_story(style={}), 2).seed
    assert plan_member(make_story(), 2).seed != plan_member(make_story(title="Other"), 2).seed


@pytest.mark.parametrize("index", [0, 4, -1])
def test_nobody_by_that_number(index: int) -> None:
    with pytest.raises(VideoGenError, match=r"has 1 to 3: 1 anna, 2 ben, 3 apple_tree"):
        plan_member(make_story(), index)


def test_nobody_at_all() -> None:
    with pytest.raises(VideoGenError, match="'Garden' has neither characters nor objects"):
        plan_member(make_story(characters={}, objects={}), 1)
