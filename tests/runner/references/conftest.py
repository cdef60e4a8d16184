from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.state.run_directory import RunDirectory


@pytest.fixture
def directory(tmp_path: Path) -> Any:
    with RunDirectory(tmp_path / "run", "Garden") as opened:
        yield opened
