"""What the tests of faults share: a ComfyUI with nodes that fail, runs of the command line, and looks at what is left."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import hash_file, probe_video
from runner import cli
from runner.comfyui.client import ComfyClient
from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import find_installation
from runner.comfyui.servers import RemoteServer
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import Graph, segment_graph, small_story

PROJECT = Path(__file__).resolve().parents[2]
NODES = Path(__file__).with_name("nodes")
#: Whether everything runs, or what a CI has time for.
FULL = os.environ.get("VIDEOGEN_FAULTS", "") == "full"
in_full = pytest.mark.skipif(not FULL, reason="takes long; runs with VIDEOGEN_FAULTS=full")
#: Seconds after which a run counts as hanging, on however slow a machine.
HANGING = 180.0

DEFAULTS: dict[str, dict[str, Any]] = {
    "FaultSleep": {"seconds": 1.0, "progress": True},
    "FaultServer": {},
    "FaultExit": {"what": "worker"},
    "FaultOutOfMemory": {"limit": 0},
    "FaultError": {"message": "shapes do not match"},
}

_seeds = itertools.count(1000, 100)


def fault_arguments(folder: Path) -> list[str]:
    """Arguments for a ComfyUI that shall have the nodes of `videogen_faults`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "extra_model_paths.yaml"
    paths.write_text(json.dumps({"faults": {"custom_nodes": str(NODES)}}), encoding="utf-8")  # JSON is YAML
    return ["--extra-model-paths-config", str(paths), "--disable-api-nodes"]  # those take seconds to load


@contextlib.contextmanager
def running_fault_server(folder: Path) -> Iterator[ComfyServer]:
    """A real ComfyUI with our nodes and those that fail."""
    installation = find_installation()
    (folder / "input").mkdir(parents=True, exist_ok=True)
    arguments = (*installation.arguments, "--input-directory", str(folder / "input"), *fault_arguments(folder))
    with EmbeddedServer(replace(installation, arguments=arguments), folder) as embedded:
        client = embedded.start()
        yield ComfyServer(embedded, client, folder, client.object_info())


def restart(server: ComfyServer) -> None:
    """Kill a server with -9, unless it is dead, and start it again, empty and on another port."""
    kill_server(server)
    server.client = server.embedded.start()


def kill_server(server: ComfyServer) -> None:
    if server.embedded.pid is None:
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(server.embedded.pid)
        for one in [*process.children(recursive=True), process]:
            one.kill()
    server.embedded.stop()


def wait_for(what: Callable[[], Any], seconds: float = 60.0, every: float = 0.05) -> Any:
    """Wait until `what` returns something, and return that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(every)
    raise AssertionError(f"did not come within {seconds} s: {what}")


@dataclass
class Ended:
    """A run of the command line that has ended."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"status {self.status}\n--- out\n{self.out}\n--- err\n{self.err}"


@dataclass
class Stage:
    """A story and a workflow in a folder, and the run directory that comes of them."""

    folder: Path
    story: dict[str, Any]
    graph: Graph
    out: str = "run"
    options: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.write()

    def write(self) -> None:
        (self.folder / "story.json").write_text(json.dumps(self.story), encoding="utf-8")
        (self.folder / "workflow.json").write_text(json.dumps(self.graph), encoding="utf-8")

    @property
    def directory(self) -> Path:
        return self.folder / self.out

    @property
    def record(self) -> Path:
        """Where the nodes that fail count."""
        return self.folder / "record.txt"

    @property
    def numbers(self) -> list[int]:
        return list(range(1, len(self.story["segments"]) + 1))

    def arguments(self, *more: str) -> list[str]:
        return [
            "run",
            str(self.folder / "story.json"),
            "--workflow",
            str(self.folder / "workflow.json"),
            "--out",
            str(self.directory),
            *self.options,
            *more,
        ]

    def run(self, *more: str) -> Ended:
        """Run to the end in this process, which must come."""
        return call(self.arguments(*more))

    def start(self, *more: str, wrapped: bool = False, **environment: str) -> subprocess.Popen[str]:
        """Run in a process of its own."""
        module = "tests.faults.wrapped_runner" if wrapped or environment else "runner"
        return subprocess.Popen(
            [sys.executable, "-m", module, *self.arguments(*more)],
            cwd=PROJECT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
        )

    # -------------------------------------------------------------- what is left

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The journal's events, all or those of some kinds; every line must be whole."""
        path = self.directory / "journal.jsonl"
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8")
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return [event for event in found if not kinds or event["event"] in kinds]

    def failures(self) -> list[tuple[int, str, str]]:
        """(segment, failure, remedy) of every attempt that failed."""
        return [(e["segment"], e["failure"], e["remedy"]) for e in self.events("attempt-failed")]

    def report(self) -> dict[str, Any]:
        return json.loads((self.directory / "report.json").read_text(encoding="utf-8"))

    def executed(self, node: str) -> list[int]:
        """Seeds with which a fault node was executed, in order."""
        if not self.record.exists():
            return []
        lines = [line.split() for line in self.record.read_text(encoding="utf-8").splitlines()]
        return [int(seed) for kind, what, seed in lines if kind == node and what == "executed"]

    def check_complete(self, numbers: list[int] | None = None) -> None:
        """Every segment is there, whole, as the journal says, and was verified once; no partial file is left."""
        done = {event["segment"]: event for event in self.events("segment-done")}
        for number in numbers or self.numbers:
            assert number in done, f"segment {number} is not done: {self.events()}"
            path = self.directory / done[number]["file"]
            assert hash_file(path) == done[number]["sha256"]
            assert probe_video(path, decode=True).frames == done[number]["frames"]
        self.check_nothing_twice()
        leftovers = [
            p.name for p in self.directory.rglob("*") if p.name.endswith(".part") or p.name.startswith(".film")
        ]
        assert not leftovers
        assert not (self.directory / "runner.lock").exists()

    def check_nothing_twice(self) -> None:
        """What was verified is not submitted again under the same key, also when it had other keys in between."""
        verified: set[tuple[int, str]] = set()
        for event in self.events("segment-submitted", "segment-verified"):
            number, one = event["segment"], (event["segment"], event["key"])
            if event["event"] == "segment-verified":
                assert one not in verified, f"segment {number} was verified twice"
                verified.add(one)
            else:
                assert one not in verified, f"segment {number} was verified, and submitted again"


def make_stage(
    folder: Path,
    *faults: tuple[str, dict[str, Any]],
    segments: int = 3,
    size: tuple[int, int] = (320, 180),
    options: tuple[str, ...] = (),
    **story: Any,
) -> Stage:
    """A small story of its own seeds, and the preview workflow with these fault nodes in it.

    Seeds are different in each stage: no two tests share what a server has in its cache.
    """
    data = small_story(f"Faults {folder.name}", size=size, segments=segments, **story)
    base = next(_seeds)
    for number, segment in enumerate(data["segments"], 1):
        segment["seed"] = base + number
    graph = segment_graph("[]")
    graph["1"]["inputs"] = {"file": "text below", "text": ""}
    source = "3"
    for index, (kind, inputs) in enumerate(faults):
        node = str(10 + index)
        graph[node] = {
            "class_type": kind,
            "inputs": {
                "images": [source, 0],
                "seed": ["2", 3],
                "seeds": "*",
                "times": 0,
                "record": str(folder / "record.txt"),
                **DEFAULTS[kind],
                **inputs,
            },
        }
        source = node
    graph["4"]["inputs"]["images"] = [source, 0]
    return Stage(folder, data, graph, options=list(options))


def seed_of(stage: Stage, number: int) -> int:
    return int(stage.story["segments"][number - 1]["seed"])


def call(arguments: list[str], seconds: float = HANGING) -> Ended:
    """The command line, in this process; a run that hangs is an error that shows where."""
    out, err = io.StringIO(), io.StringIO()
    status: list[int] = []

    def work() -> None:
        try:
            status.append(cli.main(arguments))
        except SystemExit as error:  # argparse
            status.append(int(error.code or 0))

    thread = threading.Thread(target=work, name="videogen", daemon=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        thread.start()
        thread.join(seconds)
    if thread.is_alive():
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)
        raise AssertionError(f"the run hangs:\n{out.getvalue()}\n{err.getvalue()}")
    assert status, f"the command line ended with an exception:\n{err.getvalue()}"
    return Ended(status[0], out.getvalue(), err.getvalue())


def finish(process: subprocess.Popen[str], seconds: float = HANGING) -> Ended:
    """Wait for the end of a process, which must come."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"the run hangs:\n{out}\n{err}") from None
    return Ended(process.returncode, out, err)


def find_comfyuis(folder: Path) -> list[psutil.Process]:
    """Processes of embedded servers that have their folders in a run directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with contextlib.suppress(psutil.Error):
            if any(str(folder) in part for part in process.info["cmdline"] or []) and any(
                part.endswith("main.py") for part in process.info["cmdline"]
            ):
                found.append(process)
    return found


def is_up(client: ComfyClient) -> bool:
    try:
        client.system_stats(timeout=2.0)
    except VideoGenError:
        return False
    return True


def impatient_server(patience: float) -> Callable[..., RemoteServer]:
    """Remote servers with less patience than a person has."""
    return lambda client, _: RemoteServer(client, patience)
