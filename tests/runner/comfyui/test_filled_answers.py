"""Each kind of answer, filled up to its limits in every way, is read or refused in less memory than the runner may take."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.fake_server import Answer, FakeServer, Request
from tests.support.servers.filled_answers import ITEMS, filled, kinds

PROJECT = Path(__file__).resolve().parents[3]

#: What a runner may take as a whole, in bytes.
MEMORY = 300_000_000

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads a process's highest memory from /proc")

#: A process with everything that a run imports reads answers until there are none, and says of each what it is and what the
#: process has taken at most so far.
_READ = """
import pathlib, sys
import runner.commands.run, runner.reports.continuity_record, runner.reports.page
from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.client import ComfyClient
from runner.comfyui.outcome import read_outcome
client = ComfyClient(sys.argv[1])
read = {
    "GET /queue": lambda: f"{len(client.queue().ids)} prompts",
    "GET /object_info": lambda: f"{len(client.object_info())} nodes",
    "GET /history": lambda: read_outcome(client.history("p") or {}).status,
    "GET /system_stats": lambda: client.system_stats()["system"]["comfyui_version"],
}[sys.argv[2]]
for _ in range(int(sys.argv[3])):
    try:
        said = f"read: {read()}"
    except VideoGenError as error:
        said = "refused: " + error.message.replace(chr(10), " ")
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            print(int(line.split()[1]) * 1024, said)
"""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    served = FakeServer()
    yield served
    served.close()


_NO_QUEUE = "/queue does not answer as ComfyUI does"
#: Items of which no answer of these kinds is read, and what is said.
REFUSED = {
    "queue, as an id": {"one text with half a character": _NO_QUEUE, "NaN": _NO_QUEUE},
    "queue, in a graph": {"one text with half a character": _NO_QUEUE, "NaN": _NO_QUEUE},
    "queue, many": {**dict.fromkeys(ITEMS, _NO_QUEUE), "prompts": "more than 10,000 prompts"},
}


@pytest.mark.parametrize("name", kinds())
def test_a_full_answer_takes_less_than_a_runner_may(name: str, server: FakeServer) -> None:
    kind, answers = kinds()[name], filled(name)

    def answer(_: Request) -> Answer:
        return Answer(body=next(answers)[1])

    server.routes[kind.route] = server.routes[f"{kind.route}/p"] = answer
    command = [sys.executable, "-c", _READ, server.url, kind.route, str(len(ITEMS))]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    took = dict(zip(ITEMS, done.stdout.splitlines(), strict=True))
    assert max(int(line.split()[0]) for line in took.values()) < MEMORY, took
    refused = {item: said for item, line in took.items() if (said := line.partition(" ")[2]).startswith("refused")}
    for item, said in REFUSED.get(name, {}).items():
        assert said in refused.pop(item), took
    # Everything else is within its limits, and is read; what is parsed as a whole has a smaller one.
    assert refused.keys() <= {"one text with half a character"}, refused
