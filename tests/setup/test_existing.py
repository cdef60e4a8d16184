"""A ComfyUI that is there: only what the pack lacks goes into its Python."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from runner.setup.comfyui import existing
from runner.setup.comfyui.existing import find_python, inspect_comfyui
from runner.setup.errors import SetupError
from runner.setup.workspace import python_of
from tests.setup.test_install import make_checkout, make_comfyui, record, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ComfyUI with its own Python, which has torch and no imageio-ffmpeg."""
    comfyui = make_comfyui(tmp_path / "theirs")
    python = python_of(comfyui / "venv")
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(existing, "list_packages", lambda _: {"torch": "2.9.1+cu128", "pyyaml": "5.1", "pip": "24.0"})
    return comfyui


def test_only_what_the_pack_lacks_goes_into_their_python(root: Path, theirs: Path) -> None:
    run(root, "--comfyui", str(theirs))
    line = next(line for line in run(root, "--comfyui", str(theirs))[1].commands if "existing" in line)
    assert line.startswith(str(python_of(theirs / "venv")))
    assert line.endswith("-c .videogen/constraints-existing.txt imageio-ffmpeg>=0.6,<1")
    pins = (root / ".videogen/constraints-existing.txt").read_text()
    assert "pyyaml==5.1\n" in pins
    assert "torch==2.9.1+cu128\n" in pins


def test_their_comfyui_is_kept_until_it_is_given_up(
    root: Path, theirs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {"torch": "2.9.1", "pyyaml": "6.0", "imageio-ffmpeg": "0.6.0"}
    monkeypatch.setattr(existing, "list_packages", lambda _: everything)
    status, setup = run(root, "--comfyui", str(theirs))
    assert status == 0
    assert not [line for line in setup.commands if "torch==" in line], "the runner's environment has no torch"
    found = record(root)
    assert (found["comfyui"], found["source"]) == (str(theirs), "existing")
    assert found["python"] == str(python_of(theirs / "venv"))
    assert (theirs / "custom_nodes/videogen").samefile(root / "custom_nodes/videogen")
    status, setup = run(root)
    assert (status, setup.commands) == (0, [])
    assert f"Using the ComfyUI in {theirs}, as last time" in capsys.readouterr().err
    assert run(root, "--embedded")[0] == 0
    assert record(root)["comfyui"] == str(root / ".videogen/comfyui")
    assert run(root)[1].commands == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shutil.rmtree, "theirs does not exist"),
        (lambda folder: (folder / "main.py").unlink(), "is not a ComfyUI, it has no main.py"),
        (lambda folder: make_comfyui(folder, "0.3.40"), "is ComfyUI 0.3.40; the pack needs 0.3.75 or newer"),
        (lambda folder: (folder / "comfyui_version.py").unlink(), "has no comfyui_version.py, so it is an old"),
        (lambda folder: shutil.rmtree(folder / "venv"), "Cannot tell which Python"),
    ],
)
def test_a_comfyui_that_will_not_do(
    root: Path, theirs: Path, capsys: pytest.CaptureFixture[str], spoil, message: str
) -> None:
    spoil(theirs)
    status, setup = run(root, "--comfyui", str(theirs))
    assert (status, setup.commands) == (1, [])
    said = capsys.readouterr().err
    assert message in said
    assert "What to do: " in said


@pytest.mark.parametrize(
    ("python", "message"), [("/nowhere/python", "cannot be started"), ("git", "does not answer like a Python")]
)
def test_a_python_that_is_none(tmp_path: Path, python: str, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        inspect_comfyui(str(make_comfyui(tmp_path)), python)


def test_a_python_without_torch_is_not_comfyuis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existing, "list_packages", lambda _: {"aiohttp": "3"})
    with pytest.raises(SetupError, match="has no torch"):
        inspect_comfyui(str(make_comfyui(tmp_path)), sys.executable)


def test_the_packages_of_this_python() -> None:
    assert "pytest" in existing.list_packages(sys.executable)


@pytest.mark.parametrize("place", ["ComfyUI/venv", "ComfyUI/.venv", "venv"])
def test_their_python_is_found(tmp_path: Path, place: str) -> None:
    python = python_of(tmp_path / place)
    python.parent.mkdir(parents=True)
    python.touch()
    assert find_python(tmp_path / "ComfyUI") == str(python)


def test_the_portable_windows_python_is_found(tmp_path: Path) -> None:
    python = tmp_path / "python_embeded" / "python.exe"
    python.parent.mkdir()
    python.touch()
    assert find_python(tmp_path / "ComfyUI") == str(python)
