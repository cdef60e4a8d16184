"""A ComfyUI whose owner has put folders on other disks by links, and a run directory that is a link itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import verify_video
from tests.support.needs import skip_or_fail
from tests.support.runs import read_journal, videogen, write_json
from tests.support.servers.comfy import ComfyServer, running_server
from tests.support.stories import Graph, film_graph, segment_graph, small_story

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A server whose `output`, `output/videogen` and `input/videogen` are links, each to another place."""
    folder = tmp_path_factory.mktemp("linked-comfyui")
    for link in ("output", "output/videogen", "input/videogen"):
        disk = tmp_path_factory.mktemp("disk")
        path = folder / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(disk, target_is_directory=True)
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running_server(folder))
        except VideoGenError as error:
            if error.code != "not-installed":
                raise
            skip_or_fail(str(error))
        yield server


def test_a_segment_is_saved_through_the_links_and_served(server: ComfyServer, tmp_path: Path) -> None:
    story = small_story("Linked")
    saved = server.render(segment_graph(story))["4"]
    assert saved["images"][0]["subfolder"] == "videogen/linked"
    verify_video(server.download(saved, tmp_path), frames=12)
    film = server.render(film_graph(story, folder="videogen/linked"))["5"]
    verify_video(server.download(film, tmp_path), fps=24)


def test_a_reference_is_saved_through_the_link_and_read_again(server: ComfyServer) -> None:
    graph: Graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0xFF0000}},
        "2": {
            "class_type": "VideoGenSaveReference",
            "inputs": {"images": ["1", 0], "file": "videogen/linked/man.png", "existing": "replace rendered"},
        },
    }
    saved = server.render(graph)["2"]
    assert saved["videogen"][0]["written"] == "videogen/linked/man.png"
    assert server.client.hash_input_file("videogen/linked/man.png") == saved["videogen"][0]["sha256"]


def test_a_story_in_a_linked_folder_is_offered_and_read(server: ComfyServer) -> None:
    write_json(server.folder / "input" / "videogen" / "story.json", small_story("In a linked folder"))
    files = server.client.object_info()["VideoGenStory"]["input"]["required"]["file"]
    assert "videogen/story.json" in str(files)
    graph = segment_graph("")
    graph["1"]["inputs"] = {"file": "videogen/story.json", "text": ""}
    assert server.render(graph)["4"]["videogen"][0]["number"] == 1


def test_a_location_s_picture_in_a_linked_folder_is_found(server: ComfyServer) -> None:
    picture = server.folder / "input" / "videogen" / "field.png"
    Image.new("RGB", (64, 36), (0, 200, 0)).save(picture)
    story = small_story("Field", locations={"field": {"segments": "1-2", "reference": "videogen/field.png"}})
    graph = segment_graph(story)
    graph["3"] = {"class_type": "VideoGenLocation", "inputs": {"segment": ["2", 0]}}
    assert server.run(graph).status == "success"


def test_a_run_directory_that_is_a_link(server: ComfyServer, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk", target_is_directory=True)
    story = write_json(tmp_path / "story.json", small_story("Run on a link"))
    ended = videogen(
        "run", story, "--workflow", "preview", "--server", server.url, "--out", tmp_path / "run", "--segments", "1"
    )
    assert ended.status == 0, ended.err
    assert (tmp_path / "run").is_symlink()
    assert [event["event"] for event in read_journal(tmp_path / "run")].count("attempt-failed") == 0
    verify_video(tmp_path / "disk" / "segments" / "segment_01.mp4", frames=12)
