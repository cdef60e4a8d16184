"""The load of each server, and which server should render one more segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .health import ServerHealth

#: Weight of a new measurement in the moving average of a server's seconds a segment.
_EMA_WEIGHT = 0.4


@dataclass
class ServerLoad:
    """The state of a server, as far as it is known.

    Attributes:
        seconds: that it takes for a segment; None before its first one.
        free_at: when it should have finished its segment, on the monotonic clock.
        waiting: prompts of other clients in its queue.
        busy: it renders a segment of this run.
        suspended_reason: why it gets no more tasks, until it is back; "" while it gets them.
        removed: it will not come back.
        health: what its prompts tell of it.
    """

    seconds: float | None = None
    free_at: float = 0.0
    waiting: int = 0
    busy: bool = False
    suspended_reason: str = ""
    removed: bool = False
    health: ServerHealth = field(default_factory=ServerHealth)

    def note_finished(self, seconds: float) -> None:
        """It has finished a segment, which took it `seconds`."""
        self.seconds = seconds if self.seconds is None else self.seconds * (1 - _EMA_WEIGHT) + seconds * _EMA_WEIGHT
        self.health.note_success()

    @property
    def usable(self) -> bool:
        """It gets tasks."""
        return not self.suspended_reason and not self.removed

    @property
    def in_good_standing(self) -> bool:
        """It gets tasks, and has not failed since it last finished something."""
        return self.usable and self.health.trusted


def choose_server(loads: Mapping[str, ServerLoad], now: float) -> str | None:
    """The server that would finish one more segment first: its queue, then one segment at its measured pace.

    A server that has not been measured yet counts as fast as the fastest one, so that it gets a chance. One on probation comes
    after those in good standing that are idle.
    """
    fastest = fastest_of(loads)

    def finish(name: str) -> float:
        load = loads[name]
        seconds = fastest if load.seconds is None else load.seconds
        free_at = load.free_at if load.busy else now
        # One that is late is assumed to take as long again: a server that hangs must not keep others idle.
        return max(free_at, now + (now - free_at)) + (load.waiting + 1) * seconds

    usable = [name for name, load in loads.items() if load.usable]
    idle = [name for name in usable if loads[name].health.trusted and not loads[name].busy and not loads[name].waiting]
    trusted = all(loads[name].health.trusted for name in usable)
    return min(usable if trusted else idle or usable, key=finish, default=None)


def fastest_of(loads: Mapping[str, ServerLoad]) -> float:
    """Seconds per segment of the fastest measured server; a guess, when none was measured."""
    return min((load.seconds for load in loads.values() if load.seconds is not None), default=1.0)
