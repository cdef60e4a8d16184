"""A real ComfyUI on a processor that finds scripted cards, and a model of random weights that takes its time."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import find_installation
from runner.comfyui.transport import read_json
from tests.support.runs import wait_until
from tests.support.servers.comfy import ComfyServer
from tests.support.servers.scripted_cards import FOLDER, ScriptedCards

NODES = Path(__file__).with_name("guard_nodes")
Graph = dict[str, dict[str, Any]]
#: A guard that looks often, at all cards: torch computes on the processor here.
GUARD: dict[str, Any] = {
    "pause_above": 85.0,
    "resume_at": 80.0,
    "interval": 0.1,
    "max_minutes": 5.0,
    "when_over": "stop",
    "devices": "all",
    "throttle": "hardware slowdown",
    "strict": False,
}


@dataclass
class GuardedServer(ComfyServer):
    """With the cards that it finds."""

    cards: ScriptedCards

    def telemetry(self, seconds: float = 60.0) -> dict[str, Any]:
        response = self.client.http.request("GET", "/videogen/telemetry", params={"seconds": str(seconds)})
        assert response.status_code == 200, response.content
        return read_json(response)

    def wait_for_pause(self) -> str:
        """Wait until a guard waits. Returns its text."""
        wait_until(lambda: self.telemetry()["waiting"], 30)
        return (self.telemetry()["waiting"] or {"text": ""})["text"]


@contextlib.contextmanager
def running_guarded_server(folder: Path) -> Iterator[GuardedServer]:
    """Start it; its NVML is the scripted one."""
    installation = find_installation()
    (folder / "input").mkdir(parents=True, exist_ok=True)
    paths = folder / "extra_model_paths.yaml"
    (folder / "models" / "diffusers").mkdir(parents=True)
    models = {"base_path": str(folder / "models"), "diffusers": "diffusers"}
    paths.write_text(json.dumps({"guards": {"custom_nodes": str(NODES)}, "models": models}), encoding="utf-8")
    cards = ScriptedCards(folder / "cards.json")
    arguments = (
        *installation.arguments,
        "--input-directory",
        str(folder / "input"),
        "--disable-api-nodes",
        "--preview-method",
        "latent2rgb",
        "--extra-model-paths-config",
        str(paths),
    )
    added = {
        "VIDEOGEN_SCRIPTED_NVML": str(cards.path),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(FOLDER), os.environ.get("PYTHONPATH")))),
    }
    before = {name: os.environ.get(name) for name in added}
    with EmbeddedServer(replace(installation, arguments=arguments), folder) as embedded:
        os.environ.update(added)
        try:
            client = embedded.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        yield GuardedServer(embedded, client, folder, client.object_info(), cards)


def sampling_graph(
    record: Path | str = "",
    *,
    guard: dict[str, Any] | None = None,
    steps: int = 12,
    seconds: float = 0.1,
    seed: int = 5,
    sampler: str = "euler",
    cfg: float = 1.0,
) -> Graph:
    """KSampler on the slow model, and the digest of what comes out of it (node 5); 2 is the guard, if there is one."""
    graph: Graph = {
        "1": {"class_type": "GuardTestModel", "inputs": {"seconds": seconds, "record": str(record)}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["1", 1],
                "negative": ["1", 1],
                "latent_image": ["3", 0],
                "seed": seed,
                "steps": steps,
                "cfg": cfg,
                "sampler_name": sampler,
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "5": {"class_type": "GuardTestDigest", "inputs": {"samples": ["4", 0]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "guarded"}},
    }
    if guard is not None:
        graph["2"] = {"class_type": "VideoGenGuardModel", "inputs": {"model": ["1", 0], **guard}}
        graph["4"]["inputs"]["model"] = ["2", 0]
    return graph


def steps_in(record: Path) -> int:
    """Sampling steps that a graph of `sampling_graph` has recorded."""
    return len(record.read_text().splitlines()) if record.exists() else 0


def temperatures(server: GuardedServer) -> list[float]:
    """The last temperatures of the devices that have one."""
    return [reading["temperature"] for reading in server.telemetry()["readings"] if "temperature" in reading]
