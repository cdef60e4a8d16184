"""The nodes' shared functions with tensors that no core node makes: in ComfyUI's own Python, without a server."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.installation import PROJECT, find_installation
from tests.support.needs import skip_or_fail

#: Every case in one process: importing torch takes longer than all of them together.
SCRIPT = """
import json, sys
from comfy.cli_args import args
args.cpu = True
import torch
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.comfyui import sockets
from custom_nodes.videogen.comfyui.frames import frame_tensors

def attempt(function, *arguments):
    try:
        result = function(*arguments)
        return result.tolist() if hasattr(result, "tolist") else result
    except VideoGenError as error:
        return f"{error.code}: {error}"

pixel = torch.tensor([[[0.0, 0.5, 1.0]]])
print("RESULT " + json.dumps({
    "rgb": attempt(frame_tensors.to_rgb8, pixel, 0),
    "rgba": attempt(frame_tensors.to_rgb8, torch.tensor([[[0.0, 0.5, 1.0, 0.25]]]), 0),
    "gray": attempt(frame_tensors.to_rgb8, torch.tensor([[[0.5]]]), 0),
    "clipped": attempt(frame_tensors.to_rgb8, torch.tensor([[[-3.0, 7.0, 0.2]]]), 0),
    "half": attempt(frame_tensors.to_rgb8, pixel.half(), 0),
    "bfloat16": attempt(frame_tensors.to_rgb8, pixel.to(torch.bfloat16), 0),
    "nan": attempt(frame_tensors.to_rgb8, torch.tensor([[[0.0, float("nan"), 1.0]]]), 6),
    "infinite": attempt(frame_tensors.to_rgb8, torch.tensor([[[0.0, float("inf"), 1.0]]]), 0),
    "untouched": pixel.tolist(),
    "no frames": attempt(frame_tensors.check_frames, torch.zeros(0, 8, 8, 3)),
    "a latent": attempt(frame_tensors.check_frames, torch.zeros(1, 4, 8, 8)),
    "one picture": attempt(frame_tensors.check_frames, torch.zeros(8, 8, 3)),
    "gray frames": attempt(frame_tensors.check_frames, torch.zeros(2, 8, 8, 1)),
    "no story": attempt(sockets.need_story, "some text"),
    "no segment": attempt(sockets.need_segment, {"number": 1}),
}))
"""


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """What each case gave, by name."""
    try:
        installation = find_installation()
    except VideoGenError as error:
        skip_or_fail(str(error))
    start = f"import sys; sys.path[:0] = {[str(PROJECT), str(installation.comfyui)]!r}\n"
    done = subprocess.run(
        [str(installation.python), "-c", start + SCRIPT],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), None)
    assert line is not None, done.stderr[-3000:]
    return json.loads(line.removeprefix("RESULT "))


@pytest.mark.parametrize("name", ["rgb", "rgba", "half", "bfloat16"])
def test_colors_are_rounded_and_alpha_is_dropped(results: dict[str, Any], name: str) -> None:
    assert results[name] == [[[0, 128, 255]]]


def test_gray_becomes_rgb(results: dict[str, Any]) -> None:
    assert results["gray"] == [[[128, 128, 128]]]


def test_colors_outside_the_range_are_clipped(results: dict[str, Any]) -> None:
    assert results["clipped"] == [[[0, 255, 51]]]


def test_the_images_that_other_nodes_get_too_stay_as_they_are(results: dict[str, Any]) -> None:
    assert results["untouched"] == [[[0.0, 0.5, 1.0]]]


@pytest.mark.parametrize(("name", "frame"), [("nan", 7), ("infinite", 1)])
def test_values_that_are_no_numbers(results: dict[str, Any], name: str, frame: int) -> None:
    assert results[name].startswith(f"frames-invalid: frame {frame} has values that are not numbers")
    assert "--fp32-vae" in results[name]


@pytest.mark.parametrize(
    ("name", "shape"), [("no frames", "(0, 8, 8, 3)"), ("a latent", "(1, 4, 8, 8)"), ("one picture", "(8, 8, 3)")]
)
def test_what_is_not_a_batch_of_images(results: dict[str, Any], name: str, shape: str) -> None:
    assert results[name].startswith(
        f"frames-invalid: `images` has shape {shape}, expected (frames, height, width, channels)"
    )


def test_gray_frames_are_images(results: dict[str, Any]) -> None:
    assert results["gray frames"] is None


def test_something_else_on_our_sockets(results: dict[str, Any]) -> None:
    assert results["no story"] == "socket-invalid: `story` got str, expected the output of VideoGenStory"
    assert results["no segment"] == "socket-invalid: `segment` got dict, expected the output of VideoGenSegment"
