"""Whole commands, and what they leave in a run directory."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from custom_nodes.videogen.media.probe import hash_file
from runner.cli import main
from tests.support.servers.comfy import ComfyServer

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str


def videogen(*arguments: object) -> Ended:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(argument) for argument in arguments])
    assert "Traceback" not in out.getvalue() + err.getvalue()
    return Ended(status, out.getvalue(), err.getvalue())


def write_json(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    return path


def read_journal(run: Path) -> list[dict[str, Any]]:
    """The events of a run, without a line that is just being written."""
    path = run / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def segments_with(run: Path, event: str) -> list[int]:
    """Numbers of the segments to which something has happened, in order."""
    return [record["segment"] for record in read_journal(run) if record["event"] == event]


def files_of(run: Path) -> dict[str, str]:
    """Hashes of the segments and the film."""
    paths = [*sorted((run / "segments").glob("segment_*")), run / "film.mp4"]
    return {path.name: hash_file(path) for path in paths if path.is_file()}


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that have to do with a folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or [])
        if str(folder) in line and process.pid != os.getpid():
            found.append(line)
    return found


def wait_until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def run_on(server: ComfyServer, folder: Path, story: Any, *options: object, workflow: object = "preview") -> Path:
    """Run a story to its end on a running server. Returns the run directory."""
    path = story if isinstance(story, Path) else write_json(folder / "story.json", story)
    ended = videogen("run", path, "--workflow", workflow, "--out", folder / "run", "--server", server.url, *options)
    assert ended.status == 0, ended.err
    return folder / "run"


@contextlib.contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which is gone afterwards."""
    command = [sys.executable, "-m", "runner", *map(str, arguments)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
