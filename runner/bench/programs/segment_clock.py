"""Seconds and memory of a segment and of its nodes, for `runner.bench.programs.whole_segments`."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

#: What comes after the frames, and has a part of its own.
_AFTER = ("VideoGenContinuity", "VideoGenSaveSegment")
#: Nodes that have a part of their own, and what it is called.
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
