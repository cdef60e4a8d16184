"""One install.py at a time, the commands it runs, and what it says of those that fail."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.setup.console import Console
from runner.setup.errors import CommandError, SetupError, explain
from runner.setup.workspace import Workspace
from tests.setup.test_install import FakeSetup, make_checkout, run


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_checkout(tmp_path, monkeypatch)


def test_two_at_the_same_time(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeSetup(root).lock():
        assert run(root)[0] == 1
    assert f"Another install.py (process {os.getpid()})" in capsys.readouterr().err
    assert run(root)[0] == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows children do not inherit the lock")
def test_a_pip_that_outlives_install_py_keeps_the_lock(root: Path) -> None:
    setup = Workspace(root, Console(io.StringIO()))
    with setup.lock():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[setup.lock_file])
    with pytest.raises(SetupError, match="or a pip that it started"), setup.lock():
        pass
    child.communicate(b"\n")
    with setup.lock():
        pass


def test_a_command_leaves_its_output_in_the_log(root: Path) -> None:
    setup = Workspace(root, Console(io.StringIO()))
    with setup.lock():
        assert setup.run_command([sys.executable, "-c", "print('fine')"]).strip() == "fine"
        with pytest.raises(CommandError, match="ERROR: it broke"):
            setup.run_command([sys.executable, "-c", "print('noise'); exit('ERROR: it broke')"])
    assert "noise" in setup.log.read_text()
    assert not (setup.folder / "tmp").exists()


def test_what_a_killed_pip_left_half_written_is_forgotten(root: Path) -> None:
    _, setup = run(root)
    half, whole = setup.add_package("half", "1", whole=False), setup.add_package("whole", "1")
    setup.pip("check")
    assert not half.exists()
    assert whole.exists()


@pytest.mark.parametrize(
    ("output", "reason", "hint"),
    [
        ("Collecting x\nERROR: [Errno 28] No space left on device\n", "ERROR: [Errno 28] No space", "Free some space"),
        (
            "WARNING: Retrying: NewConnectionError\nERROR: No matching distribution found for torch==2.11.0",
            "No matching distribution",
            "Check the connection",
        ),
        ("ERROR: No matching distribution found for torch==2.11.0", "No matching", "Python 3.10 to 3.14"),
        ("one\ntwo\n\n[notice] A new release of pip\n", "one\ntwo", ""),
        ("", "it printed nothing", ""),
    ],
)
def test_a_failed_command_is_explained(output: str, reason: str, hint: str) -> None:
    why, what_helps = explain(output)
    assert reason in why
    assert hint in what_helps
    assert "[notice]" not in why


def test_a_terminal_that_cannot_write_the_marks() -> None:
    raw = io.BytesIO()
    console = Console(io.TextIOWrapper(raw, encoding="ascii"))
    console.begin("torch")
    console.finish("✓", "")
    assert re.fullmatch(rb"  torch \.\.\. \d+\.\d s ok\r?\n", raw.getvalue())
