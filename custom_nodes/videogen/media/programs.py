"""Programs that are run: never one that happens to lie in the current folder. Standard library only; install.py needs it too."""

from __future__ import annotations

import os
from typing import Any


def find_program(name: str, path: str | None = None) -> str | None:
    """The absolute path of a program, or None.

    An empty or relative element of the PATH is skipped: it would be a folder of whoever made the current one. Windows would look
    into the current folder in any case.

    Args:
        name: of the program; one with a folder in it is meant as it is.
        path: what to search instead of the PATH.
    """
    if os.path.dirname(name):
        return _find_executable(os.path.abspath(name))
    elements = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    folders = [element.strip('"') for element in elements if os.path.isabs(element.strip('"'))]
    return next(filter(None, (_find_executable(os.path.join(folder, name)) for folder in folders)), None)


def _find_executable(path: str) -> str | None:
    suffixes = [""]
    if os.name == "nt":
        known = os.environ.get("PATHEXT", ".COM;.EXE;.BAT;.CMD").lower().split(";")
        suffixes = [""] if os.path.splitext(path)[1].lower() in known else known
    for suffix in suffixes:
        if os.path.isfile(path + suffix) and os.access(path + suffix, os.X_OK):
            return path + suffix
    return None


def python_probe(python: str, script: str) -> dict[str, Any]:
    """Arguments of `subprocess.run` with which a Python runs a few lines and imports nothing from the current folder.

    ``python -c`` looks there first: a ``json.py`` that came with a story would be run. Not by ``-I``, which also hides the
    packages of the user that some have ComfyUI's torch among, and not by ``-P``, which Python 3.10 does not have.
    """
    own_folder = os.path.dirname(os.path.abspath(python))
    return {
        "args": [python, "-c", f"import sys; sys.path[:] = filter(None, sys.path)\n{script}"],
        # An empty element of PYTHONPATH means the current folder, too: this one is as trusted as the program in it.
        "cwd": own_folder if os.path.isdir(own_folder) else None,
    }
