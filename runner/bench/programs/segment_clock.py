"""Clocks and memory gauges: of a segment and of its nodes, and of single steps."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

#: Nodes that run after the frames are done, and are measured as parts of their own.
_AFTER = ("VideoGenContinuity", "VideoGenSaveSegment")
#: Nodes that are measured as parts of their own, and the parts' names.
_PARTS = {
    "VideoGenApplyCharacters": "Apply Characters, pictures that were encoded before",
    "SamplerCustomAdvanced": "sampling",
    "VAEDecode": "decoding",
    "VideoGenUpscale": "Upscale, Lanczos",
    "VideoGenColorMatch": "Color Match",
    "VideoGenKeyframeMotion": "Keyframe Motion, a pan",
    "VideoGenContinuity": "Continuity",
    "VideoGenSaveSegment": "Save Segment",
}


@dataclass
class Clock:
    """Seconds and peak memory of each node, by class, over all rounds but the first."""

    device: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    #: Of the segment that runs: seconds and peak until its frames are there.
    until_frames: tuple[float, int] = (0.0, 0)

    @contextlib.contextmanager
    def around(self, kind: str) -> Iterator[None]:
        reset_peak(self.device)
        began = time.perf_counter()
        yield
        wait(self.device)
        taken, peak = time.perf_counter() - began, peak_memory(self.device)
        self.seconds.setdefault(kind, []).append(taken)
        self.peaks[kind] = max(self.peaks.get(kind, 0), peak)
        if kind not in _AFTER:
            self.until_frames = (self.until_frames[0] + taken, max(self.until_frames[1], peak))

    def summarize(self) -> list[dict[str, Any]]:
        """The parts of a segment."""
        return [
            {
                "part": name,
                "seconds": round(statistics.median(self.seconds[kind][1:]), 3),
                "peak_gb": gigabytes(self.peaks[kind], self.device),
            }
            for kind, name in _PARTS.items()
            if kind in self.seconds
        ]


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device == "cuda" else 0


def held_memory(device: str) -> int:
    return torch.cuda.memory_allocated() if device == "cuda" else 0


def gigabytes(peak: int, device: str) -> float | None:
    return round(peak / 1e9, 2) if device == "cuda" else None


def allocated_peak(profile: torch.autograd.profiler.profile) -> int:
    """The most bytes that were held at a time, of those allocated while a profile was taken (on the CPU)."""
    assert profile.kineto_results is not None
    events: list[Any] = [event for event in profile.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
