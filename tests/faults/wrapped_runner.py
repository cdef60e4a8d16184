"""`videogen` with a fault built in: ``python -m tests.faults.wrapped_runner run …``, told by the environment.

VIDEOGEN_TEST_KILL=after:7    kill -9 of this process right after it has written the 7th line of its journal
VIDEOGEN_TEST_KILL=before:7   right before
VIDEOGEN_TEST_COMFYUI         more arguments for the embedded ComfyUI, as a JSON list
VIDEOGEN_TEST_CLOCK=3         every third look at the clock jumps by a year, forwards and backwards
VIDEOGEN_TEST_SLOW=0.5        seconds to wait before each line of the journal, so that a test can aim
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner import cli
from runner.comfyui.installation import Installation, find_installation
from runner.run import server_connections
from runner.state.journal import Journal


def kill_at_line(when: str, line: int) -> None:
    append: Callable[..., Any] = Journal.append
    numbers = itertools.count(1)

    def wrapped(self: Journal, event: str, **data: Any) -> dict[str, Any]:
        number = next(numbers)
        if when == "before" and number == line:
            os.kill(os.getpid(), signal.SIGKILL)
        record: dict[str, Any] = append(self, event, **data)
        if when == "after" and number == line:
            os.kill(os.getpid(), signal.SIGKILL)
        return record

    Journal.append = wrapped  # type: ignore[method-assign]


def slow_down(seconds: float) -> None:
    append: Callable[..., Any] = Journal.append

    def wrapped(self: Journal, event: str, **data: Any) -> dict[str, Any]:
        time.sleep(seconds)
        record: dict[str, Any] = append(self, event, **data)
        return record

    Journal.append = wrapped  # type: ignore[method-assign]


def jump_clock(every: int) -> None:
    real = time.time
    looks = itertools.count()
    year = 365 * 86_400.0

    def jumping() -> float:
        look = next(looks)
        return real() + (0.0 if look % every else (year if look % 2 else -year))

    time.time = jumping


def find_other_installation(arguments: list[str]) -> Installation:
    found = find_installation()
    return replace(found, arguments=(*found.arguments, *arguments))


def main() -> int:
    environment = os.environ
    if kill := environment.get("VIDEOGEN_TEST_KILL"):
        when, _, line = kill.partition(":")
        kill_at_line(when, int(line))
    if slow := environment.get("VIDEOGEN_TEST_SLOW"):
        slow_down(float(slow))
    if every := environment.get("VIDEOGEN_TEST_CLOCK"):
        jump_clock(int(every))
    if arguments := environment.get("VIDEOGEN_TEST_COMFYUI"):
        more = json.loads(arguments)
        server_connections.find_installation = lambda: find_other_installation(more)
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    assert Path(cli.__file__).is_file()
    sys.exit(main())
