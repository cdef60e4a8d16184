"""`videogen bench runner`: the cost of the runner itself against its peers, in one run on one machine."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
import websocket

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.programs import find_program
from custom_nodes.videogen.media.story_file import LoadedStory

from ..comfyui.client import ComfyClient
from ..comfyui.embedded import EmbeddedServer
from ..comfyui.installation import find_installation
from ..comfyui.outcome import Outcome, read_outcome
from ..comfyui.servers import RemoteServer
from ..rendering.jobs import ConvertedWorkflow, Job, JobMaker, WorkflowChoices
from ..rendering.renderer import Renderer
from ..rendering.scheduler import Task
from ..rendering.worker import RenderSettings, Worker
from ..state.progress import LineDisplay
from ..state.run_directory import RunDirectory
from ..state.versions import collect_versions
from .machine import describe_machine

#: A graph that does next to nothing, and never the same thing twice.
TRIVIAL = {
    "1": {"class_type": "PrimitiveInt", "inputs": {"value": 0}},
    "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
}
#: Jobs over which a mean is taken along a long run.
BLOCK = 1000


@dataclass(frozen=True)
class Overhead:
    """Milliseconds a job that were not the server's execution time: wall time of all jobs minus what history says."""

    jobs: int
    wall_seconds: float
    executed_seconds: float

    @property
    def milliseconds(self) -> float:
        return (self.wall_seconds - self.executed_seconds) / self.jobs * 1000


class _FilelessWorker(Worker):
    """A worker that fetches and verifies nothing: the trivial graph has no file."""

    def _collect(self, task: Task, job: Job, outcome: Outcome, times: dict[str, float]) -> None:
        result = {"key": task.key, "seconds": times}
        self.log.note_fetched(task, 0)
        self.log.note_verified(task.number, "", result)
        self.log.note_done(task.number, result)
        self.results.rendered.append(task.number)
        measured: _Measured = self.log.display  # type: ignore[assignment]
        measured.add(times["executed"])
        self.scheduler.finish(task, self.server.name, times["executed"])


class _Measured(LineDisplay):
    """Notes wall time and memory along the run instead of printing."""

    def __init__(self) -> None:
        super().__init__()
        self.executed = 0.0
        self.jobs = 0
        self.blocks: list[dict[str, float]] = []
        self._process = psutil.Process()
        self._block_began, self._block_executed = time.monotonic(), 0.0

    def say(self, message: str) -> None:
        pass

    def add(self, executed: float) -> None:
        self.executed += executed
        self._block_executed += executed
        self.jobs += 1
        if self.jobs % BLOCK == 0:
            now = time.monotonic()
            self.blocks.append(
                {
                    "jobs": self.jobs,
                    "overhead_ms": round((now - self._block_began - self._block_executed) / BLOCK * 1000, 3),
                    "memory_mb": round(self._process.memory_info().rss / 1e6, 1),
                }
            )
            self._block_began, self._block_executed = now, 0.0


def bench_runner(jobs: int, long_run: int, rounds: int, output: Path | None) -> int:
    """Measure the overhead a job of this runner, of a bare loop, and of ``comfy run --wait``, and print a table."""
    with tempfile.TemporaryDirectory(prefix="videogen-bench-") as folder:
        server = EmbeddedServer(find_installation(), Path(folder) / "server")
        try:
            client = server.start()
            info = client.object_info()
            for warm_up in range(20):
                _run_bare(client, 1, warm_up - 1000)
            bare, ours = [], []
            for turn in range(rounds):  # in turns, so that a machine that changes its pace changes it for both
                bare.append(_run_bare(client, jobs, turn * jobs))
                ours.append(_run_ours(client, info, jobs, Path(folder) / f"run_{turn}", 10_000_000 + turn * jobs)[0])
            comfy = _run_comfy(client, Path(folder), max(3, jobs // 40))
            blocks = _run_ours(client, info, long_run, Path(folder) / "long", 20_000_000)[1] if long_run else []
            versions = collect_versions(client.system_stats())
        finally:
            server.stop()
    result = _summarize(bare, ours, comfy, blocks, versions)
    print(format_table(result))
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def _run_bare(client: ComfyClient, jobs: int, first: int) -> Overhead:
    """The minimum for any client: submit, wait for the socket, read history."""
    session = requests.Session()
    session.trust_env = False
    client_id = uuid.uuid4().hex
    connection = websocket.create_connection(f"{client.websocket_url}?clientId={client_id}", timeout=60)
    executed = 0.0
    began = time.monotonic()
    for job in range(jobs):
        graph = {**TRIVIAL, "1": {"class_type": "PrimitiveInt", "inputs": {"value": first + job}}}
        answer = session.post(f"{client.url}/prompt", json={"prompt": graph, "client_id": client_id}, timeout=60).json()
        while True:
            message = connection.recv()
            event = json.loads(message) if isinstance(message, str) else {}
            data = event.get("data") or {}
            if (
                event.get("type") == "executing"
                and data.get("node") is None
                and data.get("prompt_id") == answer["prompt_id"]
            ):
                break
        entry = session.get(f"{client.url}/history/{answer['prompt_id']}", timeout=60).json()[answer["prompt_id"]]
        executed += read_outcome(entry).executed or 0.0
    wall = time.monotonic() - began
    connection.close()
    session.close()
    return Overhead(jobs, wall, executed)


def _run_ours(
    client: ComfyClient, info: dict[str, Any], jobs: int, folder: Path, first_seed: int
) -> tuple[Overhead, list[dict[str, float]]]:
    """The runner as it is, with journal, scheduler and reconciliation."""
    data = {"title": "bench", "segments": [{"prompt": "bench", "seed": first_seed + job} for job in range(jobs)]}
    story = parse_story(data, "bench")
    maker = JobMaker(
        LoadedStory(story, data),
        ConvertedWorkflow(TRIVIAL, info),
        WorkflowChoices(bindings=["seed=1.value"]),
        hash_input=lambda _: "",
    )
    server = RemoteServer(ComfyClient(client.url), patience=60)
    server.connect()
    display = _Measured()
    with RunDirectory(folder, "bench") as directory:
        renderer = Renderer(
            [server],
            maker,
            directory,
            display,
            RenderSettings(QUALITIES["draft"], retries=0, stall=600),
            worker=_FilelessWorker,
        )
        began = time.monotonic()
        renderer.render(range(1, jobs + 1))
        wall = time.monotonic() - began
    server.close()
    if renderer.failed or display.jobs != jobs:
        raise VideoGenError("render-failed", f"{len(renderer.failed)} of {jobs} trivial jobs failed")
    return Overhead(jobs, wall, display.executed), display.blocks


def _run_comfy(client: ComfyClient, folder: Path, jobs: int) -> Overhead | None:
    """``comfy run --wait``, a process a job; None where comfy-cli is not there."""
    program = find_program(
        "comfy", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if program is None:
        return None
    host, port = client.url.removeprefix("http://").split(":")
    environment = {**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "DO_NOT_TRACK": "1"}
    before = time.time()
    wall = 0.0
    for job in range(jobs):
        path = folder / "trivial.json"
        graph = {**TRIVIAL, "1": {"class_type": "PrimitiveInt", "inputs": {"value": 30_000_000 + job}}}
        path.write_text(json.dumps(graph), encoding="utf-8")
        began = time.monotonic()
        subprocess.run(
            [
                program,
                "--skip-prompt",
                "run",
                "--workflow",
                str(path),
                "--wait",
                "--no-notify",
                "--host",
                host,
                "--port",
                port,
            ],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
            timeout=120,
        )
        wall += time.monotonic() - began
    history = requests.get(f"{client.url}/history", timeout=60).json()
    executed = sum(read_outcome(entry).executed or 0.0 for entry in history.values() if _started(entry) >= before)
    return Overhead(jobs, wall, executed)


def _started(entry: dict[str, Any]) -> float:
    for name, data in entry["status"]["messages"]:
        if name == "execution_start":
            return float(data["timestamp"]) / 1000
    return 0.0


def _summarize(
    bare: list[Overhead],
    ours: list[Overhead],
    comfy: Overhead | None,
    blocks: list[dict[str, float]],
    versions: dict[str, str],
) -> dict[str, Any]:
    ratios = [one.milliseconds / other.milliseconds for one, other in zip(ours, bare, strict=True)]
    our_median = statistics.median(one.milliseconds for one in ours)
    result: dict[str, Any] = {
        "what": "milliseconds a job beyond the server's execution time, trivial graph, one job after the other",
        "jobs": ours[0].jobs,
        "rounds": len(ours),
        "bare_loop_ms": round(statistics.median(one.milliseconds for one in bare), 3),
        "videogen_ms": round(our_median, 3),
        "videogen_over_bare_loop": round(statistics.median(ratios), 3),
        "comfy_run_ms": round(comfy.milliseconds, 1) if comfy else None,
        "comfy_run_over_videogen": round(comfy.milliseconds / our_median, 1) if comfy else None,
        "long_run": blocks,
        "machine": describe_machine(),
        "versions": versions,
    }
    return result


def format_table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"| {result['jobs']} jobs × {result['rounds']}, one after the other | overhead a job | ratio |",
        "|---|---|---|",
        f"| bare loop over `/prompt` and the socket | {result['bare_loop_ms']} ms | 1 |",
        f"| **videogen runner** (journal, scheduler, reconciliation) | {result['videogen_ms']} ms"
        f" | {result['videogen_over_bare_loop']} |",
    ]
    if result["comfy_run_ms"] is not None:
        ratio = round(result["comfy_run_ms"] / result["bare_loop_ms"], 1)
        lines.append(f"| `comfy run --wait`, a process a job | {result['comfy_run_ms']} ms | {ratio} |")
    if result["long_run"]:
        lines += ["", "| a long run: jobs | overhead a job | runner's memory |", "|---|---|---|"]
        lines += [f"| {b['jobs']} | {b['overhead_ms']} ms | {b['memory_mb']} MB |" for b in result["long_run"]]
    return "\n".join(lines)
