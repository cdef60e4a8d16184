"""sd15_frames.json as it ships, headless through a real ComfyUI: random weights, true architecture, real files at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from PIL import Image

from custom_nodes.videogen.media.images.reference_file import is_rendered
from custom_nodes.videogen.media.probe import hash_file, probe_video
from runner.comfyui.installation import PROJECT
from tests.support.runs import Ended, read_journal, segments_with, started, videogen, wait_until, write_json
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

MODELS = ("sd15_slim", "clip_vision_vit_h", "ip_adapter_plus_sd15_slim")
#: The woman is in 1, the tree in all three.
STORY: dict[str, Any] = {
    "title": "Three Shots",
    "fps": 2,
    "frames": 2,
    "size": [128, 128],
    "quality": "draft",
    "characters": {"woman": {"segments": "1", "description": "a woman in a red coat", "seed": 11}},
    "objects": {"tree": {"segments": "1-3", "description": "a young apple tree", "reference": "tree.png"}},
    "segments": [
        {"prompt": "She waters the tree.", "seed": 1},
        {"prompt": "The tree in the wind.", "seed": 2, "technical": "slow pan from right to left"},
        {"prompt": "She walks away.", "seed": 3},
    ],
}
WOMAN = "videogen/three_shots/woman.png"
#: What makes it small: 128 pixels and 2 steps, with the models that the tests have.
SETTINGS = {
    "CheckpointLoaderSimple.ckpt_name": "sd15_slim.safetensors",
    "VideoGenIPAdapterLoader.ipadapter_file": "ip_adapter_plus_sd15_slim.safetensors",
    "CLIPVisionLoader.clip_name": "clip_vision_vit_h.bin",
    "VideoGenRenderSize.megapixels": 0.0164,
    "BasicScheduler.steps": 2,
    # Random weights draw no character: without this each segment would be rendered again and again.
    "VideoGenContinuity.when_below": "only report",
}


@pytest.fixture
def models(comfy_server: ComfyServer) -> ComfyServer:
    """The server with all models that the workflow needs."""
    comfy_server.add_models(*MODELS)
    return comfy_server


def small_references(folder: Path) -> Path:
    """The references workflow that ships, drawing small images; model and steps come from the film's workflow."""
    workflow = json.loads((PROJECT / "workflows" / "character_references.json").read_text(encoding="utf-8"))
    size = next(node for node in workflow["nodes"] if node["type"] == "VideoGenRenderSize")
    size["widgets_values"][0] = 0.0164
    return write_json(folder / "small_references.json", workflow)


def command(server: ComfyServer, folder: Path, story: dict[str, Any], *more: object) -> list[object]:
    settings = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    return [
        "run",
        write_json(folder / "story.json", story),
        "--workflow",
        "sd15_frames",
        "--server",
        server.url,
        "--out",
        folder / "run",
        "--retries",
        "0",
        "--references",
        small_references(folder),
        *settings,
        *more,
    ]


def run(server: ComfyServer, folder: Path, *more: object) -> Ended:
    return videogen(*command(server, folder, STORY, *more))


def unseen(title: str) -> dict[str, Any]:
    """The story under another title, and the tree under a name of its own: their images have not been drawn yet."""
    return {**STORY, "title": title, "objects": {"tree": {"segments": "1-3", "description": "a young apple tree"}}}


def rendered(folder: Path) -> list[int]:
    """Segments that the last run has rendered."""
    events = read_journal(folder / "run")
    last = max(place for place, event in enumerate(events) if event["event"] == "run-started")
    return sorted(event["segment"] for event in events[last:] if event["event"] == "segment-done")


def count(folder: Path, kind: str) -> int:
    return sum(event["event"] == kind for event in read_journal(folder / "run"))


def test_a_film_out_of_an_image_model(models: ComfyServer, tmp_path: Path) -> None:
    ended = run(models, tmp_path)
    assert ended.status == 0, ended.err
    run_folder = tmp_path / "run"

    # The images of the cast were drawn first, each once, and are where the workflow in the editor finds them.
    assert count(tmp_path, "reference-done") == 2
    for name in (WOMAN, "tree.png"):
        on_server = models.folder / "input" / name
        assert is_rendered(on_server)
        assert hash_file(run_folder / "references" / name) == hash_file(on_server)
        with Image.open(on_server) as image:
            assert image.size == (128, 128)
    drawn = {entry["entity"]: entry for entry in json.loads((run_folder / "report.json").read_text())["references"]}
    assert drawn["woman"]["seed"] == 11
    assert "a woman in a red coat" in drawn["woman"]["prompt"]
    assert "references/tree.png" in (run_folder / "report.html").read_text(encoding="utf-8")

    # Three segments of a second, all of it decodes, and the film of all three.
    for number in (1, 2, 3):
        info = probe_video(run_folder / "segments" / f"segment_0{number}.mp4", decode=True)
        assert (info.frames, info.fps) == (24, 24)
        assert (info.width, info.height) == (480, 480)
    film = probe_video(run_folder / "film.mp4", decode=True)
    assert film.frames == 72

    # The same again: nothing is drawn, nothing is rendered.
    assert run(models, tmp_path).status == 0
    assert segments_with(run_folder, "segment-submitted") == [1, 2, 3]
    assert count(tmp_path, "reference-submitted") == 2

    # The user puts an image of their own in place of the woman's: her segment is rendered with it, and it stays.
    own = models.folder / "input" / WOMAN
    Image.new("RGB", (90, 120), (200, 30, 30)).save(own)
    before = own.read_bytes()
    assert run(models, tmp_path).status == 0
    assert rendered(tmp_path) == [1]
    assert count(tmp_path, "reference-submitted") == 2
    assert own.read_bytes() == before


def test_a_runner_that_is_killed_while_it_draws_carries_on(models: ComfyServer, tmp_path: Path) -> None:
    story = {**unseen("Killed"), "frames": 1}
    arguments = command(models, tmp_path, story, "--segments", "2", "--no-film")
    with started(*arguments) as process:
        # It is in the journal before the request is sent: on a busy machine a kill can come in between.
        wait_until(lambda: count(tmp_path, "reference-submitted") and models.client.queue().ids)
        process.kill()
    assert count(tmp_path, "reference-done") == 0
    ended = videogen(*arguments)
    assert ended.status == 0, ended.err
    # What was in the queue is waited for, not submitted again.
    assert (count(tmp_path, "reference-submitted"), count(tmp_path, "reference-done")) == (1, 1)
    assert rendered(tmp_path) == [2]


def test_what_is_missing_is_told_before_anything_is_drawn(models: ComfyServer, tmp_path: Path) -> None:
    """The same without settings: the models of the workflow are not there. One message, with everything."""
    story = write_json(tmp_path / "story.json", unseen("Nothing There"))
    ended = videogen("run", story, "--workflow", "sd15_frames", "--server", models.url, "--out", tmp_path / "run")
    assert ended.status == 2
    for name, folder, size in (
        ("v1-5-pruned-emaonly-fp16.safetensors", "checkpoints", "2.13 GB"),
        ("ip-adapter-plus_sd15.safetensors", "ipadapter", "98.2 MB"),
        ("CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors", "clip_vision", "2.53 GB"),
    ):
        (line,) = [line for line in ended.err.splitlines() if f"model {name!r}" in line and "character_ref" not in line]
        assert f"models/{folder}, from https://" in line
        assert size in line
    assert count(tmp_path, "reference-submitted") == count(tmp_path, "segment-submitted") == 0

    checked = videogen("check", story, "--workflow", "sd15_frames", "--server", models.url)
    assert checked.status == 2
    assert (
        "Note: missing reference pictures are drawn first, with character_references.json: woman, tree" in checked.out
    )
    assert "lacks pictures" not in checked.out
    assert "the story's pictures" not in checked.out
    assert "'v1-5-pruned-emaonly-fp16.safetensors' (node 3)" in checked.out


@pytest.mark.parametrize("name", ["sd15_frames", "sd21_frames", "sdxl_frames", "sdxl_turbo_frames"])
def test_check_names_each_model_of_a_shipped_workflow(models: ComfyServer, tmp_path: Path, name: str) -> None:
    story = write_json(tmp_path / "story.json", unseen(name))
    checked = videogen("check", story, "--workflow", name, "--server", models.url)
    assert checked.status == 2
    workflow = json.loads((PROJECT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
    # Upscale declares a model too, which it uses if it is installed: it is not reported as missing.
    declared = [
        model
        for node in workflow["nodes"]
        for model in node["properties"].get("models", [])
        if model["name"] in node["widgets_values"]
    ]
    assert "upscale_models" not in checked.out
    assert len(declared) == (1 if name == "sd21_frames" else 3)
    for model in declared:
        lines = [line for line in checked.out.splitlines() if f"- model {model['name']!r} " in line]
        assert len(lines) == 1
        assert f"models/{model['directory']}, from {model['url']}" in lines[0]
    # The references are drawn with the same model, which is not named twice.
    assert "does not have this node" not in checked.out
    assert "character_references.json, model" not in checked.out
