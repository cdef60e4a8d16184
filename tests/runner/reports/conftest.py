"""Fixtures of the report's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.reports.run_page import Run
from tests.support.stories import small_story


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path / "run", small_story("A Tree", segments=4), command="videogen run story.json --out run")
    yield made
    made.journal.close()
