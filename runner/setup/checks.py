"""Checks of disk space and network, before anything is downloaded, and of where the set-up runs."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.request

from .errors import NETWORK_HINT, CommandError, SetupError
from .steps import Step, is_done
from .workspace import Workspace


def open_url(url: str, timeout: float, method: str = "GET") -> http.client.HTTPResponse:
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "videogen-install"})
    return urllib.request.urlopen(request, timeout=timeout)


def can_reach(url: str) -> bool:
    """Whether a URL answers. Checked before pip is started, which would retry for minutes."""
    try:
        with open_url(url, timeout=5, method="HEAD"):
            return True
    except (OSError, ValueError, http.client.HTTPException):
        return False


def is_under_ci() -> bool:
    """Whether a CI system runs this: there, what only tests need is needed."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def check_disk(workspace: Workspace, pending: list[Step]) -> None:
    """Raise a SetupError with numbers where the steps will not fit."""
    need, free = sum(step.gigabytes for step in pending), shutil.disk_usage(workspace.folder).free / 1e9
    if need > free:
        parts = ", ".join(f"{step.name} {step.gigabytes:g}" for step in pending if step.gigabytes)
        raise SetupError(
            f"Not enough space: the set-up needs about {need:.1f} GB ({parts}), and the disk of {workspace.folder} has "
            f"{free:.1f} GB free.",
            f"Free {need - free:.1f} GB there, or move this folder to a larger disk. With a ComfyUI that you already "
            "have it needs less than 2 GB: --comfyui PATH.",
        )


def plan_network(workspace: Workspace, downloads: list[Step]) -> Step:
    def is_needless() -> bool:
        return all(is_done(workspace, step) for step in downloads)

    return Step("network", "package index", lambda: check_network(workspace), is_needless)


def check_network(workspace: Workspace) -> None:
    """Fetch something small that is needed anyway, the way pip is set up here. comfy-cli: no usual mirror has it."""
    target = str(workspace.folder / "tmp" / "network")
    try:
        workspace.pip("--timeout=10", "--retries=1", "download", "--no-deps", "-d", target, "comfy-cli")
    except CommandError as error:
        what = f"pip cannot get packages: not even comfy-cli came.\n{error}"
        raise SetupError(what, error.hint or NETWORK_HINT) from error
