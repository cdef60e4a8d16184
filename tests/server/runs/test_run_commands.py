"""Commands on a real ComfyUI: what they refuse before anything is submitted, and what the small ones say."""

from __future__ import annotations

import functools
import http.server
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from runner.comfyui.installation import find_installation
from tests.support.graphs.plain import image_graph
from tests.support.runs import Ended, segments_with, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import segment_graph, small_story

pytestmark = pytest.mark.server


# ------------------------------------------------------------------ servers and workflows that do not fit


def refuse(server: str, folder: Path, graph: dict[str, Any], *options: str) -> Ended:
    """A run that must be refused before anything is submitted."""
    story = write_json(folder / "story.json", small_story("Tiny"))
    workflow = write_json(folder / "film.json", graph)
    ended = videogen("run", story, "--workflow", workflow, "--out", folder / "run", "--server", server, *options)
    assert segments_with(folder / "run", "segment-submitted") == []
    return ended


def test_a_node_that_the_server_does_not_have(tmp_path: Path, comfy_server: ComfyServer) -> None:
    graph = segment_graph("") | {"9": {"class_type": "VHS_VideoCombine", "inputs": {"images": ["3", 0]}}}
    ended = refuse(comfy_server.url, tmp_path, graph)
    assert ended.status == 2
    assert "VHS_VideoCombine (node 9): the server does not have this node" in ended.err
    assert "Nothing was submitted." in ended.err


def test_a_model_that_is_not_there(tmp_path: Path, comfy_server: ComfyServer) -> None:
    ended = refuse(comfy_server.url, tmp_path, image_graph(), "--bind", "prompt=6.text")
    assert ended.status == 2
    assert "model 'dream.safetensors' (node 4): it is missing: put it into models/checkpoints" in ended.err
    assert "models/checkpoints" in ended.err


def test_a_setting_that_does_not_fit(tmp_path: Path, comfy_server: ComfyServer) -> None:
    ended = refuse(comfy_server.url, tmp_path, segment_graph(""), "--set", "4.codec=av1")
    assert ended.status == 2
    assert "'codec' is 'av1', expected one of 'h264', 'hevc'" in ended.err


def test_a_server_that_is_no_comfyui(tmp_path: Path) -> None:
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            ended = refuse(f"http://127.0.0.1:{server.server_address[1]}", tmp_path, segment_graph(""))
        finally:
            server.shutdown()
            thread.join()
    assert ended.status == 2
    assert "is not a ComfyUI" in ended.err


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        ended = refuse(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path, segment_graph(""))
    assert ended.status == 3
    assert "nothing listens there" in ended.err


# ------------------------------------------------------------------ the other commands


def test_check_says_that_everything_fits(tmp_path: Path, comfy_server: ComfyServer) -> None:
    story = write_json(tmp_path / "story.json", small_story("Tiny"))
    ended = videogen("check", story, "--workflow", "preview", "--server", comfy_server.url)
    assert (ended.status, ended.err) == (0, "")
    assert "Tiny: 2 segments, 1.000 s; preview.json fits the server" in ended.out


def test_check_names_what_is_wrong_with_story_and_workflow_at_once(tmp_path: Path, comfy_server: ComfyServer) -> None:
    story = write_json(tmp_path / "story.json", {"segments": [{"promt": "x"}]})
    workflow = write_json(tmp_path / "film.json", image_graph())
    ended = videogen("check", story, "--workflow", workflow, "--server", comfy_server.url)
    assert ended.status == 2
    assert "segments[1].promt: unknown key" in ended.out
    assert "model 'dream.safetensors' (node 4): it is missing" in ended.out


def test_check_says_where_the_models_of_our_own_server_go(tmp_path: Path, comfy_server: ComfyServer) -> None:
    story = write_json(tmp_path / "story.json", small_story("Tiny"))
    ended = videogen("check", story, "--workflow", "sd21_frames")
    assert ended.status == 2
    assert f"Note: models/ is {find_installation().comfyui / 'models'}\n" in ended.out
    assert "it is missing: put it into models/checkpoints" in ended.out
    assert "models/ is" not in videogen("check", story, "--workflow", "sd21_frames", "--server", comfy_server.url).out


def test_convert_gives_what_the_server_takes(comfy_server: ComfyServer) -> None:
    ended = videogen("convert", "preview", "--server", comfy_server.url)
    assert ended.status == 0
    graph = json.loads(ended.out)
    assert {node["class_type"] for node in graph.values()} >= {
        "VideoGenStory",
        "VideoGenSegment",
        "VideoGenSaveSegment",
    }


def test_doctor_says_what_this_machine_has(comfy_server: ComfyServer) -> None:
    ended = videogen("doctor", "--server", comfy_server.url)
    assert ended.status == 0, ended.out
    text = " ".join(ended.out.split())
    assert "libx264 encodes" in text
    assert f"at {comfy_server.url}, with the videogen nodes" in text
