"""Packages that only these nodes need, imported on first use."""

from __future__ import annotations

import importlib
import re
from typing import Any

from ..core.errors import VideoGenError

#: The oldest diffusers with these pipelines.
OLDEST = (0, 36)
#: How the packages are installed.
INSTALL_HINT = (
    "Install them with `python3 install.py --with diffusers`, or into the Python of your ComfyUI:"
    ' pip install "diffusers>=0.36,<0.43" accelerate peft ftfy'
)


def need_package(name: str, what: str = "the diffusers nodes", hint: str = INSTALL_HINT) -> Any:
    """Import a package.

    Args:
        what: needs it.

    Raises:
        VideoGenError: `package-missing`.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = getattr(error, "name", None) or name
        reason = "" if missing.partition(".")[0] == name else f" ({str(error).splitlines()[0]})"
        raise VideoGenError(
            "package-missing", f"{what} need the package {name}, which is not installed{reason}", hint
        ) from None


def need_diffusers() -> Any:
    """diffusers, in a version that has the pipelines.

    Raises:
        VideoGenError: `package-missing`.
    """
    diffusers = need_package("diffusers")
    found = tuple(int(number) for number in re.findall(r"\d+", diffusers.__version__)[:2])
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise VideoGenError(
            "package-missing",
            f"the diffusers nodes need diffusers {oldest} or newer, and {diffusers.__version__} is installed",
            f'pip install "diffusers>={oldest}", into the Python of your ComfyUI; install.py leaves what is there as it is.',
        )
    return diffusers
