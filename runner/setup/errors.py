"""Errors of the set-up, each with a hint that a user can act on."""

from __future__ import annotations

import platform
import re

from .versions import TORCH

NETWORK_HINT = (
    "Check the connection. Behind a proxy set HTTPS_PROXY; for a mirror of the package index set PIP_INDEX_URL "
    "(`python3 -m pip config list` shows what pip uses)."
)
# Pattern in a command's output → hint. The first match counts: after a network failure pip finds "no matching distribution" too.
HINTS = {
    r"No space left on device|Errno 28|not enough space": "Free some space on the disk of .videogen/.",
    r"name resolution|getaddrinfo|NewConnectionError|Connection refused|Max retries|ProxyError|timed out|unreachable"
    r"|CERTIFICATE_VERIFY_FAILED|Could not resolve|Failed to fetch": NETWORK_HINT,
    r"(No matching distribution|satisfies the requirement)[^\n]*\btorch": (
        f"torch {TORCH['torch']} exists for Python 3.10 to 3.14 on Linux, Windows and Macs with Apple silicon; this is "
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}. Delete .videogen/venv and use "
        "another Python, or give a ComfyUI that already works: --comfyui PATH."
    ),
    r"externally-managed-environment": "Give the Python of a virtual environment that runs this ComfyUI: --python EXE.",
    r"Permission denied|Access is denied": "Check who owns what is named above, and that no program is using it.",
}


class SetupError(Exception):
    """An error that a user can act on: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class CommandError(SetupError):
    """A command that failed. Its complete output is in the log."""


class Skipped(Exception):
    """A step failed that the others do not need."""


def explain(output: str) -> tuple[str, str]:
    """The lines of a failed command's output that say why, and what helps."""
    lines = [line.strip()[:300] for line in output.splitlines() if line.strip() and "[notice]" not in line]
    errors = [line for line in lines if re.match(r"(ERROR|E|error|fatal|\w*Error)\b ?:", line)]
    hint = next((hint for pattern, hint in HINTS.items() if re.search(pattern, output)), "")
    return "\n".join(errors[-3:] or lines[-4:] or ["it printed nothing"]), hint
