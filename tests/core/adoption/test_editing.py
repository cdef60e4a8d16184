"""Links of a saved workflow: replaced where a value enters, shown on the outside of subgraphs, and nothing else changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from custom_nodes.videogen.core.adoption.editing import EditedWorkflow
from custom_nodes.videogen.core.errors import VideoGenError

INNER = "5e1f0f2c-0000-4000-8000-000000000001"


def text_node(number: int, link: int | None = None) -> dict[str, Any]:
    return {
        "id": number,
        "type": "CLIPTextEncode",
        "inputs": [
            {"name": "clip", "type": "CLIP", "link": None},
            {"name": "text", "type": "STRING", "widget": {"name": "text"}, "link": link},
        ],
        "outputs": [{"name": "CONDITIONING", "type": "CONDITIONING", "links": []}],
        "widgets_values": [f"text of {number}"],
    }


def subgraph(*nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": INNER, "name": "inside", "nodes": list(nodes), "links": [], "inputs": [], "outputs": [], **more}


def host(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "type": INNER, "inputs": [], "outputs": [], "widgets_values": [], **more}


def workflow(*nodes: dict[str, Any], definitions: tuple[dict[str, Any], ...] = (), **more: Any) -> dict[str, Any]:
    return {
        "nodes": list(nodes),
        "links": [],
        "last_node_id": max(node["id"] for node in nodes),
        "last_link_id": 0,
        "definitions": {"subgraphs": list(definitions)},
        **more,
    }


def connect(data: dict[str, Any], place: str, name: str = "text", together: Any = ()) -> dict[str, Any]:
    """Connect a new node's output to a place; returns the node."""
    edited = EditedWorkflow(data, together)
    source = edited.add_node(
        {"type": "Source", "outputs": [{"name": "a", "type": "STRING", "links": []}], "inputs": []}
    )
    edited.connect_inside(source, 0, place, name, "STRING", "former")
    return source


def link_of(data: dict[str, Any], number: int) -> Any:
    return next(link for link in data["links"] if (link[0] if isinstance(link, list) else link["id"]) == number)


def test_an_input_of_the_workflow_itself() -> None:
    data = workflow(text_node(6))
    source = connect(data, "6")
    assert source["id"] == 7
    assert data["last_node_id"] == 7
    assert data["links"] == [[1, 7, 0, 6, 1, "STRING"]]
    assert data["nodes"][0]["inputs"][1]["link"] == 1
    assert source["outputs"][0]["links"] == [1]


def test_a_widget_that_the_file_has_no_input_for() -> None:
    """Older editors save only inputs that were widgets and are linked."""
    data = workflow({"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a"]})
    connect(data, "6")
    assert data["nodes"][0]["inputs"] == [{"name": "text", "type": "STRING", "widget": {"name": "text"}, "link": 1}]


def test_what_was_connected_there_is_replaced() -> None:
    """Also the points that its link was drawn through."""
    primitive = {"id": 5, "type": "PrimitiveNode", "outputs": [{"name": "STRING", "type": "STRING", "links": [9, 8]}]}
    data = workflow(
        primitive,
        text_node(6, 9),
        links=[[9, 5, 0, 6, 1, "STRING"], [8, 5, 0, 3, 0, "STRING"]],
        last_link_id=9,
        extra={"reroutes": [{"id": 1, "linkIds": [9, 8]}]},
    )
    connect(data, "6")
    assert [link[0] for link in data["links"]] == [8, 10]
    assert data["nodes"][0]["outputs"][0]["links"] == [8]
    assert data["extra"]["reroutes"][0]["linkIds"] == [8]
    assert data["nodes"][1]["inputs"][1]["link"] == 10


def test_an_input_inside_a_subgraph_is_shown_on_every_node_that_stands_for_it() -> None:
    data = workflow(host(1), host(2), definitions=(subgraph(text_node(4), state={"lastLinkId": 20}),))
    source = connect(data, "2:4")
    inside = data["definitions"]["subgraphs"][0]
    assert [(border["name"], border["type"], border["linkIds"]) for border in inside["inputs"]] == [
        ("text", "STRING", [21])
    ]
    assert inside["links"] == [
        {"id": 21, "origin_id": -10, "origin_slot": 0, "target_id": 4, "target_slot": 1, "type": "STRING"}
    ]
    assert inside["state"]["lastLinkId"] == 21
    assert inside["nodes"][0]["inputs"][1]["link"] == 21
    first, second = data["nodes"][:2]
    assert first["inputs"] == [{"name": "text", "type": "STRING", "widget": {"name": "text"}, "link": None}]
    assert first["widgets_values"] == ["former"], "the other one keeps what it had"
    assert second["inputs"][0]["link"] == 1
    assert data["links"] == [[1, source["id"], 0, 2, 0, "STRING"]]


def shown_twice() -> dict[str, Any]:
    """A subgraph with one input on the outside for two texts inside."""
    links = [
        {"id": 20, "origin_id": -10, "origin_slot": 0, "target_id": 4, "target_slot": 1, "type": "STRING"},
        {"id": 21, "origin_id": -10, "origin_slot": 0, "target_id": 5, "target_slot": 1, "type": "STRING"},
    ]
    border = {"id": "b", "name": "prompt", "type": "STRING", "linkIds": [20, 21]}
    shown = {"name": "prompt", "type": "STRING", "widget": {"name": "prompt"}, "link": None}
    return workflow(
        host(1, inputs=[shown], widgets_values=["a"]),
        definitions=(subgraph(text_node(4, 20), text_node(5, 21), inputs=[border], links=links),),
    )


def test_an_input_that_is_shown_is_used() -> None:
    data = shown_twice()
    connect(data, "1:4", together={("1:4", "text"), ("1:5", "text")})
    assert [border["name"] for border in data["definitions"]["subgraphs"][0]["inputs"]] == ["prompt"]
    assert data["nodes"][0]["inputs"][0]["link"] == 1
    assert data["nodes"][0]["widgets_values"] == ["a"]


def test_an_input_that_is_shown_for_others_as_well_is_left_to_them() -> None:
    data = shown_twice()
    connect(data, "1:4")
    inside = data["definitions"]["subgraphs"][0]
    assert [border["name"] for border in inside["inputs"]] == ["prompt", "text"]
    assert [link["id"] for link in inside["links"]] == [21, 22], "of the two links of before one is left"
    assert [socket["link"] for socket in data["nodes"][0]["inputs"]] == [None, 1]


def test_a_subgraph_in_a_subgraph() -> None:
    outer = {**subgraph(host(3)), "id": "outer"}
    data = workflow({**host(1), "type": "outer"}, definitions=(outer, subgraph(text_node(4))))
    connect(data, "1:3:4")
    assert [one["inputs"][0]["name"] for one in data["definitions"]["subgraphs"]] == ["text", "text"]
    assert data["nodes"][0]["inputs"][0]["link"] == 1
    assert outer["nodes"][0]["inputs"][0]["link"] == 1


def test_a_name_that_is_taken_gets_a_number() -> None:
    border = {"id": "b", "name": "text", "type": "STRING", "linkIds": []}
    data = workflow(host(1), definitions=(subgraph(text_node(4), inputs=[border]),))
    connect(data, "1:4")
    assert [one["name"] for one in data["definitions"]["subgraphs"][0]["inputs"]] == ["text", "text_2"]


def test_a_group_node_is_named() -> None:
    data = workflow({"id": 9, "type": "workflow>encode", "inputs": []})
    before = copy.deepcopy(data["nodes"][0])
    with pytest.raises(VideoGenError, match="node 9:1 is inside a group node") as caught:
        connect(data, "9:1")
    assert caught.value.code == "workflow-invalid"
    assert data["nodes"][0] == before
