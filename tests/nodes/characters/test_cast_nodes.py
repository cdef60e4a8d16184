"""VideoGenCastMember and VideoGenSaveReference in ComfyUI's own Python."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.needs import require_comfy

require_comfy()

import folder_paths
import torch
from PIL import Image

from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.images.reference_file import is_rendered
from custom_nodes.videogen.nodes.characters.reference_output import (
    KEEP,
    REPLACE_ANY,
    REPLACE_RENDERED,
    VideoGenCastMember,
    VideoGenSaveReference,
)
from tests.support.stories import small_story

RED, BLUE = torch.tensor([1.0, 0.0, 0.0]).expand(1, 8, 12, 3), torch.tensor([0.0, 0.0, 1.0]).expand(1, 8, 12, 3)


@pytest.fixture
def input_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's input folder, empty."""
    monkeypatch.setattr(folder_paths, "input_directory", str(tmp_path))
    return tmp_path


def make_story() -> Story:
    return parse_story(
        small_story(
            "Two of them",
            style={"prefix": "A documentary", "negative": "cartoon"},
            characters={"man": {"description": "a man in a blue shirt", "seed": 7}},
            objects={"apple_tree": {"description": "a young apple tree", "reference": "tree.png"}, "spade": {}},
        ),
        "test",
    )


def save(images: torch.Tensor, file: str = "videogen/x/man.png", existing: str = REPLACE_RENDERED) -> dict:
    output = VideoGenSaveReference.execute(images, file, existing, "a man")
    return {**output.ui["videogen"][0], **output.ui["images"][0]}


def color_of(path: Path) -> list[int]:
    return np.asarray(Image.open(path).convert("RGB"))[4, 4].tolist()


def test_each_member_has_its_own_prompt_seed_and_file() -> None:
    story = make_story()
    members = [VideoGenCastMember.execute(story, index, "Person:", "Thing:").args for index in (1, 2, 3)]
    assert members[0][0].endswith(" a man in a blue shirt. A documentary.")
    assert members[0][0].startswith("Person:")
    assert members[1][0].startswith("Thing:")
    assert "Spade" in members[2][0]  # its name, as there is no description
    assert members[0][1].startswith("cartoon, ")
    assert members[0][2] == 7
    assert len({member[2] for member in members}) == 3
    assert [member[3] for member in members] == [
        "videogen/two_of_them/man.png",
        "tree.png",
        "videogen/two_of_them/spade.png",
    ]
    assert {member[4] for member in members} == {3}


def test_nobody_by_that_number() -> None:
    with pytest.raises(
        VideoGenError, match="`index` is 4, and the cast of 'Two of them' has 1 to 3: 1 man, 2 apple_tree"
    ):
        VideoGenCastMember.execute(make_story(), 4, "", "")


def test_a_story_without_a_cast() -> None:
    with pytest.raises(VideoGenError, match="has neither characters nor objects") as caught:
        VideoGenCastMember.execute(parse_story(small_story("Nobody"), "test"), 1, "", "")
    assert caught.value.code == "member-missing"


def test_an_image_lies_where_load_image_finds_it(input_folder: Path) -> None:
    result = save(RED)
    path = input_folder / "videogen" / "x" / "man.png"
    assert (result["filename"], result["subfolder"], result["type"]) == ("man.png", "videogen/x", "input")
    assert (result["file"], result["written"], result["rendered"]) == ("videogen/x/man.png",) * 2 + (True,)
    assert color_of(path) == [255, 0, 0]
    assert is_rendered(path)
    assert Image.open(path).text["videogen-reference"] == "a man"
    assert list(path.parent.iterdir()) == [path]  # nothing half-written is left


def test_an_image_in_the_input_folder_itself_has_no_subfolder(input_folder: Path) -> None:
    assert save(RED, "man.webp")["subfolder"] == ""
    assert is_rendered(input_folder / "man.webp")


def test_a_rendered_one_is_replaced_and_kept(input_folder: Path) -> None:
    save(RED)
    save(BLUE)
    folder = input_folder / "videogen" / "x"
    assert color_of(folder / "man.png") == [0, 0, 255]
    assert color_of(folder / "previous" / "man_001.png") == [255, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_user_s_own_image_stays(input_folder: Path, suffix: str) -> None:
    own = input_folder / f"man.{suffix}"
    Image.new("RGB", (12, 8), (0, 200, 0)).save(own)
    before = own.read_bytes()
    result = save(RED, own.name)
    assert own.read_bytes() == before
    assert (result["file"], result["written"]) == (own.name, f"previous/man_001.{suffix}")
    save(RED, own.name, REPLACE_ANY)
    assert is_rendered(own)
    assert (input_folder / "previous" / f"man_002.{suffix}").read_bytes() == before


def test_keep_keeps_whatever_is_there(input_folder: Path) -> None:
    save(RED, existing=KEEP)
    result = save(BLUE, existing=KEEP)
    assert color_of(input_folder / "videogen" / "x" / "man.png") == [255, 0, 0]
    assert result["rendered"] is True
    assert not (input_folder / "videogen" / "x" / "previous").exists()


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("../../etc/man.png", "expected a name inside"),
        ("", "`file` is empty"),
        ("man.gif", "not a file name for a picture"),
        ("man", "not a file name for a picture"),
    ],
)
@pytest.mark.usefixtures("input_folder")
def test_names_that_no_image_gets(file: str, said: str) -> None:
    assert said in str(VideoGenSaveReference.validate_inputs(file))
    with pytest.raises(VideoGenError, match=said):
        save(RED, file)


@pytest.mark.usefixtures("input_folder")
def test_one_image_at_a_time() -> None:
    with pytest.raises(VideoGenError, match="are 3 pictures, expected one"):
        save(RED.expand(3, -1, -1, -1))
