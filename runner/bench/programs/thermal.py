"""``videogen bench thermal``: what the guards cost, and whether they read the right card.

- **overhead**: a sampling loop with Guard Model and the same loop without it, in turns; the images must be the same.
- **sample**: processor time of one reading by the background sampler, as a share of a core at one reading a second.
- **readings** (NVIDIA): ours and nvidia-smi's of the same second, idle and under load.
- **mapping** (CUDA): under several values of CUDA_VISIBLE_DEVICES, memory that torch allocates must appear on the card that we
  identify as torch's first one, and on no other.

Without a card the last two are omitted, and the table says so.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.media.programs import find_program

from ...comfyui.installation import PROJECT, find_installation
from ..machine import describe_machine
from ..models.comfy_modules import enable_comfy

#: Bytes that the mapping test allocates, far above what comes and goes by itself.
ALLOCATED = 2_000_000_000
#: Reading → nvidia-smi's column, its unit, and the largest difference of two readings of one second (°C, bytes, watts, MHz).
SMI = {
    "temperature": ("temperature.gpu", 1.0, 2.0),
    "memory_used": ("memory.used", 2**20, 64 * 2**20),
    "memory_total": ("memory.total", 2**20, 2**20),
    "power": ("power.draw", 1.0, 60.0),
    "clock": ("clocks.gr", 1.0, 300.0),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a Markdown table, and write the result where it is wanted; 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(prog="videogen bench thermal", description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=7, help="of the sampling loops, in turns")
    parser.add_argument("--steps", type=int, default=0, help="of a loop (default: 20 with cuda, 60 with cpu)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--find-card", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(f"{sys.executable} has a torch {torch.__version__} that sees no CUDA device.")
        return 2
    enable_comfy(find_installation(), device=arguments.device)
    if arguments.find_card:
        print(json.dumps(find_card_of_torch()))
        return 0
    result = measure(arguments.device, arguments.rounds, arguments.steps)
    print(format_table(result))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return 0 if result["all_right"] else 1


def measure(device: str, rounds: int, steps: int) -> dict[str, Any]:
    """The whole result."""
    import torch

    result: dict[str, Any] = {
        "what": "Guard Model over the same sampling without it; processor time of a telemetry sample; readings and nvidia-smi's",
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "overhead": measure_overhead(device, rounds, steps or (20 if device == "cuda" else 60)),
        "sample": measure_samples(),
        "readings": compare_with_smi() if device == "cuda" else None,
        "mapping": measure_mapping() if device == "cuda" else None,
        "machine": describe_machine(),
        "versions": {"torch": torch.__version__, "python": sys.version.split()[0]},
    }
    checks = [
        result["overhead"]["same_bits"],
        result["overhead"]["relative"] < 0.01,
        result["sample"]["share_of_a_core"] < 0.001,
    ]
    checks += [row["near"] for row in (result["readings"] or {}).get("rows", [])]
    checks += [row["right"] for row in result["mapping"] or []]
    result["all_right"] = all(checks)
    return result


# ------------------------------------------------------------------ overhead


def measure_overhead(device: str, rounds: int, steps: int) -> dict[str, Any]:
    """Seconds of a sampling loop with and without the guard, in turns; the guard reads every 10 s, and, to measure a
    reading's cost, before every step."""
    import comfy.sample
    import torch

    from custom_nodes.videogen.comfyui.thermal.thermal_wait import NodeThermalGuard
    from custom_nodes.videogen.core.thermal.guard import ThermalPolicy
    from custom_nodes.videogen.nodes.guards.thermal_guard import guard_model

    from ..models.random_weights.unets import SD15, TINY_SD15
    from ..models.tiny_models import build_comfy_model, draw_unet

    unet, dtype, side = (SD15, torch.float16, 64) if device == "cuda" else (TINY_SD15, torch.float32, 8)
    model = build_comfy_model(unet, draw_unet(unet, dtype=dtype), dtype=dtype, device=device)
    generator = torch.Generator().manual_seed(1)
    latent = torch.zeros(1, 4, side, side)
    noise = torch.randn(latent.shape, generator=generator)
    context = [[torch.randn(1, 77, unet.context_width, generator=generator), {}]]
    # Hot cards must not pause a benchmark: the limits are as high as they go.
    patient: dict[str, Any] = {"pause_above": 120.0, "resume_at": 119.0, "throttle": "ignore", "when_over": "go on"}
    usual, eager = (
        NodeThermalGuard(ThermalPolicy(**patient, interval=interval), "auto", "bench") for interval in (10.0, 0.1)
    )
    object.__setattr__(eager.policy, "interval", 0.0)
    models = {"without": model, "with": guard_model(model, usual), "look every step": guard_model(model, eager)}

    # Processor time is disturbed less by other processes; but on a card it measures nothing.
    clock = time.perf_counter if device == "cuda" else time.process_time

    def sample(name: str) -> tuple[float, Any]:
        began = clock()
        with torch.inference_mode():
            latents = comfy.sample.sample(
                models[name], noise, steps, 5.0, "euler", "normal", context, context, latent, disable_pbar=True, seed=1
            )
        if device == "cuda":
            torch.cuda.synchronize()
        return clock() - began, latents

    outputs = {name: sample(name)[1] for name in models}  # also warms up
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds):
        for name in sorted(models, reverse=bool(turn % 2)):
            seconds[name].append(sample(name)[0])
    pairs = list(zip(seconds["with"], seconds["without"], strict=True))
    eager_pairs = list(zip(seconds["look every step"], seconds["without"], strict=True))
    not_due = _time_call(usual.wait, 20_000)
    predictions = steps  # of euler: one a step
    step = statistics.median(seconds["without"]) / steps
    return {
        "model": f"{unet.family}{'' if unet is SD15 else ', tiny'}, {side * 8} × {side * 8}, {dtype}, euler, {steps} steps",
        "rounds": rounds,
        "seconds_without": [round(value, 4) for value in seconds["without"]],
        "seconds_with": [round(value, 4) for value in seconds["with"]],
        "relative": round(statistics.median(ours / theirs for ours, theirs in pairs) - 1, 5),
        "relative_look_every_step": round(statistics.median(ours / theirs for ours, theirs in eager_pairs) - 1, 5),
        "microseconds_a_step": round(step * 1e6, 1),
        "microseconds_a_call_without_a_look": round(not_due * 1e6, 3),
        "calculated": round(not_due * predictions / (step * steps), 6),
        "same_bits": all(torch.equal(outputs["without"], output) for output in outputs.values()),
    }


def _time_call(call: Callable[[], Any], times: int) -> float:
    """Seconds of one call."""
    call()
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


# ------------------------------------------------------------------ the sampler


def measure_samples(times: int = 200) -> dict[str, Any]:
    """Processor time of one reading of all devices, as a guard with `devices` all reads them, at one a second."""
    from custom_nodes.videogen.comfyui.thermal.telemetry import Telemetry
    from custom_nodes.videogen.comfyui.thermal.watched_devices import SENSORS, read_watched

    telemetry = Telemetry()
    telemetry.sampler.sample()
    spent, walls = [], []
    for _ in range(times):
        began, began_wall = time.thread_time(), time.perf_counter()
        telemetry.sampler.sample()
        spent.append(time.thread_time() - began)
        walls.append(time.perf_counter() - began_wall)
    return {
        "devices": [reading.name for reading in read_watched("auto")],
        "cards_on_this_machine": [card.name for card in SENSORS.cards()],
        "times": times,
        "processor_microseconds": round(statistics.median(spent) * 1e6, 1),
        "wall_microseconds": round(statistics.median(walls) * 1e6, 1),
        "share_of_a_core": round(statistics.fmean(spent), 7),
    }


# ------------------------------------------------------------------ nvidia-smi


def compare_with_smi(rounds: int = 6) -> dict[str, Any]:
    """Our readings and nvidia-smi's of the same second, idle and under load, for the card that torch computes on."""
    import torch

    from custom_nodes.videogen.comfyui.thermal.watched_devices import SENSORS, find_card, read_watched

    (first, *_) = SENSORS.read_cards([find_card(torch.cuda.current_device(), SENSORS)], maker="nvidia")
    rows = []
    for at_work in (False, True):
        for _ in range(rounds):
            if at_work:
                _work(1.0)
            before = time.time()
            (ours,) = [reading for reading in read_watched("auto") if reading.device == first.device]
            theirs = _ask_smi(first.device)
            differences = {}
            for name, (column, unit, _) in SMI.items():
                value, said = getattr(ours, name), theirs.get(column)
                if value is not None and said is not None:
                    differences[name] = round(value - said * unit, 1)
            near = (
                all(abs(value) <= SMI[name][2] for name, value in differences.items()) and "temperature" in differences
            )
            rows.append(
                {
                    "at_work": at_work,
                    "seconds_apart": round(time.time() - before, 3),
                    "ours": ours.to_json(),
                    "smi": theirs,
                    "differences": differences,
                    "near": near,
                }
            )
            time.sleep(0.5)
    return {"card": first.name, "rows": rows}


def _work(seconds: float) -> None:
    import torch

    matrix = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(20):
            matrix = torch.nn.functional.normalize(matrix @ matrix)
        torch.cuda.synchronize()


def _ask_smi(uuid: str) -> dict[str, float]:
    columns = [column for column, _, _ in SMI.values()]
    command = [
        find_program("nvidia-smi") or "nvidia-smi is not on the PATH",
        f"--id={uuid}",
        f"--query-gpu={','.join(columns)}",
        "--format=csv,noheader,nounits",
    ]
    line = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    told = {}
    for column, text in zip(columns, line.split(","), strict=True):
        try:
            told[column] = float(text)
        except ValueError:  # "[N/A]"
            continue
    return told


# ------------------------------------------------------------------ which card


def measure_mapping() -> list[dict[str, Any]]:
    """For every way to name every card in CUDA_VISIBLE_DEVICES, a process that finds its card by allocating memory on it."""
    from custom_nodes.videogen.comfyui.thermal.watched_devices import SENSORS

    cards = SENSORS.nvidia.cards()
    values: list[str | None] = [None]
    for index, card in enumerate(cards):
        values += [str(index), card.uuid, card.uuid[:12]]
    if len(cards) > 1:
        values.append(",".join(str(index) for index in reversed(range(len(cards)))))
    instances = [entry for entry in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if entry.startswith("MIG-")]
    values += instances
    rows = []
    for value in dict.fromkeys(values):
        for order in ("FASTEST_FIRST", "PCI_BUS_ID"):
            environment = {**os.environ, "CUDA_DEVICE_ORDER": order}
            environment.pop("CUDA_VISIBLE_DEVICES", None)
            if value is not None:
                environment["CUDA_VISIBLE_DEVICES"] = value
            command = [sys.executable, "-m", "runner.bench.programs.thermal", "--device", "cuda", "--find-card"]
            done = subprocess.run(
                command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False, timeout=300
            )
            answer = done.stdout.strip().splitlines()[-1] if done.returncode == 0 and done.stdout.strip() else "{}"
            told = json.loads(answer) or {"right": False, "error": done.stderr[-1000:]}
            rows.append({"CUDA_VISIBLE_DEVICES": value, "CUDA_DEVICE_ORDER": order, **told})
    return rows


def find_card_of_torch() -> dict[str, Any]:
    """Allocate on torch's first card; the card that we take for it must show that, and no other."""
    import torch

    from custom_nodes.videogen.comfyui.thermal.watched_devices import SENSORS, find_card

    torch.zeros(1, device="cuda:0")
    taken = find_card(0, SENSORS)
    ours = SENSORS.nvidia.read(taken)
    before = {card.uuid: SENSORS.nvidia.read(card).memory_used or 0 for card in SENSORS.nvidia.cards()}
    before_ours = ours.memory_used
    held = torch.zeros(ALLOCATED, dtype=torch.uint8, device="cuda:0")
    torch.cuda.synchronize()
    after = {card.uuid: SENSORS.nvidia.read(card).memory_used or 0 for card in SENSORS.nvidia.cards()}
    after_ours = SENSORS.nvidia.read(taken).memory_used
    grown = [uuid for uuid, used in after.items() if used - before[uuid] > ALLOCATED * 0.9]
    del held
    # Of a MIG instance the memory is its own, and the whole card's may not be told.
    own = None if before_ours is None or after_ours is None else after_ours - before_ours
    right = (own is not None and own > ALLOCATED * 0.9) and (not grown or grown == [ours.device])
    return {
        "torch": torch.cuda.get_device_name(0),
        "bus": taken.bus,
        "uuid": taken.uuid,
        "card": ours.device,
        "grew": grown,
        "bytes_grown": own,
        "temperature": ours.temperature,
        "right": right,
    }


def format_table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    overhead, sample = result["overhead"], result["sample"]
    lines = [
        f"| {overhead['model']}, {result['device']} | |",
        "|---|---|",
        f"| Guard Model over the same loop without it ({overhead['rounds']} rounds) | {overhead['relative']:+.2%} |",
        f"| the same, looking at the sensors before every step | {overhead['relative_look_every_step']:+.2%} |",
        f"| a step | {overhead['microseconds_a_step']:.0f} µs |",
        f"| the guard, between two looks | {overhead['microseconds_a_call_without_a_look']:.2f} µs a step |",
        f"| the same bits | {'yes' if overhead['same_bits'] else 'NO'} |",
        f"| a telemetry sample ({', '.join(sample['devices'])}) | {sample['processor_microseconds']:.0f} µs of processor time,"
        f" {sample['share_of_a_core']:.4%} of a core at one a second |",
    ]
    readings = result["readings"]
    if readings is None:
        lines.append("| readings against nvidia-smi's, mapping of cards | not measured: no card |")
    else:
        near = sum(row["near"] for row in readings["rows"])
        worst = max((abs(row["differences"].get("temperature", 99)) for row in readings["rows"]), default=0)
        lines.append(
            f"| readings against nvidia-smi's | {near} of {len(readings['rows'])} near, at most {worst:g} °C apart |"
        )
        right = sum(row["right"] for row in result["mapping"])
        lines.append(f"| the right card under CUDA_VISIBLE_DEVICES | {right} of {len(result['mapping'])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
