"""The soak test in small; tests/README.md has the command for all of it."""

from __future__ import annotations

from pathlib import Path

from tests.faults.soak import Plan, soak
from tests.faults.soak_faults import KINDS
from tests.support.servers.comfy import ComfyServer

SEED = 8


#: Every kind that the full soak wants, in small.
WANTED = {name: 1 for name, kind in KINDS.items() if kind.wanted} | {"runner killed": 2, "sockets cut": 5}


def test_six_segments_survive_random_faults(fault_server: ComfyServer, tmp_path: Path) -> None:
    plan = Plan(segments=6, seed=SEED, minutes=10, wanted=WANTED, every=(0.8, 1.6), sleep=0.2)
    summary = soak(plan, tmp_path, fault_server)
    assert summary["verified"] == 6
    assert summary["given_up"] == 0
    assert summary["film_identical"]
    for name, wanted in WANTED.items():
        assert summary["faults"][name] >= wanted
