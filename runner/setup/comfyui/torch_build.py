"""Choose the build of torch for this machine, and check that it starts."""

from __future__ import annotations

import functools
import platform
import subprocess
from collections.abc import Callable
from typing import NamedTuple

from custom_nodes.videogen.media.programs import find_program, python_probe

from .. import checks
from ..steps import Step, fingerprint, is_done
from ..versions import TORCH, TORCH_INDEX, TORCH_PINS
from ..workspace import WINDOWS, Workspace
from .existing import Existing

PROBE_DEVICE = """
import torch
print("cuda" if torch.cuda.is_available() else "xpu" if hasattr(torch, "xpu") and torch.xpu.is_available()
      else "mps" if torch.backends.mps.is_available() else "cpu")
"""


class Build(NamedTuple):
    label: str
    folder: str  # below TORCH_INDEX; empty: from pip's own index
    gigabytes: float


def list_gpus() -> str:
    """The NVIDIA cards and their driver; empty without."""
    program = find_program("nvidia-smi")
    if program is None:
        return ""
    query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def choose_build(gpus: str, system: str, reach: Callable[[str], bool]) -> Build:
    """The default build is for CUDA on Linux, for Metal on a Mac, for the CPU on Windows."""
    if system == "Windows" and gpus:
        return Build("CUDA build", "cu130", 7.0)
    if system != "Darwin" and not gpus and reach(TORCH_INDEX + "cpu/torch/"):
        return Build("CPU build", "cpu", 2.0)
    return Build("default build", "", 7.0 if system == "Linux" else 2.0)


def fits(torch: str, gpus: str) -> bool:
    """Whether an installed torch can use the cards; builds for the CPU cannot."""
    return not gpus or not (torch.endswith("+cpu") or (WINDOWS and "+" not in torch))


def plan_torch(workspace: Workspace, gpus: str) -> Step:
    @functools.cache
    def build() -> Build:  # asks the network, so only where torch is missing, and once
        return choose_build(gpus, platform.system(), checks.can_reach)

    def has_torch() -> bool:
        installed = workspace.list_installed()
        same = all(installed.get(name, "").partition("+")[0] == version for name, version in TORCH.items())
        return same and fits(installed["torch"], gpus)

    step = Step(
        "torch",
        lambda: f"torch {TORCH['torch']} ({build().label})",
        lambda: install_torch(workspace, gpus, build().folder),
        has_torch,
        lambda: fingerprint(TORCH, workspace.look_at_venv()),
    )
    step.gigabytes = 0.0 if is_done(workspace, step) else build().gigabytes
    return step


def install_torch(workspace: Workspace, gpus: str, folder: str) -> None:
    installed = workspace.list_installed().get("torch")
    if installed and not fits(installed, gpus):  # pip takes 2.11.0+cpu for 2.11.0 and would leave it
        workspace.pip("uninstall", "-y", *TORCH)
    workspace.pip_install(*(["--index-url", TORCH_INDEX + folder] if folder else []), *TORCH_PINS)


def plan_device(workspace: Workspace, existing: Existing | None, gpus: str) -> Step:
    """Start torch once, and record what ComfyUI will run on."""
    python = existing.python if existing else workspace.python

    def probe() -> str:
        imports = "" if existing else "import torchvision, torchaudio"  # do the three fit together?
        device = workspace.run_command(python_probe(python, imports + PROBE_DEVICE)["args"]).split()[-1]
        workspace.record["device"] = device
        if device == "cpu" and gpus:
            return "but it cannot use the NVIDIA card, so ComfyUI will run on the CPU. Is the driver too old?"
        return "ComfyUI will run on the CPU" if device == "cpu" else f"ComfyUI will use {device}"

    def inputs() -> str:
        packages = existing.installed if existing else workspace.list_installed()
        return fingerprint(python, packages.get("torch"), gpus)

    return Step("device", "torch starts", probe, lambda: "device" in workspace.record, inputs)
