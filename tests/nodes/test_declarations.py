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


def test_our_nodes_say_what_the_runner_knows_of_earlier_packs(comfy_server: ComfyServer) -> None:
    assert {kind: found for kind, node in comfy_server.object_info.items() if (found := declared(node))} == UNDECLARED
