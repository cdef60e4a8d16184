"""``videogen bench frames``: what makes frames one shot, in numbers, on one machine in one run.

How alike neighboring frames become with `drift`, how much closer anchors bring them, and what each node costs over the bare
sampler; on a CUDA device also frames that are sampled at 1080p, and whole segments of the shipped workflows, against the same
graph without our nodes and diffusers' own pipeline. Weights are random: how alike frames of a trained model are is not measured
here, only which way a knob turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...comfyui.installation import find_installation
from ..machine import describe_machine
from ..models.comfy_modules import enable_comfy, has_diffusers

PARTS = ("drift", "anchor", "cost", "segments")
DRIFTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: The drift of the frames that the anchors are measured with.
DRIFT = 0.35
#: The variants whose step is timed; passes of a third of the frames.
VARIANTS: dict[str, dict[str, Any]] = {
    "first, 0.5": {"strength": 0.5},
    "first, 1": {"strength": 1.0},
    "first, 0.3": {"strength": 0.3},
    "first and previous, 0.5": {"strength": 0.5, "previous": True},
    "first, 0.5, all but the finest": {"strength": 0.5, "blocks": "all but the finest"},
    "first, 0.5, three passes": {"strength": 0.5, "passes": 3},
    "strength 0, three passes": {"strength": 0.0, "passes": 3},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print Markdown tables, and write the result where it is wanted."""
    parser = argparse.ArgumentParser(prog="videogen bench frames", description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--parts", default="", metavar="LIST", help=f"of {', '.join(PARTS)} (default: all; cpu: without segments)"
    )
    parser.add_argument("--workflows", default="", metavar="LIST", help="of the segments (default: all that ship)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args(argv)
    parts = tuple(filter(None, arguments.parts.split(","))) or (PARTS if arguments.device == "cuda" else PARTS[:3])
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts: found {', '.join(sorted(unknown))}, expected some of {', '.join(PARTS)}")
    os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # torch's profiler calls a machine without a GPU an error
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(f"{sys.executable} has a torch {torch.__version__} that sees no CUDA device.")
        return 2
    if "segments" in parts and not has_diffusers():
        print(f"There is no diffusers to compare with: {sys.executable} -m pip install 'diffusers>=0.36,<0.40'")
        return 2
    enable_comfy(find_installation(), device=arguments.device)
    result = measure(arguments.device, parts, arguments.rounds, tuple(filter(None, arguments.workflows.split(","))))
    print(format_tables(result))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(
    device: str, parts: Sequence[str], rounds: int, workflows: Sequence[str] = (), tiny: bool = False
) -> dict[str, Any]:
    """The whole result. Modules that need ComfyUI are imported here, once its device is fixed.

    Args:
        tiny: with a tiny UNet, to try the benchmark out; its speed says nothing.
    """
    import torch

    result: dict[str, Any] = {}
    if set(parts) - {"segments"}:
        from .shot_steps import SETUPS, TINY, ShotSteps

        steps = ShotSteps(TINY if tiny else SETUPS[device], device)
        result["unet"] = steps.setup.name
        result["dtype"] = str(steps.setup.dtype).removeprefix("torch.")
        for part, call in (("drift", measure_drift), ("anchor", measure_anchor), ("cost", measure_cost)):
            if part in parts:
                began = time.monotonic()
                result[part] = call(steps, rounds)
                print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr)
        del steps  # the segments want its memory
    if "segments" in parts:
        from .whole_segments import measure_segments

        # Without a GPU a whole segment would take hours.
        result["segments"] = measure_segments(device, rounds, workflows, tiny=tiny or device == "cpu")
    return {
        "what": "what keeps the frames of a shot together: how much, and what it costs; random weights",
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        **result,
        "machine": describe_machine(),
        "versions": {"comfyui": find_installation().version, "torch": torch.__version__},
    }


def measure_drift(steps: Any, rounds: int) -> list[dict[str, float]]:
    """How neighboring frames correlate: in their noise, as documented and as found, and in the sampled latents."""
    from custom_nodes.videogen.tensor.frame_noise import frame_correlation

    cells = []
    for drift in DRIFTS:
        found = [steps.sample(drift, seed) for seed in range(rounds)]
        cells.append(
            {
                "drift": drift,
                "noise_documented": round(frame_correlation(drift), 4),
                "noise": round(statistics.mean(correlate(noise) for noise, _ in found), 4),
                "latents": round(statistics.mean(correlate(latents) for _, latents in found), 4),
                "latents_first_and_last": round(
                    statistics.mean(correlate(latents[[0, -1]]) for _, latents in found), 4
                ),
            }
        )
    return cells


def correlate(frames: Any) -> float:
    """Mean correlation of neighboring frames."""
    import torch

    flat = frames.double().flatten(1)
    pairs = zip(flat[1:], flat[:-1], strict=True)
    return statistics.mean(float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in pairs)


def measure_anchor(steps: Any, rounds: int) -> list[dict[str, Any]]:
    """How different neighboring frames are (relative L2), after the self-attentions and in the prediction."""
    cells = []
    for previous in (False, True):
        for strength in STRENGTHS:
            found = [
                steps.measure_distance(DRIFT, seed, strength=strength, previous=previous) for seed in range(rounds)
            ]
            cells.append(
                {
                    "anchors": "first and previous" if previous else "first",
                    "strength": strength,
                    "self_attention": round(statistics.mean(layers for layers, _ in found), 4),
                    "prediction": round(statistics.mean(prediction for _, prediction in found), 5),
                }
            )
    return cells


def measure_cost(steps: Any, rounds: int) -> dict[str, Any]:
    """A step with each variant over the bare one, and what the other nodes take for a shot's frames."""
    from .node_times import time_nodes

    calls: dict[str, Callable[[], Any]] = {"bare": steps.prepare()}
    calls |= {name: steps.prepare(**options) for name, options in VARIANTS.items()}
    peaks = {name: steps.peak_bytes(call) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in calls if turn % 2 else reversed(calls):
            seconds[name].append(steps.time(calls[name]))
    bare = statistics.median(seconds["bare"])
    return {
        "frames": steps.setup.frames,
        "pixels": 8 * steps.setup.side,
        "rounds": rounds,
        "steps": [
            {
                "variant": name,
                "ms": round(1000 * statistics.median(times), 1),
                "ratio": round(statistics.median(a / b for a, b in zip(times, seconds["bare"], strict=True)), 3),
                "peak_mb": round(peaks[name] / 1e6, 1),
            }
            for name, times in seconds.items()
        ],
        "nodes": [
            {
                "node": name,
                "size": list(size),
                "ms_a_frame": round(1000 * taken / count, 2),
                # Of the same frames at the same size.
                "of_a_bare_step": round(taken / bare, 4)
                if (size[0], count) == (8 * steps.setup.side, steps.setup.frames)
                else None,
            }
            for name, size, count, taken in time_nodes(steps, rounds)
        ],
        "elsewhere": {"Apply Characters": "videogen bench ipadapter", "Continuity": "videogen bench continuity"},
        "large": measure_large(steps, rounds) if steps.setup.large else None,
    }


def measure_large(steps: Any, rounds: int) -> dict[str, Any]:
    """A step of frames that are sampled in the film's size, with as many frames a pass as the workflows have and fewer."""
    from .shot_steps import LARGE_PASSES

    cells = []
    for per_pass in LARGE_PASSES:
        call = steps.prepare_large(per_pass)
        peak = steps.peak_bytes(call)
        cells.append(
            {
                "frames_per_pass": per_pass,
                "ms": round(1000 * statistics.median(steps.time(call) for _ in range(rounds)), 1),
                "peak_bytes": peak,
            }
        )
    return {"latents": list(steps.setup.large[::-1]), "frames": steps.setup.frames, "cells": cells}


# ------------------------------------------------------------------ tables


def format_tables(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    tables = []
    where = f"{result['unet']}, {result['dtype']}, {result['device']}" if "unet" in result else ""
    if "drift" in result:
        rows = [
            [cell[key] for key in ("drift", "noise_documented", "noise", "latents", "latents_first_and_last")]
            for cell in result["drift"]
        ]
        tables.append(
            format_table(
                [
                    f"`drift` ({where})",
                    "noise of neighbors, by the formula",
                    "found",
                    "sampled latents of neighbors",
                    "of the first and the last",
                ],
                rows,
            )
        )
    if "anchor" in result:
        plain = result["anchor"][0]
        rows = [
            [
                cell["anchors"],
                cell["strength"],
                cell["self_attention"],
                f"{cell['self_attention'] / plain['self_attention'] - 1:+.1%}",
                cell["prediction"],
                f"{cell['prediction'] / plain['prediction'] - 1:+.1%}",
            ]
            for cell in result["anchor"]
        ]
        tables.append(
            format_table(
                [
                    f"anchors (drift {DRIFT}, {where})",
                    "strength",
                    "neighbors apart: self-attention",
                    "",
                    "prediction",
                    "",
                ],
                rows,
            )
        )
    if "cost" in result:
        cost = result["cost"]
        head = f"a step of {cost['frames']} frames of {cost['pixels']} px, both prompts ({where})"
        rows = [
            [cell["variant"], f"{cell['ms']:.0f} ms", f"{cell['ratio']:.2f}", f"{cell['peak_mb']:.0f} MB"]
            for cell in cost["steps"]
        ]
        tables.append(format_table([head, "time", "over bare", "peak memory"], rows))
        rows = [
            [
                cell["node"],
                "{} × {}".format(*cell["size"]),
                f"{cell['ms_a_frame']:.1f} ms",
                "" if cell["of_a_bare_step"] is None else f"{cell['of_a_bare_step']:.2%}",
            ]
            for cell in cost["nodes"]
        ]
        tables.append(format_table(["node", "frame", "time a frame", "of one bare step"], rows))
        tables.append("\n".join(f"{node}: `{command}`" for node, command in cost["elsewhere"].items()))
        if cost["large"]:
            large = cost["large"]
            head = (
                "a step of {} frames with latents of {} × {}, anchor first, 0.5, both prompts, frames a pass ({where})"
            )
            rows = [
                [cell["frames_per_pass"], f"{cell['ms']:.0f} ms", f"{cell['peak_bytes'] / 1e9:.2f} GB"]
                for cell in large["cells"]
            ]
            head = head.format(large["frames"], *large["latents"], where=where)
            tables.append(format_table([head, "time", "peak memory in addition to the model"], rows))
    if "segments" in result:
        from .whole_segments import format_segments

        tables.append(format_segments(result["segments"], format_table))
    return "\n\n".join(tables)


def format_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(value) for value in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
