from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runner.rendering.fleet.scripted_fleet import Run, without_files
from tests.runner.rendering.job_makers import MakeJobs
from tests.support.stories import small_story


@pytest.fixture
def make_run(make_jobs: MakeJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Run]:
    """A run of a story with so many segments, whose seeds are 100 plus their numbers."""
    without_files(monkeypatch)
    return lambda segments: Run(tmp_path / "run", make_jobs(story=small_story("Fleet", segments=segments)))
