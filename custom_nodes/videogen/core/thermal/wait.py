"""Waiting while it is hot: the loop around `ThermalGuard`; sensors, clock and sleep are passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import SensorUnreadableError, TooHotError
from .guard import Action, Decision
from .readings import Reading

#: Seconds between two checks for a cancellation, and the shortest sleep that is worth it.
POLL_INTERVAL, MIN_SLEEP = 0.25, 0.001


@dataclass(frozen=True)
class Pause:
    """A pause that is over.

    Attributes:
        began: on the clock that was given.
        seconds: how long it lasted.
        reason: why, such as ``86 °C → waiting for 80 °C``.
        peak: the highest temperature of the chips meanwhile, in °C.
        ending: ``cool``, ``gave up`` (work continued hot), ``stopped`` or ``cancelled``.
    """

    began: float
    seconds: float
    reason: str
    peak: float | None
    ending: str

    def to_json(self) -> dict[str, Any]:
        """Without its beginning, which only the clock here understands."""
        return {"seconds": round(self.seconds, 2), "reason": self.reason, "peak": self.peak, "ending": self.ending}


class HeatGuard(Protocol):
    """Decides whether work has to wait; see `ThermalGuard`."""

    @property
    def next_look(self) -> float:
        """When to look again, in seconds of the clock that `look` is given."""
        ...

    def due(self, now: float) -> bool:
        """Whether it is time for another look."""
        ...

    def look(self, readings: Sequence[Reading], now: float) -> Decision:
        """Decide by one reading of each device."""
        ...

    def reset(self) -> None:
        """Forget a pause that was canceled."""
        ...


def wait_while_hot(
    guard: HeatGuard,
    read: Callable[[], Sequence[Reading] | None],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    check: Callable[[], None],
    tell: Callable[[Decision], None],
    note: Callable[[Pause], None],
    poll: float = POLL_INTERVAL,
) -> None:
    """Read the sensors, if it is time to, and wait as long as the guard says so.

    Args:
        read: the readings of all devices that count; None when nothing is known, which is no reason to wait.
        check: raises when the wait is canceled; called at least every `poll` seconds while it waits.
        tell: called with every decision to report: to wait, to resume, to stop, and warnings.
        note: called with the pause once it is over, in whatever way.

    Raises:
        TooHotError: when the longest wait is over.
        SensorUnreadableError: from a strict guard.
    """
    began = clock()
    if not guard.due(began):
        return
    readings = read()
    if readings is None:
        return
    decision = guard.look(readings, clock())
    if decision.action is not Action.WAIT:
        if decision.warnings or decision.action is Action.STOP:
            tell(decision)
        _raise_stop(decision)
        return
    reason, peak, ending = decision.text, _hottest(readings), "cancelled"
    try:
        while decision.action is Action.WAIT:
            tell(decision)
            while (left := guard.next_look - clock()) > 0:
                check()
                sleep(max(MIN_SLEEP, min(poll, left)))
            check()
            readings = read() or ()
            peak = max(filter(None, (peak, _hottest(readings))), default=None)
            decision = guard.look(readings, clock())
        ending = "stopped" if decision.action is Action.STOP else "gave up" if decision.gave_up else "cool"
    finally:
        if ending == "cancelled":
            guard.reset()
        note(Pause(began, clock() - began, reason, peak, ending))
    tell(decision)
    _raise_stop(decision)


def _hottest(readings: Sequence[Reading]) -> float | None:
    return max((reading.temperature for reading in readings if reading.temperature is not None), default=None)


def _raise_stop(decision: Decision) -> None:
    if decision.action is not Action.STOP:
        return
    if decision.unreadable:
        raise SensorUnreadableError(decision.text, "Without `strict` work continues unguarded, with a warning.")
    raise TooHotError(decision.text, "Improve its cooling; or let `when_over` go on, or raise `pause_above`.")
