"""The workflows that ship for diffusers pipelines, headless through a real ComfyUI with tiny models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from custom_nodes.videogen.media.probe import probe_video
from tests.pipelines.clips import picture
from tests.support.models.tiny_pipelines import COG_SIZE, PACK_SIZE, PACK_WINDOW, SKY_SIZE, save_pipelines
from tests.support.needs import require_diffusers
from tests.support.runs import read_journal, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

STORY: dict[str, Any] = {
    "title": "Clips",
    "fps": 8,
    "frames": 8,
    "size": [64, 64],
    "quality": "draft",
    "segments": [
        {"prompt": "A robot walks through the city.", "seed": 1},
        {"prompt": "It sees an old tree.", "seed": 2, "continues": True},
    ],
}
SKYREELS = {"resolution": "custom", "width": SKY_SIZE, "height": SKY_SIZE, "steps": 10}
SKYREELS |= {"overlap_history": 5, "base_frames": 9}
COGVIDEOX = {"width": COG_SIZE, "height": COG_SIZE, "steps": 2}
FRAMEPACK = {"width": PACK_SIZE, "height": PACK_SIZE, "steps": 1, "latent_window_size": PACK_WINDOW}
#: Workflow → its model, what makes its clips small by node, and the frames that are rendered for a second.
WORKFLOWS: dict[str, tuple[str, dict[str, dict[str, Any]], int]] = {
    "cogvideox_image": ("cogvideox", {"VideoGenCogVideoXI2V": COGVIDEOX}, 8),
    "skyreels_text": ("skyreels_forcing", {"VideoGenSkyReels": SKYREELS}, 24),
    "skyreels_image": ("skyreels_forcing", {"VideoGenSkyReels": SKYREELS}, 24),
    "skyreels_extend": ("skyreels_forcing", {"5": {**SKYREELS, "frames": 17}, "6": {**SKYREELS, "frames": 16}}, 33),
    "framepack_image": ("framepack", {"VideoGenFramePack": FRAMEPACK}, 30),
}


@pytest.fixture(scope="module")
def server(comfy_server: ComfyServer) -> ComfyServer:
    """The shared server, with the tiny models and a first picture."""
    require_diffusers()
    picture(64).save(comfy_server.folder / "input" / "first_frame.png")
    save_pipelines(comfy_server.folder / "models" / "diffusers", "cogvideox", "skyreels_forcing", "framepack")
    return comfy_server


def count_rendered(server: ComfyServer, submitted: dict[str, Any]) -> int:
    """Frames that a prompt has rendered, before they were written in the film's rate."""
    outputs = server.wait(submitted["prompt_id"]).outputs.values()
    (saved,) = [output["videogen"][0] for output in outputs if "rendered_frames" in (output.get("videogen") or [{}])[0]]
    return int(saved["rendered_frames"])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_film_of_clips(server: ComfyServer, tmp_path: Path, name: str) -> None:
    model, nodes, frames = WORKFLOWS[name]
    settings = {
        "VideoGenDiffusersLoader.model": model,
        "VideoGenDiffusersLoader.transformer": "",
        "VideoGenDiffusersLoader.image_encoder": "",
        # Random weights draw no tree: without this each segment would be rendered again and again.
        "VideoGenContinuity.when_below": "only report",
        **{f"{node}.{name}": value for node, values in nodes.items() for name, value in values.items()},
    }
    story, run = write_json(tmp_path / "story.json", STORY), tmp_path / "run"
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = ["run", story, "--workflow", name, "--server", server.url, "--out", run, "--retries", "0", *options]
    if not name.endswith("_image"):
        command += ["--segments", "1"]
    ended = videogen(*command)
    assert ended.status == 0, ended.err
    numbers = [1, 2] if name.endswith("_image") else [1]
    for number in numbers:
        info = probe_video(run / "segments" / f"segment_0{number}.mp4", decode=True)
        assert (info.frames, info.fps, info.width, info.height) == (24, 24, 480, 480)
    if len(numbers) == 2:
        assert probe_video(run / "film.mp4", decode=True).frames == 48
    verified = [event for event in read_journal(run) if event["event"] == "segment-verified"]
    submitted = [event for event in read_journal(run) if event["event"] == "segment-submitted"]
    assert [count_rendered(server, event) for event in submitted] == [frames] * len(numbers)
    if name.endswith("_image"):
        # The second segment begins from the first one's last frame, which the runner has brought there.
        (handed_over,) = verified[0]["handed_over"]
        assert list((server.folder / "input").rglob(Path(handed_over["file"]).name))
    if name == "skyreels_image":
        assert videogen(*command).status == 0
        assert segments_with(run, "segment-submitted") == [1, 2], "nothing is rendered twice"


def test_check_says_which_model_is_missing(server: ComfyServer, tmp_path: Path) -> None:
    ended = videogen(
        "run",
        write_json(tmp_path / "story.json", STORY),
        "--workflow",
        "skyreels_text",
        "--server",
        server.url,
        "--out",
        tmp_path / "run",
        "--retries",
        "0",
    )
    assert ended.status != 0
    assert (
        "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers, which is neither in models/diffusers nor in the cache" in ended.err
    )


def test_check_says_that_the_first_picture_is_missing(server: ComfyServer, tmp_path: Path) -> None:
    picture_file = server.folder / "input" / "first_frame.png"
    content = picture_file.read_bytes()
    picture_file.unlink()
    try:
        story = write_json(tmp_path / "story.json", STORY)
        ended = videogen("check", story, "--workflow", "cogvideox_image", "--server", server.url)
    finally:
        picture_file.write_bytes(content)
    assert ended.status == 2
    assert "first_frame.png" in ended.out
