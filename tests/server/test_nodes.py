"""The nodes at work in a real ComfyUI, asked over its API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import hash_file, probe_video
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import Graph, film_graph, segment_graph, small_story

pytestmark = pytest.mark.server

BT709 = (ColorPrimaries.BT709, ColorTrc.BT709, Colorspace.ITU709, ColorRange.MPEG)


def read_metadata(path: Path) -> dict[str, Any]:
    """The JSON tags of a file, the way the editor finds them."""
    with av.open(str(path)) as container:
        return {key: json.loads(value) for key, value in container.metadata.items() if value.startswith("{")}


def list_boxes(path: Path) -> list[str]:
    """The top-level boxes of an mp4, in order."""
    data = path.read_bytes()
    boxes, position = [], 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        boxes.append(data[position + 4 : position + 8].decode("ascii"))
        position += size
    return boxes


def first_image(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def render_error(server: ComfyServer, graph: Graph) -> str:
    """The message of a graph that must fail while it runs."""
    outcome = server.run(graph)
    assert outcome.status == "error"
    return outcome.error


def submission_error(server: ComfyServer, graph: Graph) -> str:
    """The server's message on a graph that it must refuse before it runs."""
    with pytest.raises(VideoGenError) as caught:
        server.submit(graph)
    assert caught.value.code == "submission-rejected"
    return caught.value.message


# ------------------------------------------------------------------ Story → Segment → Storyboard Frames → Save Segment


@pytest.fixture(scope="module")
def segment(comfy_server: ComfyServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Segment 2 of a small story as a browser would fetch it, and what the node said of it."""
    graph = segment_graph(small_story("Tiny"), index=2)
    workflow = {"nodes": [], "links": [], "note": "as the editor would save it; ; # = \\ \n too"}
    result = comfy_server.render(graph, workflow)["4"]
    return comfy_server.download(result, tmp_path_factory.mktemp("segment")), result


def test_segment_has_exact_length_size_and_rate(segment: tuple[Path, dict[str, Any]]) -> None:
    path, result = segment
    info = probe_video(path, decode=True)
    # 4 frames at 8 fps are 0.5 s, which draft's 24 fps make 12 frames.
    assert (info.frames, info.fps, info.width, info.height) == (12, Fraction(24), 854, 480)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert result["images"] == [{"filename": "segment_02.mp4", "subfolder": "videogen/tiny", "type": "output"}]
    said = result["videogen"][0]
    assert said["sha256"] == hash_file(path)
    assert said["bytes"] == path.stat().st_size
    assert (said["number"], said["seed"], said["frames"], said["fps"]) == (2, 102, 12, 24)
    assert (said["size"], said["quality"], said["rendered_frames"]) == ([854, 480], "draft", 4)


def test_segment_is_tagged_bt709_and_streams(segment: tuple[Path, dict[str, Any]]) -> None:
    path, _ = segment
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        tags = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    assert tags == BT709
    boxes = list_boxes(path)
    assert boxes.index("moov") < boxes.index("mdat")


def test_segment_carries_workflow_and_prompt(segment: tuple[Path, dict[str, Any]]) -> None:
    metadata = read_metadata(segment[0])
    assert metadata["workflow"]["note"] == "as the editor would save it; ; # = \\ \n too"
    assert metadata["prompt"]["2"]["inputs"]["index"] == 2
    assert metadata["prompt"]["4"]["class_type"] == "VideoGenSaveSegment"


def test_same_segment_is_the_same_bytes(comfy_server: ComfyServer) -> None:
    graph = segment_graph(small_story("Same"), take="one")
    path = comfy_server.output("videogen", "same", "segment_01_one.mp4")
    comfy_server.render(graph)
    once = hash_file(path)
    path.unlink()
    # ComfyUI caches what the last prompt has used: after another one all of it is made again.
    comfy_server.render({"1": {"class_type": "PreviewAny", "inputs": {"source": "something else"}}})
    comfy_server.render(graph)
    assert hash_file(path) == once


def test_portrait_story_stays_portrait(comfy_server: ComfyServer) -> None:
    result = comfy_server.render(segment_graph(small_story("Portrait", size=(180, 320))))["4"]
    info = probe_video(comfy_server.output("videogen", "portrait", "segment_01.mp4"))
    assert (info.width, info.height) == (480, 854)
    assert result["videogen"][0]["size"] == [480, 854]


def test_quality_of_the_node_goes_before_the_storys(comfy_server: ComfyServer) -> None:
    result = comfy_server.render(segment_graph(small_story("Quality"), quality="standard"))["4"]
    info = probe_video(comfy_server.output("videogen", "quality", "segment_01.mp4"))
    assert (info.width, info.height, info.fps, info.frames) == (1280, 720, 30, 15)
    assert result["videogen"][0]["quality"] == "standard"


def test_images_with_alpha_of_any_count_and_size(comfy_server: ComfyServer) -> None:
    # One red RGBA image of another shape fills the whole segment, between bars: alpha does not make it darker.
    graph = segment_graph(small_story("Alpha"))
    graph["6"] = {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0xFF0000}}
    graph["7"] = {"class_type": "SolidMask", "inputs": {"value": 0.5, "width": 64, "height": 64}}
    graph["8"] = {"class_type": "JoinImageWithAlpha", "inputs": {"image": ["6", 0], "alpha": ["7", 0]}}
    graph["4"]["inputs"]["images"] = ["8", 0]
    del graph["3"]
    result = comfy_server.render(graph)["4"]
    path = comfy_server.output("videogen", "alpha", "segment_01.mp4")
    assert result["videogen"][0]["rendered_frames"] == 1
    assert probe_video(path, decode=True).frames == 12
    image = first_image(path).astype(int)
    assert np.abs(image[240, 427] - [255, 0, 0]).max() < 12
    assert image[240, 20].max() < 12


def test_former_file_is_kept(comfy_server: ComfyServer) -> None:
    path = comfy_server.output("videogen", "kept", "segment_01.mp4")
    graph = segment_graph(small_story("Kept"))
    comfy_server.render(graph)
    former = hash_file(path)
    graph["2"]["inputs"]["prompt_override"] = "A dog digs a hole."
    comfy_server.render(graph)
    assert hash_file(path) != former
    assert hash_file(path.parent / "previous" / "segment_01_001.mp4") == former


def test_segment_gives_prompt_seed_and_size(comfy_server: ComfyServer) -> None:
    story = small_story(
        "Outputs",
        style={"prefix": "Documentary", "suffix": "Sharp focus", "negative": "text", "master_prompt": "All is calm."},
        characters={"man": {"description": "A man in a blue shirt", "segments": "2"}},
    )
    graph = segment_graph(story, index=2)
    graph["2"]["inputs"] |= {"prompt_override": "He whistles.", "with_master_prompt": True}
    del graph["3"], graph["4"]
    shown = {"prompt": 1, "negative": 2, "seed": 3, "frames": 4, "fps": 5, "width": 6, "height": 7}
    for name, output in shown.items():
        graph[name] = {"class_type": "PreviewAny", "inputs": {"source": ["2", output]}}
    outputs = comfy_server.render(graph)
    assert {name: outputs[name]["text"][0] for name in shown} == {
        "prompt": "All is calm.\n\nDocumentary. A man in a blue shirt. He whistles. Sharp focus.",
        "negative": "text",
        "seed": "102",
        "frames": "4",
        "fps": "8.0",
        "width": "320",
        "height": "180",
    }


def test_story_from_a_file_is_read_again_when_it_changes(comfy_server: ComfyServer) -> None:
    file = comfy_server.folder / "input" / "films" / "from_file.json"
    file.parent.mkdir(exist_ok=True)
    graph = segment_graph("")
    graph["1"]["inputs"] = {"file": "films/from_file.json", "text": ""}
    seeds = []
    for seed in (7, 8):
        story = small_story("From a file")
        story["segments"][0]["seed"] = seed
        file.write_text(json.dumps(story), encoding="utf-8")
        seeds.append(comfy_server.render(graph)["4"]["videogen"][0]["seed"])
    assert seeds == [7, 8]
    assert (
        "films/from_file.json"
        in comfy_server.client.object_info()["VideoGenStory"]["input"]["required"]["file"][1]["options"]
    )


def test_text_and_take_can_come_out_of_other_nodes(comfy_server: ComfyServer) -> None:
    graph = segment_graph("", take="")
    graph["6"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": json.dumps(small_story("Linked"))}}
    graph["7"] = {"class_type": "PrimitiveString", "inputs": {"value": "first"}}
    graph["1"]["inputs"]["text"] = ["6", 0]
    graph["4"]["inputs"]["take"] = ["7", 0]
    assert comfy_server.render(graph)["4"]["images"][0]["filename"] == "segment_01_first.mp4"
    graph["7"]["inputs"]["value"] = "../../outside"
    assert "`take` is '../../outside'" in render_error(comfy_server, graph)


# ------------------------------------------------------------------ Compile Film


@pytest.fixture(scope="module")
def film_story(comfy_server: ComfyServer) -> dict[str, Any]:
    """A story of three segments with a dissolve, of which the first two are rendered."""
    story = small_story("Short film", segments=3, transitions=[{"after": 1, "type": "dissolve", "seconds": 0.25}])
    for index in (1, 2):
        comfy_server.render(segment_graph(story, index=index))
    return story


def test_film_has_dissolve_and_slate(comfy_server: ComfyServer, film_story: dict[str, Any]) -> None:
    graph = film_graph(film_story)
    graph["6"] = {"class_type": "PreviewAny", "inputs": {"source": ["5", 0]}}
    outputs = comfy_server.render(graph, workflow={"nodes": [], "links": []})
    film = comfy_server.output("videogen", "short_film", "film.mp4")
    assert outputs["5"]["images"] == [{"filename": "film.mp4", "subfolder": "videogen/short_film", "type": "output"}]
    assert outputs["6"]["text"] == [str(film)]
    said = outputs["5"]["videogen"][0]
    assert said["frames"] == said["copied"] + said["encoded"] == 36
    info = probe_video(film, decode=True)
    assert (info.frames, info.fps, info.width, info.height) == (36, 24, 854, 480)
    assert read_metadata(film)["workflow"] == {"nodes": [], "links": []}
    with av.open(str(film)) as container:
        images = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]

    def distance(one: int, other: int) -> float:
        return float(np.abs(images[one] - images[other]).mean())

    # The dissolve takes three frames on each side of the cut at 12: every image there differs a little from the last one.
    steps = [distance(place, place + 1) for place in range(8, 15)]
    assert min(steps) > 0.2
    assert max(steps) < distance(8, 15) / 2
    # The slate does not move, and is cut hard.
    assert distance(25, 34) < 1 < distance(23, 24)


def test_film_is_made_anew_when_a_segment_arrives(comfy_server: ComfyServer, film_story: dict[str, Any]) -> None:
    comfy_server.render(film_graph(film_story))
    film = comfy_server.output("videogen", "short_film", "film.mp4")
    before = hash_file(film)
    third = comfy_server.output("videogen", "short_film", "segment_03.mp4")
    try:
        comfy_server.render(segment_graph(film_story, index=3))
        comfy_server.render(film_graph(film_story))
        assert hash_file(film) != before
    finally:
        third.unlink()


def test_film_waits_for_the_segment_that_is_being_saved(comfy_server: ComfyServer) -> None:
    # Without the link ComfyUI runs the film first, as it has less to wait for: then nothing is there yet.
    story = small_story("In one go", segments=1)
    graph = segment_graph(story) | film_graph(story, folder=["4", 0])
    outputs = comfy_server.render(graph)
    assert outputs["5"]["images"] == [{"filename": "film.mp4", "subfolder": "videogen/in_one_go", "type": "output"}]
    assert outputs["5"]["videogen"][0]["copied"] == 12


def test_missing_segments_can_stop_the_film(comfy_server: ComfyServer, film_story: dict[str, Any]) -> None:
    error = render_error(comfy_server, film_graph(film_story, missing="stop"))
    assert "segment 3 of 3 is not rendered" in error


def test_film_of_another_folder(comfy_server: ComfyServer, film_story: dict[str, Any]) -> None:
    other = comfy_server.output("elsewhere")
    other.mkdir(exist_ok=True)
    (other / "segment_01.mp4").write_bytes(comfy_server.output("videogen", "short_film", "segment_01.mp4").read_bytes())
    outputs = comfy_server.render(film_graph(film_story, folder="elsewhere"))
    assert outputs["5"]["images"][0]["subfolder"] == "elsewhere"
    assert probe_video(other / "film.mp4").frames == 36


# ------------------------------------------------------------------ what goes wrong is said in sentences


def test_story_problems_are_all_named_before_anything_runs(comfy_server: ComfyServer) -> None:
    story = small_story("Wrong", fpss=3)
    story["segments"] += [{"timespan": "00:08 - 00:02", "prompt": "x"}, {"prompt": ""}]
    error = submission_error(comfy_server, segment_graph(story))
    assert "VideoGenStory" in error
    for place in ("fpss: ", "segments[3].timespan: ", "segments[4].prompt: "):
        assert place in error, error


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "the story is empty"), ("{not: [json", "story"), ("[]", "expected at least one segment")],
)
def test_text_that_is_no_story(comfy_server: ComfyServer, text: str, said: str) -> None:
    assert said in submission_error(comfy_server, segment_graph(text))


def test_story_file_that_is_not_there(comfy_server: ComfyServer) -> None:
    for name, said in (
        ("gone.json", "there is no story file"),
        ("../../secret.json", "expected a name inside"),
    ):
        graph = segment_graph("")
        graph["1"]["inputs"]["file"] = name
        assert said in submission_error(comfy_server, graph)


def test_index_behind_the_last_segment(comfy_server: ComfyServer) -> None:
    error = render_error(comfy_server, segment_graph(small_story("Short"), index=3))
    assert "segment 3 does not exist: the story 'Short' has segments 1 to 2" in error


def test_take_with_a_path_in_it(comfy_server: ComfyServer) -> None:
    assert "`take` is '../x'" in submission_error(comfy_server, segment_graph(small_story("Take"), take="../x"))


@pytest.mark.parametrize("folder", ["../..", "/", "videogen/../../input", "C:\\x", "..\\x"])
def test_folder_outside_the_output_folder(comfy_server: ComfyServer, folder: str) -> None:
    error = submission_error(comfy_server, film_graph(small_story("Outside"), folder=folder))
    assert "expected a name inside" in error  # before anything was rendered


def test_film_without_any_segment(comfy_server: ComfyServer) -> None:
    error = render_error(comfy_server, film_graph(small_story("Nothing yet")))
    assert "segments 1,2 of 2 are not rendered (looked in " in error


def test_another_packs_story_socket(comfy_server: ComfyServer) -> None:
    # ComfyUI compares sockets by their name only.
    graph = segment_graph(small_story("Socket"))
    graph["4"]["inputs"]["images"] = ["1", 0]
    assert "Return type mismatch" in submission_error(comfy_server, graph)


@pytest.fixture(autouse=True)
def _no_leftovers(comfy_server: ComfyServer) -> Iterator[None]:
    """Whatever happens, half-written files do not stay."""
    yield
    assert list(comfy_server.output().rglob("*.part")) == []
    assert list(comfy_server.output().rglob(".film-*")) == []
