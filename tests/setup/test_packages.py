"""Requirements as they are read, and what comes from apt or Playwright."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

import install
from runner.setup import apt, browser
from runner.setup.errors import CommandError
from runner.setup.requirements import read_dependencies, read_requirements
from tests.setup.test_install import PROJECT, FakeSetup, make_checkout, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def test_the_projects_own_dependencies_are_read() -> None:
    text = (PROJECT / "pyproject.toml").read_text("utf-8")
    assert "comfy-cli" in read_requirements("\n".join(read_dependencies(text, "dependencies")))
    assert "pytest" in read_requirements("\n".join(read_dependencies(text, "test")))
    if sys.version_info >= (3, 11):
        import tomllib

        project = tomllib.loads(text)["project"]
        assert read_dependencies(text, "dependencies") == project["dependencies"]
        assert read_dependencies(text, "test") == project["optional-dependencies"]["test"]


def test_requirements_are_read() -> None:
    text = "-r other.txt\n# a remark\n\nPillow>=11 # why\ncomfyui_frontend.Package==1\ntomli; python_version<'3.11'\n"
    assert read_requirements(text) == {
        "pillow": "Pillow>=11",
        "comfyui-frontend-package": "comfyui_frontend.Package==1",
    }


def test_without_chromium_the_browser_tests_are_skipped_but_not_under_ci(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "hand_over", lambda _: 0)
    monkeypatch.setattr(browser, "has_chromium", lambda: False)
    monkeypatch.delenv("CI", raising=False)
    status, setup = run(root, "--test", playwright="Error: no route to host")
    assert status == 0
    assert "the browser tests will be skipped: Error: no route to host !" in setup.printed
    monkeypatch.setenv("CI", "true")
    assert run(root, "--test", playwright="Error: no route to host")[0] == 1
    assert "under CI the browser tests must run" in capsys.readouterr().err


def test_apt_fetches_its_lists_when_it_must(root: Path) -> None:
    setup = FakeSetup(root)
    setup.broken = {"install": "E: Unable to locate package chromium"}
    with pytest.raises(CommandError, match="Unable to locate"):
        apt.apt_install(setup, "chromium")
    assert [line.split()[1] for line in setup.commands] == ["install", "update", "install"]


def test_debian_without_python3_venv(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert run(root)[0] == 1
    assert "apt-get install python3-venv" in capsys.readouterr().err
