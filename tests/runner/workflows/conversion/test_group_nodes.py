"""Group nodes that cannot be unfolded are named, with the reason; the others are among the small workflows."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.workflows.workflow import Workflow, convert_workflow
from tests.support.graphs.conversions import schemas, small_workflows

INFO = schemas()


def group_node() -> dict[str, Any]:
    return json.loads(json.dumps(small_workflows()["group_node_with_inputs"].workflow))


def refusal(ui: dict[str, Any]) -> str:
    with pytest.raises(VideoGenError) as caught:
        convert_workflow(Workflow(Path("film.json"), ui, None), INFO)
    assert caught.value.code == "workflow-invalid"
    assert "convert the group node to nodes" in caught.value.hint
    return caught.value.message


def test_two_of_one_kind_have_values_of_their_own() -> None:
    ui = group_node()
    other = json.loads(json.dumps(next(node for node in ui["nodes"] if node["id"] == 5)))
    other |= {"id": 50, "inputs": [{**socket, "link": None} for socket in other["inputs"]]}
    other["widgets_values"][4] = 77
    ui["nodes"].append(other)
    graph = convert_workflow(Workflow(Path("film.json"), ui, None), INFO)
    assert graph["5:1"]["inputs"]["value"] == 9
    assert graph["50:1"]["inputs"]["value"] == 77


def test_one_that_the_file_does_not_describe() -> None:
    ui = group_node()
    del ui["extra"]
    assert (
        refusal(ui) == "node 5 is the group node 'paste', which cannot be unfolded: the file does not say what is in it"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"config": {"0": {"input": {"image": {"name": "first"}}}}}, "renamed or hidden"),
        ({"nodes": [{"type": "Painter (of a pack)"}], "links": []}, "the server has no node Painter (of a pack)"),
        ({"nodes": [{"type": "PrimitiveInt", "widgets_values": [1]}], "links": []}, "it has more values"),
        ({"nodes": [{"type": "MaskToImage"}], "links": []}, "its inputs are others"),
        ({"links": None}, "which cannot be unfolded"),
        ({"links": [[0, 0, 9, 0, 1, "IMAGE"]], "nodes": 5}, "which cannot be unfolded"),
    ],
)
def test_one_that_is_unusual(change: dict[str, Any], said: str) -> None:
    ui = group_node()
    ui["extra"]["groupNodes"]["paste"] |= change
    assert said in refusal(ui)


def test_many_large_ones_cost_no_time() -> None:
    ui = group_node()
    ui["extra"]["groupNodes"]["paste"] |= {"nodes": [{"type": "PrimitiveInt"}] * 5_000, "links": []}
    ui["nodes"] = [{"id": number, "type": "workflow>paste"} for number in range(5_000)]
    began = time.monotonic()
    assert "more than 20,000 nodes and links" in refusal(ui)
    assert time.monotonic() - began < 5
