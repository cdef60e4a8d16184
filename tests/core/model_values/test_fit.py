"""A segment for a model, by what its inputs take: numbers, choices, and the prompt in the model's form."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.model_profiles.model import Profile
from custom_nodes.videogen.core.model_values.fit import FittedSegment, Takes, fit_segment
from custom_nodes.videogen.core.roles.table import Role
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.profiles.library import shipped_profiles

STORY = parse_story(
    {
        "title": "Film",
        "fps": 24,
        "size": [1920, 1080],
        "characters": {"ben": {"description": "a man in a blue shirt", "reference": "ben.png"}},
        "segments": [
            {"prompt": "a field", "seed": 2**40 + 5, "timespan": "0 - 5"},
            {"prompt": "a tree", "timespan": "5 - 8"},
        ],
    }
)
TAKES = Takes(
    {
        Role.FRAMES: ["INT", {"min": 1, "max": 4096, "step": 4}],
        Role.SEED: ["INT", {"min": 0, "max": 2147483647}],
        Role.DURATION: ["COMBO", {"options": ["5s", "10s"]}],
        Role.ASPECT_RATIO: ["COMBO", {"options": ["16:9", "9:16", "1:1"]}],
        Role.RESOLUTION: ["COMBO", {"options": ["720p", "1080p"]}],
    },
    {Role.RESOLUTION: "720p", Role.ASPECT_RATIO: "1:1"},
)


def profile(name: str) -> Profile:
    return next(one for one in shipped_profiles() if one.name == name)


def fit(model: Profile | None, takes: Takes = TAKES, **options: Any) -> FittedSegment:
    return fit_segment(STORY, plan_segment(STORY, 1), model, takes, **options)


def test_the_numbers_of_a_known_model() -> None:
    values = fit(profile("wan-t2v"), size=(832, 480)).values
    assert values[Role.FRAMES] == 81, "5 s at 16 frames a second, and 4 k + 1"
    assert values[Role.SEED] == (2**40 + 5) % 2**31
    width, height = values[Role.WIDTH], values[Role.HEIGHT]
    assert width % 16 == height % 16 == 0
    assert width / height == pytest.approx(16 / 9, rel=0.05)
    assert width * height == pytest.approx(832 * 480, rel=0.1)


def test_choices_that_fit_the_film() -> None:
    values = fit(None).values
    assert (values[Role.DURATION], values[Role.ASPECT_RATIO], values[Role.RESOLUTION]) == ("5s", "16:9", "720p")


def test_an_unknown_model_takes_what_its_inputs_say() -> None:
    fitted = fit(None)
    assert fitted.values[Role.FRAMES] % 4 == 1
    assert (fitted.values[Role.WIDTH], fitted.values[Role.HEIGHT]) == (1920, 1080)
    assert fitted.values[Role.FPS] == 24
    assert fitted.prompts.text == plan_segment(STORY, 1).prompt


def test_a_model_s_native_size_where_the_workflow_had_none() -> None:
    native = profile("wan-t2v").size
    assert native is not None
    assert native.native is not None
    values = fit(profile("wan-t2v")).values
    assert values[Role.WIDTH] * values[Role.HEIGHT] == pytest.approx(native.native[0] * native.native[1], rel=0.1)


def test_the_prompt_is_in_the_model_s_form_with_its_pictures() -> None:
    assert "<Picture 1>" in fit(profile("h3-ref2va"), references=2).prompts.text
    assert "<Picture" not in fit(profile("wan-t2v"), references=2).prompts.text


def test_what_is_too_long_for_the_model_is_said() -> None:
    story = parse_story({"segments": [{"prompt": "a", "timespan": "0 - 20"}]})
    fitted = fit_segment(story, plan_segment(story, 1), None, Takes({Role.DURATION: ["INT", {"min": 1, "max": 10}]}))
    assert fitted.values[Role.DURATION] == 10
    assert any("its last frame is held" in note for note in fitted.notes)


def test_takes_as_text() -> None:
    assert Takes.of_text(TAKES.to_text()) == TAKES
    assert Takes.of_text("") == Takes()
    assert Takes().to_text() == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[]", "is not an object with an object for each role"),
        ('{"frames": 5}', "is not an object with an object for each role"),
        ('{"colour": {}}', "has 'colour', expected seed"),
        ('{"duration": {"options": "5s"}}', "that are no list"),
        ('{"duration": {"options": [' + ",".join(["1"] * 501) + "]}}", "at most 500"),
        ("x" * 50_001, "has 50,001 characters"),
        ("[" * 40_000, "is no JSON"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=said) as caught:
        Takes.of_text(text)
    assert caught.value.code == "widget-invalid"
