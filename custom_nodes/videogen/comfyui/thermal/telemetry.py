"""The process' telemetry: its sampler, the measurements of a prompt, and the pauses."""

from __future__ import annotations

import atexit
import logging
import time
import uuid
from typing import Any

import comfy.model_management
from comfy_execution.progress import get_progress_state

from ...core.thermal.guard import Decision, ThermalPolicy
from ...core.thermal.readings import Reading
from ...core.thermal.telemetry_ring import NotedPause, TelemetryRing, summarize, tabulate
from ...core.thermal.wait import Pause
from ...hardware.sampler import Sampler
from .watched_devices import ALL, AUTO, SENSORS, read_watched

log = logging.getLogger(__name__)


def running_prompt() -> str:
    """Id of the prompt that is running, or that ran last."""
    return str(get_progress_state().prompt_id or "")


class Telemetry:
    """Measurements of the machine since ComfyUI was started.

    Attributes:
        policy: of the last guard, or None; the runner waits by the same one.
        waiting: the decision by which a guard is waiting now, or None.
    """

    def __init__(self) -> None:
        self.ring = TelemetryRing()
        self.sampler = Sampler(self.ring, self.read, running_prompt)
        self.policy: ThermalPolicy | None = None
        self.waiting: Decision | None = None
        #: Of this process: whoever knows it by two addresses can tell.
        self.server = uuid.uuid4().hex
        self._devices = AUTO

    def read(self) -> list[Reading]:
        return read_watched(self._devices)

    def start(self, devices: str = AUTO) -> None:
        """Start sampling, if it is not running; once a guard watches all cards, all are sampled."""
        if devices == ALL:
            self._devices = ALL
        if not self.sampler.running:
            atexit.register(self.stop)
            self.sampler.start()

    def start_with_cards(self) -> bool:
        """Start if ComfyUI computes on cards with sensors; otherwise the first guard starts the sampling.

        With ``--cpu`` the drivers of cards are left alone, until a guard of all devices asks for them.
        """
        if comfy.model_management.get_torch_device().type == "cpu" or not SENSORS.cards():
            return False
        self.start()
        return True

    def stop(self) -> None:
        """Stop the thread and release the drivers."""
        atexit.unregister(self.stop)
        self.sampler.stop()
        SENSORS.stop()

    def note_policy(self, policy: ThermalPolicy) -> None:
        self.policy = policy

    def note_pause(self, pause: Pause) -> None:
        self.waiting = None
        self.ring.add_pause(NotedPause(time.time() - pause.seconds, running_prompt(), pause))

    def describe_prompt(self) -> dict[str, Any] | None:
        """Summarize the measurements of the running prompt; None when nothing is sampled."""
        if not self.sampler.running:
            return None
        prompt = running_prompt()
        try:
            self.sampler.sample()  # a short prompt may not have one yet
            return summarize(self.ring.of_prompt(prompt), self.ring.pauses(prompt))
        except Exception:  # it must not cost the rendered frames
            log.warning("videogen: no telemetry of this prompt", exc_info=True)
            return None

    def describe(self, seconds: float) -> dict[str, Any]:
        """The last `seconds` for the panel and the runner, as plain data.

        ``readings`` are the newest, ``age`` seconds old; ``table`` has the measurements, in columns; ``server`` is another one
        for each process.
        """
        latest, now = self.ring.latest(), time.monotonic()
        oldest_pause = time.time() - seconds
        pauses = [pause for pause in self.ring.pauses() if pause.wall + pause.pause.seconds >= oldest_pause]
        return {
            "server": self.server,
            "running": self.sampler.running,
            "period": round(self.sampler.wait_seconds(), 2),
            "age": None if latest is None else round(now - latest.time, 2),
            "readings": [] if latest is None else [reading.to_json() for reading in latest.readings],
            "policy": None if self.policy is None else vars(self.policy),
            "waiting": self._describe_waiting(),
            "pauses": [pause.to_json() | {"prompt_id": pause.prompt} for pause in pauses],
            "table": tabulate(self.ring.since(now - seconds)),
        }

    def _describe_waiting(self) -> dict[str, Any] | None:
        waiting = self.waiting
        return None if waiting is None else {"text": waiting.text, "seconds": round(waiting.waited, 1)}


TELEMETRY = Telemetry()
