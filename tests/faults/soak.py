"""A long run under random faults: ``python -m tests.faults.soak``.

A story is rendered through proxies on two real ComfyUIs. Every few seconds something goes wrong, drawn from a seeded
generator out of the table in `soak_faults`: a server is killed with -9, hangs, or has a dead context, and comes back empty, the
other one lacks a node for a while, the runner is killed with -9 and started again, perhaps with its servers in another order or
with other prompts for a while, sockets are cut, connections are refused, answers get lost, files arrive garbled or are lost on
the server. The output folder of the first server is a link to another one, and the workflow has a second saver. In the end every
segment must be verified, none given up, none rendered again for a key that it was verified under, and the same frames as those
of an undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import math
import os
import platform
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.faults.harness import PROJECT, Stage, call, restart, running_fault_server
from tests.faults.proxy import Exchange, HangUpError, Proxy
from tests.faults.proxy_actions import has_hung_up
from tests.faults.soak_faults import KINDS
from tests.faults.soak_outputs import hash_frames, link_output, make_soak_stage
from tests.support.servers.comfy import ComfyServer

#: Seconds without progress after which a server of the disturbed run counts as hung.
STALL = 12.0


@dataclass
class Plan:
    """What a soak has to reach before it may end well.

    Attributes:
        wanted: how often each kind of fault has to be made.
        every: seconds between two faults.
        sleep: seconds that each segment waits on the server.
    """

    segments: int = 33
    seed: int = 1
    minutes: float = 30.0
    wanted: dict[str, int] = field(
        default_factory=lambda: {name: kind.wanted for name, kind in KINDS.items() if kind.wanted}
    )
    every: tuple[float, float] = (0.5, 3.0)
    story: str = ""
    sleep: float = 1.0


@dataclass
class Soak:
    """The faults that were made, and what became of the run.

    Attributes:
        server, proxy: the server that faults strike, and what is between it and the runner.
        second: the proxy of another one, which is never killed.
        keys: of the segments of the story as it is in the end, by their numbers.
        urls: of both, in the order in which the next runner gets them.
    """

    plan: Plan
    stage: Stage
    keys: dict[int, str]
    server: ComfyServer
    proxy: Proxy
    second: Proxy
    counts: Counter[str] = field(default_factory=Counter)
    statuses: list[int] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    runner: subprocess.Popen[bytes] = field(init=False)
    _strikes: bool = False
    _open: bool = False
    _log_begins: int = 0
    #: Prompts that a proxy has and its server does not.
    _held: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def log(self) -> Path:
        """What all runners have said."""
        return self.stage.folder / "runner.log"

    def run(self) -> None:
        """Start runners and make faults until everything is done and every fault was made often enough.

        Raises:
            AssertionError: the time is over.
        """
        chance = random.Random(self.plan.seed)
        deadline = time.monotonic() + self.plan.minutes * 60
        self.urls = [self.proxy.url, self.second.url]
        for proxy in (self.proxy, self.second):
            proxy.on("POST /prompt", self._keep_pace, times=math.inf)
        self.start_runner()
        try:
            while True:
                assert time.monotonic() < deadline, f"not done within {self.plan.minutes} minutes: {self.describe()}"
                time.sleep(chance.uniform(*self.plan.every))
                status = self.runner.poll()
                if status is not None:
                    self.statuses.append(status)
                    if status == 0:
                        return
                    self.start_runner()
                    continue
                self._make_fault(chance)
        finally:
            self.runner.kill()
            self.runner.wait()

    def start_runner(self, urls: list[str] | None = None) -> None:
        """Start the runner with these servers, or with both."""
        self.counts["runners started"] += 1
        servers = [option for url in urls or self.urls for option in ("--server", url)]
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            self.runner = subprocess.Popen(
                [sys.executable, "-m", "runner", *self.stage.arguments(*servers)],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill_runner(self) -> None:
        self.runner.send_signal(signal.SIGKILL)
        self.runner.wait()
        self.statuses.append(-signal.SIGKILL)

    def leaves_out_first(self) -> bool:
        """Whether this runner began while the first server could not be reached, and goes on without it."""
        return f"{self.proxy.url} is left out".encode() in self.log.read_bytes()[self._log_begins :]

    def count_failures(self, failure: str) -> int:
        """How many attempts have failed in this way, as the journal has it."""
        return sum(event["failure"] == failure for event in self.stage.events("attempt-failed"))

    @contextlib.contextmanager
    def striking(self) -> Iterator[None]:
        """For a fault that needs a prompt to strike: the first server gets some, also at the end, and the second one none."""
        self._strikes = True
        try:
            yield
        finally:
            self._strikes = False

    @contextlib.contextmanager
    def letting_through(self) -> Iterator[None]:
        """For a fault after which what is rendered is not that of the story: it is not held, also at the end."""
        self._open = True
        try:
            yield
        finally:
            self._open = False

    def find_done(self) -> set[int]:
        """Numbers of the segments that were done for the story as it is in the end."""
        done = self.stage.events("segment-done")
        return {event["segment"] for event in done if event["key"] == self.keys[event["segment"]]}

    def _count_done(self) -> int:
        return len(self.find_done())

    def _is_near_end(self) -> bool:
        return self._count_done() >= self.plan.segments - 2

    def _missing(self) -> list[str]:
        return [kind for kind, wanted in self.plan.wanted.items() if self.counts[kind] < wanted]

    def _keep_pace(self, exchange: Exchange) -> None:
        """Segments are not taken before their share of the wanted faults was made, and the last ones not before all were."""
        prompt = str(json.loads(exchange.body)["prompt_id"])
        with self._lock:
            self._held.add(prompt)
        try:
            while not self._takes(exchange.proxy, prompt):
                exchange.proxy.pause(0.2)
                if has_hung_up(exchange.client):
                    raise HangUpError
        finally:
            with self._lock:
                self._held.discard(prompt)
        exchange.send(exchange.forward())

    def _takes(self, proxy: Proxy, prompt: str) -> bool:
        """Whether a prompt is taken now; one after the other, as each counts for those that come after it."""
        with self._lock:
            if self._holds(proxy):
                return False
            self._held.discard(prompt)
            return True

    def _holds(self, proxy: Proxy) -> bool:
        if self._strikes:
            return proxy is self.second
        return not self._open and bool(self._missing()) and self._is_ahead()

    def _is_ahead(self) -> bool:
        made = [min(self.counts[name] / wanted, 1.0) for name, wanted in self.plan.wanted.items() if wanted]
        share = sum(made) / len(made)
        taken = len(self.find_done() | self._find_taken())
        return taken >= min(4 + share * (self.plan.segments - 4), self.plan.segments - 2)

    def _find_taken(self) -> set[int]:
        """Numbers of the segments that a server has taken and that came to no end yet: most of them will be done."""
        last: dict[int, dict[str, Any]] = {}
        for event in self.stage.events("segment-submitted", "attempt-failed", "segment-failed"):
            last[event["segment"]] = event
        return {
            number
            for number, event in last.items()
            if event["event"] == "segment-submitted"
            and event["key"] == self.keys[number]
            and event["prompt_id"] not in self._held
        }

    def _make_fault(self, chance: random.Random) -> None:
        """One fault; those that the plan still wants come more often the fewer segments are left to make them in."""
        weights = {name: kind.weight for name, kind in KINDS.items()}
        share = self._count_done() / self.plan.segments
        for name, wanted in self.plan.wanted.items():
            behind = wanted * share - self.counts[name]
            if behind > 0:
                weights[name] += 10 * behind
            elif self.counts[name] >= wanted * 1.5:
                weights[name] = 0.0
        missing = self._missing()
        # What strikes a prompt does so while there are some.
        late = [
            name for name in missing if KINDS[name].strikes and self.counts[name] < self.plan.wanted[name] * share * 2
        ]
        if self._is_near_end() and missing:
            weights = dict.fromkeys(missing, 1.0)
        elif late:
            weights = dict.fromkeys(late, 1.0)
        name = chance.choices(list(weights), list(weights.values()))[0]
        made = KINDS[name].make(self, chance)
        self.counts[name] += 1 if made is None else made

    def describe(self) -> dict[str, Any]:
        return {"faults": dict(self.counts), "statuses": Counter(map(str, self.statuses))}


def soak(plan: Plan, folder: Path, calm_server: ComfyServer | None = None) -> dict[str, Any]:
    """Run the whole, twice: undisturbed and disturbed; return the summary.

    Args:
        calm_server: for the undisturbed run; else it is the one that is killed later.

    Raises:
        AssertionError: what was promised does not hold.
    """
    began = time.monotonic()
    calm = make_soak_stage(plan, folder / "calm")
    link_output(folder / "server", folder / "disk")
    with ExitStack() as stack:
        server = stack.enter_context(running_fault_server(folder / "server"))
        other = calm_server or stack.enter_context(running_fault_server(folder / "second"))
        proxy, second = stack.enter_context(Proxy(_port(server))), stack.enter_context(Proxy(_port(other)))
        calm.options = ["--server", calm_server.url if calm_server else proxy.url]
        calm_began = time.monotonic()
        ended = call(calm.arguments(), plan.minutes * 60)
        assert ended.status == 0, ended
        calm_seconds = time.monotonic() - calm_began
        if calm_server is None:
            restart(server)  # nothing comes out of its cache
            proxy.server_port = _port(server)
        rough = make_soak_stage(plan, folder / "rough")
        rough.story = copy.deepcopy(calm.story)
        rough.options = ["--stall", f"{STALL:.0f}"]
        rough.write()
        keys = {event["segment"]: event["key"] for event in calm.events("segment-done")}
        run = Soak(plan, rough, keys, server, proxy, second)
        rough_began = time.monotonic()
        run.run()
        rough_seconds = time.monotonic() - rough_began
        versions = {"comfyui": str(server.client.system_stats()["system"]["comfyui_version"])}
    rough.check_complete()
    assert sorted((folder / "disk").rglob("*.mp4")), "nothing was saved through the link"
    last = {event["segment"]: event["key"] for event in rough.events("segment-done")}
    assert last == keys, "what is done last is not what the story asks for"
    verified = Counter((event["segment"], event["key"]) for event in rough.events("segment-verified"))
    twice = sorted(number for (number, _), times in verified.items() if times > 1)
    assert not twice, f"segments {twice} were verified twice under a key"
    other = [number for number, key in verified if key != keys[number]]
    given_up = [event["segment"] for event in rough.events("segment-failed")]
    assert not given_up, f"segments {given_up} were given up beside a healthy server"
    for name, wanted in plan.wanted.items():
        assert run.counts[name] >= wanted, f"{name} {run.counts[name]} times, wanted {wanted}"
    differing = [
        number
        for number in rough.numbers
        if hash_frames(_segment(calm, number)) != hash_frames(_segment(rough, number))
    ]
    assert not differing, f"segments {differing} are not those of the undisturbed run"
    same_film = hash_frames(calm.directory / "film.mp4") == hash_frames(rough.directory / "film.mp4")
    assert same_film, "the film is not that of the undisturbed run"
    submissions = Counter(event["segment"] for event in rough.events("segment-submitted"))
    return {
        "command": shlex.join(["python", "-m", "tests.faults.soak", *sys.argv[1:]]),
        "seed": plan.seed,
        "segments": plan.segments,
        "verified": len(last),
        "given_up": len(given_up),
        "rendered_again_after_verified": len(twice),
        "verified_for_changed_prompts": len(other),
        "restored": len(rough.events("segment-restored")),
        "identical_to_undisturbed": plan.segments - len(differing),
        "film_identical": same_film,
        "faults": dict(sorted(run.counts.items())),
        "all_the_time": ["second saver", "symlinked output"],
        "attempts_that_failed": dict(sorted(Counter(failure for _, failure, _ in rough.failures()).items())),
        "submissions": sum(submissions.values()),
        "segments_submitted_more_than_once": sum(1 for count in submissions.values() if count > 1),
        "runner_exit_statuses": dict(sorted(Counter(map(str, run.statuses)).items())),
        "seconds": {
            "undisturbed": round(calm_seconds, 1),
            "disturbed": round(rough_seconds, 1),
            "all": round(time.monotonic() - began, 1),
        },
        "versions": {
            **versions,
            "python": platform.python_version(),
            "av": version("av"),
            "requests": version("requests"),
            "websocket-client": version("websocket-client"),
        },
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
    }


def _segment(stage: Stage, number: int) -> Path:
    return stage.directory / "segments" / f"segment_{number:02d}.mp4"


def _port(server: ComfyServer) -> int:
    return int(server.client.url.rpartition(":")[2])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--segments", type=int, default=33)
    parser.add_argument("--seed", type=int, default=1, help="of the faults and the story")
    parser.add_argument("--minutes", type=float, default=30.0, help="after which it has failed (default 30)")
    parser.add_argument(
        "--want",
        action="append",
        default=[],
        metavar="KIND=N",
        help=f"how often a fault has to be made at least; kinds: {', '.join(KINDS)}",
    )
    parser.add_argument("--story", default="", help="a story file, whose first segments are taken in quality draft")
    parser.add_argument("--sleep", type=float, default=1.0, help="seconds that each segment waits on the server")
    parser.add_argument("--folder", help="where everything is kept (default: a temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write the summary there too")
    arguments = parser.parse_args()
    plan = Plan(arguments.segments, arguments.seed, arguments.minutes, story=arguments.story, sleep=arguments.sleep)
    for text in arguments.want:
        name, _, count = text.partition("=")
        if name not in KINDS or not count.isdigit():
            parser.error(f"--want {text}: expected KIND=N with one of {', '.join(KINDS)}")
        plan.wanted[name] = int(count)
    with tempfile.TemporaryDirectory(prefix="videogen-soak-") as temporary:
        summary = soak(plan, Path(arguments.folder or temporary).resolve())
    text = json.dumps(summary, indent=2)
    print(text)
    if arguments.json:
        Path(arguments.json).parent.mkdir(parents=True, exist_ok=True)
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
