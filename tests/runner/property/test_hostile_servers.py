"""Beside a good server, whatever the other one answers: the run ends with all segments, in little memory and on little disk."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.comfyui.bounds import limits
from tests.runner.property.world import World
from tests.support.servers.fake_server import Answer, Request
from tests.support.servers.hostile_server import FILES, LARGE, ODD, Hostility, misbehave, saved
from tests.support.servers.model.server import ModelServer

#: Bytes that a run may take as a whole, of memory and of disk.
MEMORY, DISK, JOURNAL = 300_000_000, 20_000_000, 200_000
SEGMENTS = 3
#: Routes and hostilities whose server may deliver segments, and why; of all others everything comes from the good one.
MAY_DELIVER = {
    "GET /api": "a jobs API that is none is not asked again; the queue and history are, and these are right",
    "/ws": "events are hints, and its history and its files are right",
    "/ws greeting": "likewise",
    **dict.fromkeys(
        ("many refused nodes", "an answer to a prompt that is a list", "errors of nodes that are a list"),
        "the prompt was taken before that was said, and is found by its id",
    ),
    **dict.fromkeys(
        (
            *("schemas whose inputs are numbers", "choices that are no list", "limits that are texts"),
            "outputs that are numbers",
        ),
        "what cannot be read of a schema is left out, and the workflow does not need it",
    ),
    "GET /queue": "the queue is only asked for while a prompt waits, and the one that has ended is right",
}
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _seconds_and_sizes_of_a_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits for which a test does not have to wait: only how long and how much, and of each the same kind.

    Of time only where nothing else ends an answer: on a busy machine the good server needs its seconds, too.
    """
    if request.node.callspec.params["name"].startswith("dripping"):
        for name in ("SMALL", "OBJECT_INFO", "HISTORY", "QUEUE", "PROMPT", "INPUT_FILE"):
            monkeypatch.setattr(limits, name, replace(getattr(limits, name), seconds=2.0))
        monkeypatch.setattr(limits, "FILE_SECONDS", 2.0)
    monkeypatch.setattr(limits, "HANDSHAKE_SECONDS", 2.0)
    monkeypatch.setattr(limits, "SEGMENT_BASE", 3_000_000)
    monkeypatch.setattr(limits, "SEGMENT_FACTOR", 0)
    monkeypatch.setattr(limits, "MIN_FREE_DISK", 1_000_000)


@functools.cache
def runner_memory() -> int:
    """Bytes that a runner takes which has done nothing: a process with everything that a run imports."""
    code = "import psutil, runner.commands.run, runner.reports.continuity_record, runner.reports.page"
    code += "; print(psutil.Process().memory_info().rss)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    return int(done.stdout)


def run_beside_a_good_server(world: World, hostility: Hostility, name: str = "") -> list[dict[str, Any]]:
    """The journal of a run with the hostile server as the first of two.

    Args:
        name: of the hostility, where its server may deliver segments.
    """
    may_deliver = bool(MAY_DELIVER.get(name) or MAY_DELIVER.get(hostility.route))
    asked = misbehave(world.servers["B"], hostility)
    _wait_for_the_other(world.servers["A"], asked)
    ended = world.run("B", "A").ended
    log = (world.folder / "run_1.log").read_text()
    assert (ended.how, ended.status, ended.failed) == ("ended", 0, {}), log + world.tell()
    assert asked, "nothing hostile was answered"
    assert all(world.file_of(number) is not None for number in world.numbers)
    assert "Traceback" not in log
    assert "mistake in videogen" not in log
    # The run is forked from the tests: what it takes is what a runner has, and what has come to it.
    assert runner_memory() + ended.memory < MEMORY
    files = [path for path in world.directory.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < DISK
    assert (world.directory / "journal.jsonl").stat().st_size < JOURNAL
    assert {path.suffix for path in files} <= {".json", ".jsonl", ".mp4", ".lock", ".html", ".log", ".txt", ".png", ""}
    # What it says cannot be right, so that nothing of it is; where it can be, it may as well render a segment.
    delivering = {event["server"] for event in world.events("segment-verified")}
    assert delivering <= {world.servers["A"].url, *([world.servers["B"].url] if may_deliver else [])}
    return world.events()


def _wait_for_the_other(good: ModelServer, asked: list[str]) -> None:
    """Take no prompt before the hostile server was asked: on a busy machine the good one would render everything first."""
    normal = good.front.routes["*"]

    def answer(request: Request) -> Any:
        deadline = time.monotonic() + 10
        while request.path == "/prompt" and not asked and time.monotonic() < deadline:
            time.sleep(0.01)
        return normal(request)

    good.front.routes["*"] = answer


@pytest.mark.parametrize("name", LARGE)
def test_more_than_there_should_be(name: str, make_world: Callable[..., World]) -> None:
    run_beside_a_good_server(make_world(segments=SEGMENTS), LARGE[name], name)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none(name: str, make_world: Callable[..., World]) -> None:
    file, data = FILES[name]
    world = make_world(segments=SEGMENTS)
    misbehave(world.servers["B"], Hostility("GET /history", saved(file)))
    run_beside_a_good_server(world, Hostility("GET /view", Answer(body=data)))


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_answer_of_a_comfyui(name: str, make_world: Callable[..., World]) -> None:
    events = run_beside_a_good_server(make_world(segments=SEGMENTS), ODD[name], name)
    assert "runner-error" not in {event["event"] for event in events}
    assert max(len(json.dumps(event)) for event in events) < 20_000
