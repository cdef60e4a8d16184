"""``videogen bench ipadapter``: a sampling step with an IP-Adapter over one without, against diffusers' own.

Both UNets have the same random weights and get the same latents, text and images. A figure is what an adapter adds to a
step; the peer is diffusers' `load_ip_adapter` with its own attention processors. All variants take turns in every round, so
that a machine that changes its pace changes it for all, and each figure is the median over the rounds of differences within
a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...comfyui.installation import find_installation
from ..machine import describe_machine
from ..models.comfy_modules import enable_comfy, has_diffusers


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a Markdown table, and write the result where it is wanted."""
    parser = argparse.ArgumentParser(prog="videogen bench ipadapter", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--frames", type=parse_frames, default=[1, 24], metavar="LIST")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # torch's profiler calls a machine without a GPU an error
    if not has_diffusers():
        print(f"There is no diffusers to compare with: {sys.executable} -m pip install 'diffusers>=0.36,<0.40'")
        return 2
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(f"{sys.executable} has a torch {torch.__version__} that sees no CUDA device.")
        return 2
    enable_comfy(find_installation(), device=arguments.device)
    from .adapted_steps import SETUPS

    result = measure(SETUPS[arguments.device], arguments.device, arguments.frames, arguments.rounds)
    print(format_table(result))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def parse_frames(text: str) -> list[int]:
    """Batch sizes such as ``1,24``."""
    parts = text.split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected numbers of frames such as 1,24")
    return sorted({int(part) for part in parts})


def measure(setup: Any, device: str, frames: Sequence[int], rounds: int) -> dict[str, Any]:
    """The whole result. Modules that need ComfyUI are imported here, once its device is fixed."""
    import diffusers
    import torch

    from .adapted_steps import WEIGHT, Steps

    diffusers.utils.logging.set_verbosity_error()
    steps = Steps(setup, device)
    cells = []
    for count in frames:
        began = time.monotonic()
        cells += measure_batch(steps, count, rounds)
        print(f"{count} frames: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return {
        "what": "what an IP-Adapter adds to a sampling step (positive and negative prompt), the same weights and inputs",
        "unet": setup.name,
        "dtype": str(setup.dtype).removeprefix("torch."),
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        "weight": WEIGHT,
        "rounds": rounds,
        "cells": cells,
        "machine": describe_machine(),
        "versions": {
            "comfyui": find_installation().version,
            "diffusers": diffusers.__version__,
            "torch": torch.__version__,
        },
    }


@dataclass(frozen=True)
class Case:
    """The images in a step: kind of adapter ("" for none) and number of characters."""

    kind: str = ""
    people: int = 0


WITHOUT = Case()
CASES = [Case(kind, people) for kind in ("plain", "plus") for people in (1, 2)]
PEERS = ("videogen", "diffusers")
Key = tuple[str, Case]
#: Both clocks of `Steps.time`, without and with an adapter.
Pair = tuple[tuple[float, float], tuple[float, float]]


def measure_batch(steps: Any, frames: int, rounds: int) -> list[dict[str, Any]]:
    """The cells of one batch size."""
    from ..models.predictions import relative_difference

    prepare = {"videogen": steps.prepare_ours, "diffusers": steps.prepare_diffusers}
    calls: dict[Key, Callable[[], Any]] = {}
    first: dict[Key, tuple[Any, int]] = {}
    for case in (WITHOUT, *CASES):
        steps.install(case.kind)
        for who in PEERS:
            calls[who, case] = prepare[who](case.kind, case.people, frames)
            first[who, case] = steps.run(calls[who, case])  # keys and values are made in it
            calls[who, case]()  # warm
    pairs: dict[Key, list[Pair]] = {(who, case): [] for who in PEERS for case in CASES}
    for turn in range(rounds):
        for (who, case), found in pairs.items() if turn % 2 else reversed(pairs.items()):
            # In direct succession, so that both run at the same pace of the machine.
            times = {}
            for one in (WITHOUT, case) if turn % 2 else (case, WITHOUT):
                steps.install(one.kind)
                times[one] = steps.time(calls[who, one])
            found.append((times[WITHOUT], times[case]))
    return [
        {
            "adapter": case.kind,
            "people": case.people,
            "frames": frames,
            "latent": steps.setup.side(frames),
            **{who: _summarize(pairs[who, case]) for who in PEERS},
            "ratio": _ratio(pairs, case, 0),
            "attention_ratio": _ratio(pairs, case, 1),
            "peak_mb": {who: round(first[who, case][1] / 1e6, 1) for who in PEERS},
            "peak_without_mb": {who: round(first[who, WITHOUT][1] / 1e6, 1) for who in PEERS},
            "difference": relative_difference(first["videogen", case][0].float(), first["diffusers", case][0].float()),
        }
        for case in CASES
    ]


def _extras(pairs: Sequence[Pair], clock: int) -> list[float]:
    """Seconds that the adapter added, by one of the two clocks of `Steps.time`."""
    return [adapted[clock] - without[clock] for without, adapted in pairs]


def _summarize(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Milliseconds a step; `attention` is what is added in the cross-attentions alone, 0 where that is not measured."""
    extras = [1000 * extra for extra in _extras(pairs, 0)]
    return {
        "without_ms": round(1000 * statistics.median(without[0] for without, _ in pairs), 2),
        "with_ms": round(1000 * statistics.median(adapted[0] for _, adapted in pairs), 2),
        "extra_ms": round(statistics.median(extras), 2),
        "extra_range_ms": [round(min(extras), 2), round(max(extras), 2)],
        "attention_extra_ms": round(1000 * statistics.median(_extras(pairs, 1)), 2),
    }


def _ratio(pairs: dict[Key, list[Pair]], case: Case, clock: int) -> float | None:
    ours, theirs = (statistics.median(_extras(pairs[who, case], clock)) for who in PEERS)
    return round(ours / theirs, 3) if theirs else None


def format_table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"| {result['unet']}, {result['dtype']}, {result['device']}: adapter, characters, frames | a step without"
        " | diffusers adds | **videogen adds** | ratio | in cross-attention alone | peak of a step: diffusers, **videogen** |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in result["cells"]:
        ours, theirs = cell["videogen"], cell["diffusers"]
        inner = "–"
        if cell["attention_ratio"] is not None:
            added = f"{theirs['attention_extra_ms']:.1f} / {ours['attention_extra_ms']:.1f} ms"
            inner = f"{added}, {cell['attention_ratio']:.2f}"
        peaks = [
            f"{cell['peak_without_mb'][who]:.0f} → {cell['peak_mb'][who]:.0f} MB" for who in ("diffusers", "videogen")
        ]
        lines.append(
            f"| {cell['adapter']}, {cell['people']}, {cell['frames']} × {8 * cell['latent']} px"
            f" | {ours['without_ms']:.0f} ms | {theirs['extra_ms']:.1f} ms | {ours['extra_ms']:.1f} ms"
            f" | {cell['ratio']:.2f} | {inner} | {', '.join(peaks)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
