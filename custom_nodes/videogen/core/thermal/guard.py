"""When to pause because of heat and when to go on: a state machine that is told readings and the time.

It does nothing itself: no sensor, no clock, no waiting. The time is that of a clock that only runs forward
(``time.monotonic``), so that it does not matter when the wall clock is set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from ..errors import VideoGenError
from .readings import TEMPERATURES, THROTTLE_REASONS, Reading, format_degrees

STOP_AFTER, GO_ON_AFTER = "stop", "go on"
_HARDWARE = frozenset({"hw_slowdown", "hw_thermal", "hw_power_brake"})
#: Choices of what counts beside temperatures. Running into the power cap is how most cards work all day.
THROTTLE_CHOICES: dict[str, frozenset[str]] = {
    "hardware slowdown": _HARDWARE,
    "any slowdown": _HARDWARE | {"sw_thermal"},
    "slowdown or power cap": _HARDWARE | {"sw_thermal", "power_cap"},
    "ignore": frozenset(),
}
#: Seconds for which a strict guard waits for a sensor that has worked before: one failed call ends no night's work.
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
    """What somebody wants.

    Attributes:
        pause_above: °C of the chip above which work pauses; it goes on at `resume_at` or below.
        memory_pause_above: the same for the hot spot and the memory, which are hotter by design.
        interval: seconds between two looks at the sensors.
        max_wait: seconds that one pause lasts at most; `when_over` says what then (`STOP_AFTER` or `GO_ON_AFTER`).
        throttle: key of `THROTTLE_CHOICES`.
        strict: refuse to work without a temperature, instead of warning once.

    Raises:
        VideoGenError: `guard-invalid`, with everything that is wrong.
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
    """A sentence for everything that is wrong with a policy."""
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
                " or work would pause and go on all the time"
            )
    for name, choices in (("when_over", (STOP_AFTER, GO_ON_AFTER)), ("throttle", tuple(THROTTLE_CHOICES))):
        if getattr(policy, name) not in choices:
            wrong.append(f"`{name}` is {getattr(policy, name)!r}, expected one of {', '.join(map(repr, choices))}")
    return wrong


class Action(str, Enum):
    """What to do now."""

    GO = "go"
    WAIT = "wait"
    STOP = "stop"


@dataclass(frozen=True)
class Decision:
    """What a look has led to.

    Attributes:
        text: why to wait or stop, such as ``84 °C → waiting for 80 °C``.
        warnings: what somebody should know, said once.
        waited: seconds of the pause that goes on, or has just ended.
        gave_up: the longest wait is over, and it was still hot.
        unreadable: STOP because of a sensor, not because of heat.
    """

    action: Action
    text: str = ""
    warnings: tuple[str, ...] = ()
    waited: float = 0.0
    gave_up: bool = False
    unreadable: bool = False


@dataclass
class _Device:
    """What is remembered of a device.

    Attributes:
        last: the last believable value of each of its temperatures.
        problem: why it says no temperature now, and since when.
        gone_on: somebody wanted to go on though it was hot; it counts again once it has cooled down.
    """

    name: str
    last: dict[str, float] = field(default_factory=dict)
    problem: str = ""
    silent_since: float | None = None
    warned: bool = False
    gone_on: bool = False


_NO_DEVICE = Reading("", "this machine", problem="no sensor was found")


class ThermalGuard:
    """Pauses above one temperature and goes on at a lower one, for all devices together.

    While it waits, a sensor that falls silent counts as hot as it was last: no card is called cool because nobody knows.
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
        """Whether it is time for another look."""
        return now >= self.next_look

    def reset(self) -> None:
        """Forget a pause that somebody has ended (a cancelled prompt)."""
        self._waiting_since = None
        self.next_look = self._now

    def look(self, readings: Sequence[Reading], now: float) -> Decision:
        """Decide, by one reading of each device; a device that was there before and is not now counts as silent.

        Args:
            now: seconds of a clock that only runs forward.
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
        if hot and now < end:  # the same sum as below: rounded differently, the last look would never come
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
        return Decision(
            Action.GO, "", (*warnings, f"it stayed too hot {why}; going on all the same"), waited, gave_up=True
        )

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
                device.problem = found.problem if found is not None else "it does not answer any more"
            if device.gone_on and not self._judge(device, found, resume=True):
                device.gone_on = False

    def _warn(self) -> tuple[str, ...]:
        """A warning for every device that has fallen silent, once."""
        warnings = []
        for device in self._devices.values():
            if device.problem and not device.warned:
                device.warned = True
                rest = "" if self.policy.strict else "; it is not guarded until it has"
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
        """The devices that work has to wait for, the hottest first, and what is to be said of each."""
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
        """Why a device is too hot: degrees above where work goes on, and what to say.

        With `resume` the lower limits count, and for a silent sensor what it said last.
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
