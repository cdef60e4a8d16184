"""The frame nodes in a real ComfyUI: what only a graph that runs can show."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import Graph, segment_graph, small_story

pytestmark = pytest.mark.server


def frame_graph(title: str) -> Graph:
    """Storyboard frames, moved by their shot, their colors matched to the first of them, saved."""
    graph = segment_graph(small_story(title))
    moved = {"move": "pan-left", "reach": 0.3, "border": "mirror", "frames": 4, "segment": ["2", 0], "images": ["3", 0]}
    matched = {"images": ["5", 0], "anchor": "reference, else first frame", "method": "clamped", "strength": 0.8}
    graph["5"] = {"class_type": "VideoGenKeyframeMotion", "inputs": moved}
    graph["6"] = {"class_type": "VideoGenColorMatch", "inputs": {**matched, "segment": ["2", 0]}}
    graph["4"]["inputs"]["images"] = ["6", 0]
    return graph


def test_frames_are_moved_matched_and_saved(comfy_server: ComfyServer) -> None:
    result = comfy_server.render(frame_graph("Frames"))["4"]
    assert result["videogen"][0]["rendered_frames"] == 4


def place_graph(title: str, consumer: dict[str, Any]) -> Graph:
    graph = {key: node for key, node in segment_graph(small_story(title)).items() if key in "12"}
    graph["5"] = {"class_type": "VideoGenLocation", "inputs": {"segment": ["2", 0]}}
    graph["6"] = consumer
    return graph


def test_words_and_seed_of_a_place_without_an_image(comfy_server: ComfyServer) -> None:
    comfy_server.render(place_graph("Words", {"class_type": "PreviewAny", "inputs": {"source": ["5", 2]}}))


def test_who_wants_the_image_of_it_is_told_which_one_is_missing(comfy_server: ComfyServer) -> None:
    outcome = comfy_server.run(place_graph("Picture", {"class_type": "PreviewImage", "inputs": {"images": ["5", 0]}}))
    assert outcome.status == "error"
    assert "so there is no picture of it" in outcome.error or "is not in ComfyUI's input folder" in outcome.error


@pytest.mark.parametrize(
    ("kind", "field", "value", "said"),
    [
        ("VideoGenFrameNoise", "frames", 0, "smaller than min"),
        ("VideoGenFrameNoise", "frames", 100_000, "bigger than max"),
        ("VideoGenKeyframeMotion", "frames", 100_000, "bigger than max"),
        ("VideoGenFrameNoise", "drift", 1.5, "bigger than max"),
        ("VideoGenAnchorAttention", "frames_per_pass", 100_000, "bigger than max"),
        ("VideoGenAnchorAttention", "start", 0.9, "expected a `start` that is not after `end`"),
    ],
)
def test_fields_refuse_what_cannot_be(
    comfy_server: ComfyServer, kind: str, field: str, value: float, said: str
) -> None:
    inputs: dict[str, dict[str, Any]] = {
        "VideoGenFrameNoise": {"drift": 0.3, "anchor": "segment", "seed": 1, "frames": 4, "segment": ["2", 0]},
        "VideoGenKeyframeMotion": {"move": "static", "reach": 0.1, "border": "crop", "frames": 4, "images": ["3", 0]},
        "VideoGenAnchorAttention": {
            "model": ["8", 0],
            "strength": 0.5,
            "anchors": "first",
            "start": 0.0,
            "end": 0.5,
            "blocks": "all",
            "frames_per_pass": 8,
        },
    }
    graph = segment_graph(small_story("Fields"))
    graph["5"] = {"class_type": kind, "inputs": {**inputs[kind], field: value}}
    if kind == "VideoGenAnchorAttention":
        graph["8"] = {"class_type": "VideoGenGuardModel", "inputs": {}}
    graph["6"] = {"class_type": "PreviewAny", "inputs": {"source": ["5", 0]}}
    del graph["4"]
    with pytest.raises(VideoGenError) as caught:
        comfy_server.submit(graph)
    assert said in caught.value.message
