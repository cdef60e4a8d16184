"""Small workflows, one for each thing that only the editor knows: the graph is the one that the editor sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.workflows.workflow import Workflow, convert_workflow
from tests.support.graphs.conversions import executed, schemas, small_workflows

INFO = schemas()
SMALL = small_workflows()


def convert(ui: dict[str, Any], info: dict[str, Any] = INFO) -> tuple[dict[str, Any], list[str]]:
    """The graph, and what the user is told."""
    notes: list[str] = []
    return convert_workflow(Workflow(Path("film.json"), ui, None), info, warn=notes.append), notes


def ui_of(name: str) -> dict[str, Any]:
    return json.loads(json.dumps(SMALL[name].workflow))


@pytest.mark.parametrize("name", SMALL)
def test_the_graph_is_the_one_that_the_editor_has_sent(name: str) -> None:
    workflow = ui_of(name)
    graph, notes = convert(workflow)
    assert executed(graph, INFO) == executed(SMALL[name].graph, INFO)
    assert workflow == SMALL[name].workflow, "the workflow itself was changed"
    assert not [note for note in notes if "prefix" not in note]


def test_a_primitive_is_asked_and_not_the_widget_that_it_feeds() -> None:
    """Rendered at 64 by 32 before, without a word."""
    graph, _ = convert(ui_of("primitive"))
    assert graph["2"]["inputs"] == {"width": 512, "height": 512, "batch_size": 1, "color": 0}


def test_an_output_of_a_bypassed_node_that_no_input_fits_gives_nothing() -> None:
    graph, _ = convert(ui_of("bypassed"))
    assert "mask" not in graph["4"]["inputs"]
    assert (graph["6"]["inputs"]["width"], graph["6"]["inputs"]["height"]) == (100, 100)


def test_a_node_s_other_name_is_not_its_class() -> None:
    """Users change it, for names of files; the converter read such a node's values with another class's inputs."""
    ui = ui_of("primitive")
    ui["nodes"][2]["properties"] = {"Node name for S&R": "EmptyImage"}
    graph, _ = convert(ui)
    assert graph["3"] == {
        "class_type": "SaveImage",
        "inputs": {"filename_prefix": "tree", "images": ["2", 0]},
        "_meta": {"title": "SaveImage"},
    }


def test_links_in_a_circle_of_bypassed_nodes_are_named() -> None:
    ui = ui_of("reroutes")
    ui["links"] = [[1, 3, 0, 2, 0, "*"], *ui["links"][1:]]
    ui["nodes"][2]["mode"] = 0
    with pytest.raises(
        VideoGenError, match=r"node 4 \(SaveImage\): its input 'images' comes from .* a circle at node 3"
    ):
        convert(ui)


# ------------------------------------------------------------------ nodes of packs


@pytest.mark.parametrize("kind", ["Label (rgthree)", "Fast Groups Muter (rgthree)", "easy setNode", "Note Plus (mtb)"])
def test_what_a_server_has_under_the_name_of_a_browser_s_node_is_a_node(kind: str) -> None:
    ui = ui_of("primitive")
    ui["nodes"].append({"id": 90, "type": kind, "inputs": [], "outputs": [], "widgets_values": [], "mode": 0})
    assert "90" not in convert(ui)[0]
    assert "90" in convert(ui, INFO | {kind: {"input": {"required": {}}}})[0]


def test_an_unknown_node_that_nothing_is_linked_to_is_left_out_and_named() -> None:
    ui = ui_of("primitive")
    ui["nodes"].append({"id": 90, "type": "Sticky (of a pack)", "widgets_values": ["text"], "mode": 0})
    graph, notes = convert(ui)
    assert "90" not in graph
    assert notes == [
        "node 90 (Sticky (of a pack)) is left out: the server does not have it, and nothing is linked to it"
    ]


def test_an_unknown_node_that_others_need_stays_and_so_does_an_output() -> None:
    """They are missing on the server, which `check` and `run` say by name."""
    ui = ui_of("primitive")
    ui["nodes"][1]["type"], ui["nodes"][2]["type"] = "Painter (of a pack)", "Saver (of a pack)"
    graph, notes = convert(ui)
    assert [node["class_type"] for node in graph.values()] == ["Painter (of a pack)", "Saver (of a pack)"]
    assert not [note for note in notes if "left out" in note]


def test_our_own_nodes_are_never_left_out() -> None:
    ui = ui_of("primitive")
    ui["nodes"].append({"id": 90, "type": "VideoGenCompileFilm", "widgets_values": [], "mode": 0})
    assert "90" in convert(ui)[0]


# ------------------------------------------------------------------ Anything Everywhere


def everywhere(slot: int = 0, **fields: Any) -> dict[str, Any]:
    ui = ui_of("primitive")
    ui["links"] = ui["links"][:2]
    ui["nodes"][2]["inputs"][0]["link"] = None
    ui["nodes"].append(
        {
            "id": 90,
            "type": "Anything Everywhere",
            "inputs": [{"name": "anything", "type": "IMAGE", "link": 8}],
            "mode": 0,
            "widgets_values": [],
        }
    )
    ui["links"].append([8, 2, 0, 90, 0, "IMAGE"])
    saved = {"downstream": 3, "downstream_slot": slot, "upstream": "2", "upstream_slot": 0, "type": "IMAGE"}
    ui["extra"] = {"ue_links": [saved | fields]}
    return ui


@pytest.mark.parametrize("slot", [0, 3])
def test_links_of_anything_everywhere_are_read_from_the_list_that_the_pack_saves(slot: int) -> None:
    """The place of an input counts those that the file leaves out."""
    graph, notes = convert(everywhere(slot))
    assert graph["3"]["inputs"] == {"filename_prefix": "tree", "images": ["2", 0]}
    assert set(graph) == {"2", "3"}
    assert notes == []


def test_a_link_that_was_drawn_since_is_kept() -> None:
    ui = everywhere()
    ui["nodes"][2]["inputs"][0]["link"] = 9
    ui["links"].append([9, 5, 0, 3, 0, "IMAGE"])
    ui["nodes"].append({"id": 5, "type": "EmptyImage", "widgets_values": [8, 8, 1, 0], "mode": 0})
    graph, notes = convert(ui)
    assert graph["3"]["inputs"]["images"] == ["5", 0]
    assert notes == []


def test_a_list_with_nodes_that_are_gone_is_read_as_far_as_it_goes() -> None:
    for gone in ({"downstream": 77}, {"upstream": "77"}, {"upstream_slot": None}):
        graph, _ = convert(everywhere(**gone))
        assert "images" not in graph["3"]["inputs"]


def test_an_input_that_is_not_clear_is_named() -> None:
    ui = everywhere(7)
    ui["nodes"][2]["inputs"].append({"name": "more", "type": "IMAGE", "link": None})
    _, notes = convert(ui)
    assert notes == ["node 3 (SaveImage): it is unclear which input gets the IMAGE of node 2"]


def test_without_a_list_the_user_is_told_that_inputs_get_nothing() -> None:
    ui = everywhere()
    del ui["extra"]
    _, notes = convert(ui)
    assert notes == [
        "node 90 (Anything Everywhere) links inputs in the browser only, and the workflow has no list of these links; draw them"
        " in the editor"
    ]


def test_an_object_among_the_values_costs_none_of_the_others() -> None:
    """Older editors have saved the button for uploads as one; a curve is one."""
    workflow = ui_of("load_image_elsewhere")
    loaders = [node for node in workflow["nodes"] if node["type"] == "LoadImage"]
    for loader in loaders:
        loader["widgets_values"] = [loader["widgets_values"][0], {"name": "upload", "options": {"serialize": False}}]
    graph, _ = convert(workflow)
    assert executed(graph, INFO) == executed(SMALL["load_image_elsewhere"].graph, INFO)
    assert loaders[0]["widgets_values"][1] == {"name": "upload", "options": {"serialize": False}}


def test_a_value_that_is_an_object_is_sent() -> None:
    info = {
        "CurveEditor": {
            "input": {"required": {"curve": ["CURVE", {"socketless": True}]}},
            "input_order": {"required": ["curve"]},
            "output": ["CURVE"],
            "output_node": True,
        }
    }
    curve = {"points": [[0, 0], [1, 1]], "interpolation": "linear"}
    node = {"id": 1, "type": "CurveEditor", "mode": 0, "inputs": [], "outputs": [], "widgets_values": [curve]}
    graph, _ = convert({"nodes": [node], "links": []}, info)
    assert graph["1"]["inputs"] == {"curve": curve}
