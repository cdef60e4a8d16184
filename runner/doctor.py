"""`videogen doctor`: what this machine has, and what is missing for a run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from custom_nodes.videogen.core.encoding import ENCODERS
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.ffmpeg import choose_encoder, encoder_works, find_ffmpeg, list_encoders

from .client import ComfyClient
from .installation import find_installation

OK, NOTE, BAD = "ok", "note", "bad"
_MARKS = {OK: "[green]✓[/]", NOTE: "[yellow]·[/]", BAD: "[red]✗[/]"}


def examine(servers: Sequence[ComfyClient]) -> int:
    """Print a table of what is there; gives exit status 0, or 3 when nothing could render, 2 without ffmpeg."""
    rows = [_machine(), _disk(), *_ffmpeg(), *_comfyui(), *_gpus(), *_sensors()]
    rows += [_server(client) for client in servers]
    table = Table(box=None, show_header=False, pad_edge=False)
    for state, name, text in rows:
        table.add_row(_MARKS[state], name, text)
    Console(highlight=False).print(table)
    bad = {name for state, name, _ in rows if state == BAD}
    return 2 if "ffmpeg" in bad else 3 if bad else 0


Row = tuple[str, str, str]


def _machine() -> Row:
    memory = psutil.virtual_memory()
    return OK, "machine", (
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {os.cpu_count()} cores,"
        f" {memory.total / 1e9:.0f} GB memory ({memory.available / 1e9:.0f} GB free)"
    )  # fmt: skip


def _disk() -> Row:
    free = shutil.disk_usage(Path.cwd()).free
    return (OK if free > 2e9 else NOTE), "disk", f"{free / 1e9:.1f} GB free in {Path.cwd()}"


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
        [str(found.python), "-c", script], capture_output=True, text=True, errors="replace", check=False
    )
    if asked.returncode:
        rows.append(
            (BAD, "torch", asked.stderr.strip().splitlines()[-1] if asked.stderr.strip() else "does not import")
        )
    else:
        version, build, cuda = asked.stdout.split()
        rows.append((OK, "torch", f"{version} (build {build}), CUDA {'works' if cuda == 'True' else 'is not used'}"))
    return rows


def _gpus() -> list[Row]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return [(NOTE, "GPU", f"no NVIDIA card ({error}); storyboards need none")]
    try:
        rows: list[Row] = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            card = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(card)
            try:
                heat = f"{pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU)} °C"
            except pynvml.NVMLError as error:
                heat = f"temperature unknown ({error})"
            name = pynvml.nvmlDeviceGetName(card)
            rows.append(
                (OK, f"GPU {index}", f"{name}, {memory.total / 1e9:.0f} GB ({memory.free / 1e9:.0f} GB free), {heat}")
            )
        return rows or [(NOTE, "GPU", "the NVIDIA driver is there, but no card")]
    finally:
        pynvml.nvmlShutdown()


def _sensors() -> list[Row]:
    read = getattr(psutil, "sensors_temperatures", None)
    heats = [entry.current for group in (read() if read else {}).values() for entry in group if entry.current]
    if not heats:
        return [(NOTE, "sensors", "no CPU temperature can be read here")]
    return [(OK, "sensors", f"CPU and board up to {max(heats):.0f} °C")]


def _server(client: ComfyClient) -> Row:
    try:
        stats = client.system_stats()
        pack = "with" if "VideoGenStory" in client.object_info() else "without"
    except VideoGenError as error:
        return BAD, "server", str(error)
    return OK, "server", f"ComfyUI {stats['system']['comfyui_version']} at {client.url}, {pack} the videogen nodes"
