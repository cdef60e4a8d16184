"""Names and requirements of packages, as the files of Python projects write them."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import SetupError


def canonical(name: str) -> str:
    """A package's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints_path(root: Path, python: str, comfyui: str) -> Path:
    """The file with the tested version of each package for a Python ("3.11") and a ComfyUI, which may not exist."""
    return root / "runner" / "setup" / "constraints" / f"comfyui-{comfyui}-python-{python}.txt"


def read_requirements(text: str) -> dict[str, str]:
    """{canonical name: requirement} of a requirements file; without those for some platforms only."""
    found = {}
    for line in text.splitlines():
        requirement = re.sub(r"(^|\s)#.*", "", line).strip()
        name = re.match(r"[A-Za-z0-9][\w.-]*", requirement)
        if name and ";" not in requirement:
            found[canonical(name[0])] = requirement
    return found


def read_dependencies(pyproject: str, key: str) -> list[str]:
    """A list of requirements out of pyproject.toml. By hand, because Python 3.10 has no tomllib."""
    found = re.search(rf"^{key} *= *\[\n(.*?)^\]", pyproject, re.DOTALL | re.MULTILINE)
    if not found:
        raise SetupError(f"pyproject.toml has no list `{key} = [` with one requirement a line.")
    return re.findall(r'^\s*"([^"]+)"', found[1], re.MULTILINE)
