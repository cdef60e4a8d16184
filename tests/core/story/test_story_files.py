"""Files that a story names: the list of its segments and its master prompt."""

import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from tests.support.story_data import problems, read_from, story


def test_segments_in_a_file_of_their_own():
    film = parse_story(
        {"title": "x", "segments": "list.yaml"}, read_file=read_from({"list.yaml": "- prompt: Ein Ährenfeld"})
    )
    assert film.segment(1).prompt == "Ein Ährenfeld"


def test_a_master_prompt_in_a_file_of_its_own_or_in_the_story():
    read = read_from({"master.md": "\ufeff# Licht\nWarm.\n"})
    assert (
        parse_story(story(style={"master_prompt": "master.md"}), read_file=read).style.master_prompt == "# Licht\nWarm."
    )
    assert parse_story(story(style={"master_prompt": "Read\nme.md"})).style.master_prompt == "Read\nme.md"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            story(segments="../list.json"),
            "segments: '../list.json' is outside the story's folder; expected a name inside it",
        ),
        (
            story(segments="/etc/passwd"),
            "segments: '/etc/passwd' is outside the story's folder: it begins at the root; expected a name inside it",
        ),
        (story(segments="gone.json"), "segments: there is no file 'gone.json' in the story's folder"),
        (
            story(segments="broken.json"),
            "segments: broken.json is not JSON: Expecting value in line 1, column 2, at: [",
        ),
        (
            story(segments="story.json"),
            "segments: story.json is a whole story; expected a file with only the list of segments",
        ),
        (
            story(segments="text.json"),
            "segments: found a mapping, expected a list of segments, or the name of a file with it",
        ),
        (story(segments="none.json"), "none.json: is an empty list, expected at least one segment"),
        (
            story(style={"master_prompt": "../a.md"}),
            "style.master_prompt: '../a.md' is outside the story's folder; expected a name inside it",
        ),
        (
            story(style={"master_prompt": ".notes/a.md"}),
            "style.master_prompt: '.notes/a.md' is hidden (a name or folder that begins with a dot); expected the name of a"
            " visible file",
        ),
        (story(segments="passwords.txt"), "segments: 'passwords.txt' does not end in .json, .yaml, .yml"),
        (
            story(style={"master_prompt": "long.md"}),
            "style.master_prompt: has 200,001 characters, at most 200,000 are allowed",
        ),
        (
            story(style={"master_prompt": "bell.md"}),
            r"style.master_prompt: found text ('\x07'), which has characters that"
            " cannot be shown",
        ),
    ],
)
def test_a_file_that_cannot_be_used(data, expected):
    files = {
        "broken.json": "[",
        "story.json": '{"segments": []}',
        "text.json": "{}",
        "none.json": "[]",
        "long.md": "x" * 200_001,
        "bell.md": "\a",
    }
    assert problems(data, read_file=read_from(files)) == [expected]


@pytest.mark.parametrize("data", [story(segments="list.json"), story(style={"master_prompt": "a.txt"})])
def test_a_story_without_a_folder_carries_everything_itself(data):
    (line,) = problems(data)
    assert line.endswith("but a story without a folder must carry everything itself")
