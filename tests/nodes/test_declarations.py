"""What nodes declare as changing no frame, as the server tells it: segments' keys leave it out."""

from __future__ import annotations

from typing import Any

import pytest

from runner.rendering.keys.dataflow import CHANGES, PASSES, UNDECLARED, read_options
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server


def declared(node: dict[str, Any]) -> dict[str, Any]:
    """Input → what it declares."""
    inputs = {**node["input"].get("required", {}), **node["input"].get("optional", {})}
    said = {
        name: {key: value for key, value in read_options(spec).items() if key in (PASSES, CHANGES)}
        for name, spec in inputs.items()
    }
    return {name: options for name, options in said.items() if options}


#: Nodes that no pack had which did not say it: the runner takes their word only.
SINCE: dict[str, dict[str, dict[str, Any]]] = {
    "VideoGenGuardPipeline": {
        "pipeline": {PASSES: 0},
        **{name: options for name, options in UNDECLARED["VideoGenGuardModel"].items() if name != "model"},
    },
    "VideoGenDiffusersLoader": {"offload": {CHANGES: []}, "afterwards": {CHANGES: []}, "download": {CHANGES: []}},
}


def test_our_nodes_say_what_the_runner_knows_of_earlier_packs(comfy_server: ComfyServer) -> None:
    found = {kind: said for kind, node in comfy_server.object_info.items() if (said := declared(node))}
    assert found == {**UNDECLARED, **SINCE}
