"""What is spoken in a segment: narration, lines of characters, and their language."""

import pytest

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import Line
from custom_nodes.videogen.core.story.parser import parse_story
from tests.support.story_schema import VALIDATOR


def story(segment, **more):
    return {"characters": {"baker": {}, "guest": {}}, "segments": [{"prompt": "x", **segment}], **more}


def problems_of(data):
    with pytest.raises(ProblemList) as error:
        parse_story(data, "film")
    return [str(problem) for problem in error.value.problems]


def test_narration_and_dialogue():
    data = story(
        {
            "narration": " It was early. ",
            "dialogue": [{"character": "guest", "line": "Guten Morgen."}, {"character": "baker", "line": "Morgen!"}],
        },
        audio={"language": "de"},
    )
    VALIDATOR.validate(data)
    film = parse_story(data)
    assert film.segment(1).narration == "It was early."
    assert film.segment(1).dialogue == (Line("guest", "Guten Morgen."), Line("baker", "Morgen!"))
    assert film.audio.language == "de"


def test_what_is_spoken_does_not_change_a_segments_plan():
    """Workflows with the Segment node compose the prompt as ever, and keep the keys of what they have rendered."""
    spoken = parse_story(story({"narration": "It was early.", "dialogue": [{"character": "baker", "line": "Hm."}]}))
    assert plan_segment(spoken, 1) == plan_segment(parse_story(story({})), 1)


@pytest.mark.parametrize(
    ("segment", "problem"),
    [
        ({"narration": 5}, "segments[1].narration: found 5, expected text; put it in quotes"),
        ({"dialogue": "Hm."}, "segments[1].dialogue: found text ('Hm.'), expected a list of up to 50 lines"),
        ({"dialogue": [{}] * 51}, "segments[1].dialogue: has 51 lines, expected a list of up to 50 lines"),
        ({"dialogue": ["Hm."]}, "segments[1].dialogue[1]: found text ('Hm.'), expected a mapping"),
        ({"dialogue": [{"character": "baker"}]}, "segments[1].dialogue[1].line: is missing, expected text"),
        ({"dialogue": [{"character": "baker", "line": " "}]}, "segments[1].dialogue[1].line: is empty, expected text"),
        (
            {"dialogue": [{"character": "backer", "line": "Hm."}]},
            "segments[1].dialogue[1].character: 'backer' is no character of the story (did you mean 'baker'?)",
        ),
        (
            {"dialogue": [{"character": "zoe", "line": "Hm."}]},
            "segments[1].dialogue[1].character: 'zoe' is no character of the story; it has baker, guest",
        ),
        (
            {"dialogue": [{"speaker": "baker", "line": "Hm.", "character": "baker"}]},
            "segments[1].dialogue[1].speaker: unknown key",
        ),
        ({"voiceover": "It was early."}, "segments[1].voiceover: unknown key (did you mean 'narration'?)"),
        ({"lines": []}, "segments[1].lines: unknown key (did you mean 'dialogue'?)"),
    ],
)
def test_problems(segment, problem):
    (found,) = problems_of(story(segment))
    assert found.startswith(problem)


@pytest.mark.parametrize("language", ["de", "German", "Swiss German", "pt-BR", "Português", "日本語"])
def test_languages(language):
    data = story({}, audio={"language": language})
    VALIDATOR.validate(data)
    assert parse_story(data).audio.language == language


@pytest.mark.parametrize("language", ["d", "de;en", "<d>", "1", "a very long name of a language", ""])
def test_what_is_no_language(language):
    (found,) = problems_of(story({}, audio={"language": language}))
    assert found.startswith("audio.language: ")
