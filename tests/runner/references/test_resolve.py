"""Which reference images are drawn, kept, shared, and still count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.servers import Server
from runner.comfyui.session import Session
from runner.references.generate import find_drawable, find_kept, find_stale, share_images
from runner.references.resolve import CastImages
from runner.rendering.run_log import RunLog
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from runner.workflows.image_inputs import find_image_inputs
from runner.workflows.story_images import Missing, find_missing
from tests.runner.references.garden import STORY, FakeServer, make_png, make_run, make_story, missing, workflow
from tests.support.stories import segment_graph


def test_the_first_image_of_characters_and_objects_can_be_drawn() -> None:
    wanted = [missing("anna.png"), missing("tree.png"), missing("bark.png"), missing("field.png")]
    assert [entity.name for entity in find_drawable(make_story(), wanted)] == ["anna", "tree"]


def test_what_some_server_has_is_not_drawn() -> None:
    one = Missing(make_story().characters[0], "anna.png", (1,), ("http://a",), ("http://a", "http://b"))
    assert find_drawable(make_story(), [one]) == []


# ------------------------------------------------------------------ what still counts


def test_another_description_makes_an_image_stale(directory: RunDirectory) -> None:
    server = FakeServer()
    make_run(directory, server)[0].draw(cast(Server, server))
    changed = make_story(characters={"anna": {**STORY["characters"]["anna"], "description": "a short woman"}})
    assert set(find_kept(directory.path, changed, server.hash_input_file)) == {"tree.png"}
    assert find_stale(directory.path, changed, server.hash_input_file) == {"anna.png"}
    assert find_stale(directory.path, make_story(), server.hash_input_file) == set()
    # A user's own image under that name stays, whatever the description says.
    server.input_files["anna.png"] = make_png("blue")
    assert find_stale(directory.path, changed, server.hash_input_file) == set()


def test_an_image_that_somebody_has_put_in_its_place_counts(directory: RunDirectory) -> None:
    server = FakeServer()
    make_run(directory, server)[0].draw(cast(Server, server))
    server.input_files["anna.png"] = make_png("blue")
    assert set(find_kept(directory.path, make_story(), server.hash_input_file)) == {"tree.png"}


def test_a_copy_that_was_tampered_with_does_not_count(directory: RunDirectory) -> None:
    server = FakeServer()
    make_run(directory, server)[0].draw(cast(Server, server))
    (directory.path / "references" / "anna.png").write_bytes(make_png("green"))
    assert set(find_kept(directory.path, make_story(), lambda name: "")) == {"tree.png"}


def test_what_one_server_has_is_brought_to_the_others(directory: RunDirectory) -> None:
    one, other = FakeServer(), FakeServer()
    one.url, other.url = "http://a", "http://b"
    one.input_files["anna.png"] = make_png("blue")
    lacking = Missing(make_story().characters[0], "anna.png", (1,), ("http://b",), ("http://a", "http://b"))
    shared = share_images(directory.path, [lacking], cast(Any, [other, one]))
    assert shared["anna.png"].read_bytes() == one.input_files["anna.png"]


def test_everything_together(directory: RunDirectory) -> None:
    """What a run does: look, find what is missing, draw it, and use it from then on."""
    story, server = make_story(), FakeServer()
    server.input_files |= {"bark.png": make_png(), "field.png": make_png()}
    images = CastImages(LoadedStory(story, STORY), directory, workflow())
    hash_input = images.look(server.hash_input_file, server.read_input_file)
    node = {"class_type": "VideoGenApplyCharacters", "inputs": {"segment": ["2", 0], "missing": "stop"}}
    image_inputs = find_image_inputs(segment_graph(STORY) | {"7": node})

    def find() -> list[Missing]:
        return find_missing(story, [1, 2, 3], image_inputs, images.local_images(), {server.url: hash_input})

    assert [one.name for one in find()] == ["anna.png", "tree.png"]
    maker = SimpleNamespace(graph={})
    run = images.plan(cast(Any, maker), find(), cast(Session, server), RunLog(directory.journal, LineDisplay()), 60)
    assert run is not None
    images.require(find(), run.names)
    with pytest.raises(VideoGenError, match="lacks pictures: 2 problems"):
        images.require(find(), ())
    images.drawn |= run.draw(cast(Server, server))
    assert find() == []
    assert {
        name.rpartition("/")[2].split("-")[0] for name in images.local_images().names_for_servers(story).values()
    } == {
        "anna",
        "tree",
    }
