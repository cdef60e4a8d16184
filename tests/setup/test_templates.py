"""The templates that tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

import install
from runner.setup.comfyui.templates import TEMPLATES, TEMPLATES_SHA256, templates_in
from tests.setup.test_install import FakeSetup, make_checkout, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install, "hand_over", lambda _: 0)
    monkeypatch.delenv("CI", raising=False)
    return make_checkout(tmp_path, monkeypatch)


def test_only_tests_fetch_them_and_only_once(root: Path) -> None:
    folder = templates_in(root / ".videogen")
    run(root)
    assert not folder.exists()
    _, first = run(root, "--test")
    assert [path.name for path in folder.iterdir()] == ["video_wan2_2_14B_t2v.json"]
    assert not list(first.downloads.glob("comfyui_workflow_templates*"))
    assert (root / ".videogen" / "templates.txt").read_text() == (
        f"comfyui-workflow-templates-json=={TEMPLATES} --hash=sha256:{TEMPLATES_SHA256}\n"
    )
    _, second = run(root, "--test")
    assert second.commands == []


def test_without_them_their_tests_are_skipped_but_not_under_ci(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = FakeSetup(root)
    setup.broken = {"templates.txt": "Error: no route to host"}
    assert install.main(["--test"], setup) == 0
    assert "the tests that read them are skipped: Error: no route to host" in setup.printed
    assert not templates_in(root / ".videogen").exists()
    monkeypatch.setenv("CI", "true")
    setup = FakeSetup(root)
    setup.broken = {"templates.txt": "Error: no route to host"}
    assert install.main(["--test"], setup) == 1
    assert f"No templates {TEMPLATES}; under CI" in capsys.readouterr().err
