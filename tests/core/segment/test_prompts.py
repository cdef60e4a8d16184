"""How a prompt is put together."""

from custom_nodes.videogen.core.segment.prompts import compose_negative, compose_prompt, entities_in, join_sentences
from custom_nodes.videogen.core.story.parser import parse_story

STORY = parse_story(
    {
        "style": {
            "prefix": "Documentary film",
            "suffix": "Sharp focus",
            "lighting": "Soft daylight",
            "negative": "text, watermark,",
        },
        "characters": {
            "anna": {"description": "Anna is a gardener in a green apron", "segments": "1"},
            "ben": {"description": "Ben is her brother", "segments": "1-2"},
        },
        "objects": {"tree": {"description": "The tree is small.", "segments": "1"}},
        "locations": {"garden": {"description": "A walled garden", "segments": "1"}},
        "segments": [
            {"prompt": "Anna waters the tree", "negative": "cars"},
            {"prompt": "Ben yawns!"},
            {"prompt": "An empty street.\n\nRain"},
        ],
    }
)


def test_what_is_shared_stands_around_what_is_the_segments_own():
    assert compose_prompt(STORY, STORY.segment(1)) == (
        "Documentary film. A walled garden. Soft daylight. Anna is a gardener in a green apron. Ben is her brother."
        " The tree is small. Anna waters the tree. Sharp focus."
    )


def test_only_who_appears_is_described():
    assert compose_prompt(STORY, STORY.segment(2)) == (
        "Documentary film. Soft daylight. Ben is her brother. Ben yawns! Sharp focus."
    )


def test_line_breaks_become_spaces():
    assert "Soft daylight. An empty street. Rain. Sharp focus." in compose_prompt(STORY, STORY.segment(3))


def test_another_text_can_stand_in():
    assert "Ben sings. Sharp focus." in compose_prompt(STORY, STORY.segment(2), "Ben sings")
    assert compose_prompt(STORY, STORY.segment(2), "  ") == compose_prompt(STORY, STORY.segment(2))


def test_the_negative_is_the_styles_and_the_segments():
    assert compose_negative(STORY, STORY.segment(1)) == "text, watermark, cars"
    assert compose_negative(STORY, STORY.segment(2)) == "text, watermark"


def test_a_negative_over_several_lines_is_one_line():
    story = parse_story(
        {"style": {"negative": "text,\n  watermark"}, "segments": [{"prompt": "x", "negative": "\ncars"}]}
    )
    assert compose_negative(story, story.segment(1)) == "text, watermark, cars"


def test_without_a_style_the_prompt_is_the_segments_own():
    story = parse_story([{"prompt": "A cat"}])
    assert compose_prompt(story, story.segment(1)) == "A cat."
    assert compose_negative(story, story.segment(1)) == ""


def test_full_stops_only_where_they_are_missing():
    assert join_sentences(["One", "Two.", "Three,", 'He says "Four"', "Five…", "", "  "]) == (
        'One. Two. Three. He says "Four" Five…'
    )


def test_who_appears_in_a_segment():
    assert [entity.name for entity in entities_in(STORY.characters, 1)] == ["anna", "ben"]
    assert entities_in(STORY.characters, 3) == ()
