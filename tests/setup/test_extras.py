"""Packages that only some nodes need, with a scripted pip."""

from __future__ import annotations

from pathlib import Path

import pytest

import install
from tests.setup.test_install import make_checkout, record, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def test_packages_that_only_some_nodes_need_come_on_request_and_after_torch(root: Path) -> None:
    _, setup = run(root)
    assert "diffusers" not in setup.list_installed()
    status, setup = run(root, "--with", "diffusers")
    assert status == 0
    (line,) = [line for line in setup.commands if " install " in line]
    assert line.endswith("-r .videogen/extras.txt")
    assert "-c .videogen/constraints.txt" in line, "which keep torch as it is"
    assert {"diffusers", "peft"} <= set(setup.list_installed())
    assert record(root)["extras"] == ["diffusers"]
    assert run(root)[1].commands == [], "and are remembered"
    (root / ".videogen/venv/site-packages/peft-1.0.dist-info/INSTALLER").unlink()
    assert [line for line in run(root)[1].commands if "extras.txt" in line]


def test_in_a_fresh_set_up_they_come_last(root: Path) -> None:
    run(root, "--with", "diffusers")
    steps = list(record(root)["steps"])
    assert steps.index("torch") < steps.index("requirements") < steps.index("extras")


def test_no_other_packages_can_be_asked_for() -> None:
    with pytest.raises(SystemExit) as caught:
        install.parse(["--with", "anything"])
    assert caught.value.code == 2
