"""Tests that share a server are run by one process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.comfyui.installation import PROJECT
from runner.setup.comfyui.frontend import FRONTEND
from tests.support.groups import group_of, place_of


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/server/test_nodes.py::test_it", "server"),
        ("tests/server/runs/test_run.py::test_it[a]", "server"),
        ("tests/server/any_workflow/test_wan_templates.py::test_it", "wan"),
        ("tests/browser/test_layouts.py::test_it[own editor-on the canvas-preview]", "browser"),
        ("tests/browser/test_editor.py::test_it", "browser"),
        (f"tests/browser/test_layouts.py::test_it[editor {FRONTEND}-nodes 2.0-preview]", f"browser, editor {FRONTEND}"),
        ("tests/faults/test_soak.py::test_it", "faults"),
        ("tests/core/test_text.py::test_it[[editor]", "tests/core/test_text.py"),
        ("tests/test_docs.py::test_it", "tests/test_docs.py"),
    ],
)
def test_the_group_of_a_test(test: str, group: str) -> None:
    assert group_of(test) == group


def test_the_longest_groups_come_first() -> None:
    property_test = "tests/runner/property/test_property.py::a"
    tests = [
        "tests/core/test_text.py::a",
        property_test,
        "tests/faults/test_soak.py::a",
        "tests/server/test_nodes.py::a",
    ]
    assert sorted(tests, key=place_of) == tests[::-1]


def test_one_process_runs_a_group(tmp_path: Path) -> None:
    """What ``--dist loadgroup`` has stopped doing, without a word."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_xdist_make_scheduler\n")
    for room, file in (("browser", "test_a"), ("browser", "test_b"), ("faults", "test_c")):
        folder = tmp_path / "tests" / room
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{file}.py").write_text("".join(f"def test_{n}(): pass\n" for n in range(4)))
    options = ["-n", "2", "--dist", "loadscope", "--no-loadscope-reorder"]  # those of install.py
    command = [sys.executable, "-m", "pytest", "-v", *options, "-p", "no:cacheprovider"]
    path = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")} | {
        "PYTHONPATH": path
    }
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    ran = re.findall(r"\[(gw\d)\] \[ *\d+%\] PASSED tests/(\w+)/", ended.stdout)
    assert len(ran) == 12, ended.stdout + ended.stderr
    assert len({process for process, room in ran if room == "browser"}) == 1
    assert len({process for process, room in ran if room == "faults"}) == 1
