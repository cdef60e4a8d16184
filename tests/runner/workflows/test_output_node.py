"""Which node of a graph saves the segment, as its schemas tell, and the mark that has it executed again."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.roles.savers import ANIMATION, PICTURES, VIDEO
from runner.workflows.output_node import ATTEMPT_INPUT, find_output_problems, find_savers, force_execution


def schema(*inputs: str, output_node: bool = True, **typed: str) -> dict[str, Any]:
    return {
        "input": {"required": {name: [kind] for name, kind in typed.items()} | {name: ["STRING"] for name in inputs}},
        "output": [],
        "output_node": output_node,
    }


INFO: dict[str, Any] = {
    "SaveImage": schema("filename_prefix", images="IMAGE"),
    "Image Saver": schema("filename", images="IMAGE"),
    "SaveAnimatedWEBP": schema("filename_prefix", images="IMAGE", fps="FLOAT"),
    "SaveWEBM": schema("filename_prefix", "codec", images="IMAGE", fps="FLOAT"),
    "SaveVideo": schema("filename_prefix", "format", "codec", video="VIDEO"),
    "VHS_VideoCombine": schema("filename_prefix", "format", images="IMAGE", frame_rate="FLOAT"),
    "PreviewImage": schema(images="IMAGE"),
    "SaveLatent": schema("filename_prefix", samples="LATENT"),
    "SaveAudio": schema("filename_prefix", audio="AUDIO"),
    "KSampler": schema(output_node=False, model="MODEL"),
    "VideoGenSaveSegment": schema("take", images="IMAGE"),
    "VideoGenContinuity": schema(images="IMAGE"),
}


def graph(*kinds: str, **inputs: Any) -> dict[str, Any]:
    return {str(number): {"class_type": kind, "inputs": dict(inputs)} for number, kind in enumerate(kinds, 1)}


@pytest.mark.parametrize(
    ("kind", "inputs", "rank"),
    [
        ("SaveImage", {}, PICTURES),
        ("Image Saver", {}, PICTURES),
        ("SaveAnimatedWEBP", {}, ANIMATION),
        ("SaveWEBM", {}, VIDEO),
        ("SaveVideo", {}, VIDEO),
        ("VHS_VideoCombine", {"format": "video/h264-mp4"}, VIDEO),
        ("VHS_VideoCombine", {"format": "image/gif"}, ANIMATION),
        ("VHS_VideoCombine", {"format": "video/h264-mp4", "save_output": False}, 0),
        ("VideoGenSaveSegment", {}, VIDEO),
        ("PreviewImage", {}, 0),
        ("SaveLatent", {}, 0),
        ("SaveAudio", {}, 0),
        ("KSampler", {}, 0),
        ("VideoGenContinuity", {}, 0),
        ("A class that the server does not have", {}, 0),
    ],
)
def test_the_kind_of_files_that_a_node_saves(kind: str, inputs: dict[str, Any], rank: int) -> None:
    assert [saver.rank for saver in find_savers(graph(kind, **inputs), INFO)] == ([rank] if rank else [])


@pytest.mark.parametrize(
    ("kinds", "nodes"),
    [
        (["SaveImage"], ""),
        (["SaveImage", "PreviewImage", "SaveLatent"], ""),
        (["SaveImage", "SaveImage", "SaveVideo"], ""),
        (["SaveVideo", "VideoGenSaveSegment", "SaveWEBM"], ""),
        (["SaveImage", "Image Saver"], "1 (SaveImage), 2 (Image Saver)"),
        (["SaveVideo", "SaveImage", "SaveWEBM"], "1 (SaveVideo), 3 (SaveWEBM)"),
        (
            ["VideoGenSaveSegment", "SaveVideo", "VideoGenSaveSegment"],
            "1 (VideoGenSaveSegment), 3 (VideoGenSaveSegment)",
        ),
    ],
)
def test_equally_good_nodes_are_named_before_anything_is_rendered(kinds: list[str], nodes: str) -> None:
    problems = [str(problem) for problem in find_output_problems(graph(*kinds), INFO)]
    assert len(problems) == bool(nodes)
    assert all(f"nodes {nodes} of the workflow" in problem and "--bind output=" in problem for problem in problems)
    assert list(find_output_problems(graph(*kinds), INFO, "1")) == []


def test_only_what_saves_is_executed_again() -> None:
    nodes = graph(
        "SaveImage", "VideoGenSaveSegment", "VideoGenSaveReference", "VideoGenContinuity", "KSampler", "Unknown"
    )
    force_execution(nodes, INFO, 0)
    assert all(node["inputs"] == {} for node in nodes.values())
    force_execution(nodes, INFO, 2)
    assert [node_id for node_id, node in nodes.items() if node["inputs"] == {ATTEMPT_INPUT: 2}] == ["1", "2", "3"]
