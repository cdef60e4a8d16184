"""The official templates of LTX-2.5, as they are, tell a story with sound on a real ComfyUI with tiny models."""

from __future__ import annotations

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
from tests.support.graphs.templates import find_template_files
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

#: A quarter of a second, of which LTX makes 9 frames: 8k + 1. The second segment begins from the last frame of the first.
STORY: dict[str, Any] = {
    "title": "An apple tree",
    "fps": 24,
    "size": [1920, 1080],
    "quality": "draft",
    "audio": {"language": "en"},
    "characters": {"ben": {"description": "a man in a blue shirt", "segments": "1-3"}},
    "segments": [
        {
            "prompt": "a field under blue sky",
            "seed": 11,
            "timespan": "0 - 0.25",
            "dialogue": [{"character": "ben", "line": "It was early."}],
        },
        {"prompt": "the camera moves slowly", "seed": 12, "timespan": "0.25 - 0.5", "continues": True},
        {"prompt": "a garden at night", "seed": 13, "timespan": "0.5 - 0.75"},
    ],
}
FRAMES = 9
#: 25 latents of sound a second, of which all but the first make four steps of a hundredth of a second, and that one makes one.
SOUND = (48000, (4 * round(FRAMES / 24 * 25) - 3) / 100)
#: Template → where prompt, seeds, frames, width and height are, the picture that it begins from, and the size that is tiny:
#: the first two sample at half the size, and double it.
TEMPLATES: dict[str, dict[str, Any]] = {
    "video_ltx2_5_t2v": {
        "prompt": "405:376.value",
        "seed": ["405:338.noise_seed", "405:339.noise_seed"],
        "frames": ["405:356.length", "405:366.frames_number"],
        "sides": ("405:372.value", "405:360.value"),
        "picture": None,
        "size": (128, 128),
    },
    "video_ltx2_5_i2v": {
        "prompt": "398:376.value",
        "seed": ["398:338.noise_seed", "398:339.noise_seed"],
        "frames": ["398:356.length", "398:366.frames_number"],
        "sides": ("398:372.value", "398:360.value"),
        "picture": "395.image",
        "size": (128, 128),
    },
    "video_ltx2_5_flf2v": {
        "prompt": "251:252.value",
        "seed": ["251:196.noise_seed"],
        "frames": ["251:201.length", "251:197.frames_number"],
        "sides": ("251:215.value", "251:216.value"),
        "picture": "31.image",
        "size": (64, 64),
    },
}


def small(template: str) -> list[str]:
    places = TEMPLATES[template]
    return [f"{side}={pixels}" for side, pixels in zip(places["sides"], places["size"], strict=True)]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_tells_a_story_with_sound(ltx_server: ComfyServer, tmp_path: Path, template: str) -> None:
    places = TEMPLATES[template]
    run = (ltx_server, tmp_path, find_template_files()[template], STORY, small(template))
    ended = run_workflow(*run)
    assert ended.status == 0, ended.err
    assert "the model is LTX-2.5" in ended.err
    graphs = submitted(ltx_server, tmp_path)
    for number, segment in enumerate(STORY["segments"], 1):
        text = value(graphs[number], places["prompt"])
        assert segment["prompt"] in text.lower()
        assert ("It was early." in text) == (number == 1)
        assert {value(graphs[number], seed) for seed in places["seed"]} == {segment["seed"]}
        assert {value(graphs[number], one) for one in places["frames"]} == {FRAMES}
    if places["picture"]:
        pictures = [value(graphs[number], places["picture"]) for number in (1, 2, 3)]
        assert pictures[0] == pictures[2], "its own"
        assert pictures[1].startswith("videogen/"), "the last frame of the segment before"
    else:
        assert "segment 2 cannot begin from the last frame of another segment" in ended.err
    check_segments(tmp_path, FRAMES, places["size"], SOUND, continuing=[2] if places["picture"] else [])
    film = verify_video(tmp_path / "run" / "film.mp4")
    assert (film.frames, film.fps, (film.width, film.height)) == (18, 24, (854, 480))
    check_nothing_again(run_workflow(*run), tmp_path)


def test_the_model_that_writes_prompts_can_be_switched_on(ltx_server: ComfyServer, tmp_path: Path) -> None:
    """It is off in the templates, and gets the segment's prompt and picture where it is on."""
    template = "video_ltx2_5_i2v"
    writing = ["398:383.value=true", "398:380.max_length=4"]
    workflow = find_template_files()[template]
    ended = run_workflow(
        ltx_server, tmp_path, workflow, STORY, [*small(template), *writing], "--segments", "1", "--no-film"
    )
    assert ended.status == 0, ended.err
    graph = submitted(ltx_server, tmp_path)[1]
    assert graph["398:380"]["inputs"]["prompt"] == ["398:376", 0]
    assert graph["398:364"]["inputs"]["text"] == ["398:382", 0], "the text of either, by the switch"
