"""What stands in for clock, sessions and our own ComfyUI where servers go away and come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui import servers
from runner.comfyui.servers import OwnServer

GONE = VideoGenError("server-unreachable", "http://127.0.0.1:1 cannot be reached: nothing listens there")


class Clock:
    """Time that passes only during sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.stopped_at = float("inf")

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> bool:
        """As the scheduler's: True when the run was stopped."""
        if seconds:
            self.slept.append(seconds)
        self.now += seconds
        return self.now >= self.stopped_at


class FakeSession:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def connects(monkeypatch: pytest.MonkeyPatch, connect: Callable[[], Any]) -> None:
    """What happens when a session is opened."""
    monkeypatch.setattr(servers, "Session", lambda client: connect())


class FakeEmbedded:
    """Starts after `lives` crashes, or fails to."""

    def __init__(self, folder: Path, start: Callable[[], None] = lambda: None) -> None:
        self.log = folder / "comfyui.log"
        self.starts = self.stops = 0
        self._start = start

    def start(self, stopped: Callable[[], bool] = lambda: False) -> object:
        self.starts += 1
        self._start()
        return object()

    def stop(self) -> None:
        self.stops += 1

    @property
    def alive(self) -> bool:
        return self.starts > self.stops

    def tail(self) -> str:
        return "Segmentation fault (core dumped)"


def own(folder: Path, start: Callable[[], None] = lambda: None) -> tuple[OwnServer, FakeEmbedded]:
    embedded = FakeEmbedded(folder, start)
    server = OwnServer(embedded)  # type: ignore[arg-type]
    server.session = FakeSession()  # type: ignore[assignment]
    return server, embedded


def error_of(call: Callable[[], Any]) -> VideoGenError:
    """The error that a call ends with."""
    with pytest.raises(VideoGenError) as caught:
        call()
    return caught.value
