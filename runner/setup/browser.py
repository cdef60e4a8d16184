"""Chromium, for the tests that drive ComfyUI's editor."""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from custom_nodes.videogen.media.programs import find_program

from . import apt
from .checks import is_under_ci
from .errors import CommandError, SetupError, Skipped
from .steps import Step
from .workspace import Workspace


def plan_chromium(workspace: Workspace) -> Step:
    return Step("chromium", "Chromium", lambda: install_chromium(workspace), has_chromium, gigabytes=0.7)


def has_chromium() -> bool:
    """Whether there is one on the PATH or among Playwright's downloads."""
    if any(map(find_program, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))):
        return True
    home = {"Darwin": "~/Library/Caches/ms-playwright", "Windows": "~/AppData/Local/ms-playwright"}
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or home.get(platform.system(), "~/.cache/ms-playwright")
    return any(Path(folder).expanduser().glob("chromium*/INSTALLATION_COMPLETE"))


def install_chromium(workspace: Workspace) -> str:
    if apt.can_apt():
        with contextlib.suppress(CommandError):
            apt.apt_install(workspace, "chromium", "fonts-dejavu-core")
        if has_chromium():  # Ubuntu's package of that name brings none
            return "from apt"
    try:
        more = ["--with-deps"] if apt.can_apt() else []
        workspace.run_command([workspace.python, "-m", "playwright", "install", *more, "chromium"])
        return "from Playwright"
    except CommandError as error:
        if is_under_ci():
            raise SetupError(f"No Chromium; under CI the browser tests must run.\n{error}", error.hint) from error
        raise Skipped(f"so the browser tests will be skipped: {error}") from error
