"""The official templates of MiniMax H3, as they are, tell a story with sound on a real ComfyUI with tiny models."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.media.probe import verify_video
from tests.server.any_workflow.template_runs import (
    check_nothing_again,
    check_segments,
    run_workflow,
    submitted,
    value,
)
from tests.support.graphs.templates import convert_template, find_template_files
from tests.support.runs import segments_with, write_json
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

#: Half a second, of which H3 makes 22 frames: 17k + 5. The second segment begins from the last frame of the first.
STORY: dict[str, Any] = {
    "title": "An apple tree",
    "fps": 24,
    "size": [1920, 1080],
    "quality": "draft",
    "audio": {"language": "en"},
    "characters": {
        "ben": {"description": "a man in a blue shirt", "reference": "ben.png", "segments": "1-3"},
        "ann": {"description": "a woman in a green coat", "reference": "ann.png", "segments": "2"},
    },
    "segments": [
        {
            "prompt": "a field under blue sky",
            "seed": 11,
            "timespan": "0 - 0.5",
            "dialogue": [{"character": "ben", "line": "It was early."}],
        },
        {"prompt": "the camera moves slowly", "seed": 12, "timespan": "0.5 - 1", "continues": True},
        {"prompt": "a garden at night", "seed": 13, "timespan": "1 - 1.5"},
    ],
}
FRAMES, SIZE = 22, (64, 32)
#: 40 sounds a second for 22 frames are more than those last, and are cut to their time, in whole samples.
SOUND = (32000, math.ceil(32000 * FRAMES / 24) / 32000)
#: Switches the LoRA for fewer steps on, in one of the templates.
TURBO = {"video_minimax_h3_i2v_continuation": ["105:126.value=true"]}
#: Template → the node with prompt and size, the inputs for the prompt's text and the seed, and the picture it begins from.
KEYFRAME_TEMPLATES = {
    "video_minimax_h3_t2v": ("140:131", "140:131.prompt", "140:129.noise_seed", None),
    "video_minimax_h3_i2v": ("105:104", "105:104.prompt", "105:15.noise_seed", "transparent_rgb_gaming_mouse.png"),
    "video_minimax_h3_i2v_continuation": (
        "105:104",
        "105:104.prompt",
        "105:15.noise_seed",
        "transparent_rgb_gaming_mouse.png",
    ),
}
AT_START = (
    "For the target video, at 0.00 seconds into the target video, <Picture 1> (from [Shot 1]) is fully referenced."
)


def small(node: str) -> list[str]:
    return [f"{node}.width={SIZE[0]}", f"{node}.height={SIZE[1]}"]


@pytest.mark.parametrize("template", KEYFRAME_TEMPLATES)
def test_text_and_first_frames_tell_a_story_with_sound(h3_server: ComfyServer, tmp_path: Path, template: str) -> None:
    node, prompt, seed, own = KEYFRAME_TEMPLATES[template]
    settings = [*small(node), *TURBO.get(template, [])]
    run = (h3_server, tmp_path, find_template_files()[template], STORY, settings)
    ended = run_workflow(*run)
    assert ended.status == 0, ended.err
    assert "the model is MiniMax H3 (text, first and last frame)" in ended.err
    graphs = submitted(h3_server, tmp_path)
    for number, segment in enumerate(STORY["segments"], 1):
        text = value(graphs[number], prompt)
        assert segment["prompt"] in text
        assert value(graphs[number], seed) == segment["seed"]
        assert value(graphs[number], f"{node}.length") == FRAMES
        assert "<d>[English] It was early.</d>" in text if number == 1 else "Nobody speaks" in text
        picture = value(graphs[number], f"{node}.first_frame")
        assert text.startswith(AT_START) == (picture is not None), "the model labels each picture that it gets"
    pictures = [value(graphs[number], f"{node}.first_frame") for number in (1, 2, 3)]
    assert (pictures[0], pictures[2]) == (own, own)
    assert pictures[1].startswith("videogen/"), "the last frame of the segment before"
    check_segments(tmp_path, FRAMES, SIZE, SOUND, continuing=[2])
    film = verify_video(tmp_path / "run" / "film.mp4")
    assert (film.frames, film.fps, (film.width, film.height)) == (36, 24, (854, 480))
    check_nothing_again(run_workflow(*run), tmp_path)


def test_a_workflow_s_own_last_frame_is_placed_in_the_prompt(h3_server: ComfyServer, tmp_path: Path) -> None:
    """No template has a last frame; the node of that for a first frame has a socket for it."""
    graph = convert_template(find_template_files()["video_minimax_h3_i2v"], h3_server.object_info)
    graph["end"] = {"class_type": "LoadImage", "inputs": {"image": "mecha_dragon_lightning.png"}}
    graph["105:104"]["inputs"]["last_frame"] = ["end", 0]
    workflow = write_json(tmp_path / "first_and_last.json", graph)
    ended = run_workflow(h3_server, tmp_path, workflow, STORY, small("105:104"))
    assert ended.status == 0, ended.err
    for graph in submitted(h3_server, tmp_path).values():
        assert value(graph, "105:104.last_frame") == "mecha_dragon_lightning.png"
        assert "Picture 1 (from Shot 1) aligns with the 0.00-second mark" in value(graph, "105:104.prompt")
        assert "Picture 2 (from Shot 1) aligns with the 0.92-second mark" in value(graph, "105:104.prompt")
    check_segments(tmp_path, FRAMES, SIZE, SOUND, continuing=[2])


def test_references_tell_a_story_with_sound(h3_server: ComfyServer, tmp_path: Path) -> None:
    """The template has two pictures: Ben is alone in the first segment, and nobody is in the third."""
    ben = {**STORY["characters"]["ben"], "segments": "1-2"}
    story = {**STORY, "characters": {**STORY["characters"], "ben": ben}}
    run = (h3_server, tmp_path, find_template_files()["video_minimax_h3_r2v"], story, small("136"))
    ended = run_workflow(*run)
    assert ended.status == 0, ended.err
    assert "the model is MiniMax H3 (references)" in ended.err
    assert "segment 2 cannot begin from the last frame of another segment" in ended.err
    graphs = submitted(h3_server, tmp_path)
    people: dict[int, list[str]] = {1: ["ben"], 2: ["ben", "ann"], 3: []}
    for number, names in people.items():
        graph = graphs[number]
        loaded = sorted(name for name in graph["136"]["inputs"] if name.startswith("ref_images."))
        assert loaded == [f"ref_images.ref_image_{place}" for place in range(len(names))]
        files = [value(graph, f"136.{name}") for name in loaded]
        assert [re.sub(r"-\w+\.png$", "", Path(file).name) for file in files] == names
        text = value(graph, "138.value")
        # The node calls its first picture <Picture 1>, whatever its socket's number is.
        meant = dict(re.findall(r"<Subject \d> is the (\w+) in [^<]+ in <Picture (\d)>", text))
        assert meant == {{"ben": "man", "ann": "woman"}[name]: str(place) for place, name in enumerate(names, 1)}
        assert {*re.findall(r"<Picture \d>", text)} == {f"<Picture {place}>" for place in range(1, len(names) + 1)}
        assert value(graph, "129.noise_seed") == STORY["segments"][number - 1]["seed"]
    assert "<Subject 1> (S1) says, <d>[English] It was early.</d>" in value(graphs[1], "138.value")
    check_segments(tmp_path, FRAMES, SIZE, SOUND)
    check_nothing_again(run_workflow(*run), tmp_path)


def test_what_the_pictures_show_reaches_the_frames(h3_server: ComfyServer, tmp_path: Path) -> None:
    """One segment again with another picture of Ben: it is rendered again, and its frames are others."""
    workflow = find_template_files()["video_minimax_h3_r2v"]
    files = []
    for reference in ("ben.png", "ann.png"):
        story = json.loads(json.dumps(STORY))
        story["characters"] = {"ben": {**STORY["characters"]["ben"], "reference": reference}}
        ended = run_workflow(h3_server, tmp_path, workflow, story, small("136"), "--segments", "3", "--no-film")
        assert ended.status == 0, ended.err
        files.append((tmp_path / "run" / "segments" / "segment_03.mp4").read_bytes())
    assert segments_with(tmp_path / "run", "segment-done") == [3, 3]
    assert files[0] != files[1]
