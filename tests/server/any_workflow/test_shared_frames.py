"""A film of segments that continue others has each frame once: its frames carry numbers, on a real ComfyUI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.media.probe import verify_video
from tests.support.runs import Ended, read_journal, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.videos import draw_code, read_code

pytestmark = pytest.mark.server

#: Half a second each: 12 frames of the clip, and of the film.
STORY: dict[str, Any] = {
    "title": "Numbers",
    "fps": 24,
    "size": [256, 144],
    "quality": "draft",
    "segments": [
        {"prompt": "the first frames", "timespan": "0 - 0.5"},
        {"prompt": "those after them", "timespan": "0.5 - 1", "start": "continue"},
        {"prompt": "and the next", "timespan": "1 - 1.5", "continues": True},
        {"prompt": "the same again", "timespan": "1.5 - 2", "continue_from": 1},
    ],
}
#: Like MiniMax H3's, its numbers of frames are on a grid: 13 become 16.
PROFILE = """
family: tests
models:
  - name: numbered
    title: Numbered frames
    recognize:
      - nodes: [NumberedFrames]
    frames: {step: 4, offset: 0, least: 4, source: "tests"}
    fps: {native: 24, source: "tests"}
    size: {multiple: 16, least: 16, native: [256, 144], source: "tests"}
    inputs: {first_frame: true, last_frame: true, references: 0, source: "tests"}
    sound: {made: true, source: "tests"}
    prompt: {dialect: plain, source: "tests"}
"""
BINDINGS = ("prompt=1.prompt", "seed=1.seed", "frames=1.length", "first_frame=9.image", "last_frame=8.image")


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


GRAPH = {
    "1": node(
        "NumberedFrames", prompt="", seed=0, width=256, height=144, length=4, start_image=["9", 0], end_image=["8", 0]
    ),
    "2": node("CreateVideo", images=["1", 0], audio=["1", 1], fps=24),
    "3": node("SaveVideo", video=["2", 0], filename_prefix="numbers", format="auto", codec="auto"),
    "8": node("LoadImage", image="last.png"),
    "9": node("LoadImage", image="first.png"),
}


def without_end() -> dict[str, Any]:
    graph = json.loads(json.dumps(GRAPH))
    del graph["8"], graph["1"]["inputs"]["end_image"]
    return graph


def run(server: ComfyServer, folder: Path, graph: dict[str, Any], story: dict[str, Any], *options: str) -> Ended:
    (folder / "profiles").mkdir(exist_ok=True)
    (folder / "profiles" / "numbered.yaml").write_text(PROFILE, encoding="utf-8")
    bindings = [one for one in BINDINGS if "8" in graph or "8.image" not in one]
    return videogen(
        "run",
        write_json(folder / "story.json", story),
        "--workflow",
        write_json(folder / "workflow.json", graph),
        "--server",
        server.url,
        "--out",
        folder / "run",
        *(part for binding in bindings for part in ("--bind", binding)),
        *options,
    )


def numbers_in(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [read_code(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def heard_numbers(path: Path) -> list[int]:
    """Whether the number of each frame is odd, by its sound."""
    with av.open(str(path)) as container:
        blocks = [block.to_ndarray()[0] for block in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    sound, frame = np.concatenate(blocks), rate // 24
    middles = (sound[at + frame // 3 : at + frame * 2 // 3].mean() for at in range(0, len(sound) - frame + 1, frame))
    return [int(middle > 0) for middle in middles]


def results(folder: Path) -> dict[int, dict[str, Any]]:
    return {event["segment"]: event for event in read_journal(folder / "run") if event["event"] == "segment-done"}


def test_no_frame_is_shown_twice_and_none_is_missing(wan_server: ComfyServer, tmp_path: Path) -> None:
    ended = run(wan_server, tmp_path, without_end(), STORY)
    assert ended.status == 0, ended.err
    film = tmp_path / "run" / "film.mp4"
    assert numbers_in(film) == [*range(36), *range(12, 24)]
    assert verify_video(film).frames == 48
    done = results(tmp_path)
    # What is more than the segment has is cut; the frame that the segment before has shown is not in the file.
    assert [done[number]["frames"] for number in (1, 2, 3, 4)] == [12, 15, 15, 15]
    for number, last in ((1, 11), (2, 23)):
        (kept,) = done[number]["handed_over"]
        with Image.open(tmp_path / "run" / kept["file"]) as picture:
            shown = np.asarray(picture.convert("RGB"))
        expected = draw_code(last, (256, 144))
        assert np.abs(shown.astype(int) - expected).max() <= 1, "no encoder has touched it"
    assert "handed_over" not in done[3], "nothing begins with it"
    # Each frame has its own sound, in the film as in the file of a segment whose first frame was left out.
    assert heard_numbers(film) == [number % 2 for number in numbers_in(film)]
    assert heard_numbers(tmp_path / "run" / done[2]["file"])[:12] == [number % 2 for number in range(12, 24)]
    again = run(wan_server, tmp_path, without_end(), STORY)
    assert again.status == 0, again.err
    assert len(results(tmp_path)) == 4
    assert [event["event"] for event in read_journal(tmp_path / "run")].count("segment-submitted") == 4


def test_another_first_segment_renders_what_continues_it_again_and_nothing_else(
    wan_server: ComfyServer, tmp_path: Path
) -> None:
    story = json.loads(json.dumps(STORY))
    story["segments"][2] = {"prompt": "a cut", "timespan": "1 - 1.5", "seed": 7}
    assert run(wan_server, tmp_path, without_end(), story, "--no-film").status == 0
    story["segments"][0]["prompt"] = "others"
    ended = run(wan_server, tmp_path, without_end(), story, "--no-film")
    assert ended.status == 0, ended.err
    started = [event["todo"] for event in read_journal(tmp_path / "run") if event["event"] == "run-started"]
    assert started == [[1, 2, 3, 4], [1, 2, 4]]


def test_pictures_begin_and_end_segments(wan_server: ComfyServer, tmp_path: Path) -> None:
    story = json.loads(json.dumps(STORY))
    story["segments"] = [
        {"prompt": "to the tree", "timespan": "0 - 0.5", "keyframes": {"first": "sapling.png", "last": "tree.png"}},
        {"prompt": "from the tree", "timespan": "0.5 - 1", "start": "keyframe", "keyframes": {"last": "end.png"}},
    ]
    for name, number in (("sapling", 100), ("tree", 500), ("end", 900)):
        Image.fromarray(draw_code(number, (256, 144))).save(tmp_path / f"{name}.png")
    ended = run(wan_server, tmp_path, GRAPH, story)
    assert ended.status == 0, ended.err
    assert numbers_in(tmp_path / "run" / "film.mp4") == [*range(100, 111), 500, *range(500, 511), 900]
    # Another picture renders the segments that it belongs to again.
    Image.fromarray(draw_code(950, (256, 144))).save(tmp_path / "end.png")
    assert run(wan_server, tmp_path, GRAPH, story).status == 0
    started = [event["todo"] for event in read_journal(tmp_path / "run") if event["event"] == "run-started"]
    assert started == [[1, 2], [2]]
    (tmp_path / "tree.png").unlink()
    missing = run(wan_server, tmp_path, GRAPH, story, "--fresh")
    assert missing.status == 2
    assert "segments[1].keyframes: the picture 'tree.png' is not in the input folder of" in missing.err
    assert "Put the keyframes next to the story" in missing.err


def test_what_an_earlier_release_has_rendered_is_kept(
    wan_server: ComfyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It showed the shared frames twice; the segments count all the same, until something else of theirs changes."""
    with monkeypatch.context() as earlier:
        earlier.setattr("runner.rendering.jobs.SHARED", 0)
        assert run(wan_server, tmp_path, without_end(), STORY).status == 0
    assert numbers_in(tmp_path / "run" / "film.mp4")[10:14] == [10, 11, 11, 12]
    again = run(wan_server, tmp_path, without_end(), STORY)
    assert again.status == 0, again.err
    assert [event["event"] for event in read_journal(tmp_path / "run")].count("segment-submitted") == 4
