"""Diffusers pipelines in a real ComfyUI with scripted cards: heat, canceling, progress, previews, and memory."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import websocket
from PIL import Image

from runner.comfyui.outcome import Outcome
from tests.support.graphs.video_pipelines import SKYREELS, Graph, pipeline_graph
from tests.support.models.tiny_pipelines import save_pipelines
from tests.support.needs import require_diffusers
from tests.support.runs import wait_until
from tests.support.servers.guarded_server import GUARD, GuardedServer, steps_in

pytestmark = pytest.mark.server

_SEEDS = itertools.count(1)
#: Three passes of ten steps.
STEPS = 30


@pytest.fixture(scope="module", autouse=True)
def _pipelines(guarded_server: GuardedServer) -> None:
    require_diffusers()
    save_pipelines(guarded_server.folder / "models" / "diffusers", "skyreels_forcing")


def slow_graph(record: Path, seconds: float = 0.0, *, guarded: bool = False, **loader: Any) -> Graph:
    """A graph of `pipeline_graph` whose steps are counted in a file, with a seed of its own."""
    graph = pipeline_graph("VideoGenSkyReels", "skyreels_forcing", {**SKYREELS, "seed": next(_SEEDS)})
    graph["1"]["inputs"] |= loader
    graph["5"] = {
        "class_type": "GuardTestSlowPipeline",
        "inputs": {"pipeline": ["1", 0], "seconds": seconds, "record": str(record)},
    }
    graph["2"]["inputs"]["pipeline"] = ["5", 0]
    if guarded:
        graph["6"] = {"class_type": "VideoGenGuardPipeline", "inputs": {"pipeline": ["5", 0], **GUARD}}
        graph["2"]["inputs"]["pipeline"] = ["6", 0]
    return graph


def pixels(server: GuardedServer, outcome: Outcome) -> np.ndarray:
    """The frames of a clip, 0 to 255."""
    assert outcome.status == "success", outcome.error
    files = outcome.outputs["3"]["images"]
    return np.stack([np.array(Image.open(server.output(file["subfolder"], file["filename"]))) for file in files])


def are_alike(frames: np.ndarray, others: np.ndarray) -> bool:
    """Whether clips are the same to rounding."""
    return frames.shape == others.shape and np.abs(frames.astype(int) - others).max() <= 1


def count_loaded(server: GuardedServer, graph: Graph | None = None) -> int:
    """Pipelines in memory, after a prompt with the nodes of `graph` in it: ComfyUI forgets the results of all others."""
    count = {"class_type": "GuardTestLoadedPipelines", "inputs": {"time": time.time()}}
    outcome = server.run({**(graph or {}), "9": count})
    assert outcome.status == "success", outcome.error
    return outcome.outputs["9"]["loaded"][0]


def test_it_pauses_between_steps_and_the_frames_are_the_same(server: GuardedServer, tmp_path: Path) -> None:
    record = tmp_path / "record"
    graph = slow_graph(record, 0.05, guarded=True)
    prompt_id = server.submit(graph)
    wait_until(lambda: steps_in(record) >= 3)
    server.cards.set(temperature=91)
    assert server.wait_for_pause().endswith("91 °C → waiting for 80 °C")
    before = steps_in(record)
    time.sleep(0.5)
    assert steps_in(record) == before <= STEPS
    server.cards.set(temperature=70)
    hot = pixels(server, server.wait(prompt_id))
    assert steps_in(record) == STEPS + 1, "before the first step too"
    graph["2"]["inputs"]["pipeline"] = ["1", 0]
    assert are_alike(pixels(server, server.run(graph)), hot)


def test_cancel_while_it_is_hot(server: GuardedServer, tmp_path: Path) -> None:
    record = tmp_path / "record"
    server.cards.set(temperature=91)
    prompt_id = server.submit(slow_graph(record, guarded=True))
    server.wait_for_pause()
    server.client.cancel(prompt_id)
    assert server.wait(prompt_id, 20).status == "interrupted"
    assert steps_in(record) == 1


@pytest.mark.parametrize("offload", ["none", "group"])
def test_cancel_ends_it_within_one_step(server: GuardedServer, tmp_path: Path, offload: str) -> None:
    record = tmp_path / "record"
    graph = slow_graph(record, 0.4, offload=offload)
    prompt_id = server.submit(graph)
    wait_until(lambda: steps_in(record) >= 3)
    before = steps_in(record)
    server.client.http.request("POST", "/interrupt", json={"prompt_id": prompt_id})
    assert server.wait(prompt_id, 20).status == "interrupted"
    assert steps_in(record) <= before + 1
    graph["5"]["inputs"]["seconds"] = 0.0
    whole = pixels(server, server.run(graph))
    graph["1"]["inputs"]["offload"] = "none"
    graph["2"]["inputs"]["pipeline"] = ["1", 0]
    assert are_alike(pixels(server, server.run(graph)), whole), "nothing is left of the canceled one"


def test_progress_and_previews_are_sent(server: GuardedServer, tmp_path: Path) -> None:
    client_id = uuid.uuid4().hex
    address = f"{server.client.websocket_url}?clientId={client_id}"
    connection = websocket.create_connection(address, timeout=30, http_no_proxy=["127.0.0.1"])
    prompt_id = str(uuid.uuid4())
    server.client.submit(slow_graph(tmp_path / "record"), prompt_id, client_id, None)
    progress: list[tuple[int, int]] = []
    previews = 0
    while True:
        kind, message = connection.recv_data()
        if kind == websocket.ABNF.OPCODE_BINARY and int.from_bytes(message[:4], "big") in (1, 4):
            previews += b"\xff\xd8\xff" in message
        elif kind == websocket.ABNF.OPCODE_TEXT:
            event = json.loads(message)
            if event["type"] == "progress" and event["data"]["node"] == "2":
                progress.append((event["data"]["value"], event["data"]["max"]))
            elif event["type"] == "execution_success" and event["data"]["prompt_id"] == prompt_id:
                break
    connection.close()
    assert progress == [(step, STEPS) for step in range(1, STEPS + 1)]
    assert previews == STEPS


def test_memory_is_given_back(server: GuardedServer, tmp_path: Path) -> None:
    freeing = slow_graph(tmp_path / "record", afterwards="free")
    pixels(server, server.run(freeing))
    assert count_loaded(server, freeing) == 0, "after the clip"
    keeping = slow_graph(tmp_path / "record")
    pixels(server, server.run(keeping))
    assert count_loaded(server, keeping) == 1, "kept for the next clip"
    major, minor, *_ = server.client.system_stats()["system"]["comfyui_version"].split(".")
    # Newer cores keep what another workflow has made until memory gets short.
    kept = 1 if (int(major), int(minor)) >= (0, 30) else 0
    assert count_loaded(server) == kept, "another workflow"
    again = slow_graph(tmp_path / "record")
    pixels(server, server.run(again))
    assert count_loaded(server, again) == 1
    server.client.free()
    assert count_loaded(server) == 0, "as the editor's button does"


def test_a_canceled_clip_gives_its_memory_back_too(server: GuardedServer, tmp_path: Path) -> None:
    record = tmp_path / "record"
    graph = slow_graph(record, 0.2, afterwards="free")
    prompt_id = server.submit(graph)
    wait_until(lambda: steps_in(record) >= 2)
    server.client.cancel(prompt_id)
    assert server.wait(prompt_id, 20).status == "interrupted"
    assert count_loaded(server) == 0
