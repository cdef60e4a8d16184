"""Some hundred changed inputs of every fuzz target; `fuzz.py` runs them for as long as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .fuzz import TARGETS, feed

#: Inputs of each target in a test run: a few seconds.
INPUTS = {"workflow": 60, "video": 60, "picture": 200, "object-info": 60, "journal": 150}


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_is_read_or_refused(target: str, tmp_path: Path) -> None:
    for seed in range(INPUTS.get(target, 300)):
        feed(target, seed, tmp_path)
