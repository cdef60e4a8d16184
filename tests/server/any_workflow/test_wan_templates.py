"""The official templates of Wan, as they are, tell a story on a real ComfyUI; the weights are random, the sizes small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from custom_nodes.videogen.media.probe import verify_video
from tests.server.any_workflow.conftest import PICTURES
from tests.server.any_workflow.template_runs import run_workflow, submitted, value
from tests.support.graphs.templates import find_template_files
from tests.support.runs import Ended, read_journal, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

#: A quarter of a second: 4 frames at Wan's 16 a second need 5, and the film has 6 at its own 24.
STORY: dict[str, Any] = {
    "title": "An apple tree",
    "fps": 24,
    "size": [1920, 1080],
    "quality": "draft",
    "characters": {"ben": {"description": "a man in a blue shirt", "reference": "ben.png", "segments": "1-3"}},
    "segments": [
        {"prompt": "a field under blue sky", "seed": 11, "timespan": "0 - 0.25"},
        {"prompt": "the camera moves slowly", "seed": 12, "timespan": "0.25 - 0.5"},
        {"prompt": "a garden at night", "seed": 13, "timespan": "0.5 - 0.75"},
    ],
}
#: Template → what makes it small: steps, and the pixels that its size has.
SMALL = {
    "text_to_video_wan": ["3.steps=1"],
    "image_to_video_wan": ["3.steps=1"],
    "wan2.1_flf2v_720_f16": ["90.steps=1"],
    "video_wan2_2_14B_flf2v": ["84.steps=2", "84.end_at_step=1", "87.steps=2", "87.start_at_step=1"],
    "video_wan_vace_14B_ref2v": ["108.steps=1"],
    # Inside a subgraph, with switches between many steps and few; the number of frames is computed from seconds.
    "video_wan2_2_14B_i2v": ["129:128.value=2", "129:127.value=1"],
    "video_wan2_2_14B_t2v": ["128:114.value=2", "128:115.value=1"],
}
#: The node that has width, height and length.
SIZE_NODES = {
    "text_to_video_wan": "40",
    "image_to_video_wan": "50",
    "wan2.1_flf2v_720_f16": "83",
    "video_wan2_2_14B_flf2v": "81",
    "video_wan_vace_14B_ref2v": "109",
    "video_wan2_2_14B_i2v": "129:98",
    "video_wan2_2_14B_t2v": "128:74",
}
#: Templates with nodes that older cores lack.
NEEDS = {"video_wan2_2_14B_i2v": "ComfySwitchNode", "video_wan2_2_14B_t2v": "ComfySwitchNode"}
WITHOUT_PICTURE = ("text_to_video_wan", "video_wan_vace_14B_ref2v", "video_wan2_2_14B_t2v")


def run(server: ComfyServer, folder: Path, template: str, story: dict[str, Any], *options: object) -> Ended:
    return run_as(server, folder, template, find_template_files()[template], story, *options)


def run_as(
    server: ComfyServer, folder: Path, template: str, workflow: Path, story: dict[str, Any], *options: object
) -> Ended:
    """Run a file that was made of a template, in small."""
    node = SIZE_NODES[template]
    settings = [*SMALL[template], f"{node}.width=64", f"{node}.height=32"]
    return run_workflow(server, folder, workflow, story, settings, *options)


def chained() -> dict[str, Any]:
    segments = [{**segment, "continues": number > 0} for number, segment in enumerate(STORY["segments"])]
    return {**STORY, "segments": segments}


#: Template → the inputs of its prompt and seed, and of the picture that a segment begins from or shows.
ROLES = {
    "text_to_video_wan": ("6.text", "3.seed", ""),
    "image_to_video_wan": ("6.text", "3.seed", "52.image"),
    "wan2.1_flf2v_720_f16": ("6.text", "90.seed", "52.image"),
    "video_wan2_2_14B_flf2v": ("90.text", "84.noise_seed", "80.image"),
    "video_wan_vace_14B_ref2v": ("105.text", "108.seed", "73.image"),
    "video_wan2_2_14B_i2v": ("129:93.text", "129:86.noise_seed", "97.image"),
    "video_wan2_2_14B_t2v": ("128:89.text", "128:81.noise_seed", ""),
}


@pytest.mark.parametrize("template", SMALL)
def test_a_template_tells_a_story(wan_server: ComfyServer, tmp_path: Path, template: str) -> None:
    if NEEDS.get(template, "LoadImage") not in wan_server.object_info:
        pytest.skip(f"this ComfyUI has no {NEEDS[template]}")
    takes_first_frame = template not in WITHOUT_PICTURE
    ended = run(wan_server, tmp_path, template, chained() if takes_first_frame else STORY)
    assert ended.status == 0, ended.err
    prompt, seed, picture = ROLES[template]
    graphs = list(submitted(wan_server, tmp_path).values())
    for graph, segment in zip(graphs, STORY["segments"], strict=True):
        assert segment["prompt"] in value(graph, prompt).lower()
        assert value(graph, seed) == segment["seed"]
    pictures = [value(graph, picture) for graph in graphs if picture]
    if takes_first_frame:
        assert pictures[0] in PICTURES, "its own"
        assert len({*pictures}) == 3, "the last frame of the segment before"
    elif picture:
        assert all(name.startswith("videogen/") and "ben-" in name for name in pictures)
    assert "the model is Wan" in ended.err
    assert segments_with(tmp_path / "run", "segment-done") == [1, 2, 3]
    for event in read_journal(tmp_path / "run"):
        if event["event"] == "segment-done":
            # The frame that the one before has shown is left out, where the template says how many frames it renders.
            frames = 4 if event["segment"] > 1 and takes_first_frame else 5
            assert (event["frames"], event["fps"], event["size"]) == (frames, "16", [64, 32])
    film = verify_video(tmp_path / "run" / "film.mp4")
    assert (film.frames, film.fps, (film.width, film.height)) == (18, 24, (854, 480))
    again = run(wan_server, tmp_path, template, chained() if takes_first_frame else STORY)
    assert again.status == 0, again.err
    assert segments_with(tmp_path / "run", "segment-done") == [1, 2, 3], "nothing is rendered twice"


def test_segments_that_continue_none_begin_from_the_workflow_s_own_picture(
    wan_server: ComfyServer, tmp_path: Path
) -> None:
    ended = run(wan_server, tmp_path, "image_to_video_wan", STORY)
    assert ended.status == 0, ended.err
    assert {value(graph, "52.image") for graph in submitted(wan_server, tmp_path).values()} == {PICTURES[0]}


def test_a_picture_that_nobody_has_is_named_before_anything_is_rendered(
    wan_server: ComfyServer, tmp_path: Path
) -> None:
    ended = run(wan_server, tmp_path, "image_to_video_wan", STORY, "--set", "52.image=nowhere.png")
    assert ended.status == 2
    assert "the file 'nowhere.png' is not in the server's input folder" in ended.err
    assert segments_with(tmp_path / "run", "segment-submitted") == []


@pytest.mark.parametrize("adopted", [False, True], ids=["the template", "adopted"])
def test_a_check_does_not_ask_for_what_segments_replace(wan_server: ComfyServer, tmp_path: Path, adopted: bool) -> None:
    """The template's own picture is not on the server."""
    workflow = find_template_files()["video_wan_vace_14B_ref2v"]
    if adopted:
        adopting = videogen("adopt", workflow, "-o", tmp_path / "adopted.json", "--server", wan_server.url)
        assert adopting.status == 0, adopting.err
        workflow = tmp_path / "adopted.json"
    Image.new("RGB", (64, 96), "blue").save(tmp_path / "ben.png")
    story = write_json(tmp_path / "story.json", STORY)
    where = ("--workflow", workflow, "--server", wan_server.url)
    ended = videogen("check", story, *where)
    assert ended.status == 0, ended.out + ended.err
    assert "the model is Wan VACE" in ended.out + ended.err
    (tmp_path / "ben.png").unlink()
    ended = videogen("check", story, *where)
    assert ended.status == 2, "this server has no models for it"
    assert "missing reference pictures are drawn first, with character_references.json: ben" in ended.out


def test_an_adopted_template_renders_nothing_that_the_bound_one_has(wan_server: ComfyServer, tmp_path: Path) -> None:
    """`videogen adopt`, and a run of its file without --bind: the same keys, and the same frames where it renders anew."""
    template = "text_to_video_wan"
    adopted = tmp_path / "adopted.json"
    ended = videogen("adopt", find_template_files()[template], "-o", adopted, "--server", wan_server.url)
    assert ended.status == 0, ended.err
    assert run(wan_server, tmp_path, template, STORY, "--segments", "1,2", "--no-film").status == 0
    again = run_as(wan_server, tmp_path, template, adopted, STORY, "--no-film")
    assert again.status == 0, again.err
    assert segments_with(tmp_path / "run", "segment-done") == [1, 2, 3]
    assert [event["todo"] for event in read_journal(tmp_path / "run") if event["event"] == "run-started"] == [
        [1, 2],
        [3],
    ]
    for graph in submitted(wan_server, tmp_path).values():
        assert not [node for node in graph.values() if node["class_type"].startswith("VideoGen")]
