"""A background thread that reads the sensors once a second."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from ..core.thermal.readings import Reading
from ..core.thermal.telemetry_ring import Sample, TelemetryRing

log = logging.getLogger(__name__)

#: Seconds between two samples, and the share of a processor core that they may cost: where a reading takes longer (some
#: laptops' sensors take milliseconds), samples are fewer.
PERIOD, MAX_SHARE = 1.0, 0.001
MAX_PERIOD = 30.0


class Sampler:
    """Puts samples into a ring until it is stopped; its thread ends with the process.

    Args:
        read: returns the readings of all devices.
        prompt: returns the id of the prompt that runs now, or "".

    Attributes:
        cost: seconds of processor time that a sample takes, on average over the last ones.
    """

    def __init__(
        self,
        ring: TelemetryRing,
        read: Callable[[], Sequence[Reading]],
        prompt: Callable[[], str] = lambda: "",
        period: float = PERIOD,
    ) -> None:
        self.ring, self.period = ring, period
        self._read, self._prompt = read, prompt
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failed = False
        self._taken = 0
        self.cost = 0.0

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start sampling, unless it is running."""
        with self._lock:
            if not self.running:
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="videogen telemetry", daemon=True
                )
                self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the thread and wait for its end."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def sample(self) -> Sample:
        """Take one sample now, from any thread."""
        sample = Sample(time.monotonic(), time.time(), self._prompt(), tuple(self._read()))
        self.ring.add(sample)
        return sample

    def wait_seconds(self) -> float:
        """Seconds until the next sample, so that all samples cost at most `MAX_SHARE`."""
        return min(MAX_PERIOD, max(self.period, self.cost / MAX_SHARE))

    def _count(self, spent: float) -> None:
        self._taken += 1
        if self._taken > 1:  # the first one imports the libraries and starts the drivers
            self.cost = spent if self._taken == 2 else self.cost * 0.9 + spent * 0.1

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            began = time.thread_time()
            try:
                self.sample()
            except Exception:
                # Telemetry must not break anything else. Warned once: it would be repeated every second.
                log.log(logging.DEBUG if self._failed else logging.WARNING, "a sample failed", exc_info=True)
                self._failed = True
            self._count(time.thread_time() - began)
            stop.wait(self.wait_seconds())
