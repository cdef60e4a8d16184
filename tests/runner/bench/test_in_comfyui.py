"""How `videogen bench` starts its programs: with ComfyUI's Python, out of the package, without the tests."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner import cli
from runner.bench import in_comfyui
from runner.bench.in_comfyui import bench_in_comfyui
from runner.comfyui.installation import PROJECT, Installation

COMFYUI = Installation(Path("comfyui"), Path("their-python"), ("--cpu",), "0.3.75")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], Path]]:
    """Commands that were started, and where; each ends with status 3."""
    commands: list[tuple[list[str], Path]] = []

    def run(command: list[str], *, cwd: Path, check: bool) -> SimpleNamespace:
        assert not check
        commands.append((command, cwd))
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(in_comfyui.subprocess, "run", run)
    monkeypatch.setattr(in_comfyui, "find_installation", lambda: COMFYUI)
    return commands


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("ipadapter --frames 1 --rounds 1", ["--device", "cpu", "--frames", "1", "--rounds", "1"]),
        ("frames --parts anchor --rounds 1", ["--device", "cpu", "--parts", "anchor", "--rounds", "1"]),
        ("continuity --calibrate", ["--calibrate"]),
        ("thermal --rounds 1 --steps 5", ["--device", "cpu", "--rounds", "1", "--steps", "5"]),
    ],
)
def test_a_subject_is_a_program_in_the_package(
    started: list[tuple[list[str], Path]], command: str, options: list[str]
) -> None:
    subject = command.split()[0]
    assert cli.main(["bench", *command.split()]) == 3, "the program's status"
    assert started == [(["their-python", "-m", f"runner.bench.programs.{subject}", *options], PROJECT)]
    assert importlib.util.find_spec(f"runner.bench.programs.{subject}") is not None


def test_without_a_comfyui_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("VIDEOGEN_INSTALL_FILE", raising=False)
    monkeypatch.setattr("runner.comfyui.installation.INSTALL_FILE", tmp_path / "install.json")
    with pytest.raises(VideoGenError, match=r"install\.py") as caught:
        bench_in_comfyui("thermal", [])
    assert caught.value.code == "not-installed"


def test_nothing_of_the_package_imports_the_tests() -> None:
    found = []
    for path in [*(PROJECT / "runner").rglob("*.py"), *(PROJECT / "custom_nodes" / "videogen").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            found += [f"{path}: {name}" for name in names if name.split(".")[0] == "tests"]
    assert found == []


def test_the_command_line_loads_no_torch() -> None:
    code = "import sys, runner.cli; print([m for m in ('torch', 'comfy', 'diffusers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
