"""What is committed: no paths of one machine, no files too long to read in one sitting, no formatter exceptions."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
MAX_LINES, MAX_MODULES = 400, 15


def committed_files() -> Iterator[Path]:
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listing = subprocess.run(git, cwd=PROJECT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    for name in filter(None, listing.decode().split("\0")):
        if (PROJECT / name).is_file():
            yield PROJECT / name


def test_no_file_names_a_path_of_one_machine() -> None:
    machine_path = re.compile(r"(?<![\w.:/-])/(?:work|root)/\w")
    named = []
    for path in committed_files():
        data = path.read_bytes()
        if b"\0" not in data and machine_path.search(data.decode("utf-8", "replace")):
            named.append(str(path.relative_to(PROJECT)))
    assert named == []


def python_files() -> list[Path]:
    return [path for path in committed_files() if path.suffix == ".py"]


def test_a_long_file_has_a_reason_in_the_architecture() -> None:
    reasons = (PROJECT / "docs" / "architecture.md").read_text(encoding="utf-8")
    long = {
        str(path.relative_to(PROJECT)): lines
        for path in python_files()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert {name: lines for name, lines in long.items() if f"`{name}`" not in reasons} == {}


def test_a_folder_is_not_too_full() -> None:
    modules: dict[str, int] = {}
    for path in python_files():
        if path.name not in ("__init__.py", "conftest.py"):
            folder = str(path.parent.relative_to(PROJECT))
            modules[folder] = modules.get(folder, 0) + 1
    assert {folder: count for folder, count in modules.items() if count > MAX_MODULES} == {}


def test_the_formatter_has_no_exceptions() -> None:
    exception = re.compile(r"#\s*fmt:\s*(?:skip|off)|#\s*yapf:")
    excepted = [
        str(path.relative_to(PROJECT))
        for path in python_files()
        if path != Path(__file__) and exception.search(path.read_text(encoding="utf-8"))
    ]
    assert excepted == []


#: A call that opens what strangers have written, or compares with what they have → the only file that makes it.
DOORS = {
    "Image.open": "custom_nodes/videogen/media/foreign/pictures.py",
    "av.open": "custom_nodes/videogen/media/foreign/containers.py",
    "cv2.imread": "",
    "cv2.imreadmulti": "",
    "cv2.VideoCapture": "",
    "torch.load": "custom_nodes/videogen/comfyui/attention/adapter_files.py",
    "pickle.load": "",
    "pickle.loads": "",
    "yaml.load": "custom_nodes/videogen/core/story/documents.py",
    "difflib.get_close_matches": "custom_nodes/videogen/core/similar_names.py",
}
#: Weights that the benchmarks download themselves.
BENCHMARKS = {"runner/bench/footage/mobilenet.py"}


def calls_in(source: str) -> set[str]:
    """The calls of a source that are of the form ``module.function()``."""
    functions = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return {
        f"{function.value.id}.{function.attr}"
        for function in functions
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
    }


def test_what_strangers_have_written_is_opened_at_one_door() -> None:
    elsewhere = {
        name: sorted(calls)
        for path in python_files()
        if (name := path.relative_to(PROJECT).as_posix()).startswith(("custom_nodes/", "runner/"))
        and name not in BENCHMARKS
        and (calls := {call for call in calls_in(path.read_text("utf-8")) if call in DOORS and DOORS[call] != name})
    }
    assert elsewhere == {}


def test_a_call_beside_the_door_is_found() -> None:
    assert calls_in("with Image.open(path) as image:\n    av.open(str(path)).close()") >= {"Image.open", "av.open"}
