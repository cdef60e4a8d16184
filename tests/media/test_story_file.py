"""Stories on disk: files next to them are read, files elsewhere are not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import load_story, load_story_data, load_story_text
from custom_nodes.videogen.media.story_folder import StoryFolder

SEGMENTS = [{"prompt": "a tree"}, {"prompt": "a house"}]


def write_story(folder: Path, story: Any, name: str = "my_film.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(story if isinstance(story, str) else json.dumps(story), encoding="utf-8")
    return path


def prompts(path: Path) -> list[str]:
    return [segment.prompt for segment in load_story(path).segments]


def test_a_plain_list_is_a_story_named_after_its_file(tmp_path: Path) -> None:
    story = load_story(write_story(tmp_path, SEGMENTS))
    assert (story.title, len(story.segments)) == ("my film", 2)


def test_the_segments_can_lie_in_a_file_beside_the_story(tmp_path: Path) -> None:
    write_story(tmp_path / "parts", SEGMENTS, "segments.json")
    assert prompts(write_story(tmp_path, {"segments": "parts/segments.json"})) == ["a tree", "a house"]


def test_the_master_prompt_can_lie_in_a_file_beside_the_story(tmp_path: Path) -> None:
    write_story(tmp_path, "\ufeff# Look\n\nSoft light.", "look.md")
    story = load_story(write_story(tmp_path, {"style": {"master_prompt": "look.md"}, "segments": SEGMENTS}))
    assert story.style.master_prompt == "# Look\n\nSoft light."


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_files_of_other_systems_are_read(tmp_path: Path, mark: str, line_end: str) -> None:
    text = json.dumps([{"prompt": "Bäume in Müllheim"}], indent=1, ensure_ascii=False).replace("\n", line_end)
    path = tmp_path / "story.json"
    path.write_bytes((mark + text).encode())
    assert prompts(path) == ["Bäume in Müllheim"]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../outside.json", "outside the story's folder"),
        ("/etc/hostname", "outside the story's folder"),
        ("link.json", "is a link, or in a folder that is one"),
        ("inner_link.json", "copy the file itself into the story's folder"),
        ("folder_link/outside.json", "is a link, or in a folder that is one"),
        (".hidden.json", "is hidden"),
        (".ssh/list.json", "is hidden"),
        ("id_rsa", "does not end in .json, .yaml, .yml"),
        ("passwords.txt", "does not end in .json, .yaml, .yml"),
        ("gone.json", "no file 'gone.json' in the story's folder"),
        ("gone/gone.json", "no file 'gone/gone.json' in the story's folder"),
        ("folder.json", "is not a file"),
        ("pipe.json", "is not a file"),
        ("latin1.json", "not UTF-8 text: byte 0xfc in line 2"),
        ("my_film.json", "expected a file with only the list"),
        (r"\\host\share\list.json", "outside the story's folder"),
        ("//host/share/list.json", "outside the story's folder"),
        ("C:list.json", "outside the story's folder"),
        ("aux.json", "'aux.json' is a device on Windows"),
        ("ü" * 250 + ".json", "cannot be read"),
    ],
)
def test_a_file_that_a_story_may_not_name(tmp_path: Path, name: str, said: str) -> None:
    folder = tmp_path / "stories"
    outside = write_story(tmp_path, SEGMENTS, "outside.json")
    path = write_story(folder, {"segments": name})
    (folder / "link.json").symlink_to(outside)
    (folder / "folder_link").symlink_to(tmp_path)
    (folder / "inner_link.json").symlink_to("my_film.json")
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "latin1.json").write_bytes('[{"prompt":\n "M\u00fcllheim"}]'.encode("latin-1"))
    with pytest.raises(VideoGenError, match=said) as caught:
        load_story(path)
    assert caught.value.code == "story-invalid"
    assert "segments" in caught.value.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("link.md", "is a link"),
        ("folder_link/look.md", "is a link, or in a folder that is one"),
        (".look.md", "is hidden"),
        (".git/notes.txt", "is hidden"),
        ("binary.txt", "not UTF-8 text"),
        ("long.md", "has 800,004 bytes, at most 800,003 are read"),
        ("../look.md", "outside the story's folder"),
    ],
)
def test_a_file_that_may_not_be_a_master_prompt(tmp_path: Path, name: str, said: str) -> None:
    folder = tmp_path / "story"
    path = write_story(folder, {"style": {"master_prompt": name}, "segments": SEGMENTS})
    (tmp_path / "look.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "look.md")
    (folder / "folder_link").symlink_to(tmp_path)
    (folder / "binary.txt").write_bytes(bytes(range(256)))
    (folder / "long.md").write_text("x" * 800_004)
    with pytest.raises(VideoGenError, match=said) as caught:
        load_story(path)
    assert caught.value.code == "story-invalid"
    assert "style.master_prompt" in caught.value.message


def test_a_name_without_an_ending_is_the_master_prompt_itself(tmp_path: Path) -> None:
    (tmp_path / "id_rsa").write_text("secret")
    story = load_story(write_story(tmp_path, {"style": {"master_prompt": "id_rsa"}, "segments": SEGMENTS}))
    assert story.style.master_prompt == "id_rsa"


def test_a_story_that_is_a_link_of_the_user_s_is_read(tmp_path: Path) -> None:
    write_story(tmp_path / "real", SEGMENTS)
    (tmp_path / "story.json").symlink_to(tmp_path / "real" / "my_film.json")
    assert prompts(tmp_path / "story.json") == ["a tree", "a house"]


def test_the_files_that_were_read_are_known(tmp_path: Path) -> None:
    write_story(tmp_path, "Soft light.", "look.md")
    write_story(tmp_path, SEGMENTS, "parts.json")
    path = write_story(tmp_path, {"style": {"master_prompt": "look.md"}, "segments": "parts.json"})
    folder = tmp_path.resolve()
    assert load_story_data(path).files == (path, folder / "parts.json", folder / "look.md")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: None, "there is no story file"),
        (Path.mkdir, "is a folder"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b'[{"prompt": "M\xfcllheim"}]'), "not UTF-8 text"),
        (lambda path: path.write_bytes('[{"prompt": "x"}]'.encode("utf-16")[:-1]), "not UTF-8 text"),
        (lambda path: path.write_text("{"), "is not JSON"),
        (os.mkfifo, "is not a file"),
    ],
    ids=["missing", "folder", "empty", "latin-1", "half utf-16", "not json", "pipe"],
)
def test_a_story_that_cannot_be_read(tmp_path: Path, make: Callable[[Path], Any], said: str) -> None:
    path = tmp_path / "story.json"
    make(path)
    with pytest.raises(VideoGenError, match=said) as caught:
        load_story(path)
    assert caught.value.code == "story-unreadable"
    assert "story.json" in caught.value.message


@pytest.mark.parametrize("name", ["x" * 300 + ".json", "folder/" * 700 + "story.json"], ids=["name", "path"])
def test_a_name_that_is_too_long_is_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        load_story(tmp_path / name)
    assert caught.value.code == "story-unreadable"


# ------------------------------------------------------------------ the same as data that carries everything itself

FULL = {
    "$schema": "story.schema.json",
    "title": "Der Baum",
    "fps": "24000/1001",
    "frames": 24,
    "size": [640, 360],
    "quality": "draft",
    "style": {"prefix": "documentary", "negative": "text", "kelvin": [5500, 6000], "master_prompt": "look.md"},
    "characters": {"man": {"description": "a man", "segments": "1", "region": [0, 0, 0.5, 1], "weight": 0.8}},
    "locations": {"field": {"description": "a field", "segments": [1, 2]}},
    "transitions": [{"after": 1, "seconds": 0.3}],
    "audio": {"music": "song.mp3"},
    "segments": "segments.yaml",
}


def test_the_data_alone_makes_the_same_story(tmp_path: Path) -> None:
    write_story(tmp_path, "Soft light.\nNo text.", "look.md")
    write_story(tmp_path, "- prompt: one\n  timespan: 00:00 - 00:08\n- {prompt: two, seed: 5}\n", "segments.yaml")
    loaded = load_story_data(write_story(tmp_path, FULL))
    story, data = loaded.story, loaded.data
    assert parse_story(data) == story
    assert parse_story(json.loads(json.dumps(data))) == story
    assert data["style"]["master_prompt"] == "Soft light.\nNo text."
    assert [segment["prompt"] for segment in data["segments"]] == ["one", "two"]


def test_a_plain_list_becomes_an_object_with_its_title(tmp_path: Path) -> None:
    loaded = load_story_data(write_story(tmp_path, SEGMENTS))
    story, data = loaded.story, loaded.data
    assert data == {"title": "my film", "segments": SEGMENTS}
    assert parse_story(data) == story


def test_the_folder_is_the_file_s_wherever_one_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_story(tmp_path, SEGMENTS)
    monkeypatch.chdir(tmp_path)
    assert load_story_data(Path("my_film.json")).folder == tmp_path


def test_a_text_without_a_file_is_a_story_too(tmp_path: Path) -> None:
    loaded = load_story_text("- prompt: a tree\n  x-shot-on: 2025-06-01", "the story in film", tmp_path)
    assert loaded.data == {"title": loaded.story.title, "segments": [{"prompt": "a tree"}]}
    assert parse_story(loaded.data) == loaded.story
    assert loaded.folder == tmp_path
    with pytest.raises(VideoGenError, match="the story in film"):
        load_story_text("segments: other.json", "the story in film", tmp_path)


def test_another_quality_is_in_the_story_and_in_its_data(tmp_path: Path) -> None:
    loaded = load_story_data(write_story(tmp_path, SEGMENTS))
    assert loaded.with_quality(None) is loaded
    premium = loaded.with_quality("premium")
    assert (premium.story.quality, premium.data["quality"], premium.folder) == ("premium", "premium", loaded.folder)
    assert "quality" not in loaded.data


def test_notes_of_the_author_are_left_out_of_the_data(tmp_path: Path) -> None:
    """YAML notes can be dates, sets, or lists that hold themselves, which cannot be written as JSON."""
    text = """
x-written: 2025-06-01
x-loop: &loop [*loop]
title: Film
style: {prefix: soft, x-not-a-number: .nan}
characters:
  man: {x-set: !!set {a, b}}
  x-nobody: {1: 2}
segments:
- {prompt: one, x-done: 2025-06-01}
"""
    loaded = load_story_data(write_story(tmp_path, text, "story.yaml"))
    story, data = loaded.story, loaded.data
    assert data == {
        "title": "Film",
        "style": {"prefix": "soft"},
        "characters": {"man": {}},
        "segments": [{"prompt": "one"}],
    }
    assert parse_story(json.loads(json.dumps(data))) == story


@pytest.mark.parametrize(
    "name", [r"\\host\share\x.json", "//host/share/x.json", r"\\?\UNC\host\share\x.json", "CON.json"]
)
def test_another_machine_is_refused_before_any_file_system_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    read = StoryFolder(tmp_path).read_text

    def ask(*_: object, **__: object) -> None:
        raise AssertionError("a file system was asked")

    with monkeypatch.context() as patch:
        for question in ("resolve", "exists", "is_file", "is_dir", "stat", "open"):
            patch.setattr(Path, question, ask)
        for question in ("lstat", "stat", "open"):
            patch.setattr(os, question, ask)
        with pytest.raises(ValueError, match="outside the story's folder"):
            read(name)


SENTENCES = [
    "Keep to the look that is described in guide.md",
    "Warm light, long shadows, as in notes.txt",
    "Everything is seen through a window, see also frames.MD",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_that_ends_like_a_file_is_the_master_prompt_itself(tmp_path: Path, sentence: str) -> None:
    loaded = load_story_data(write_story(tmp_path, {"style": {"master_prompt": sentence}, "segments": SEGMENTS}))
    assert loaded.story.style.master_prompt == sentence
    assert "style.master_prompt is read as text: there is no file of that name" in loaded.story.warnings
    # As servers get it, and as the film is made again from the run's record: without a folder.
    assert parse_story(loaded.data).style.master_prompt == sentence


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_file_with_such_a_name_is_read(tmp_path: Path, sentence: str) -> None:
    story = write_story(tmp_path, {"style": {"master_prompt": sentence}, "segments": SEGMENTS})
    (tmp_path / sentence).write_text("Soft light.")
    assert load_story(story).style.master_prompt == "Soft light."


def test_a_file_of_one_such_sentence_can_be_sent(tmp_path: Path) -> None:
    (tmp_path / "look.md").write_text(SENTENCES[0])
    loaded = load_story_data(write_story(tmp_path, {"style": {"master_prompt": "look.md"}, "segments": SEGMENTS}))
    assert parse_story(loaded.data).style.master_prompt == SENTENCES[0]


@pytest.mark.parametrize("name", ["no_such_look.md", "no such look.txt"])
def test_a_name_without_a_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoGenError, match=r"style\.master_prompt"):
        load_story(write_story(tmp_path, {"style": {"master_prompt": name}, "segments": SEGMENTS}))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_story_that_windows_has_saved_as_unicode(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "film.json"
    path.write_bytes(("\ufeff" + '[{"prompt": "苹果 🎬"}]').encode(encoding))
    assert load_story(path).segments[0].prompt == "苹果 🎬"
