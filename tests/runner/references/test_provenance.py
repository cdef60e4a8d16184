"""Drawn reference images know what they were drawn from, in whatever directory the run is that wants them."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.cast_prompts import plan_member
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.images.reference_file import read_mark, write_reference
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.servers import Server
from runner.references.generate import RECORD_FILE
from runner.references.provenance import hide_foreign, is_drawn_for_another, member_key, write_provenance
from runner.references.resolve import CastImages
from runner.state.run_directory import RunDirectory
from tests.runner.references.garden import STORY, FakeServer, make_png, make_run, make_story, workflow

NAME = "videogen/garden/anna.png"


def garden(**anna: Any) -> Story:
    """The garden with Anna's picture under its default name."""
    data = copy.deepcopy(STORY)
    del data["characters"]["anna"]["reference"]
    data["characters"]["anna"] |= anna
    return parse_story(data)


def drawn_png(folder: Path, text: str, suffix: str = ".png") -> bytes:
    return write_reference(folder / f"drawn{suffix}", np.full((16, 16, 3), 90, np.uint8), text).read_bytes()


def drawn_for(story: Story, folder: Path, suffix: str = ".png") -> bytes:
    """Anna's picture, as the node saves what the runner has asked for."""
    return drawn_png(folder, write_provenance(story, plan_member(story, 1)), suffix)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_picture_tells_what_it_was_drawn_from(suffix: str, tmp_path: Path) -> None:
    story = garden()
    data = drawn_for(story, tmp_path, suffix)
    assert json.loads(read_mark(data) or "")["key"] == member_key(story, story.characters[0])
    assert not is_drawn_for_another(data, story, story.characters[0])
    for changed in (garden(description="a short man"), garden(seed=6)):
        assert is_drawn_for_another(data, changed, changed.characters[0])


@pytest.mark.parametrize("data", [make_png(), b"not a picture", b""], ids=["a user's own", "broken", "empty"])
def test_what_no_runner_has_drawn_counts_as_it_is(data: bytes) -> None:
    story = garden()
    assert not is_drawn_for_another(data, story, story.characters[0])


def test_what_was_drawn_in_the_editor_counts_as_it_is(tmp_path: Path) -> None:
    story = garden()
    assert not is_drawn_for_another(drawn_png(tmp_path, "some prompt of the user's"), story, story.characters[0])


def test_pictures_of_earlier_releases_are_told_by_prompt_and_seed(tmp_path: Path) -> None:
    story = garden()
    text = json.dumps({"prompt": "Person. a tall woman. A painting.", "seed": 5})
    data = drawn_png(tmp_path, text)
    assert not is_drawn_for_another(data, story, story.characters[0])
    for changed in (garden(description="a short man"), garden(seed=6)):
        assert is_drawn_for_another(data, changed, changed.characters[0])


@pytest.mark.parametrize("changed", [False, True])
def test_a_new_directory_takes_the_picture_of_the_same_description_and_no_other(changed: bool, tmp_path: Path) -> None:
    """Film one has drawn Anna on this server; another directory asks for her."""
    server = FakeServer()
    server.input_files[NAME] = drawn_for(garden(), tmp_path)
    story = garden(description="a short man") if changed else garden()
    with RunDirectory(tmp_path / "elsewhere", "Garden") as directory:
        images = CastImages(LoadedStory(story, STORY), directory, workflow())
        found = images.look(server.hash_input_file, server.read_input_file)(NAME)
    assert found == ("" if changed else hashlib.sha256(server.input_files[NAME]).hexdigest())


def test_another_server_s_stale_picture_is_not_shared(tmp_path: Path) -> None:
    server = FakeServer()
    server.input_files[NAME] = drawn_for(garden(), tmp_path)
    look = hide_foreign(garden(seed=9), server.hash_input_file, server.read_input_file)
    assert look(NAME) == ""
    assert look("other.png") == ""


def test_a_picture_that_another_run_has_drawn_meanwhile_is_not_taken(
    directory: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users of one server draw `anna.png` at the same time, each from a description of their own."""
    other = drawn_for(garden(description="a short man"), tmp_path)
    monkeypatch.setattr(FakeServer, "download", lambda self, file, target, most: target.write_bytes(other))
    server = FakeServer()
    run, events = make_run(directory, server, ("anna",))
    with pytest.raises(VideoGenError, match=r"another run has drawn 'anna\.png'"):
        run.draw(cast(Server, server))
    assert {event["event"] for event in events} == {"reference-submitted", "reference-failed"}


def test_what_an_earlier_release_has_drawn_for_a_title_without_latin_letters_is_kept(tmp_path: Path) -> None:
    data = copy.deepcopy(STORY) | {"title": "花园"}
    del data["characters"]["anna"]["reference"]
    story = parse_story(data)
    png = make_png()
    with RunDirectory(tmp_path / "run", "花园") as directory:
        old = directory.path / "references" / "videogen" / "story" / "anna.png"
        old.parent.mkdir(parents=True)
        old.write_bytes(png)
        record = dict.fromkeys(("kind", "entity", "prompt", "server"), "") | {"seed": 5, "bytes": 1, "seconds": 1.0}
        record |= {
            "name": "videogen/story/anna.png",
            "key": member_key(story, story.characters[0]),
            "sha256": hashlib.sha256(png).hexdigest(),
        }
        directory.write_json(RECORD_FILE, {"videogen/story/anna.png": record})
        images = CastImages(LoadedStory(story, data), directory, None)
        images.look(lambda name: "", lambda name: None)
        assert images.drawn == {"videogen/花园/anna.png": old}


def test_the_story_of_the_tests_names_its_picture() -> None:
    assert make_story().characters[0].references == ("anna.png",)
    assert io.BytesIO(make_png()).read(4) == b"\x89PNG"
