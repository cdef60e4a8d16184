"""A long run under random faults: ``python -m tests.faults.soak``.

A story is rendered through a proxy on a real ComfyUI. Every few seconds something goes wrong, drawn from a seeded
generator: the server is killed with -9 and comes back empty, the runner is killed with -9 and started again, sockets
are cut, connections are refused for a while, answers get lost, files arrive garbled. In the end every segment must be
verified, none rendered again after it was verified, and the same frames as those of an undisturbed run.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
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
import time
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av

from custom_nodes.videogen.media.story_file import load_story_data
from tests.faults.harness import PROJECT, Stage, call, kill_server, make_stage, restart, running_fault_server
from tests.faults.proxy import Exchange, Proxy
from tests.faults.proxy_actions import Scrambler, answer, change_body, cut_after, hang_up, lose_answer
from tests.support.servers.comfy import ComfyServer


@dataclass
class Plan:
    """What a soak has to reach before it may end well."""

    segments: int = 33
    seed: int = 1
    minutes: float = 30.0
    server_kills: int = 5
    runner_kills: int = 10
    socket_cuts: int = 50
    every: tuple[float, float] = (0.5, 3.0)
    story: str = ""
    sleep: float = 1.0

    @property
    def wanted(self) -> dict[str, int]:
        return {
            "server killed": self.server_kills,
            "runner killed": self.runner_kills,
            "sockets cut": self.socket_cuts,
        }


@dataclass
class Soak:
    """The faults that were made, and what became of the run."""

    plan: Plan
    stage: Stage
    server: ComfyServer
    proxy: Proxy
    counts: Counter[str] = field(default_factory=Counter)
    statuses: list[int] = field(default_factory=list)

    def run(self) -> None:
        """Start runners and make faults until everything is done and every fault was made often enough.

        Raises:
            AssertionError: the time is over.
        """
        chance = random.Random(self.plan.seed)
        deadline = time.monotonic() + self.plan.minutes * 60
        self.proxy.on("POST /prompt", self._hold_the_end, times=math.inf)
        runner = self._start_runner()
        log = (self.stage.folder / "runner.log").open("a", encoding="utf-8")
        try:
            while True:
                assert time.monotonic() < deadline, f"not done within {self.plan.minutes} minutes: {self.describe()}"
                time.sleep(chance.uniform(*self.plan.every))
                status = runner.poll()
                if status is not None:
                    self.statuses.append(status)
                    if status == 0:
                        return
                    runner = self._start_runner()
                    continue
                runner = self._make_fault(chance, runner, log)
        finally:
            runner.kill()
            runner.wait()
            log.close()

    def _start_runner(self) -> subprocess.Popen[bytes]:
        self.counts["runners started"] += 1
        with (self.stage.folder / "runner.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "runner", *self.stage.arguments()],
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _count_done(self) -> int:
        return len({event["segment"] for event in self.stage.events("segment-done")})

    def _is_near_end(self) -> bool:
        return self._count_done() >= self.plan.segments - 2

    def _missing(self) -> list[str]:
        return [kind for kind, wanted in self.plan.wanted.items() if self.counts[kind] < wanted]

    def _hold_the_end(self, exchange: Exchange) -> None:
        """The last segments are not taken before every fault was made as often as it was wanted."""
        if self._is_near_end() and self._missing():
            answer(503)(exchange)
        else:
            exchange.send(exchange.forward())

    def _make_fault(self, chance: random.Random, runner: subprocess.Popen[bytes], log: Any) -> subprocess.Popen[bytes]:
        """One fault; those that the plan still wants come more often the fewer segments are left to make them in."""
        kinds = {
            "sockets cut": 10.0,
            "answer lost": 2.0,
            "request lost": 2.0,
            "download cut": 2.0,
            "file garbled": 1.0,
            "frames scrambled": 2.0,
            "frames clean": 1.0,
            "refused": 1.0,
            "runner killed": 3.0,
            "server killed": 1.5,
        }
        share = self._count_done() / self.plan.segments
        for kind, wanted in self.plan.wanted.items():
            behind = wanted * share - self.counts[kind]
            if behind > 0:
                kinds[kind] += 10 * behind
            elif self.counts[kind] >= wanted * 1.5:
                kinds[kind] = 0.0
        if self._is_near_end() and (missing := self._missing()):
            kinds = dict.fromkeys(missing, 1.0)
        kind = chance.choices(list(kinds), list(kinds.values()))[0]
        if kind == "runner killed":
            runner.send_signal(signal.SIGKILL)
            runner.wait()
            self.statuses.append(-signal.SIGKILL)
            self.counts[kind] += 1
            return self._start_runner()
        if kind == "sockets cut":
            for _ in range(3):
                self.counts[kind] += self.proxy.cut_sockets()
                time.sleep(chance.uniform(0.2, 0.6))
            return runner
        self.counts[kind] += 1
        match kind:
            case "server killed":
                kill_server(self.server)
                time.sleep(chance.uniform(0, 2))
                restart(self.server)
                self.proxy.server_port = int(self.server.client.url.rpartition(":")[2])
            case "refused":
                self.proxy.refuse_connections()
                time.sleep(chance.uniform(0.2, 3.0))
                self.proxy.listen()
            case "answer lost":
                self.proxy.on(chance.choice(("POST /prompt", "GET /history", "GET /queue")), lose_answer)
            case "request lost":
                self.proxy.on(chance.choice(("POST /prompt", "GET /history", "GET /queue", "GET /view")), hang_up)
            case "download cut":
                self.proxy.on("GET /view", cut_after(chance.randrange(1, 60_000)))
            case "file garbled":
                self.proxy.on("GET /view", change_body(_garble))
            case "frames scrambled":
                self.proxy.frame_filter = Scrambler(chance.randrange(1 << 30), 0.3)
            case "frames clean":
                self.proxy.frame_filter = None
        return runner

    def describe(self) -> dict[str, Any]:
        return {"faults": dict(self.counts), "statuses": Counter(map(str, self.statuses))}


def _garble(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes(64) + body[middle + 64 :]


def hash_frames(path: Path) -> str:
    """What the video shows: its encoded packets and their times, without the file around them."""
    hasher = hashlib.sha256()
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.size:
                hasher.update(f"{packet.pts} {packet.size}\n".encode())
                hasher.update(bytes(packet))
    return hasher.hexdigest()


def soak(plan: Plan, folder: Path, calm_server: ComfyServer | None = None) -> dict[str, Any]:
    """Run the whole, twice: undisturbed and disturbed; return the summary.

    Args:
        calm_server: for the undisturbed run; else it is the one that is killed later.

    Raises:
        AssertionError: what was promised does not hold.
    """
    began = time.monotonic()
    calm = _make_stage(plan, folder / "calm")
    with running_fault_server(folder / "server") as server, Proxy(_port(server)) as proxy:
        calm.options = ["--server", calm_server.url if calm_server else proxy.url]
        calm_began = time.monotonic()
        ended = call(calm.arguments(), plan.minutes * 60)
        assert ended.status == 0, ended
        calm_seconds = time.monotonic() - calm_began
        if calm_server is None:
            restart(server)  # nothing comes out of its cache
            proxy.server_port = _port(server)
        rough = _make_stage(plan, folder / "rough")
        rough.story = copy.deepcopy(calm.story)
        rough.options = ["--server", proxy.url]
        rough.write()
        run = Soak(plan, rough, server, proxy)
        rough_began = time.monotonic()
        run.run()
        rough_seconds = time.monotonic() - rough_began
        proxy.clear()
        versions = {"comfyui": str(server.client.system_stats()["system"]["comfyui_version"])}
    rough.check_complete()
    done = [event["segment"] for event in rough.events("segment-done")]
    assert sorted(done) == rough.numbers, "a segment was verified twice"
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
        "verified": len(done),
        "rendered_again_after_verified": len(done) - len(set(done)),
        "identical_to_undisturbed": plan.segments - len(differing),
        "film_identical": same_film,
        "faults": dict(sorted(run.counts.items())),
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


def _make_stage(plan: Plan, folder: Path) -> Stage:
    # Most of the time a segment waits: so there is something to disturb, on a machine of any size.
    stage = make_stage(folder, ("FaultSleep", {"seconds": plan.sleep}), segments=plan.segments)
    stage.story["title"] = "Soak"
    for number, segment in enumerate(stage.story["segments"], 1):
        segment["seed"] = plan.seed * 10_000 + number
    if plan.story:
        stage.story = load_story_data(Path(plan.story)).data
        stage.story = {
            "title": stage.story["title"],
            "fps": 3,
            "frames": 24,
            "size": stage.story["size"],
            **stage.story,
        }
        stage.story.update(quality="draft", segments=stage.story["segments"][: plan.segments])
    stage.graph["10"]["inputs"]["record"] = ""  # part of the key: the same in both runs
    stage.write()
    return stage


def _segment(stage: Stage, number: int) -> Path:
    return stage.directory / "segments" / f"segment_{number:02d}.mp4"


def _port(server: ComfyServer) -> int:
    return int(server.client.url.rpartition(":")[2])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--segments", type=int, default=33)
    parser.add_argument("--seed", type=int, default=1, help="of the faults and the story")
    parser.add_argument("--minutes", type=float, default=30.0, help="after which it has failed (default 30)")
    parser.add_argument("--server-kills", type=int, default=5)
    parser.add_argument("--runner-kills", type=int, default=10)
    parser.add_argument("--socket-cuts", type=int, default=50)
    parser.add_argument("--story", default="", help="a story file, whose first segments are taken in quality draft")
    parser.add_argument("--sleep", type=float, default=1.0, help="seconds that each segment waits on the server")
    parser.add_argument("--folder", help="where everything is kept (default: a temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write the summary there too")
    arguments = parser.parse_args()
    plan = Plan(
        arguments.segments,
        arguments.seed,
        arguments.minutes,
        arguments.server_kills,
        arguments.runner_kills,
        arguments.socket_cuts,
        story=arguments.story,
        sleep=arguments.sleep,
    )
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
