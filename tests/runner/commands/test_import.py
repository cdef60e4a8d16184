"""`videogen import`, and what `videogen check` says of stories of other programs."""

from __future__ import annotations

import json
from pathlib import Path

from custom_nodes.videogen.media.story_file import load_story, load_story_data
from tests.support.runs import videogen, write_json

THEIRS = {
    "story_name": "Über den Apfelbaum",
    "scenes": [{"scene_num": 1, "video_prompts": ["苹果树", "A gardener waters it."], "cut": [True, False]}],
}


def test_a_story_of_another_program_is_printed_as_one_of_ours(tmp_path: Path) -> None:
    theirs = write_json(tmp_path / "theirs.json", THEIRS)
    checked = videogen("check", theirs)
    assert checked.status == 2
    assert "is a story of StoryMem; `videogen import theirs.json` prints it as a story of videogen" in checked.out
    ended = videogen("import", theirs)
    assert ended.status == 0
    assert ended.err.startswith("Note: Shots have StoryMem's length and size: 81 frames at 16 a second, 832×480.\n")
    ours = tmp_path / "ours.json"
    ours.write_text(ended.out, encoding="utf-8")
    story = load_story(ours)
    assert story.title == "Über den Apfelbaum"
    assert [(segment.prompt, segment.continues) for segment in story.segments] == [
        ("苹果树", False),
        ("A gardener waters it.", True),
    ]


def test_what_is_no_story_of_another_program(tmp_path: Path) -> None:
    ended = videogen("import", write_json(tmp_path / "ours.json", [{"prompt": "A cat."}]))
    assert ended.status == 2
    assert "ours.json is no story of another program that videogen knows" in ended.err
    names = videogen("import", write_json(tmp_path / "names.json", [{"identifier_in_scene": "Alice"}]))
    assert "is a list of characters of ViMax, and not its storyboard (storyboard.json)" in names.err
    empty = videogen("import", write_json(tmp_path / "odd.json", {"scenes": [{"video_prompts": [5]}]}))
    assert empty.status == 2
    assert "segments[1].prompt: found 5, expected text" in empty.err


def test_a_story_with_scenes_is_sent_with_segments(tmp_path: Path) -> None:
    path = write_json(tmp_path / "film.json", {"title": "Film", "scenes": [{"prompt": "A cat."}]})
    loaded = load_story_data(path)
    assert json.loads(json.dumps(loaded.data)) == {"title": "Film", "segments": [{"prompt": "A cat."}]}
    assert loaded.story.warnings == ("`scenes` is read as `segments`",)
