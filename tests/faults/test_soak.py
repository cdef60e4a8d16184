"""The soak test in small; tests/README.md has the command for all of it."""

from __future__ import annotations

from pathlib import Path

from tests.faults.soak import Plan, soak
from tests.support.servers.comfy import ComfyServer

SEED = 8


def test_six_segments_survive_random_faults(fault_server: ComfyServer, tmp_path: Path) -> None:
    plan = Plan(
        segments=6, seed=SEED, minutes=4, server_kills=1, runner_kills=2, socket_cuts=5, every=(0.8, 1.6), sleep=0.2
    )
    summary = soak(plan, tmp_path, fault_server)
    assert summary["verified"] == 6
    assert summary["film_identical"]
    assert summary["faults"]["runner killed"] >= 2
