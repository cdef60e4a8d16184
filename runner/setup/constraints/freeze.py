"""Write the constraints file of this Python and its ComfyUI: the exact versions that are installed in .videogen/venv.

  .videogen/venv/bin/python -m runner.setup.constraints.freeze

install.py installs these versions instead of the newest ones in the ranges of pyproject.toml, so that no new release of
another project can break a set-up. CONTRIBUTING.md tells when to renew the files. They leave out torch and the packages that
come with its builds, which differ between machines: versions.py pins torch.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from ..errors import SetupError
from ..requirements import canonical, constraints_path, read_dependencies, read_requirements
from ..versions import read_version

ROOT = Path(__file__).resolve().parents[3]
#: This project, a new virtual environment's own packages, and those of a build of torch. NVML's bindings are none of these.
LEFT_OUT = re.compile(
    r"videogen|pip|setuptools|wheel|torch|torchvision|torchaudio|(pytorch-)?triton.*|cuda-.*|nvidia-(?!ml-py$).*"
)


def pin(installed: dict[str, str]) -> str:
    """The text of a constraints file for {canonical name: version}: one ``name==version`` a line, sorted."""
    pins = {name: version.partition("+")[0] for name, version in installed.items() if not LEFT_OUT.fullmatch(name)}
    return "".join(f"{name}=={version}\n" for name, version in sorted(pins.items()))


def list_needed(root: Path) -> set[str]:
    """Names of the packages without which an environment is not complete: the runner's, the tests', the extras' and ComfyUI's."""
    pyproject = (root / "pyproject.toml").read_text("utf-8")
    requirements = [*read_dependencies(pyproject, "dependencies"), *read_dependencies(pyproject, "test")]
    requirements += read_dependencies(pyproject, "diffusers")
    theirs = root / ".videogen" / "comfyui" / "requirements.txt"
    if not theirs.exists():
        raise SetupError("There is no ComfyUI in .videogen/.", "Run python3 install.py --newest --test first.")
    return {*read_requirements("\n".join(requirements)), *read_requirements(theirs.read_text("utf-8"))}


def freeze(root: Path, installed: dict[str, str], python: str) -> Path:
    """Write the constraints file of a Python ("3.11") and the ComfyUI in .videogen/.

    Raises:
        SetupError: packages are missing, so that the file would be incomplete.
    """
    if missing := sorted(list_needed(root) - set(installed)):
        raise SetupError(
            f"{sys.executable} has no {', '.join(missing)}.",
            "Run this with the Python in .videogen/venv, after python3 install.py --newest --test.",
        )
    path = constraints_path(root, python, read_version(root / ".videogen" / "comfyui"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(pin(installed), "utf-8")
    return path


def main() -> int:
    installed = {canonical(found.metadata["Name"]): found.version for found in metadata.distributions()}
    try:
        path = freeze(ROOT, installed, f"{sys.version_info[0]}.{sys.version_info[1]}")
    except SetupError as error:
        print(f"{error}\nWhat to do: {error.hint}", file=sys.stderr)
        return 1
    print(f"{path.relative_to(ROOT)}: {len(path.read_text('utf-8').splitlines())} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
