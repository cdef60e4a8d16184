"""VideoGenStory and VideoGenSegment in ComfyUI's own Python: which files a story in the input folder reaches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.needs import require_comfy

require_comfy()

import folder_paths

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.nodes.story.story import VideoGenSegment, list_story_files, read_story


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's input folder, with a secret outside and several ways to it."""
    inside = tmp_path / "input"
    (inside / "films" / ".ssh").mkdir(parents=True)
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "secret.json").write_text('[{"prompt": "secret"}]')
    (inside / "films" / "link.md").symlink_to(tmp_path / "secret.md")
    (inside / "films" / "out").symlink_to(tmp_path)
    (inside / ".hidden.json").write_text('[{"prompt": "x"}]')
    (inside / "films" / ".ssh" / "key.json").write_text('[{"prompt": "x"}]')
    monkeypatch.setattr(folder_paths, "input_directory", str(inside))
    return inside


def write(folder: Path, **fields: object) -> None:
    (folder / "films" / "story.json").write_text(json.dumps({"segments": [{"prompt": "a tree"}], **fields}))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"style": {"master_prompt": "link.md"}}, "is a link"),
        ({"style": {"master_prompt": "out/secret.md"}}, "is a link, or in a folder that is one"),
        ({"style": {"master_prompt": ".ssh/notes.txt"}}, "is hidden"),
        ({"segments": "out/secret.json"}, "is a link, or in a folder that is one"),
        ({"segments": "../../secret.json"}, "outside the story's folder"),
        ({"characters": {"anna": {"reference": ".ssh/id_rsa"}}}, "is hidden"),
        ({"characters": {"anna": {"reference": "passwords.txt"}}}, "does not end in .png"),
    ],
)
def test_a_story_reaches_no_file_that_is_not_its_own(folder: Path, fields: dict[str, object], said: str) -> None:
    write(folder, **fields)
    with pytest.raises(VideoGenError, match=said) as caught:
        read_story("films/story.json", "")
    assert caught.value.code == "story-invalid"


@pytest.mark.parametrize("name", [".hidden.json", "films/.ssh/key.json", "films/notes.txt", "../secret.json"])
def test_a_file_that_is_no_story_to_be_chosen(folder: Path, name: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        read_story(name, "")
    assert caught.value.code == "path-invalid"


def test_a_link_in_the_input_folder_is_its_owner_s_and_followed(folder: Path) -> None:
    assert "films/out/secret.json" in list_story_files()
    assert len(read_story("films/out/secret.json", "").segments) == 1


def test_hidden_files_are_not_in_the_list(folder: Path) -> None:
    write(folder)
    assert "films/story.json" in list_story_files()
    assert [name for name in list_story_files() if "/." in f"/{name}"] == []
    assert len(read_story("films/story.json", "").segments) == 1


def test_the_segment_tells_what_is_sent() -> None:
    data = {
        "style": {"prefix": "Warm light", "negative": "cars"},
        "segments": [{"prompt": "a cat", "description": "The cat"}],
    }
    output = VideoGenSegment.execute(parse_story(data), 1, "a dog", with_master_prompt=False)
    (told,) = output.ui["videogen"]
    assert told["title"] == "Segment 1 of 1: The cat"
    assert told["report"] == [
        output.args[1],
        "Negative: cars",
        "24 frames, 1920 × 1080 pixels, seed 1001",
    ]
    assert "a dog" in told["report"][0]


def test_a_prompt_override_is_as_long_as_a_prompt_may_be() -> None:
    with pytest.raises(VideoGenError, match="`prompt_override` has 40,004 characters, at most 20,000"):
        VideoGenSegment.execute(parse_story([{"prompt": "x"}]), 1, "wide" + "-" * 40_000)
