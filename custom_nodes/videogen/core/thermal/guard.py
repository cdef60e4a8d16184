"""State machine that decides, from readings and the time, when work pauses because of heat and when it resumes.

It has no side effects: no sensor, no clock, no waiting. Times are those of a monotonic clock (``time.monotonic``), so that
setting the wall clock does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..errors import VideoGenError
from .readings import TEMPERATURES, THROTTLE_REASONS, Reading, format_degrees

STOP_AFTER, GO_ON_AFTER = "stop", "go on"
_HARDWARE = frozenset({"hw_slowdown", "hw_thermal", "hw_power_brake"})
#: Choices of throttle reasons that count besides temperatures. Most cards run at their power cap all day.
THROTTLE_CHOICES: dict[str, frozenset[str]] = {
    "hardware slowdown": _HARDWARE,
    "any slowdown": _HARDWARE | {"sw_thermal"},
    "slowdown or power cap": _HARDWARE | {"sw_thermal", "power_cap"},
    "ignore": frozenset(),
}
#: Seconds for which a strict guard waits for a sensor that has worked before: one failed call must not end a night's work.
SENSOR_PATIENCE = 30.0

_LABELS = {"temperature": "", "hotspot": "hot spot ", "memory_temperature": "memory "}
#: setting → (lowest, highest, unit).
LIMITS = {
    "pause_above": (30.0, 120.0, "°C"),
    "resume_at": (20.0, 119.0, "°C"),
    "memory_pause_above": (30.0, 125.0, "°C"),
    "memory_resume_at": (20.0, 124.0, "°C"),
    "interval": (0.1, 600.0, "s"),
    "max_wait": (0.1, 86_400.0, "s"),
}


@dataclass(frozen=True)
class ThermalPolicy:
    """Settings of a thermal guard.

    Attributes:
        pause_above: °C of the chip above which work pauses; it resumes at `resume_at` or below.
        memory_pause_above: the same for the hot spot and the memory, which run hotter by design.
        interval: seconds between two readings of the sensors.
        max_wait: longest pause in seconds; `when_over` says what happens then (`STOP_AFTER` or `GO_ON_AFTER`).
        throttle: a key of `THROTTLE_CHOICES`.
        strict: whether work without a temperature is refused instead of warned about once.

    Raises:
        VideoGenError: `guard-invalid`, with all problems.
    """

    pause_above: float = 85.0
    resume_at: float = 80.0
    memory_pause_above: float = 100.0
    memory_resume_at: float = 95.0
    interval: float = 10.0
    max_wait: float = 1800.0
    when_over: str = STOP_AFTER
    throttle: str = "hardware slowdown"
    strict: bool = False

    def __post_init__(self) -> None:
        wrong = check_policy(self)
        if wrong:
            raise VideoGenError("guard-invalid", "; ".join(wrong))

    def limits(self, name: str) -> tuple[float, float]:
        """(pause above, resume at) of one of the `TEMPERATURES`."""
        if name == "temperature":
            return self.pause_above, self.resume_at
        return self.memory_pause_above, self.memory_resume_at


def check_policy(policy: ThermalPolicy) -> list[str]:
    """A sentence for each problem of a policy."""
    wrong = []
    for name, (lowest, highest, unit) in LIMITS.items():
        value = getattr(policy, name)
        if not lowest <= value <= highest:  # NaN is in no range
            wrong.append(f"`{name}` is {value:g} {unit}, expected {lowest:g} to {highest:g} {unit}")
    for pause, resume in (("pause_above", "resume_at"), ("memory_pause_above", "memory_resume_at")):
        above, at = getattr(policy, pause), getattr(policy, resume)
        if at >= above:
            wrong.append(
                f"`{resume}` is {format_degrees(at)} and `{pause}` {format_degrees(above)}: it must be lower,"
                " or work would pause and resume all the time"
            )
    for name, choices in (("when_over", (STOP_AFTER, GO_ON_AFTER)), ("throttle", tuple(THROTTLE_CHOICES))):
        if getattr(policy, name) not in choices:
            wrong.append(f"`{name}` is {getattr(policy, name)!r}, expected one of {', '.join(map(repr, choices))}")
    return wrong


class Action(str, Enum):
    """The caller's next action."""

    GO = "go"
    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True)
class Decision:
    """The result of evaluating a reading.

    Attributes:
        text: why to wait or stop, such as ``84 °C → waiting for 80 °C``.
        warnings: warnings, each given once.
        waited: seconds of the pause that continues or has just ended.
        gave_up: whether `max_wait` is over and the device is still hot.
        unreadable: whether STOP is because of a sensor, not because of heat.
    """

    action: Action
    text: str = ""
    warnings: tuple[str, ...] = ()
    waited: float = 0.0
    gave_up: bool = False
    unreadable: bool = False


@dataclass
class _Device:
    """State of a device.

    Attributes:
        last: the last plausible value of each of its temperatures.
        problem, silent_since: why it reports no temperature, and since when.
        gone_on: whether work continued although it was hot; it counts again once it has cooled down.
    """

    name: str
    last: dict[str, float] = field(default_factory=dict)
    problem: str = ""
    silent_since: float | None = None
    warned: bool = False
    gone_on: bool = False


_NO_DEVICE = Reading("", "this machine", problem="no sensor was found")


class ThermalGuard:
    """Pauses above one temperature and resumes at a lower one, for all devices together.

    During a pause, a sensor that falls silent counts as hot as in its last reading: a card is never assumed to be cool.
    """

    def __init__(self, policy: ThermalPolicy) -> None:
        self.policy = policy
        self._devices: dict[str, _Device] = {}
        self._now = self.next_look = float("-inf")
        self._waiting_since: float | None = None

    @property
    def waiting(self) -> bool:
        return self._waiting_since is not None

    def due(self, now: float) -> bool:
        """Whether the next reading is due."""
        return now >= self.next_look

    def reset(self) -> None:
        """Forget a pause that was ended from outside (a canceled prompt)."""
        self._waiting_since = None
        self.next_look = self._now

    def look(self, readings: Sequence[Reading], now: float) -> Decision:
        """Decide from one reading of each device; a device that is missing now but was present before counts as silent.

        Args:
            now: seconds of a monotonic clock.
        """
        now = self._now = max(now, self._now)
        self.next_look = now + self.policy.interval
        if not readings and not self._devices:
            readings = [_NO_DEVICE]
        current = {reading.device: reading for reading in readings}
        self._remember(current, now)
        warnings = self._warn()
        refusal = self._refuse(now) if self.policy.strict else ""
        if refusal:
            self._waiting_since = None
            return Decision(Action.STOP, refusal, warnings, unreadable=True)
        hot = self._find_hot(current, resume=self.waiting)
        if self._waiting_since is None:
            if not hot:
                return Decision(Action.GO, "", warnings)
            self._waiting_since = now
        waited, end = now - self._waiting_since, self._waiting_since + self.policy.max_wait
        if hot and now < end:  # the same sum as below: rounded differently, the last reading would never come
            self.next_look = min(self.next_look, end)
            return Decision(Action.WAIT, next(iter(hot.values())), warnings, waited)
        self._waiting_since = None
        if not hot:
            return Decision(Action.GO, "", warnings, waited)
        why = f"for {format_wait(waited)}: {next(iter(hot.values()))}"
        if self.policy.when_over == STOP_AFTER:
            return Decision(Action.STOP, f"it stayed too hot {why}", warnings, waited, gave_up=True)
        for key in hot:
            self._devices[key].gone_on = True
        return Decision(Action.GO, "", (*warnings, f"it stayed too hot {why}; continuing anyway"), waited, gave_up=True)

    def _remember(self, current: dict[str, Reading], now: float) -> None:
        for key, reading in current.items():
            device = self._devices.setdefault(key, _Device(reading.name))
            for name in TEMPERATURES:
                value = getattr(reading, name)
                if value is not None:
                    device.last[name] = value
        if any(current):
            self._devices.pop(_NO_DEVICE.device, None)
        for key, device in self._devices.items():
            found = current.get(key)
            if found is not None and found.temperature is not None:
                device.silent_since, device.problem = None, ""
            else:
                device.silent_since = now if device.silent_since is None else device.silent_since
                device.problem = found.problem if found is not None else "it no longer responds"
            if device.gone_on and not self._judge(device, found, resume=True):
                device.gone_on = False

    def _warn(self) -> tuple[str, ...]:
        """A warning for each device that has fallen silent, given once."""
        warnings = []
        for device in self._devices.values():
            if device.problem and not device.warned:
                device.warned = True
                rest = "" if self.policy.strict else "; it is not guarded until it reports one"
                warnings.append(f"{device.name} has no temperature: {device.problem}{rest}")
        return tuple(warnings)

    def _refuse(self, now: float) -> str:
        patience = min(SENSOR_PATIENCE, self.policy.max_wait)
        for device in self._devices.values():
            if device.silent_since is None:
                continue
            if "temperature" not in device.last or now - device.silent_since >= patience:
                return f"{device.name} cannot be guarded: {device.problem}"
        return ""

    def _find_hot(self, current: dict[str, Reading], *, resume: bool) -> dict[str, str]:
        """The devices that work has to wait for, the hottest first, each with its reason."""
        found: list[tuple[float, str, str]] = []
        for key, device in self._devices.items():
            if device.gone_on:
                continue
            who = f"{device.name}: " if len(self._devices) > 1 else ""
            reasons = self._judge(device, current.get(key), resume=resume)
            if self.policy.strict and device.silent_since is not None:
                reasons.append((0.0, "no temperature → waiting for the sensor"))
            found += [(excess, key, who + text) for excess, text in sorted(reasons, reverse=True)[:1]]
        return {key: text for _, key, text in sorted(found, key=lambda one: -one[0])}

    def _judge(self, device: _Device, reading: Reading | None, *, resume: bool) -> list[tuple[float, str]]:
        """Why a device is too hot: (degrees above the temperature at which work resumes, message).

        With `resume` the lower limits count, and for a silent sensor its last reading.
        """
        found = []
        for name in TEMPERATURES:
            value: float | None = getattr(reading, name) if reading is not None else None
            silent = ""
            if value is None and resume and name in device.last:
                value, silent = device.last[name], " at last, now silent"
            above, at = self.policy.limits(name)
            if value is not None and value > (at if resume else above):
                text = f"{_LABELS[name]}{format_degrees(value)}{silent} → waiting for {format_degrees(at)}"
                found.append((value - at, text))
        slowed = (reading.throttle if reading is not None else frozenset()) & THROTTLE_CHOICES[self.policy.throttle]
        if slowed:
            said = ", ".join(THROTTLE_REASONS[reason] for reason in sorted(slowed))
            found.append((0.0, f"{said} → waiting for its end"))
        return found


def format_wait(seconds: float) -> str:
    """``8 s``, ``12 min``, ``1 h 30 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
