"""What is read out of a story for a prompt: names of the cast, languages, the camera."""

import pytest

from custom_nodes.videogen.core.prompts.parts import (
    PromptParts,
    describe_camera,
    direct_camera,
    name_entity,
    name_language,
)
from custom_nodes.videogen.core.segment.shots import parse_shot
from custom_nodes.videogen.core.story.model import Entity
from custom_nodes.videogen.core.story.parser import parse_story


@pytest.mark.parametrize(
    ("description", "name"),
    [
        ("The man in the blue shirt is in his mid-forties", "the man in the blue shirt"),
        ("A woman of sixty, with a gray braid", "the woman of sixty"),
        ("An old dog", "the old dog"),
        ("The spade has a straight blade", "the spade"),
        ("Anna is thirty", "Anna B."),
        ("", "Anna B."),
        ("The " + "very " * 20 + "long one is here", "Anna B."),
    ],
)
def test_the_cast_is_called_what_its_description_begins_with(description: str, name: str) -> None:
    assert name_entity(Entity("character", "anna", "Anna B.", description)) == name


@pytest.mark.parametrize(
    ("language", "name"), [("de", "German"), ("DE", "German"), ("de-AT", "German"), ("Latin", "Latin"), ("", "")]
)
def test_languages(language: str, name: str) -> None:
    assert name_language(language) == name


@pytest.mark.parametrize(
    ("technical", "prose", "directed"),
    [
        ("Wide shot, static camera", "The camera is static", "The shot is static"),
        (
            "Slow pan to the left",
            "The camera pans left slowly",
            "The camera pans left with small amplitude at slow speed",
        ),
        ("Zoom in", "The camera zooms in", "The camera zooms in"),
        ("Tracking shot", "The camera tracks the subject", "The camera tracks the subject"),
    ],
)
def test_the_camera(technical: str, prose: str, directed: str) -> None:
    shot = parse_shot(technical)
    assert (describe_camera(shot), direct_camera(shot)) == (prose, directed)


@pytest.mark.parametrize(
    ("technical", "text", "told"),
    [
        ("Slow pan to the left", "The camera pans to the left.", False),
        ("Slow pan to the left", "A field.", True),
        ("Static camera", "The frame does not move.", True),
        ("Static camera", "The camera pans to the left.", True),
        ("", "The camera pans to the left.", False),
    ],
)
def test_what_the_text_says_of_the_camera_is_not_said_again(technical: str, text: str, told: bool) -> None:
    story = parse_story([{"prompt": text, "technical": technical}])
    assert (PromptParts.of(story, 1).camera is not None) == told


def test_without_directions_nothing_is_said_of_the_camera() -> None:
    assert (describe_camera(None), direct_camera(None)) == ("", "")
