"""A place and its light in words, seeds, and sizes."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.segment.frame_seeds import anchor_seed, entity_seed, frame_seed
from custom_nodes.videogen.core.segment.location_prompt import describe_kelvin, describe_location
from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.render_size import round_to_multiple


def plan(style: dict[str, Any] | None = None, number: int = 1, **location: Any) -> SegmentPlan:
    story = {
        "title": "Test",
        "style": style or {},
        "characters": {"man": {"description": "A man", "segments": "1-2"}},
        "locations": {"wide_field": {"segments": "1", **location}},
        "segments": [{"prompt": "He digs.", "seed": 7}, {"prompt": "He rests.", "seed": 8}],
    }
    return plan_segment(parse_story(story), number)


def test_the_place_its_light_and_the_light_s_temperature() -> None:
    found = describe_location(
        plan({"lighting": "Soft daylight", "kelvin": [5500, 6000]}, description="A field of dark soil")
    )
    assert found == "A field of dark soil. Soft daylight. neutral colour temperature of 5500 to 6000 K."


def test_a_temperature_that_is_said_is_not_said_again() -> None:
    found = describe_location(
        plan({"lighting": "Daylight of 5500 to 6000 K", "kelvin": [5500, 6000]}, description="A field")
    )
    assert found == "A field. Daylight of 5500 to 6000 K."


def test_a_place_without_a_description_is_its_name() -> None:
    assert describe_location(plan()) == "Wide field."
    assert describe_location(plan(label="Field")) == "Field."


def test_nobody_is_in_it_and_nothing_said_is_nothing() -> None:
    assert describe_location(plan(number=2)) == ""
    assert "man" not in describe_location(plan(description="A field"))


@pytest.mark.parametrize(
    ("kelvin", "words"),
    [
        (None, ""),
        ((5500, 5500), "neutral colour temperature of 5500 K"),
        ((2700, 3200), "warm colour temperature of 2700 to 3200 K"),
        ((7500, 9000), "cool colour temperature of 7500 to 9000 K"),
    ],
)
def test_kelvin(kelvin: tuple[int, int] | None, words: str) -> None:
    assert describe_kelvin(kelvin) == words


# ------------------------------------------------------------------ seeds


def test_shots_of_one_place_share_its_seed() -> None:
    assert anchor_seed(plan(seed=5000), "location") == 5000
    assert anchor_seed(plan(seed=5000), "segment") == 7
    assert anchor_seed(plan(number=2, seed=5000), "location") == 8  # nowhere


def test_who_has_no_seed_gets_one_that_stays() -> None:
    first, again, other = plan(), plan({"prefix": "Film"}), plan(seed=1)
    assert first.location is not None
    assert again.location is not None
    assert other.location is not None
    assert entity_seed(first.location, "test") == entity_seed(again.location, "test") == 11137074445802882750
    assert entity_seed(first.location, "another") != entity_seed(first.location, "test")
    assert entity_seed(first.characters[0], "test") != entity_seed(first.location, "test")
    assert entity_seed(other.location, "test") == 1


def test_every_frame_has_a_seed_of_its_own() -> None:
    seeds = {frame_seed(seed, frame) for seed in range(40) for frame in range(40)}
    assert len(seeds) == 1600
    assert all(0 <= seed < 2**64 for seed in seeds)


# ------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), (1920, 1080)),
        ((1366, 770), (1368, 768)),
        ((1, 3), (8, 8)),
        ((4, 12), (8, 16)),
        ((1023, 1025), (1024, 1024)),
    ],
)
def test_sizes_that_a_model_takes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert round_to_multiple(size) == expected
