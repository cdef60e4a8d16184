"""What people paste: read where it has one meaning, else one message that names the thing and the fix."""

from __future__ import annotations

import json
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import ProblemList, VideoGenError
from custom_nodes.videogen.core.story.documents import parse_document
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.core.timing import parse_timespan

ONE = [{"prompt": "A cat."}]
PLAIN = '[{"prompt": "A cat."}]'


@pytest.mark.parametrize("name", ["film.json", "story"])
@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{PLAIN}\n```",
        f"```\n{PLAIN}\n```\n",
        f"  ~~~JSON\n{PLAIN}\n  ~~~",
        f"Here is your story:\n\n```json\n{PLAIN}\n```\n\nShall I go on?",
        f"```json\n{PLAIN}",  # the last line was not marked with the mouse
        f"\ufeff\ufeff{PLAIN}",
        f"\ufeff```json\n{PLAIN}\n```",
        '[ // one segment\n  {"prompt": "A cat."}, /* and no more */\n]',
        '# a story\n[{"prompt": "A cat.",},]',
        "[{“prompt”: “A cat.”}]",
        "[{„prompt“: „A cat.“}]".replace("“", "”"),
        '[{"prompt":\u00a0"A cat."}]',
    ],
)
def test_what_has_one_meaning_is_read(text: str, name: str) -> None:
    assert parse_document(text, name) == ONE


def test_a_block_of_yaml() -> None:
    assert parse_document("```yaml\n- prompt: A cat.\n```", "film.yaml") == ONE
    assert parse_document("```yaml\n- prompt: A cat.\n```", "story") == ONE


@pytest.mark.parametrize(
    "prompt",
    [
        "See http://a.example // not a comment, ] }",
        "A sign: “open”, /* no */ # 1 ,]",
        "```json",
        "True, None",
        "\u00a0a\u200bb",
    ],
)
def test_what_is_inside_a_text_stays(prompt: str) -> None:
    text = json.dumps([{"prompt": prompt}], ensure_ascii=False)
    assert parse_document(text, "film.json") == [{"prompt": prompt}]
    assert parse_document(text[:-1] + ", // end\n]", "film.json") == [{"prompt": prompt}]


def test_pythons_words() -> None:
    assert parse_document('{"a": True, "b": False, "c": None,}', "film.json") == {"a": True, "b": False, "c": None}


@pytest.mark.parametrize(
    ("text", "place", "fix"),
    [
        ('[{"prompt": “He says "hi"”}]', "line 1, column 13", "The quotation mark “ is of a word processor"),
        (
            '[{"prompt": "A cat.”}]',
            "line 1, column 13",
            "has a word processor's quotation mark ”: JSON has straight ones",
        ),
        ("[{'prompt': 'A cat.'}]", "line 1, column 3", "JSON has double quotes around texts and keys"),
        ("[{prompt: 1}]", "line 1, column 3", "Texts and keys need double quotes in JSON"),
        ('[{"reference": "sub\\pic.png"}]', "line 1, column 20", 'write / between folders ("sub/picture.png")'),
        ('[{"prompt": "A\ncat."}]', "line 1, column 15", "A text in JSON ends on its line: write \\n"),
        ('[\n// ok\n{"prompt": 1 "b": 2}]', "line 3, column 14", "Usually a comma is missing or superfluous"),
    ],
)
def test_what_has_not_is_named_with_its_place_and_fix(text: str, place: str, fix: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        parse_document(text, "film.json")
    assert f"in {place}, at: " in caught.value.message
    assert fix in caught.value.hint


@pytest.mark.parametrize("name", ["film.json", "story", "film.yaml"])
def test_of_two_blocks_none_is_chosen(name: str) -> None:
    with pytest.raises(VideoGenError, match="has more than one code block") as caught:
        parse_document(f"```json\n{PLAIN}\n```\nor\n```json\n{PLAIN}\n```", name)
    assert caught.value.hint == "Keep the story alone, without the lines of ```."


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a:\n\t- b", "Indent with blanks: YAML takes no tabs there."),
        ("- prompt: Wide shot: a cat", "A text with a colon and a blank in it needs quotes."),
        ('- reference: "sub\\pic.png"', "In double quotes a backslash begins an escape: write / between folders."),
    ],
)
def test_yaml_that_is_wrong_has_a_next_step(text: str, hint: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        parse_document(text, "film.yaml")
    assert caught.value.hint == hint


# ------------------------------------------------------------------ other words


def problems(data: Any) -> list[str]:
    with pytest.raises(ProblemList) as caught:
        parse_story(data)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("word", ["scenes", "shots", "clips"])
def test_scenes_shots_and_clips_are_segments(word: str) -> None:
    story = parse_story({"title": "Film", word: [{"prompt": "A cat."}, {"prompt": "It yawns."}]})
    assert [segment.prompt for segment in story.segments] == ["A cat.", "It yawns."]
    assert story.warnings == (f"`{word}` is read as `segments`",)


def test_of_scenes_and_shots_none_is_chosen() -> None:
    both = {"scenes": [{"prompt": "A"}], "shots": [{"prompt": "B"}]}
    assert problems(both) == [
        "segments: is missing; expected the list of segments, or the name of a file with it (is it in 'scenes' or 'shots'?"
        " Each needs a `prompt`)",
        "scenes: unknown key (did you mean 'segments'?)",
        "shots: unknown key (did you mean 'segments'?)",
    ]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (
            {"duration": 8},
            "duration: unknown key (did you mean 'timespan' or 'frames'?); 8 s at 3 frames a second are `frames: 24`",
        ),
        (
            {"duration": "2.5s"},
            "duration: unknown key (did you mean 'timespan' or 'frames'?); 2.5 s at 3 frames a second are `frames: 8`",
        ),
        ({"duration": "long"}, "duration: unknown key (did you mean 'timespan' or 'frames'?)"),
        ({"duration_seconds": True}, "duration_seconds: unknown key (did you mean 'timespan' or 'frames'?)"),
        ({"start_time": 0}, "start_time: unknown key (did you mean 'timespan'?)"),
        ({"negative_prompt": "x"}, "negative_prompt: unknown key (did you mean 'negative'?)"),
        ({"camera": "x"}, "camera: unknown key (did you mean 'technical'?)"),
        ({"scene_number": 1}, "scene_number: unknown key (did you mean 'id'?)"),
        ({"descripton": "x"}, "descripton: unknown key (did you mean 'description'?)"),
    ],
)
def test_other_words_for_a_segments_keys(extra: dict[str, Any], said: str) -> None:
    assert problems([{"prompt": "A cat.", **extra}]) == [f"segments[1].{said}"]


def test_other_words_for_a_storys_keys() -> None:
    assert problems({"negative_prompt": "x", "resolution": 1, "music": "x", "segments": ONE}) == [
        "negative_prompt: unknown key (did you mean 'style.negative'?)",
        "resolution: unknown key (did you mean 'size'?)",
        "music: unknown key (did you mean 'audio.music'?)",
    ]
    assert problems({"segments": ONE * 2, "transitions": [{"after": 1, "duration": 1}]}) == [
        "transitions[1].duration: unknown key (did you mean 'seconds'?)"
    ]


def test_the_list_of_known_keys_comes_once() -> None:
    segments = [{"prompt": "A cat.", f"qq{number}": 1} for number in range(5)]
    found = problems({"segments": segments, "zz": 1, "yy": 1})
    assert sum("known are" in problem for problem in found) == 2, "one of stories, one of segments"
    assert len(found) == 7


# ------------------------------------------------------------------ timespans


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("8 - 16", 8, 16),
        ("0-8s", 0, 8),
        ("0.5s to 2,25 s", 0.5, 2.25),
        ("00:00:00,000 --> 00:00:04,500", 0, 4.5),
        ("00:08 -> 00:16", 8, 16),
        ("00:08 → 00:16", 8, 16),
        ("8 - 00:16", 8, 16),
    ],
)
def test_timespans_as_subtitles_and_chats_have_them(text: str, start: float, end: float) -> None:
    assert parse_timespan(text) == (start, end)
    story = parse_story_text(f"[{{prompt: x, timespan: '{text}'}}]", "film.yaml")
    assert story.segments[0].duration == end - start


def test_a_backslash_in_the_name_of_a_picture_is_explained() -> None:
    # JSON makes a tab of "sub\test.png".
    story = json.loads('{"segments": [{"prompt": "x"}], "characters": {"a": {"reference": "sub\\test.png"}}}')
    (problem,) = problems(story)
    assert problem.endswith(
        "leads outside ComfyUI's input folder: it has a control character, which a backslash and a letter make in JSON and in"
        " double quotes of YAML; write / between folders"
    )
