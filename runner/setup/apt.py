"""Debian's and Ubuntu's packages, where install.py runs as root (in a container, say)."""

from __future__ import annotations

import os

from custom_nodes.videogen.media.programs import find_program

from .errors import CommandError
from .workspace import Workspace


def _apt_get() -> str | None:
    return find_program("apt-get")


def can_apt() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and _apt_get() is not None


def apt_install(workspace: Workspace, *packages: str) -> None:
    program = _apt_get() or "/usr/bin/apt-get"
    install = [program, "install", "-y", "--no-install-recommends", *packages]
    try:
        workspace.run_command(install)
    except CommandError:  # its lists are old, or were never fetched
        workspace.run_command([program, "update"])
        workspace.run_command(install)
