"""docs/story-format.md tells the truth."""

import re

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.shots import SHOT_SIZES, parse_shot
from custom_nodes.videogen.core.story import schema as story_format
from custom_nodes.videogen.core.story.documents import parse_document
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.core.story.transition_parser import TRANSITIONS
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.story_file import load_story
from tests.support.story_schema import STORIES, VALIDATOR

DOCS = (STORIES.parent / "docs" / "story-format.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(json|yaml)\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize(("kind", "text"), BLOCKS, ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(BLOCKS)])
def test_the_examples_of_the_page_are_stories(kind, text):
    VALIDATOR.validate(parse_document(text, f"story.{kind}"))
    assert parse_story_text(text, f"story.{kind}").warnings == ()


def test_the_page_shows_the_same_story_in_both_languages():
    in_json, in_yaml = (parse_story_text(text, f"story.{kind}") for kind, text in BLOCKS[:2])
    assert in_json == in_yaml


def test_the_page_shows_the_real_prompt():
    shown = " ".join(line[2:] for line in DOCS.splitlines() if line.startswith("> ")).replace("**", "")
    assert shown == plan_segment(load_story(STORIES / "apple_tree.json"), 12).prompt


def test_the_page_shows_real_messages():
    broken = {
        "fps": 0,
        "characters": {"anna": {"segments": "1,9"}},
        "segments": [{"timespan": "00:08 - 00:00", "promt": "x"}, {"prompt": "y", "seed": -1}],
    }
    with pytest.raises(VideoGenError) as caught:
        parse_story(broken, "film.json")
    assert str(caught.value) in DOCS
    with pytest.raises(VideoGenError) as caught:
        parse_story_text('[\n  {"prompt": "A cat."}\n  {"prompt": "A dog."}\n]', "film.json")
    assert str(caught.value) in DOCS


def test_the_page_has_every_key():
    for keys in (
        story_format.STORY_KEYS,
        story_format.STYLE_KEYS,
        story_format.ENTITY_KEYS,
        story_format.SEGMENT_KEYS,
        story_format.TRANSITION_KEYS,
        story_format.AUDIO_KEYS,
        QUALITIES,
        TRANSITIONS,
    ):
        for key in keys:
            assert f"`{key}`" in DOCS


def test_the_page_lists_words_that_mean_what_it_says():
    rows = re.findall(r"^\| ([a-z ]+) \| ([^|]+) \| ([^|]+) \|$", DOCS, re.MULTILINE)
    shots = {row[0]: [word.strip() for cell in row[1:] for word in cell.split(",")] for row in rows}
    for size in SHOT_SIZES:
        for words in shots[size.replace("-", " ")]:
            assert parse_shot(words).size == size, words
    for move in ("static", "pan", "tilt", "zoom", "track"):
        for words in shots[move]:
            assert parse_shot(words).move.startswith(move), words
