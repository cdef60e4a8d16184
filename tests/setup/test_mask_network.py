"""The segmentation network that continuity scores find people with."""

from __future__ import annotations

from pathlib import Path

import pytest

import install
from tests.setup.test_install import FakeSetup, make_checkout, run

NETWORK = Path("models", "videogen", "selfie_segmentation.tflite")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(install, "hand_over", lambda _: 0)
    monkeypatch.delenv("CI", raising=False)
    return make_checkout(tmp_path, monkeypatch)


def test_it_is_fetched_once_by_its_hash_for_any_machine(root: Path) -> None:
    _, first = run(root)
    assert (root / ".videogen" / "comfyui" / NETWORK).read_text() == "a network"
    assert not list(first.downloads.glob("mediapipe*"))
    assert not (root / ".videogen" / "mask_network.partial").exists()
    wanted = (root / ".videogen" / "mask_network.txt").read_text()
    assert wanted.startswith("mediapipe==0.10.14 --hash=sha256:")
    command = next(line for line in first.commands if "mask_network.txt" in line)
    assert "--platform manylinux2014_x86_64" in command
    assert "--no-deps" in command
    _, second = run(root)
    assert second.commands == []


def test_without_it_the_set_up_is_still_whole_but_not_under_ci(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = FakeSetup(root)
    setup.broken = {"mask_network.txt": "Error: no route to host"}
    assert install.main([], setup) == 0
    assert "continuity scores find characters by their colors: Error: no route to host" in setup.printed
    assert not (root / ".videogen" / "comfyui" / NETWORK).exists()
    monkeypatch.setenv("CI", "true")
    setup = FakeSetup(root)
    setup.broken = {"mask_network.txt": "Error: no route to host"}
    assert install.main([], setup) == 1
    assert "No selfie_segmentation.tflite; under CI" in capsys.readouterr().err
