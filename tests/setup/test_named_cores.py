"""ComfyUIs that VIDEOGEN_COMFYUI_DIRS names: the tests use copies of them, and never write into them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.installation import INSTALL_VARIABLE, find_installation
from runner.setup.errors import SetupError
from runner.setup.workspace import python_of
from tests.cores import named
from tests.cores.__main__ import Figures, read_figures
from tests.setup.test_install import PROJECT, make_comfyui


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> named.Core:
    """A ComfyUI of a user, with models, packs and outputs of theirs, named beside one that is gone."""
    folder = make_comfyui(tmp_path / "theirs" / "ComfyUI", "0.33.0")
    for name in ("comfy/sd.py", "comfy/__pycache__/sd.pyc", "models/checkpoints/large.safetensors", "output/film.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "custom_nodes" / "other_pack").mkdir()
    (folder / "custom_nodes" / "other_pack" / "__init__.py").touch()
    python = python_of(folder.parent / "venv")
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setenv(named.NAMED, str(folder))
    return named.find_core(folder)


def test_a_named_core_has_its_version_and_the_python_beside_it(core: named.Core) -> None:
    assert named.named_folders() == [core.folder]
    assert (core.version, core.python) == ("0.33.0", python_of(core.folder.parent / "venv"))


def test_a_copy_has_the_program_and_our_pack_and_nothing_of_the_users(core: named.Core, tmp_path: Path) -> None:
    before = files_below(core.folder)
    copied = named.copy_core(core, tmp_path / "copy")
    assert (copied.folder, copied.python) == (tmp_path / "copy", core.python)
    assert (copied.folder / "comfy" / "sd.py").read_text() == "comfy/sd.py"
    assert (copied.folder / "models" / "checkpoints").is_dir()
    assert (copied.folder / "custom_nodes" / "videogen").samefile(named.PACK)
    assert sorted(path.name for path in (copied.folder / "custom_nodes").iterdir()) == ["example.py", "videogen"]
    for name in ("comfy/__pycache__", "models/checkpoints/large.safetensors", "output/film.mp4"):
        assert not (copied.folder / name).exists(), name
    (copied.folder / "comfy" / "sd.py").write_text("changed")
    assert files_below(core.folder) == before


def test_its_record_is_what_runner_and_tests_find(
    core: named.Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = named.copy_core(core, tmp_path / "copy")
    record = named.write_record(copied, tmp_path / "install.json", ["--cpu", "--front-end-root", "/a/static"])
    monkeypatch.setenv(INSTALL_VARIABLE, str(record))
    found = find_installation()
    assert (found.comfyui, found.python, found.version) == (tmp_path / "copy", core.python, "0.33.0")
    assert found.arguments == ("--cpu", "--front-end-root", "/a/static")


def test_a_folder_without_a_comfyui_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"VIDEOGEN_COMFYUI_DIRS names .*, which has no ComfyUI"):
        named.find_core(tmp_path)


def test_a_python_that_lacks_packages_of_the_tests_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named.packages_lacking(Path(sys.executable)) == []
    monkeypatch.setattr(named, "list_packages", lambda _: {"numpy": "2.4.6", "pytest": "9.2.0"})
    lacking = named.packages_lacking(Path(sys.executable))
    assert any(requirement.startswith("msgspec>=") for requirement in lacking)
    assert not [requirement for requirement in lacking if requirement.startswith(("numpy", "pytest>"))]


def test_figures_are_those_of_pytest(tmp_path: Path) -> None:
    source = (
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b(): pass\n"
        "def test_c(): assert 0\n"
        "def test_d(missing): pass\n"
        "def test_e(): pytest.skip('no card')\n"
    )
    (tmp_path / "test_x.py").write_text(source)
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", str(tmp_path / "test_x.py")]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert str(read_figures(report, 1.6)) == "2 passed, 2 failed, 1 skipped, 2 s"
    assert read_figures(tmp_path / "none.xml", 0.0) == Figures(1, 1, 0, 0.0), "nothing ran"


def test_without_a_named_core_it_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cores"], cwd=PROJECT, env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "VIDEOGEN_COMFYUI_DIRS names no ComfyUI" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "VIDEOGEN_INSTALL_FILE names .*install.json, which does not exist"), ("[]", "install.json cannot be read")],
)
def test_a_record_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    record = tmp_path / "install.json"
    if text is not None:
        record.write_text(text)
    monkeypatch.setenv(INSTALL_VARIABLE, str(record))
    with pytest.raises(VideoGenError, match=message) as caught:
        find_installation()
    assert caught.value.code == "not-installed"
    record.write_text(json.dumps({"comfyui": str(tmp_path), "python": sys.executable, "args": [], "version": "1"}))
    with pytest.raises(VideoGenError, match=r"main\.py is missing, though install\.json names it"):
        find_installation()
