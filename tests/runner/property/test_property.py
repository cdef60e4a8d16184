"""The real runner against models of ComfyUI, with random servers, faults, kills and edits: what it promises holds.

`VIDEOGEN_PROPERTY=full` looks for longer, with other examples each time; see tests/README.md.
"""

from __future__ import annotations

import itertools
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.runner.property.child import CTRL_C, CTRL_C_TWICE, DISK_FULL, KILL, POWER_CUT, TEAR, CrashPoint
from tests.runner.property.oracle import check_film, check_run, renderable
from tests.runner.property.world import PROMPTS, STYLES, RunRecord, World
from tests.support.servers.fake_server import FakeServer
from tests.support.servers.model.prompt_faults import PROMPT_FAULTS
from tests.support.servers.model.prompts import Habits

FULL = os.environ.get("VIDEOGEN_PROPERTY", "") == "full"
COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    # Not shrunk: threads decide which server is first, so that an example need not fail twice; it is told as it failed.
    "phases": [Phase.explicit, Phase.generate],
    "report_multiple_bugs": False,
}
SETTINGS = (
    settings(max_examples=int(os.environ.get("VIDEOGEN_PROPERTY_EXAMPLES", "2000")), stateful_step_count=12, **COMMON)
    if FULL
    else settings(max_examples=30, stateful_step_count=9, derandomize=True, database=None, **COMMON)
)

NAMES = ("A", "B", "C")
servers = st.sampled_from(NAMES)
numbers = st.integers(1, 3)
orders = st.lists(servers, min_size=1, max_size=3, unique=True)
faults = st.sampled_from(list(PROMPT_FAULTS))

edits = st.one_of(
    st.fixed_dictionaries({"number": numbers, "prompt": st.sampled_from(PROMPTS)}),
    st.fixed_dictionaries({"number": numbers, "seed": st.integers(0, 1)}),
    st.fixed_dictionaries({"style": st.sampled_from(STYLES)}),
    st.fixed_dictionaries({"takes": st.integers(1, 3), "render_again": st.booleans()}),
)
habits = st.builds(Habits, st.integers(0, 3), st.booleans(), st.booleans(), st.booleans())
SERVER_EVENTS = ["restart", "works on", "is away for 2 requests", "is away for 6 requests", "is away for inf requests"]
SERVER_EVENTS += ["is there again", "is hot", "lacks the model", "has the model"]

_EVENTS = ("segment-submitted", "segment-running", "segment-fetched", "segment-verified", "segment-done")
_RARE_EVENTS = ("run-started", "attempt-failed", "segment-found", "segment-take", "segment-failed", "server-recovered")
_REQUESTS = ("POST /prompt", "GET /queue", "GET /history", "GET /api", "GET /view")
_RENAMES = ("rename segments", "rename takes", "rename scores", "rename a record", "rename previous")
hows = st.sampled_from((KILL, CTRL_C, CTRL_C_TWICE, DISK_FULL, POWER_CUT))


def points(*steps: str) -> list[str]:
    return [f"{when} {step}" for step in steps for when in ("before", "after")]


crashes = st.one_of(
    st.builds(CrashPoint, st.sampled_from(points(*_EVENTS, *_REQUESTS)), st.integers(1, 4), hows),
    st.builds(CrashPoint, st.sampled_from(points(*_RARE_EVENTS, *_RENAMES)), st.just(1), hows),
    st.builds(CrashPoint, st.sampled_from([f"before {name}" for name in _EVENTS]), st.integers(1, 2), st.just(TEAR)),
)
#: What the next prompts of each server meet: now and then one thing again and again.
fault_lists = st.lists(faults, min_size=1, max_size=2) | st.builds(
    lambda fault, times: [fault] * times, faults, st.integers(3, 6)
)
armed = st.dictionaries(servers, fault_lists, max_size=2)


class RunnerMachine(RuleBasedStateMachine):
    """What can be done to a run and its servers, in any order."""

    fronts: ClassVar[list[FakeServer]]
    object_info: ClassVar[dict[str, Any]]
    _count: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        base = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
        self.folder = Path(tempfile.mkdtemp(prefix="videogen-property-", dir=base))
        self.world: World | None = None
        self.failed = False

    @initialize(
        continues=st.sampled_from(((), (), (2,), (2, 3), (3,))),
        shortfalls=st.none() | st.lists(st.integers(0, 3), min_size=3, max_size=3),
        jobs=st.booleans(),
    )
    def begin(self, continues: tuple[int, ...], shortfalls: list[int] | None, jobs: bool) -> None:
        self.world = World(
            self.folder, self.fronts, self.object_info, continues=continues, shortfalls=shortfalls, jobs=jobs
        )

    # ------------------------------------------------------------------ runs

    @rule(order=orders, armed=armed, crash=st.none() | crashes)
    def run(self, order: list[str], armed: dict[str, list[str]], crash: CrashPoint | None) -> None:
        self._arm(armed)
        self._check(self._world.run(*order, crash=crash))

    @rule(order=orders, selection=st.sets(numbers, min_size=1, max_size=2))
    def run_some(self, order: list[str], selection: set[int]) -> None:
        for number in (3, 2):
            if number in selection and number in self._world.continues:
                selection = selection | {number - 1}
        self._check(self._world.run(*order, selection=sorted(selection)))

    @rule(server=servers, armed=armed, crash=st.none() | crashes)
    def run_with_a_server_of_its_own(self, server: str, armed: dict[str, list[str]], crash: CrashPoint | None) -> None:
        self._arm(armed)
        self._check(self._world.run(server, crash=crash, own=True))
        self._world.servers[server].start()

    def _arm(self, armed: dict[str, list[str]]) -> None:
        for server, names in armed.items():
            self._world.arm(server, *names)

    def _check(self, run: RunRecord) -> None:
        event(f"a run has {run.ended.how}")
        for fault in {fault for struck in run.struck.values() for fault in struck}:
            event(f"a prompt met: {fault}")
        self.failed = True
        check_run(self._world, run)
        self.failed = False

    # ------------------------------------------------------------------ the story, the files, the servers

    @rule(edit=edits)
    def edit(self, edit: dict[str, Any]) -> None:
        self._world.edit(**edit)

    @rule(number=numbers, how=st.sampled_from(("deleted", "damaged", "replaced")))
    def spoil_file(self, number: int, how: str) -> None:
        self._world.spoil_file(number, how)

    @rule(name=servers, habits=habits)
    def change_habits(self, name: str, habits: Habits) -> None:
        self._world.say(f"{name} has {habits}")
        self._world.servers[name].habits = habits

    @rule(name=servers, what=st.sampled_from(SERVER_EVENTS))
    def happen(self, name: str, what: str) -> None:
        server = self._world.servers[name]
        if what == "restart":
            server.restart()
        elif what == "works on":
            self._world.say(f"{name} works on")
            server.work()
        elif what == "is there again":
            server.appear()
        elif what == "is hot":
            server.hot = 3
        elif what.startswith("is away"):
            server.vanish(float(what.split()[-2]))
        else:
            self._world.say(f"{name} {what}")
            server.has_model = what == "has the model"

    # ------------------------------------------------------------------ what holds

    @invariant()
    def replays(self) -> None:
        """The journal can be read."""
        if self.world is not None:
            self.world.journal()

    @property
    def _world(self) -> World:
        assert self.world is not None
        return self.world

    def teardown(self) -> None:
        """Whatever has happened: with servers that are well everything is rendered, and then nothing is left to do."""
        try:
            if self.world is not None and not self.failed:
                self._finish(self.world)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _finish(self, world: World) -> None:
        world.say("all servers are well again")
        for server in world.servers.values():
            server.faults.clear()
            server.has_model = True
            if server.hung or server.dead_context or server.unreachable == math.inf:
                server.restart()
            server.appear()
        everything = [number for number in world.numbers if renderable(world, number)]
        run = world.run(*NAMES, film=True)
        check_run(world, run)
        if len(everything) == len(world.numbers):
            check_film(world)
        before = len(world.chronicle.executions)
        check_run(world, again := world.run("C"))
        assert len(everything) < len(world.numbers) or (
            again.ended.rendered == () and len(world.chronicle.executions) == before
        ), f"a run with nothing to do renders something\n{world.tell()}"


@pytest.fixture(autouse=True)
def machine(fronts: list[FakeServer], object_info: dict[str, Any]) -> None:
    RunnerMachine.fronts, RunnerMachine.object_info = fronts, object_info


class TestRunner(RunnerMachine.TestCase):  # type: ignore[misc,name-defined]
    settings = SETTINGS
