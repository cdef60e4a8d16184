"""Which nodes of a graph read images of the cast, and which images a segment needs because of them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from runner.workflows.image_inputs import find_image_inputs, find_needs, find_unknown_references
from tests.support.cast_stories import BEN, STORY, cast_graph
from tests.support.stories import Graph, segment_graph


def reference(name: Any, *behind: Any) -> dict[str, Any]:
    """A VideoGenReference; `behind` is the link of its `references`."""
    links = {"references": [behind[0], 0]} if behind else {}
    return {"class_type": "VideoGenReference", "inputs": {"name": name, "image": ["30", 0], **links}}


def needs(number: int, graph: Graph) -> dict[str, bool]:
    """file → whether the segment cannot do without it."""
    found = find_needs(plan_segment(parse_story(copy.deepcopy(STORY)), number), find_image_inputs(graph))
    return {need.name: need.required for need in found}


def test_a_workflow_without_such_a_node_reads_nothing() -> None:
    assert find_image_inputs(segment_graph(STORY)) == []
    assert needs(1, segment_graph(STORY)) == {}


def test_a_segment_needs_the_images_and_masks_of_its_cast() -> None:
    assert needs(1, cast_graph()) == dict.fromkeys(
        ["anna.png", "people/anna side.png", "tree.png", "anna_mask.png"], True
    )
    assert needs(3, cast_graph()) == {BEN: True, "tree.png": True}


def test_kinds_that_are_off_need_none() -> None:
    assert needs(3, cast_graph(object_weight=0.0)) == {BEN: True}
    assert needs(3, cast_graph(object_weight=0, character_weight=0)) == {}


def test_a_weight_out_of_another_node_may_be_any() -> None:
    assert needs(3, cast_graph(object_weight=["40", 0])) == {BEN: True, "tree.png": True}


@pytest.mark.parametrize("missing", ["go on without", ["40", 0]])
def test_a_node_that_goes_on_can_do_without(missing: Any) -> None:
    assert needs(3, cast_graph(missing=missing)) == {BEN: False, "tree.png": False}


def test_what_the_graph_shows_needs_no_file() -> None:
    graph = cast_graph(references=["20", 0]) | {"20": reference("ben", "21"), "21": reference(" tree ")}
    assert needs(2, graph) == dict.fromkeys(["anna.png", "people/anna side.png", "anna_mask.png"], True)
    assert needs(3, graph) == {}


@pytest.mark.parametrize(
    "more",
    [
        {"20": {"class_type": "SomebodyElses", "inputs": {}}},
        {"20": reference(["41", 0])},
        {},
        {"20": reference("ben", "20")},
    ],
    ids=["another pack's node", "a name out of a node", "dangling", "a circle"],
)
def test_images_from_who_knows_where_may_be_of_anybody(more: Graph) -> None:
    found = needs(2, cast_graph(references=["20", 0]) | more)
    assert found["anna.png"] is False
    assert found["anna_mask.png"] is True


def test_of_two_nodes_the_stricter_counts() -> None:
    graph = cast_graph(missing="go on without")
    graph["8"] = copy.deepcopy(graph["7"])
    graph["8"]["inputs"] |= {"missing": "stop", "object_weight": 0.0}
    assert needs(3, graph) == {BEN: True, "tree.png": False}


def test_a_reference_to_nobody_is_named() -> None:
    story = parse_story(copy.deepcopy(STORY))
    graph = cast_graph() | {"20": reference("bem"), "21": reference("tree"), "22": reference(["1", 0])}
    assert [str(problem) for problem in find_unknown_references(graph, story)] == [
        "node 20 (VideoGenReference): 'bem' is not in the story's cast (did you mean 'ben'?)"
    ]
