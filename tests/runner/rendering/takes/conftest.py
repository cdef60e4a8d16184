from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.comfyui.outcome import Outcome
from tests.runner.rendering.takes.scripted_run import Run, ScriptedServer


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    def make(scores: dict[int, Sequence[float | Outcome]], takes: int = 3, **more: Any) -> Run:
        return Run(tmp_path / "run", ScriptedServer(tmp_path / "server", scores, **more), takes)

    return make
