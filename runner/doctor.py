"""Examines this machine: what it has, and what is missing for a run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.table import Table
from rich.text import Text

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.memory_budget import format_memory
from custom_nodes.videogen.core.thermal.readings import THROTTLE_REASONS, Reading, format_degrees
from custom_nodes.videogen.core.video.encoding import ENCODERS
from custom_nodes.videogen.hardware.card_keys import CardKey, read_visible
from custom_nodes.videogen.hardware.sensors import Sensors
from custom_nodes.videogen.media.ffmpeg import choose_encoder, encoder_works, find_ffmpeg, list_encoders
from custom_nodes.videogen.media.programs import python_probe

from .comfyui.client import ComfyClient
from .comfyui.installation import find_installation
from .terminal.console import PlainConsole

OK, NOTE, BAD = "ok", "note", "bad"
#: State → its mark, that of a terminal without such characters, and its color.
_MARKS = {OK: ("✓", "ok", "green"), NOTE: ("·", "-", "yellow"), BAD: ("✗", "!!", "red")}


def examine(servers: Sequence[ComfyClient]) -> int:
    """Print a table of this machine's parts.

    Returns:
        The exit status: 0, 2 without ffmpeg, 3 when nothing can render.
    """
    sensors = Sensors()
    rows = [_machine(), _disk(), *_run_directories(), *_ffmpeg(), *_comfyui(), *_gpus(sensors), _processor(sensors)]
    sensors.stop()
    rows += [_server(client) for client in servers]
    console = PlainConsole()
    table = Table(box=None, show_header=False, pad_edge=False)
    for state, name, text in rows:
        mark, plain, color = _MARKS[state]
        table.add_row(Text(mark if console.can_show(mark) else plain, color), name, text)
    console.print(table)
    bad = {name for state, name, _ in rows if state == BAD}
    return 2 if "ffmpeg" in bad else 3 if bad else 0


Row = tuple[str, str, str]


def _machine() -> Row:
    memory = psutil.virtual_memory()
    return (
        OK,
        "machine",
        (
            f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores,"
            f" {memory.total / 1e9:.0f} GB memory ({memory.available / 1e9:.0f} GB free)"
        ),
    )


def _disk() -> Row:
    free = shutil.disk_usage(Path.cwd()).free
    return (OK if free > 2e9 else NOTE), "disk", f"{free / 1e9:.1f} GB free in {Path.cwd()}"


def _run_directories() -> list[Row]:
    """Those below runs/ that other users can look into, as earlier versions made them."""
    runs = [path.parent for path in Path("runs").glob("*/run.json")]
    is_open = [path for path in runs if os.name != "nt" and path.stat().st_mode & 0o077]
    if not is_open:
        return []
    text = f"{len(is_open)} of {len(runs)} in runs/ can be read by other users; `chmod -R go= runs` makes them yours"
    return [(NOTE, "runs", text)]


def _ffmpeg() -> list[Row]:
    try:
        ffmpeg = find_ffmpeg()
    except VideoGenError as error:
        return [(BAD, "ffmpeg", str(error))]
    first = subprocess.run([ffmpeg, "-version"], capture_output=True, text=True, errors="replace", check=False).stdout
    rows: list[Row] = [(OK, "ffmpeg", f"{' '.join(first.split()[:3])} at {ffmpeg}")]
    built_in = list_encoders(ffmpeg)
    for name in ENCODERS:
        if name not in built_in:
            rows.append((NOTE, name, "not in this ffmpeg"))
        elif encoder_works(name):
            chosen = " (used for H.264)" if choose_encoder().name == name else ""
            rows.append((OK, name, f"encodes{chosen}"))
        else:
            rows.append((NOTE, name, "is in ffmpeg, but does not encode on this machine"))
    return rows


def _comfyui() -> list[Row]:
    try:
        found = find_installation()
    except VideoGenError as error:
        return [(BAD, "ComfyUI", str(error))]
    rows: list[Row] = [(OK, "ComfyUI", f"{found.version} at {found.comfyui} {' '.join(found.arguments)}".rstrip())]
    script = "import torch; print(torch.__version__, torch.version.cuda or 'cpu', torch.cuda.is_available())"
    asked = subprocess.run(
        **python_probe(str(found.python), script), capture_output=True, text=True, errors="replace", check=False
    )
    if asked.returncode:
        rows.append(
            (BAD, "torch", asked.stderr.strip().splitlines()[-1] if asked.stderr.strip() else "does not import")
        )
    else:
        version, build, cuda = asked.stdout.split()
        rows.append((OK, "torch", f"{version} (build {build}), CUDA {'works' if cuda == 'True' else 'is not used'}"))
    return rows


def _gpus(sensors: Sensors) -> list[Row]:
    keys, readings = sensors.cards(), sensors.read_all_cards()
    if not keys:
        return [(NOTE, "GPU", f"no card with sensors ({sensors.why_no_cards()}); storyboards need none")]
    shown = sensors.nvidia.visible(
        read_visible(os.environ), counted_by_bus=os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    )
    rows: list[Row] = []
    for index, (key, reading) in enumerate(zip(keys, readings, strict=False)):
        parts = [reading.name]
        if reading.memory_total is not None and reading.memory_used is not None:
            free = reading.memory_total - reading.memory_used
            parts.append(f"{format_memory(reading.memory_total)} ({format_memory(free)} free)")
        parts.append(_describe_heat(reading))
        if reading.power is not None:
            parts.append(f"{reading.power:.0f} W")
        parts += [f"slowed down: {THROTTLE_REASONS[reason]}" for reason in sorted(reading.throttle)]
        if (
            reading.kind == "nvidia"
            and "CUDA_VISIBLE_DEVICES" in os.environ
            and not any(_same(key, one) for one in shown)
        ):
            parts.append("hidden by CUDA_VISIBLE_DEVICES")
        rows.append((OK if reading.temperature is not None else NOTE, f"GPU {index}", ", ".join(parts)))
    return rows


def _same(card: CardKey, shown: CardKey) -> bool:
    # A MIG instance counts as its whole card; only the bus tells which card that is, where it is known.
    return (
        bool(card.bus and card.bus == shown.bus)
        or card.uuid == shown.uuid
        or (not shown.bus and shown.uuid.startswith("MIG-"))
    )


def _describe_heat(reading: Reading) -> str:
    if reading.temperature is None:
        return f"temperature unknown ({reading.problem})"
    more = [("memory", reading.memory_temperature), ("hot spot", reading.hotspot)]
    return ", ".join(
        [
            format_degrees(reading.temperature),
            *(f"{name} {format_degrees(value)}" for name, value in more if value is not None),
        ]
    )


def _processor(sensors: Sensors) -> Row:
    reading = sensors.read_processor()
    if reading.temperature is None:
        return NOTE, "sensors", reading.problem
    return OK, "sensors", f"processor {format_degrees(reading.temperature)}"


def _server(client: ComfyClient) -> Row:
    try:
        stats = client.system_stats()
        pack = "with" if "VideoGenStory" in client.object_info() else "without"
    except VideoGenError as error:
        return BAD, "server", str(error)
    return OK, "server", f"ComfyUI {stats['system']['comfyui_version']} at {client.url}, {pack} the videogen nodes"
