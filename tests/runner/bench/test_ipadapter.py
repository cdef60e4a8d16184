"""`videogen bench ipadapter`, tried out on a tiny UNet."""

from __future__ import annotations

import json

from tests.support.needs import require_comfy, require_diffusers

require_comfy()
require_diffusers()

from runner.bench.programs.adapted_steps import TINY
from runner.bench.programs.ipadapter import CASES, format_table, measure


def test_both_peers_do_the_same_and_are_measured() -> None:
    result = measure(TINY, "cpu", [2], rounds=1)
    cells = result["cells"]
    assert [(cell["adapter"], cell["people"], cell["frames"]) for cell in cells] == [
        (case.kind, case.people, 2) for case in CASES
    ]
    for cell in cells:
        assert cell["difference"] < 1e-5
        for who in ("videogen", "diffusers"):
            assert cell[who]["with_ms"] > 0
            assert cell[who]["extra_range_ms"][0] <= cell[who]["extra_ms"] <= cell[who]["extra_range_ms"][1]
            assert cell["peak_mb"][who] >= cell["peak_without_mb"][who] > 0
    assert json.loads(json.dumps(result)) == result
    assert len(format_table(result).splitlines()) == 2 + len(cells)
