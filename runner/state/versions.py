"""The versions that a render depends on, as ``run.json`` keeps them."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("videogen", "comfy-cli", "av", "imageio-ffmpeg", "numpy", "pillow", "requests", "websocket-client")


def collect_versions(server_stats: dict[str, Any] | None = None) -> dict[str, str]:
    """Collect the versions of everything that a render can depend on."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    system = (server_stats or {}).get("system") or {}
    for ours, theirs in (
        ("comfyui", "comfyui_version"),
        ("torch", "pytorch_version"),
        ("server python", "python_version"),
    ):
        if system.get(theirs):
            versions[ours] = str(system[theirs])
    devices = (server_stats or {}).get("devices") or []
    if devices:
        versions["device"] = ", ".join(str(device.get("name")) for device in devices)
    return versions
