"""Which build of torch a machine gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.setup import checks
from runner.setup.comfyui import torch_build
from runner.setup.comfyui.torch_build import choose_build, list_gpus
from tests.setup.test_install import make_checkout, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("gpus", "system", "reachable", "label", "index"),
    [
        ("", "Linux", True, "CPU build", "cpu"),
        ("", "Linux", False, "default build", ""),
        ("", "Windows", True, "CPU build", "cpu"),
        ("", "Darwin", True, "default build", ""),
        ("NVIDIA H200", "Linux", True, "default build", ""),
        ("NVIDIA GeForce", "Windows", True, "CUDA build", "cu130"),
    ],
)
def test_which_build_of_torch(gpus: str, system: str, reachable: bool, label: str, index: str) -> None:
    asked: list[str] = []
    assert choose_build(gpus, system, lambda url: asked.append(url) or reachable)[:2] == (label, index)
    assert asked in ([], ["https://download.pytorch.org/whl/cpu/torch/"])


def test_the_cpu_build_is_taken_from_its_index(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "can_reach", lambda _: True)
    _, setup = run(root)
    line = next(line for line in setup.commands if "torch==" in line)
    assert line.endswith(
        "--index-url https://download.pytorch.org/whl/cpu torch==2.11.0 torchvision==0.26.0 torchaudio==2.11.0"
    )
    assert run(root)[1].commands == []


def test_a_card_that_is_new_replaces_the_cpu_build(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "can_reach", lambda _: True)
    run(root)
    monkeypatch.setattr(torch_build, "list_gpus", lambda: "NVIDIA H200, 595.1")
    status, setup = run(root, **{"torch==": "stop here"})
    assert status == 1
    assert "uninstall -y torch torchvision torchaudio" in setup.commands[-2]
    assert "--index-url" not in setup.commands[-1]


def test_no_driver_no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_gpus() == ""
    if os.name != "nt":
        smi = tmp_path / "nvidia-smi"
        smi.write_text("#!/bin/sh\necho 'NVIDIA H200, 595.1'\nexit ${SMI_STATUS:-0}\n")
        smi.chmod(0o755)
        assert list_gpus() == "NVIDIA H200, 595.1"
        monkeypatch.setenv("SMI_STATUS", "9")
        assert list_gpus() == ""
