"""The newer editor that the browser tests also run with."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import install
from runner.setup.comfyui import archives, wheels
from runner.setup.comfyui.frontend import FRONTEND, FRONTEND_SHA256
from tests.setup.test_install import FakeSetup, make_checkout, make_editor, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install, "hand_over", lambda _: 0)
    monkeypatch.delenv("CI", raising=False)
    return make_checkout(tmp_path, monkeypatch)


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_tests_fetch_it_and_only_once(root: Path) -> None:
    folder = root / ".videogen" / "frontends"
    run(root)
    assert not folder.exists()
    _, first = run(root, "--test")
    # Without the source maps, which are two thirds of the package; the package itself is not kept beside it.
    assert files_in(folder) == {f"{FRONTEND}/index.html", f"{FRONTEND}/assets/index-1.js"}
    assert not list(first.downloads.glob("comfyui_frontend*"))
    (download,) = [line for line in first.commands if "frontend.txt" in line]
    assert "--require-hashes" in download
    assert (root / ".videogen" / "frontend.txt").read_text() == (
        f"comfyui-frontend-package=={FRONTEND} --hash=sha256:{FRONTEND_SHA256}\n"
    )
    _, second = run(root, "--test")
    assert second.commands == []


def test_without_it_the_tests_run_with_comfyuis_own_but_not_under_ci(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = {"frontend.txt": "Error: no route to host"}
    setup = FakeSetup(root)
    setup.broken = broken
    assert install.main(["--test"], setup) == 0
    assert "the browser tests run with ComfyUI's own editor only: Error: no route to host" in setup.printed
    monkeypatch.setenv("CI", "true")
    setup = FakeSetup(root)
    setup.broken = broken
    assert install.main(["--test"], setup) == 1
    assert f"No editor {FRONTEND}; under CI" in capsys.readouterr().err


@pytest.mark.parametrize("fault", ["no editor in it", "too many files", "outside", "no zip", "too large"])
def test_a_package_that_is_not_what_was_meant_leaves_nothing(
    root: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(root)
    setup = FakeSetup(root)

    def make_faulty(path: Path) -> None:
        make_editor(path)
        with zipfile.ZipFile(path, "a") as packed:
            if fault == "outside":
                packed.writestr("comfyui_frontend_package/static/../../../outside.js", "")
        if fault == "no editor in it":
            with zipfile.ZipFile(path, "w") as packed:
                packed.writestr("comfyui_frontend_package/__init__.py", "")
        if fault == "no zip":
            path.write_bytes(b"<html>log in to the hotel's network</html>")

    monkeypatch.setattr("tests.setup.test_install.make_editor", make_faulty)
    if fault == "too many files":
        monkeypatch.setattr(archives, "MAX_FILES", 3)
    if fault == "too large":
        monkeypatch.setattr(wheels, "MAX_ARCHIVE", 10)
    assert install.main(["--test"], setup) == 0
    assert "ComfyUI's own editor only" in setup.printed
    assert files_in(root / ".videogen" / "frontends") == set()
    assert not (root / "outside.js").exists()
