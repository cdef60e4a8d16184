"""A run in a process of its own, which can be killed or interrupted at any step, and whose clock is the servers'."""

from __future__ import annotations

import errno
import faulthandler
import gc
import itertools
import json
import mmap
import os
import signal
import struct
import sys
import threading
import time
import traceback
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil

from custom_nodes.videogen.core.errors import DiskFullError, VideoGenError
from runner.comfyui import events, servers, session, transport
from runner.comfyui.client import ComfyClient
from runner.comfyui.installation import Installation
from runner.rendering import worker
from runner.reports import continuity_record, page  # noqa: F401 - the first loads OpenCV, here and not in every child
from runner.run import server_connections
from runner.run.execution import run_story
from runner.run.request import RunRequest
from runner.state.journal import Journal
from runner.state.progress import LineDisplay

#: How a run can be ended from outside.
KILL, TEAR, CTRL_C, CTRL_C_TWICE = "kill", "kill in the middle of a line", "ctrl-c", "ctrl-c twice"
#: What the journal has not forced to the disk is lost.
POWER_CUT = "the power is cut"
#: From then on nothing can be written on this machine.
DISK_FULL = "the disk is full"
#: Seconds after which a run counts as hanging, on however slow a machine.
HANGING = 60.0
_KILLED = 137


@dataclass(frozen=True)
class CrashPoint:
    """Where a run is ended: the `count`th time that it comes to a step.

    Attributes:
        step: such as ``after segment-fetched``, ``before POST /prompt``, ``before rename segments``.
    """

    step: str
    count: int
    how: str = KILL


@dataclass(frozen=True)
class RunEnded:
    """How a run ended.

    Attributes:
        how: ``ended``, ``killed`` or ``interrupted``.
        status: exit status; 4 for an internal error.
        message: of the error that it ended with.
        rendered: numbers of the segments that it finished.
        failed: why it gave others up.
        memory: bytes that its process had at most, beyond those that it had when it was forked.
    """

    how: str
    status: int = 0
    message: str = ""
    rendered: tuple[int, ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)
    memory: int = 0


class ServerClocks:
    """The servers' clocks, in memory that this process shares with those that it forks.

    Attributes:
        synced: index of a further number: how much of the journal is on the disk for sure, in bytes.
    """

    def __init__(self, count: int) -> None:
        self.synced = count
        self._memory = mmap.mmap(-1, 8 * (count + 1))

    def read(self, index: int) -> float:
        return struct.unpack_from("d", self._memory, 8 * index)[0]

    def advance(self, index: int, seconds: float) -> None:
        self.set(index, self.read(index) + seconds)

    def set(self, index: int, value: float) -> None:
        struct.pack_into("d", self._memory, 8 * index, value)


@dataclass(frozen=True)
class Surroundings:
    """What a run finds around it.

    Attributes:
        log: for everything that it says.
        urls: of the servers that have the clocks.
        crash: where it is ended; None lets it end by itself.
        own: address of the server that it starts itself.
    """

    log: Path
    clocks: ServerClocks
    urls: list[str]
    crash: CrashPoint | None = None
    own: str = ""


def run_in_child(request: RunRequest, around: Surroundings) -> RunEnded:
    """Run a story to its end, or to the point where it is ended."""
    log = around.log
    result = log.with_suffix(".json")
    result.unlink(missing_ok=True)
    # A decoder that this process has used waits for its threads when it is freed, and a fork has none of them.
    gc.collect()
    process = os.fork()
    if process == 0:
        _be_child(request, around, result)
    _, status, usage = os.wait4(process, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == _KILLED:
        return RunEnded("killed")
    if code != 0:
        raise AssertionError(f"the run hangs, or its process has crashed (status {code}):\n{log.read_text()}")
    data = json.loads(result.read_text(encoding="utf-8"))
    grown = usage.ru_maxrss * 1024 - data.pop("began")
    return RunEnded(
        **{**data, "rendered": tuple(data["rendered"]), "failed": dict(data["failed"]), "memory": max(0, grown)}
    )


def _be_child(request: RunRequest, around: Surroundings, result: Path) -> NoReturn:
    try:
        with around.log.open("w") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        faulthandler.dump_traceback_later(HANGING, exit=True, file=2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        began = psutil.Process().memory_info().rss
        _hurry(around.clocks, around.urls)
        if around.own:
            _offer_server(around.own, around.log.parent)
        _Steps(around.crash, around.clocks).install()
        ended = _run(request)
        result.write_text(json.dumps({**ended, "began": began}), encoding="utf-8")
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(70)


def _run(request: RunRequest) -> dict[str, Any]:
    try:
        done = run_story(request, LineDisplay())
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return {"how": "interrupted", "status": 130, "message": "", "rendered": (), "failed": {}}
    except VideoGenError as error:
        traceback.print_exc()
        return {"how": "ended", "status": error.exit_status, "message": str(error), "rendered": (), "failed": {}}
    except Exception as error:
        traceback.print_exc()
        return {"how": "ended", "status": 4, "message": repr(error), "rendered": (), "failed": {}}
    failed = {number: error.message for number, error in done.failed.items()}
    return {
        "how": "ended",
        "status": done.exit_status,
        "message": "",
        "rendered": done.rendered,
        "failed": list(failed.items()),
    }


def _set(owner: Any, **values: Any) -> None:
    """Replace attributes for good: the process ends with the run."""
    for name, value in values.items():
        setattr(owner, name, value)


# ------------------------------------------------------------------ time


class _Clock:
    """Stands in for the module `time`: each thread reads the clock of the server that it waits for."""

    def __init__(self, read: Callable[[], float]) -> None:
        self.monotonic = read
        self.time = time.time

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(min(seconds, 0.002))


def _hurry(clocks: ServerClocks, urls: list[str]) -> None:
    """Make short what a run waits for, and count virtual seconds where it gives up waiting."""
    waits_for = threading.local()
    wait = session.Session.wait

    def wait_on_its_clock(self: session.Session, *arguments: Any, **options: Any) -> Any:
        waits_for.index = urls.index(self.client.url)
        return wait(self, *arguments, **options)

    _set(session.Session, wait=wait_on_its_clock)
    # A millisecond with every look: a server that never stops sending events must not stop the time.
    looks = itertools.count()
    _set(
        session,
        time=_Clock(lambda: clocks.read(waits_for.index) + next(looks) / 1000),
        SILENCE=0.004,
        MISSED_POLL_INTERVAL=0.002,
    )
    # A second passes with every look at the clock: so many polls, however long they take.
    ticks = itertools.count()
    _set(servers, time=_Clock(lambda: float(next(ticks))), REMOTE_POLL_INTERVALS=(0.002,))
    _set(transport, time=_Clock(time.monotonic))
    _set(events, MIN_RECONNECT_INTERVAL=0.002, MAX_RECONNECT_INTERVAL=0.01)
    _set(worker, _END_POLL=0.01)
    # The page takes longer than the run that it describes.
    _set(page, write_html=lambda path, report: path)


# ------------------------------------------------------------------ a server of the run's own


def _offer_server(url: str, folder: Path) -> None:
    """Let the run start the model at `url` as its own ComfyUI."""

    def control(action: str) -> bool:
        with urllib.request.urlopen(f"{url}/control/{action}") as answer:
            return bool(json.load(answer)["alive"])

    class Process:
        """Stands in for `EmbeddedServer`."""

        def __init__(self, installation: Installation, place: Path) -> None:
            self.log, self.url = place / "comfyui.log", url

        def start(self, stopped: Callable[[], bool] = lambda: False) -> ComfyClient:
            control("start")
            return ComfyClient(url)

        @property
        def alive(self) -> bool:
            return control("ask")

        def tail(self, lines: int = 12) -> str:
            return "the end of the log"

        def stop(self) -> None:
            control("stop")

        def discard_files(self) -> None:
            """Its files are the model's."""

    installation = Installation(folder / "comfyui", folder / "python", (), "0.3.75")
    _set(server_connections, EmbeddedServer=Process, find_installation=lambda: installation)


# ------------------------------------------------------------------ steps


class _Steps:
    """Everything that a run does to the outside, with a chance to end it before and after."""

    def __init__(self, crash: CrashPoint | None, clocks: ServerClocks) -> None:
        self._crash, self._clocks = crash, clocks
        self._seen: Counter[str] = Counter()
        self._full = False
        self._lock = threading.Lock()

    def come_to(self, step: str) -> None:
        with self._lock:
            self._seen[step] += 1
            crash = self._crash
            if crash is None or (crash.step, crash.count) != (step, self._seen[step]):
                return
            self._crash = None
            if crash.how in (CTRL_C, CTRL_C_TWICE):
                os.kill(os.getpid(), signal.SIGINT)
                if crash.how == CTRL_C_TWICE:
                    threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
            elif crash.how == DISK_FULL:
                self._full = True
            else:
                sys.stderr.flush()
                os._exit(_KILLED)

    def install(self) -> None:
        self._wrap_journal()
        self._wrap_files()
        self._wrap_http()

    def _wrap_journal(self) -> None:
        append, write = Journal.append, Journal._write

        def appending(journal: Journal, event: Any) -> Any:
            self.come_to(f"before {event.event_name}")
            record = append(journal, event)
            self.come_to(f"after {event.event_name}")
            return record

        def tearing(journal: Journal, line: bytes, **options: Any) -> None:
            crash = self._crash
            if crash is not None and crash.how == TEAR and json.loads(line)["event"] == crash.step.split()[1]:
                assert journal._file is not None
                journal._file.write(line[: len(line) // 2])
                os._exit(_KILLED)
            if self._full:
                raise DiskFullError(f"no space is left for {journal.path}")
            write(journal, line, **options)
            if options.get("durable"):
                self._clocks.set(self._clocks.synced, journal.path.stat().st_size)

        _set(Journal, append=appending, _write=tearing)

    def _wrap_files(self) -> None:
        def wrap(name: str) -> None:
            original = getattr(os, name)

            def moving(source: Any, target: Any, **options: Any) -> None:
                kind = Path(target).parent.name
                kind = kind if kind in ("segments", "takes", "scores", "previous", "results") else "a record"
                self.come_to(f"before rename {kind}")
                if self._full and kind == "previous":
                    raise OSError(errno.ENOSPC, "No space left on device")
                original(source, target, **options)
                self.come_to(f"after rename {kind}")

            _set(os, **{name: moving})

        wrap("replace")
        wrap("rename")
        _set(os, fsync=lambda fd: None)  # power is not cut here, and a hundred of them take a second

    def _wrap_http(self) -> None:
        request, download = transport.HttpTransport.request, ComfyClient.download

        def requesting(http: Any, method: str, path: str, **options: Any) -> Any:
            step = f"{method} /{path.split('/')[1]}"
            self.come_to(f"before {step}")
            answer = request(http, method, path, **options)
            self.come_to(f"after {step}")
            return answer

        def downloading(of: ComfyClient, file: dict[str, Any], target: Path, *most: int) -> int:
            self.come_to("before GET /view")
            if self._full:
                raise DiskFullError(f"no space is left for {target}")
            size = download(of, file, target, *most)
            self.come_to("after GET /view")
            return size

        _set(transport.HttpTransport, request=requesting)
        _set(ComfyClient, download=downloading)
