"""CogVideoX, SkyReels and FramePack through a real ComfyUI, at tiny size: the frames are those of diffusers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import probe_video
from runner.comfyui.outcome import Outcome
from tests.pipelines.clips import call_directly, picture
from tests.support.graphs.video_pipelines import COGVIDEOX, FRAMEPACK, LOADER, SKYREELS, Graph, pipeline_graph
from tests.support.models.tiny_pipelines import COG_SIZE, PACK_SIZE, PACK_WINDOW, SKY_SIZE, save_lora, save_pipelines
from tests.support.needs import require_diffusers
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import small_story

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def folders(comfy_server: ComfyServer) -> dict[str, Path]:
    """The tiny pipelines, in the server's models/diffusers; pictures and a LoRA for them."""
    require_diffusers()
    for side in (COG_SIZE, SKY_SIZE):
        for seed in (0, 1):
            picture(side, seed).save(comfy_server.folder / "input" / f"start_{side}_{seed}.png")
    saved = save_pipelines(comfy_server.folder / "models" / "diffusers")
    save_lora(comfy_server.folder / "models" / "loras", saved["cogvideox"])
    return saved


def saved_frames(server: ComfyServer, outcome: Outcome) -> torch.Tensor:
    """The pictures that a graph of `pipeline_graph` has saved, 0 to 255."""
    files = [server.output(file["subfolder"], file["filename"]) for file in outcome.outputs["3"]["images"]]
    return torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))) for file in files]).float()


CASES: dict[str, tuple[str, str, dict[str, Any], dict[str, str], str, dict[str, Any], slice]] = {
    "cogvideox": (
        "VideoGenCogVideoXI2V",
        "cogvideox",
        COGVIDEOX,
        {"image": f"start_{COG_SIZE}_0.png"},
        "CogVideoXImageToVideoPipeline",
        {"image": picture(COG_SIZE), "num_frames": 9, "guidance_scale": 6.0, "max_sequence_length": 16},
        slice(None),
    ),
    "skyreels, several passes": (
        "VideoGenSkyReels",
        "skyreels_forcing",
        SKYREELS,
        {},
        "SkyReelsV2DiffusionForcingPipeline",
        {"num_frames": 17, "base_num_frames": 9, "overlap_history": 5, "addnoise_condition": 20},
        slice(None),
    ),
    "skyreels, from a picture": (
        "VideoGenSkyReels",
        "skyreels_image",
        {**SKYREELS, "frames": 16, "base_frames": 97},
        {"image": f"start_{SKY_SIZE}_0.png"},
        "SkyReelsV2ImageToVideoPipeline",
        {"image": picture(SKY_SIZE), "num_frames": 17, "guidance_scale": 6.0},
        slice(16),
    ),
    "framepack": (
        "VideoGenFramePack",
        "framepack",
        FRAMEPACK,
        {"image": f"start_{PACK_SIZE}_0.png"},
        "HunyuanVideoFramepackPipeline",
        {
            "image": picture(PACK_SIZE),
            "num_frames": 18,
            "latent_window_size": PACK_WINDOW,
            "guidance_scale": 9.0,
            "sampling_type": "inverted_anti_drifting",
        },
        slice(14),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_frames_are_those_of_diffusers(comfy_server: ComfyServer, folders: dict[str, Path], case: str) -> None:
    kind, model, inputs, images, pipeline, call, kept = CASES[case]
    outcome = comfy_server.run(pipeline_graph(kind, model, inputs, images=images))
    assert outcome.status == "success", outcome.error
    found = saved_frames(comfy_server, outcome)
    size = {"width": inputs["width"], "height": inputs["height"], "num_inference_steps": inputs["steps"]}
    direct = call_directly(pipeline, folders[model], **size, **call)[kept]
    assert found.shape == direct.shape
    assert (found - direct * 255).abs().max() <= 1.01, "a picture has whole numbers, rounded down"
    assert float(outcome.outputs["4"]["text"][0]) == {"VideoGenCogVideoXI2V": 8, "VideoGenFramePack": 30}.get(kind, 24)


def test_a_clip_that_is_continued_shows_nothing_twice(comfy_server: ComfyServer, folders: dict[str, Path]) -> None:
    first = pipeline_graph("VideoGenSkyReels", "skyreels_forcing", SKYREELS)
    # The frames of the clip before go straight into the node, as tensors.
    second = {
        "20": {"class_type": "VideoGenSkyReels", "inputs": {**first["2"]["inputs"], "seed": 6, "video": ["2", 0]}}
    }
    graph: Graph = {**first, **second, "3": {**first["3"], "inputs": {**first["3"]["inputs"], "images": ["20", 0]}}}
    outcome = comfy_server.run(graph)
    assert outcome.status == "success", outcome.error
    frames = saved_frames(comfy_server, outcome)
    assert len(frames) == 17, "as many as were asked for, all of them new"
    before = saved_frames(comfy_server, comfy_server.run(first))
    assert (frames[0] - before[-5:]).abs().amax(dim=(1, 2, 3)).min() > 2


def test_a_lora_and_the_optimized_mode(comfy_server: ComfyServer, folders: dict[str, Path]) -> None:
    def frames(**changes: Any) -> torch.Tensor:
        images = {"image": f"start_{COG_SIZE}_0.png"}
        outcome = comfy_server.run(
            pipeline_graph("VideoGenCogVideoXI2V", "cogvideox", {**COGVIDEOX, **changes}, images=images)
        )
        assert outcome.status == "success", outcome.error
        return saved_frames(comfy_server, outcome)

    plain = frames()
    for changes in ({"lora": "tiny.safetensors"}, {"mode": "optimized"}, {"scheduler": "DPM++"}):
        assert (frames(**changes) - plain).abs().mean() > 1, changes
    assert (frames(lora="tiny.safetensors", lora_strength=0.0) - plain).abs().max() <= 1


def test_a_segment_fills_in_prompt_seed_and_length(comfy_server: ComfyServer, folders: dict[str, Path]) -> None:
    story = json.dumps(small_story("Pipelines"))
    graph = pipeline_graph(
        "VideoGenCogVideoXI2V",
        "cogvideox",
        {**COGVIDEOX, "prompt": "", "seed": 99, "frames": 0},
        images={"image": f"start_{COG_SIZE}_0.png"},
    )
    graph["5"] = {"class_type": "VideoGenStory", "inputs": {"file": "text below", "text": story}}
    graph["6"] = {"class_type": "VideoGenSegment", "inputs": {"story": ["5", 0], "index": 1}}
    graph["7"] = {
        "class_type": "VideoGenSaveSegment",
        "inputs": {"images": ["2", 0], "segment": ["6", 0], "quality": "story", "codec": "h264"},
    }
    graph["2"]["inputs"]["segment"] = ["6", 0]
    outcome = comfy_server.run(graph)
    assert outcome.status == "success", outcome.error
    (result,) = outcome.outputs["7"]["videogen"]
    frames = saved_frames(comfy_server, outcome)
    assert len(frames) == result["rendered_frames"]
    file = outcome.outputs["7"]["images"][0]
    info = probe_video(comfy_server.output(file["subfolder"], file["filename"]), decode=True)
    assert info.frames == result["frames"]
    written = graph["2"]["inputs"] | {"prompt": "another text", "seed": 100}
    other = comfy_server.run({**graph, "2": {**graph["2"], "inputs": written}})
    assert (saved_frames(comfy_server, other) - frames).abs().max() > 1, "a prompt of one's own replaces the segment's"
    seed = comfy_server.run({**graph, "2": {**graph["2"], "inputs": graph["2"]["inputs"] | {"seed": 100}}})
    assert (saved_frames(comfy_server, seed) - frames).abs().max() <= 1, "the seed is the segment's"


# ------------------------------------------------------------------ what goes wrong


def error_of(server: ComfyServer, graph: Graph) -> str:
    """What a graph is refused with, before it runs or while it does."""
    try:
        outcome = server.run(graph)
    except VideoGenError as error:
        return f"{error.code}: {error.message}"
    assert outcome.status == "error"
    return outcome.error


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "elsewhere"}, "`model` is 'elsewhere': neither a folder in models/diffusers"),
        ({"model": "../../etc"}, "`model` is '../../etc': neither a folder in models/diffusers"),
        ({"model": "hub id below"}, "`model` is 'hub id below', and `hub_id` is empty"),
        (
            {"model": "hub id below", "hub_id": "zai-org/CogVideoX-5b-I2V"},
            "`hub_id` names zai-org/CogVideoX-5b-I2V, which is neither in models/diffusers nor in the cache of the hub",
        ),
        (
            {"model": "hub id below", "hub_id": "somebody/anything", "download": True},
            "none of the models that a workflow may download",
        ),
        ({"model": "cogvideox", "dtype": "int8"}, "dtype"),
        ({"model": "cogvideox", "transformer": "/etc/passwd"}, "`transformer` is '/etc/passwd': neither a folder"),
    ],
)
def test_a_model_that_is_none(
    comfy_server: ComfyServer, folders: dict[str, Path], changes: dict[str, Any], message: str
) -> None:
    graph = pipeline_graph("VideoGenSkyReels", "skyreels_text", SKYREELS)
    graph["1"]["inputs"] = {**LOADER, **changes}
    assert message in error_of(comfy_server, graph)


@pytest.mark.parametrize(
    ("kind", "model", "inputs", "message"),
    [
        (
            "VideoGenSkyReels",
            "cogvideox",
            SKYREELS,
            "`pipeline` is CogVideoX image to video, expected SkyReels V2 diff",
        ),
        (
            "VideoGenSkyReels",
            "skyreels_text",
            {**SKYREELS, "prompt": " "},
            "`prompt` is empty, and no segment is connected",
        ),
        ("VideoGenSkyReels", "skyreels_text", {**SKYREELS, "frames": 15}, "`frames` is 15, expected 16 to 128"),
        ("VideoGenSkyReels", "skyreels_text", {**SKYREELS, "frames": 33}, "makes at most 9 at this resolution"),
        ("VideoGenSkyReels", "skyreels_image", SKYREELS, "`image` is not connected"),
        ("VideoGenCogVideoXI2V", "cogvideox", {**COGVIDEOX, "frames": 10}, "this model makes at most 9 frames at once"),
        (
            "VideoGenCogVideoXI2V",
            "cogvideox",
            {**COGVIDEOX, "width": 48},
            "has learned positions and makes only 32 × 32",
        ),
        ("VideoGenCogVideoXI2V", "cogvideox", {**COGVIDEOX, "lora": "none.pt"}, "lora"),
    ],
)
def test_inputs_that_do_not_go(
    comfy_server: ComfyServer, folders: dict[str, Path], kind: str, model: str, inputs: dict[str, Any], message: str
) -> None:
    images = {"image": f"start_{COG_SIZE}_0.png"} if kind == "VideoGenCogVideoXI2V" else {}
    assert message in error_of(comfy_server, pipeline_graph(kind, model, inputs, images=images))
