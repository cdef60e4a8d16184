"""Nothing that lies in the current folder is run or imported, whatever the PATH says."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media import ffmpeg
from custom_nodes.videogen.media.programs import find_program, python_probe
from runner import doctor
from runner.comfyui.installation import Installation
from runner.setup.comfyui import existing

posix = pytest.mark.skipif(sys.platform == "win32", reason="scripts of the shell")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a user, with what came with a story. What is run there leaves a mark."""
    folder = tmp_path / "stories"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("ffmpeg", "nvidia-smi", "apt-get", "python3", "comfy"):
        make_program(folder / name, f"touch {folder}/sprung")
    for name in ("json", "torch", "importlib", "re", "pip"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'sprung')!r}, 'w')\n")
    return folder


def make_program(path: Path, script: str = "") -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@posix
@pytest.mark.parametrize("element", ["", ".", "./", "bin/..", "..//stories"])
@pytest.mark.parametrize("program", ["ffmpeg", "nvidia-smi", "apt-get", "python3"])
def test_a_path_that_means_the_current_folder_is_not_searched(
    trap: Path, monkeypatch: pytest.MonkeyPatch, element: str, program: str
) -> None:
    (trap / "bin").mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([element, "/nowhere"]))
    assert shutil.which(program), "else this proves nothing"
    assert find_program(program) is None
    ours = make_program(trap.parent / program)
    monkeypatch.setenv("PATH", os.pathsep.join([element, str(trap.parent), element]))
    assert find_program(program) == str(ours)


@posix
def test_only_what_can_be_run_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "ffmpeg").touch(mode=0o600)
    (tmp_path / "folder").mkdir()
    assert find_program("ffmpeg") is None
    assert find_program("folder") is None
    monkeypatch.chdir(tmp_path)
    make_program(tmp_path / "own")
    assert find_program("./own") == str(tmp_path / "own"), "one that the user has named by its place"


@posix
@pytest.mark.parametrize("element", ["", "."])
def test_ffmpeg_is_another_one(trap: Path, monkeypatch: pytest.MonkeyPatch, element: str) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([element, "/nowhere"]))
    ffmpeg.find_ffmpeg.cache_clear()
    monkeypatch.delenv("VIDEOGEN_FFMPEG", raising=False)
    try:
        assert Path(ffmpeg.find_ffmpeg()).is_absolute()
        ffmpeg.find_ffmpeg.cache_clear()
        monkeypatch.setenv("VIDEOGEN_FFMPEG", "ffmpeg")
        with pytest.raises(VideoGenError, match="which cannot be run"):
            ffmpeg.find_ffmpeg()
    finally:
        ffmpeg.find_ffmpeg.cache_clear()
    assert not (trap / "sprung").exists()


@pytest.mark.parametrize("path", [None, "", f"{os.pathsep}/nowhere"])
def test_a_python_that_is_asked_imports_nothing_from_here(
    trap: Path, monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    if path is not None:
        monkeypatch.setenv("PYTHONPATH", path)
    plain = [sys.executable, "-c", "import json"]
    subprocess.run(plain, check=False, capture_output=True)
    assert (trap / "sprung").exists(), "else this proves nothing"
    (trap / "sprung").unlink()
    subprocess.run(**python_probe(sys.executable, "import json, re"), check=True)
    assert "pytest" in existing.list_packages(sys.executable)
    assert not (trap / "sprung").exists()


def test_the_doctor_asks_torch_and_not_a_file_of_that_name(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Installation(trap, Path(sys.executable), (), "0.3.75")
    monkeypatch.setattr(doctor, "find_installation", lambda: found)
    assert doctor._comfyui()[0][1] == "ComfyUI"
    assert not (trap / "sprung").exists()


def test_no_child_process_is_started_by_a_bare_name() -> None:
    """A new one is an absolute path, or a variable that holds one."""
    project = Path(__file__).resolve().parents[2]
    found = []
    for folder in (project / "runner", project / "custom_nodes"):
        for path in folder.rglob("*.py"):
            found += [
                f"{path.name}: {word}"
                for word in ("shutil.which", '["apt-get', '["nvidia-smi', '["ffmpeg', '["pip"', '["python3')
                if word in path.read_text(encoding="utf-8")
            ]
    assert found == []
