"""The same probe against every ComfyUI that can be had: it works the same, or says in one sentence why not.

The installed one is always there. Others are found in ``.videogen/compat/*`` and in the folders that the environment
variable VIDEOGEN_COMFYUI_DIRS names (separated as in PATH): each a folder with ComfyUI's ``comfy`` in it, run with the
Python of a virtual environment in it or beside it, else with that of these tests, without ComfyUI's server.
``python -m tests.cores`` runs all tests of this kind there.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import require_comfy

INSTALLATION = require_comfy()

from custom_nodes.videogen.comfyui import core_features
from runner.comfyui.installation import PROJECT
from runner.setup.comfyui.existing import find_python
from runner.setup.errors import SetupError
from runner.setup.versions import COMFYUI_AT_LEAST
from tests.cores.named import named_folders

PROBE = PROJECT / "tests" / "support" / "models" / "core_probe.py"
#: Between one ComfyUI's numbers and another's, in relative L2: they reorder sums now and then.
SAME = 1e-3
#: What acts must change a prediction by at least so much, in relative L2.
DIFFERENT = 1e-2


def other_folders() -> list[Path]:
    """The ComfyUIs in addition to the installed one."""
    return [*sorted((PROJECT / ".videogen" / "compat").glob("*")), *named_folders()]


def python_for(folder: Path) -> str:
    """Its own Python, else ours."""
    try:
        return find_python(folder)
    except SetupError:
        return sys.executable


def run_probe(folder: Path) -> dict[str, Any]:
    """What `core_probe` finds out about a ComfyUI."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    python = sys.executable if folder == INSTALLATION.comfyui else python_for(folder)
    done = subprocess.run(
        [python, str(PROBE), str(folder)],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("PROBE ")]
    assert lines, f"{folder}:\n{done.stderr[-3000:]}"
    return json.loads(lines[0].removeprefix("PROBE "))


@pytest.fixture(scope="module")
def installed() -> dict[str, Any]:
    return run_probe(INSTALLATION.comfyui)


def _distance(one: list[float], other: list[float]) -> float:
    return math.dist(one, other) / math.hypot(*other)


def test_the_installed_comfyui_has_all_that_is_needed(installed: dict[str, Any]) -> None:
    assert (installed["lacks"], installed["refusal"], installed["unloadable"]) == ([], "", "")
    assert {"VideoGenIPAdapterLoader", "VideoGenApplyIPAdapter"} <= set(installed["nodes"])
    for family in ("SD 1.5", "SDXL"):
        found = {
            name: installed["predictions"][f"{family} {name}"] for name in ("none", "plain", "half", "style", "late")
        }
        assert found["late"] == found["none"], "something acts outside start and end"
        for name in ("plain", "half", "style"):
            assert _distance(found[name], found["none"]) > DIFFERENT


@pytest.mark.parametrize("folder", other_folders(), ids=lambda folder: folder.name)
def test_another_comfyui_gives_the_same_or_says_why_not(folder: Path, installed: dict[str, Any]) -> None:
    found = run_probe(folder)
    if found["unloadable"]:
        # Without today's node schema no pack of today can be loaded; the runner refuses such a server by its version.
        assert "comfy_api" in found["unloadable"]
        assert found["refusal"]
    elif found["refusal"]:
        assert _version(found["version"]) < _version(COMFYUI_AT_LEAST), found["refusal"]
        _assert_one_sentence(found["refusal"], found["version"])
    else:
        assert found["predictions"].keys() == installed["predictions"].keys()
        distances = {
            name: _distance(found["predictions"][name], installed["predictions"][name]) for name in found["predictions"]
        }
        assert max(distances.values()) < SAME, distances


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3])


def _assert_one_sentence(refusal: str, version: str) -> None:
    code, _, sentence = refusal.partition(": ")
    assert code == "core-unsupported"
    assert "\n" not in sentence
    assert f"this ComfyUI ({version}) lacks " in sentence
    assert core_features.TESTED_VERSION in sentence


@pytest.mark.parametrize("feature", core_features.NEEDED)
def test_a_comfyui_that_lacks_something(feature: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each feature by itself, taken away from the installed one."""
    from custom_nodes.videogen.core.errors import VideoGenError

    def raises() -> bool:
        raise TypeError("an argument that this ComfyUI does not know")

    for check in (lambda: False, raises):
        monkeypatch.setitem(core_features.NEEDED, feature, check)
        core_features._missing_once.cache_clear()
        with pytest.raises(VideoGenError) as caught:
            core_features.require_core()
        _assert_one_sentence(f"{caught.value.code}: {caught.value.message}", INSTALLATION.version)
        assert feature in caught.value.message
    monkeypatch.undo()
    core_features._missing_once.cache_clear()
    core_features.require_core()
