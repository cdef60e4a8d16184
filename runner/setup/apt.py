"""Debian's and Ubuntu's packages, where install.py runs as root (in a container, say)."""

from __future__ import annotations

import os
import shutil

from .errors import CommandError
from .workspace import Workspace


def can_apt() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(workspace: Workspace, *packages: str) -> None:
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    try:
        workspace.run_command(install)
    except CommandError:  # its lists are old, or were never fetched
        workspace.run_command(["apt-get", "update"])
        workspace.run_command(install)
