"""kill -9 of the runner at every line of its journal, of its server, Ctrl-C, two runners, clocks that jump."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.faults.harness import FULL, Stage, fault_arguments, find_comfyuis, finish, in_full, make_stage, wait_for
from tests.faults.proxy import Proxy
from tests.faults.proxy_actions import say_nothing
from tests.support.disks import fill, mount_small_disk
from tests.support.servers.comfy import ComfyServer

SLOW = ("FaultSleep", {"seconds": 0.2})
#: What a story of two segments writes, if nothing goes wrong.
LINES = 13
CI_CASES = [("after", 2), ("before", 5), ("after", 7), ("before", 12)]
#: At every line, before and after it is written; a CI does with some of them, and with the run of kills below.
CASES = [
    pytest.param(when, line, marks=() if (when, line) in CI_CASES else in_full)
    for line in range(1, LINES + 1)
    for when in ("after", "before")
]


def own_processes() -> list[psutil.Process]:
    """Everything that this test run has started and that still runs."""
    return psutil.Process(os.getpid()).children(recursive=True)


@pytest.fixture(scope="module", autouse=True)
def processes_before() -> set[int]:
    """What was there before this file: servers that the whole test run shares, for one."""
    return {process.pid for process in own_processes()}


def killed(stage: Stage, kill: str, **environment: str) -> None:
    """Start a run that kills itself, and see that it did."""
    ended = finish(stage.start(VIDEOGEN_TEST_KILL=kill, **environment))
    assert ended.status == -signal.SIGKILL, ended


def test_how_many_lines_a_run_writes(fault_server: ComfyServer, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, segments=2, options=("--server", fault_server.url))
    assert stage.run().status == 0
    assert len(stage.events()) == LINES, [event["event"] for event in stage.events()]


@pytest.mark.parametrize(("when", "line"), CASES)
def test_a_runner_that_is_killed_at_any_line_goes_on(
    fault_server: ComfyServer, tmp_path: Path, when: str, line: int
) -> None:
    stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", fault_server.url))
    killed(stage, f"{when}:{line}")
    assert len(stage.events()) == (line if when == "after" else line - 1)
    assert (stage.directory / "runner.lock").exists()
    ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()
    assert (stage.directory / "film.mp4").is_file()
    # Whatever the server had been given is found there again.
    seeds = sorted(segment["seed"] for segment in stage.story["segments"])
    assert sorted(stage.executed("FaultSleep")) == seeds


def test_a_runner_that_is_killed_again_and_again_comes_to_an_end(fault_server: ComfyServer, tmp_path: Path) -> None:
    """Each runner writes only a few lines before it is killed."""
    stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", fault_server.url))
    for _ in range(12):
        ended = finish(stage.start(VIDEOGEN_TEST_KILL="after:6"))
        if ended.status == 0:
            break
        assert ended.status == -signal.SIGKILL, ended
    else:
        raise AssertionError("it never came to an end")
    stage.check_complete()
    assert sorted(stage.executed("FaultSleep")) == sorted(segment["seed"] for segment in stage.story["segments"])


@pytest.mark.parametrize("line", [3, *(pytest.param(line, marks=in_full) for line in range(1, LINES + 1) if line != 3)])
def test_the_server_of_a_runner_that_is_killed_ends_too(tmp_path: Path, line: int) -> None:
    stage = make_stage(tmp_path, segments=2)
    environment = {"VIDEOGEN_TEST_COMFYUI": '["--disable-api-nodes"]'}
    killed(stage, f"after:{line}", **environment)
    wait_for(lambda: not find_comfyuis(stage.directory), seconds=20)
    ended = finish(stage.start(**environment))
    assert ended.status == 0, ended
    stage.check_complete()
    assert not find_comfyuis(stage.directory)


def test_a_server_that_is_killed_in_a_prompt_is_started_again(tmp_path: Path) -> None:
    stage = make_stage(tmp_path / "run", ("FaultSleep", {"seconds": 3.0, "times": 1}), segments=2)
    process = stage.start(VIDEOGEN_TEST_COMFYUI=json.dumps(fault_arguments(tmp_path / "comfyui")))
    wait_for(lambda: stage.events("segment-running"))
    for server in find_comfyuis(stage.directory):
        server.kill()
    ended = finish(process)
    assert ended.status == 0, ended
    assert stage.failures()[0][:2] == (1, "server gone")
    stage.check_complete()
    assert not find_comfyuis(stage.directory)


# ------------------------------------------------------------------ Ctrl-C


def test_ctrl_c_ends_in_order_and_the_same_command_goes_on(tmp_path: Path) -> None:
    stage = make_stage(tmp_path / "run", ("FaultSleep", {"seconds": 30.0, "times": 1}), segments=2)
    extra = json.dumps(fault_arguments(tmp_path / "comfyui"))
    process = stage.start(VIDEOGEN_TEST_COMFYUI=extra)
    wait_for(lambda: stage.executed("FaultSleep"))
    process.send_signal(signal.SIGINT)
    ended = finish(process, 60)
    assert ended.status == 130, ended
    assert "run the same command again to resume" in ended.err
    assert stage.events("run-interrupted")
    assert not find_comfyuis(stage.directory)
    assert not (stage.directory / "runner.lock").exists()
    assert "Traceback" not in ended.err
    if FULL:
        ended = finish(stage.start(VIDEOGEN_TEST_COMFYUI=extra))
        assert ended.status == 0, ended
        stage.check_complete()


def test_ctrl_c_twice_ends_at_once_even_if_the_server_does_not_answer(
    tmp_path: Path, fault_server: ComfyServer
) -> None:
    with Proxy(int(fault_server.url.rpartition(":")[2])) as proxy:
        stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", proxy.url))
        proxy.on("POST /prompt", say_nothing, times=1000)
        process = stage.start()
        wait_for(lambda: stage.events("segment-submitted"))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        ended = finish(process, 12)
    assert ended.status == 130, ended
    assert "Traceback" not in ended.err


@in_full
def test_ctrl_c_once_ends_within_seconds_even_if_the_server_does_not_answer(
    tmp_path: Path, fault_server: ComfyServer
) -> None:
    with Proxy(int(fault_server.url.rpartition(":")[2])) as proxy:
        stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", proxy.url))
        proxy.on("POST /prompt", say_nothing, times=1000)
        process = stage.start()
        wait_for(lambda: stage.events("segment-submitted"))
        process.send_signal(signal.SIGINT)
        ended = finish(process, 40)
        assert ended.status == 130, ended
        assert "Traceback" not in ended.err
        proxy.clear()
        ended = stage.run()
    assert ended.status == 0, ended
    stage.check_complete()


def test_a_reader_that_goes_away_does_not_stop_the_rendering(fault_server: ComfyServer, tmp_path: Path) -> None:
    """As with ``videogen run --json | head -1``."""
    stage = make_stage(tmp_path, SLOW, segments=2, options=("--server", fault_server.url))
    process = stage.start("--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["event"] == "run-started"
    process.stdout.close()
    try:
        process.wait(120)
    finally:
        process.kill()
        process.stderr.close()
    stage.check_complete()


# ------------------------------------------------------------------ two runners


def test_two_runners_do_not_share_a_run_directory(fault_server: ComfyServer, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, ("FaultSleep", {"seconds": 3.0}), segments=2, options=("--server", fault_server.url))
    first = stage.start()
    wait_for(lambda: stage.events("segment-submitted"))
    second = stage.run()
    assert second.status == 2, second
    assert f"process number {first.pid} is working" in second.err
    ended = finish(first)
    assert ended.status == 0, ended
    stage.check_complete()


@in_full
def test_of_many_runners_that_find_a_dead_one_s_lock_one_takes_it(fault_server: ComfyServer, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, ("FaultSleep", {"seconds": 4.0}), segments=1, options=("--server", fault_server.url))
    killed(stage, "after:2")
    runners = [stage.start() for _ in range(4)]
    ends = [finish(runner) for runner in runners]
    assert sorted(end.status for end in ends) == [0, 2, 2, 2], [str(end) for end in ends]
    stage.check_complete()


# ------------------------------------------------------------------ clocks and disks


def test_a_clock_that_jumps_changes_nothing(fault_server: ComfyServer, tmp_path: Path) -> None:
    stage = make_stage(tmp_path, SLOW, segments=3, options=("--server", fault_server.url))
    killed(stage, "after:8", VIDEOGEN_TEST_CLOCK="2")
    ended = finish(stage.start(VIDEOGEN_TEST_CLOCK="3"))
    assert ended.status == 0, ended
    stage.check_complete()
    times = [event["time"] for event in stage.events()]
    assert max(times) - min(times) > 86_400, "it did jump"
    assert sorted(stage.executed("FaultSleep")) == sorted(segment["seed"] for segment in stage.story["segments"])


@contextmanager
def full_disk(tmp_path: Path, stage: Stage, kilobytes: int = 2000) -> Iterator[Path]:
    with mount_small_disk(tmp_path / "disk", kilobytes) as disk:
        stage.out = str(disk / "run")
        yield disk


@pytest.mark.parametrize(
    ("after", "leave"),
    [
        ("segment-done", 4096),
        pytest.param("segment-submitted", 0, marks=in_full),
        pytest.param("segment-running", 9000, marks=in_full),
    ],
)
def test_a_full_disk_ends_the_run_and_keeps_everything(
    fault_server: ComfyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str, leave: int
) -> None:
    """At the journal, at a segment's file, or at the film, wherever the space ends."""
    monkeypatch.setattr("runner.run.execution.check_space", lambda *_: None)
    monkeypatch.setattr("runner.comfyui.bounds.limits.MIN_FREE_DISK", 0)
    stage = make_stage(tmp_path / "stage", SLOW, segments=3, options=("--server", fault_server.url))
    with full_disk(tmp_path, stage) as disk:
        ballast: list[Path] = []

        def fill_up() -> None:
            wait_for(lambda: stage.events(after), every=0.005)
            ballast.append(fill(disk, leave=leave))

        thread = threading.Thread(target=fill_up, daemon=True)
        thread.start()
        ended = stage.run()
        thread.join()
        assert ended.status == 1, ended
        assert "no space is left" in ended.err
        assert "Traceback" not in ended.err
        done = {event["segment"]: event["sha256"] for event in stage.events("segment-done")}
        ballast[0].unlink()
        ended = stage.run()
        assert ended.status == 0, ended
        stage.check_complete()
        again = {event["segment"]: event["sha256"] for event in stage.events("segment-done")}
        assert {number: again[number] for number in done} == done


def test_no_process_is_left_behind(processes_before: set[int], fault_server: ComfyServer) -> None:
    """Whatever the tests before this one did to runners and servers."""
    server = psutil.Process(fault_server.embedded.pid)
    expected = processes_before | {server.pid, *(child.pid for child in server.children(recursive=True))}
    left = [process for process in own_processes() if process.pid not in expected]
    assert not left, [process.cmdline() for process in left]
