"""One segment of a film has another official template, and a LoRA, on a real ComfyUI with tiny Wan models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.comfyui.transport import read_json
from tests.support.graphs.templates import find_template_files
from tests.support.runs import Ended, read_journal, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.videos import read_frames

pytestmark = pytest.mark.server

LORA = {"file": "rain.safetensors", "strength": 10}


def make_story(**second: Any) -> dict[str, Any]:
    """Three segments of a quarter of a second; the second one continues the first."""
    return {
        "title": "Rain",
        "fps": 24,
        "size": [64, 32],
        "quality": "draft",
        "segments": [
            {"prompt": "a field under blue sky", "seed": 11, "timespan": "0 - 0.25"},
            {"prompt": "rain at night", "seed": 12, "timespan": "0.25 - 0.5", "continues": True, **second},
            {"prompt": "a garden in the morning", "seed": 13, "timespan": "0.5 - 0.75"},
        ],
    }


def write_small_template(folder: Path, name: str) -> Path:
    """An official template with one step instead of twenty, of a sampler that asks the model in its first step."""
    workflow = json.loads(find_template_files()[name].read_text(encoding="utf-8"))
    (sampler,) = (node for node in workflow["nodes"] if node["type"] == "KSampler")
    sampler["widgets_values"][2], sampler["widgets_values"][4] = 1, "euler"
    return write_json(folder / f"{name}_small.json", workflow)


def command(verb: str, server: ComfyServer, folder: Path, story: dict[str, Any], *options: object) -> Ended:
    write_small_template(folder, "image_to_video_wan")
    workflow = write_small_template(folder, "text_to_video_wan")
    path = write_json(folder / "story.json", story)
    return videogen(verb, path, "--workflow", workflow, "--server", server.url, *options)


#: The size of the segments without a workflow of their own; those options reach no other.
SMALL = ("--set", "40.width=64", "--set", "40.height=32")


def submitted(server: ComfyServer, folder: Path) -> dict[int, tuple[dict[str, Any], dict[str, Any]]]:
    """Segment → the graph that was submitted for it last, and the workflow that its file opens with."""
    found = {}
    for event in read_journal(folder / "run"):
        if event["event"] == "segment-submitted":
            prompt_id = event["prompt_id"]
            prompt = read_json(server.client.http.request("GET", f"/history/{prompt_id}"))[prompt_id]["prompt"]
            found[event["segment"]] = (prompt[2], prompt[3]["extra_pnginfo"]["workflow"])
    return found


def kinds(graph: dict[str, Any]) -> set[str]:
    return {node["class_type"] for node in graph.values()}


def test_one_segment_has_another_template_and_a_lora(wan_server: ComfyServer, tmp_path: Path) -> None:
    story = make_story(workflow="image_to_video_wan_small.json", loras=[LORA])
    checked = command("check", wan_server, tmp_path, story)
    assert checked.status == 0, checked.out
    assert "text_to_video_wan_small.json, image_to_video_wan_small.json fit the server" in checked.out
    ended = command("run", wan_server, tmp_path, story, "--out", tmp_path / "run", *SMALL)
    assert ended.status == 0, ended.err
    graphs = submitted(wan_server, tmp_path)
    assert [
        sorted(kinds(graph) & {"WanImageToVideo", "LoraLoaderModelOnly"}) for _, (graph, _) in sorted(graphs.items())
    ] == [
        [],
        ["LoraLoaderModelOnly", "WanImageToVideo"],
        [],
    ]
    rain, opened = graphs[2]
    (lora,) = (node["inputs"] for node in rain.values() if node["class_type"] == "LoraLoaderModelOnly")
    assert (lora["lora_name"], lora["strength_model"], lora["model"]) == ("rain.safetensors", 10, ["37", 0])
    assert rain["54"]["inputs"]["model"][0].startswith("videogen_lora"), "what used the model uses it with the LoRA"
    assert "rain at night" in rain["6"]["inputs"]["text"].lower()
    assert rain["3"]["inputs"]["seed"] == 12
    assert rain["52"]["inputs"]["image"].startswith("videogen/"), "the last frame of the first segment"
    assert any(node["type"] == "WanImageToVideo" for node in opened["nodes"]), "its file opens with its own workflow"
    again = command("run", wan_server, tmp_path, story, "--out", tmp_path / "run", *SMALL)
    assert again.status == 0, again.err
    assert sorted(segments_with(tmp_path / "run", "segment-done")) == [1, 2, 3], "nothing is rendered twice"
    without = command(
        "run",
        wan_server,
        tmp_path,
        make_story(workflow="image_to_video_wan_small.json"),
        "--out",
        tmp_path / "run",
        *SMALL,
    )
    assert without.status == 0, without.err
    assert segments_with(tmp_path / "run", "segment-done")[3:] == [2], "only the segment that had it"
    assert videogen("report", tmp_path / "run").status == 0
    assert videogen("film", tmp_path / "run").status == 0


def test_a_lora_changes_the_frames_of_its_segment(wan_server: ComfyServer, tmp_path: Path) -> None:
    """Three segments of one prompt and seed: without it, with it, and with one that changes nothing."""
    story = make_story()
    shot = {"prompt": "a field under blue sky", "seed": 11}
    loras: list[dict[str, Any]] = [{}, {"loras": [LORA]}, {"loras": [{**LORA, "strength": 0}]}]
    story["segments"] = [
        {**shot, **own, "timespan": segment["timespan"]} for own, segment in zip(loras, story["segments"], strict=True)
    ]
    ended = command("run", wan_server, tmp_path, story, "--out", tmp_path / "run", *SMALL)
    assert ended.status == 0, ended.err
    first, second, third = (read_frames(tmp_path / "run" / "segments" / f"segment_0{n}.mp4") for n in (1, 2, 3))
    # Where weights lie in memory changes in which order sums are rounded; an encoder makes several steps of 8 bits of one.
    assert distance(first, third) < 25 < 100 < distance(first, second)


def distance(frames: list[np.ndarray], others: list[np.ndarray]) -> int:
    """The largest difference between two clips, in steps of 8 bits."""
    return int(np.abs(np.stack(frames).astype(int) - np.stack(others)).max())


def test_a_lora_that_is_not_there_is_named_with_one_that_is_meant(wan_server: ComfyServer, tmp_path: Path) -> None:
    story = make_story(loras=[{"file": "rian.safetensors"}])
    for verb, options in (("check", ()), ("run", ("--out", tmp_path / "run"))):
        ended = command(verb, wan_server, tmp_path, story, *options)
        said = ended.out + ended.err
        assert ended.status == 2, said
        assert "segment 2" in said
        assert "model 'rian.safetensors'" in said
        assert "did you mean 'rain.safetensors'?" in said
    assert segments_with(tmp_path / "run", "segment-submitted") == []


def test_each_segment_is_written_to_for_its_own_model(wan_server: ComfyServer, tmp_path: Path) -> None:
    story = make_story(workflow="image_to_video_wan_small.json")
    printed = command("prompts", wan_server, tmp_path, story, "--json")
    assert printed.status == 0, printed.err
    data = json.loads(printed.out)
    own = data["segments"][1]["model"]["name"]
    assert own != data["model"]["name"]
    assert ["model" in segment for segment in data["segments"]] == [False, True, False]
