"""What saved frames depend on: of any graph, a change that can reach a saved frame changes the digest, any other does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.graph import Graph, is_link
from runner.rendering.keys.dataflow import CHANGES, PASSES, UNDECLARED, Dataflow
from tests.runner.rendering.job_makers import STORY, MakeJobs, changed
from tests.support.stories import segment_graph

#: A node of any pack that declares: output 0 is `image`, `limit` changes output 1 only, `pause` none.
WATCHER = {
    "input": {
        "required": {"image": ["IMAGE", {PASSES: 0}], "limit": ["FLOAT", {CHANGES: [1]}]},
        "optional": {"pause": ["FLOAT", {CHANGES: []}], "size": ["INT", {}]},
    },
    "output_node": True,
}
OBJECT_INFO: dict[str, Any] = {
    "Watcher": WATCHER,
    "Draw": {"input": {}},
    "Save": {"input": {}, "output_node": True},
    "PreviewImage": {"input": {}, "output_node": True},
    "SaveAudio": {"input": {"required": {"audio": ["AUDIO"]}}, "output_node": True},
    "VideoGenSaveSegment": {"input": {}, "output_node": True},
}


def digest_of(graph: Graph) -> str:
    return Dataflow(graph, OBJECT_INFO).digest


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Nodes that read earlier ones, some of them watchers, and one that saves."""
    count = draw(st.integers(1, 8))
    graph: Graph = {}
    for index in range(count):
        links = {
            f"in{place}": [f"n{draw(st.integers(0, index - 1))}", draw(st.integers(0, 1))]
            for place in range(draw(st.integers(0, 2)) if index else 0)
        }
        if index and draw(st.booleans()):
            image = [f"n{draw(st.integers(0, index - 1))}", draw(st.integers(0, 1))]
            graph[f"n{index}"] = {"class_type": "Watcher", "inputs": {"image": image, "limit": 1.0, "pause": 2.0}}
        else:
            graph[f"n{index}"] = {"class_type": "Draw", "inputs": {"value": draw(st.integers(0, 9)), **links}}
    graph["save"] = {"class_type": "Save", "inputs": {"images": [f"n{count - 1}", draw(st.integers(0, 1))]}}
    return graph


def reaches(graph: Graph, node_id: str, name: str) -> bool:
    """Whether an input can change what is saved; read off the declarations in another way than the code does."""
    found: set[tuple[str, str]] = set()

    def visit(value: Any) -> None:
        node, output = value
        inputs = graph[node]["inputs"]
        if graph[node]["class_type"] == "Watcher":
            names = ["image"] if output == 0 else [key for key in inputs if key != "pause"]
        else:
            names = list(inputs)
        for key in names:
            if not (output == 0 and graph[node]["class_type"] == "Watcher"):
                found.add((node, key))
            if is_link(inputs[key]):
                visit(inputs[key])

    visit(["save", None])
    return (node_id, name) in found


@given(graphs(), st.data())
def test_a_change_is_seen_if_and_only_if_it_can_reach_a_saved_frame(graph: Graph, data: st.DataObject) -> None:
    places = [(key, name) for key, node in graph.items() for name, v in node["inputs"].items() if not is_link(v)]
    key, name = data.draw(st.sampled_from(places))
    other = changed(graph, key, "inputs", name, to="another value")
    assert (digest_of(other) != digest_of(graph)) is reaches(graph, key, name)


@given(graphs(), st.data())
def test_neither_ids_nor_order_nor_further_nodes_are_seen(graph: Graph, data: st.DataObject) -> None:
    ids = list(graph)
    new = dict(zip(ids, data.draw(st.permutations([f"{place}:7" for place in range(len(ids))])), strict=True))

    def moved(value: Any) -> Any:
        return [new[value[0]], value[1]] if is_link(value) else value

    other = {
        new[key]: {
            "class_type": graph[key]["class_type"],
            "inputs": {n: moved(v) for n, v in graph[key]["inputs"].items()},
        }
        for key in data.draw(st.permutations(ids))
    }
    source = new[data.draw(st.sampled_from(ids[:-1]))]
    other["look"] = {"class_type": "PreviewImage", "inputs": {"images": [source, 0]}}
    other["watch"] = {"class_type": "Watcher", "inputs": {"image": [source, 0], "limit": 3.0}}
    other["note"] = {"class_type": "Draw", "inputs": {"value": "what I think of it", "in": [source, 1]}}
    assert digest_of(other) == digest_of(graph)


@given(graphs(), st.data())
def test_a_node_that_only_passes_on_can_be_put_in_anywhere(graph: Graph, data: st.DataObject) -> None:
    links = [(key, name) for key, node in graph.items() for name, v in node["inputs"].items() if is_link(v)]
    key, name = data.draw(st.sampled_from(links))
    other = changed(graph, key, "inputs", name, to=["guard", 0])
    other["guard"] = {"class_type": "Watcher", "inputs": {"image": graph[key]["inputs"][name], "limit": 5.0}}
    assert digest_of(other) == digest_of(graph)


def test_what_is_saved_is_what_save_segment_saves() -> None:
    graph = {
        "1": {"class_type": "Draw", "inputs": {"value": 1}},
        "2": {"class_type": "Draw", "inputs": {"value": 2}},
        "3": {"class_type": "VideoGenSaveSegment", "inputs": {"images": ["1", 0]}},
        "4": {"class_type": "Save", "inputs": {"images": ["2", 0]}},
    }
    assert digest_of(graph) == digest_of(changed(graph, "2", "inputs", "value", to=3))
    assert digest_of(graph) != digest_of(changed(graph, "1", "inputs", "value", to=3))
    sound = changed(graph, "4", to={"class_type": "SaveAudio", "inputs": {"audio": ["2", 0]}})
    assert digest_of(sound) != digest_of(changed(sound, "2", "inputs", "value", to=3)), "the sound is kept too"


def test_of_several_savers_the_one_counts_that_the_user_has_named() -> None:
    graph = {
        "1": {"class_type": "Draw", "inputs": {"value": 1}},
        "2": {"class_type": "Draw", "inputs": {"value": 2}},
        "3": {"class_type": "Save", "inputs": {"images": ["1", 0]}},
        "4": {"class_type": "Save", "inputs": {"images": ["2", 0]}},
    }
    for node, counts in (("1", True), ("2", False)):
        other = changed(graph, node, "inputs", "value", to=3)
        assert (Dataflow(other, OBJECT_INFO, "3").digest != Dataflow(graph, OBJECT_INFO, "3").digest) is counts
        assert digest_of(other) != digest_of(graph), "else each may be the segment"


def test_previews_are_what_is_fetched_where_nothing_else_is_saved() -> None:
    graph = {
        "1": {"class_type": "Draw", "inputs": {"value": 1}},
        "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
    }
    assert digest_of(graph) != digest_of(changed(graph, "1", "inputs", "value", to=3))


def test_a_node_of_an_unknown_class_counts() -> None:
    graph = {"1": {"class_type": "Nobody", "inputs": {"value": 1, "loose": ["9", 0]}}}
    assert digest_of(graph) != digest_of(changed(graph, "1", "inputs", "value", to=2))


def test_a_long_chain_and_a_circle_are_no_trouble() -> None:
    chain: Graph = {"0": {"class_type": "Draw", "inputs": {"value": 1}}}
    for index in range(1, 3000):
        chain[str(index)] = {"class_type": "Draw", "inputs": {"in": [str(index - 1), 0]}}
    chain["save"] = {"class_type": "Save", "inputs": {"images": ["2999", 0]}}
    assert digest_of(chain) != digest_of(changed(chain, "0", "inputs", "value", to=2))
    circle = {"1": {"class_type": "Save", "inputs": {"images": ["2", 0]}}}
    circle["2"] = {"class_type": "Watcher", "inputs": {"image": ["2", 0]}}
    assert digest_of(circle)


# ------------------------------------------------------------------ our own nodes, on servers with an earlier pack


def guarded(**more: Any) -> Graph:
    """The preview with every node that watches or waits."""
    graph = segment_graph(STORY)
    graph["5"] = {"class_type": "VideoGenThermalGuard", "inputs": {"anything": ["3", 0], "pause_above": 85.0}}
    graph["6"] = {"class_type": "VideoGenMemoryGuard", "inputs": {"anything": ["5", 0], "limit_gb": 0.0}}
    graph["7"] = {"class_type": "VideoGenFrameCheck", "inputs": {"images": ["6", 0], "segment": ["2", 0]}}
    watched = {"images": ["7", 0], "segment": ["2", 0], "threshold": 0.85, "when_below": "render again"}
    graph["8"] = {"class_type": "VideoGenContinuity", "inputs": watched}
    graph["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    graph["4"]["inputs"]["images"] = ["8", 0]
    for place, value in more.items():
        node_id, _, name = place.removeprefix("n").partition("_")
        graph[node_id]["inputs"][name] = value
    return graph


@pytest.mark.parametrize(
    "change", [{"n5_pause_above": 83.0}, {"n6_limit_gb": 12.0}, {"n8_threshold": 0.9}, {"n8_when_below": "only report"}]
)
def test_a_guard_s_widget_renders_nothing_again(make_jobs: MakeJobs, change: dict[str, Any]) -> None:
    assert make_jobs(guarded(**change)).key(2) == make_jobs(guarded()).key(2)
    unmeasured = changed(guarded(), "4", "inputs", "images", to=["7", 0])
    del unmeasured["8"]  # whose reference pictures decide which take is kept
    assert make_jobs(unmeasured).key(2) == make_jobs().key(2), "and neither does the guard"


def test_the_text_of_a_guard_can_be_in_the_frames(make_jobs: MakeJobs) -> None:
    def key(limit: float) -> str:
        graph = guarded(n6_limit_gb=limit)
        graph["9"] = {"class_type": "DrawText", "inputs": {"images": ["8", 0], "text": ["6", 1]}}
        return make_jobs(changed(graph, "4", "inputs", "images", to=["9", 0])).key(2)

    assert key(12.0) != key(14.0)


def test_what_is_said_of_earlier_packs_is_of_nodes_that_say_nothing_themselves() -> None:
    graph = guarded()
    silent = copy.deepcopy({kind: {"input": {"required": {}}} for kind in UNDECLARED})
    before = Dataflow(graph, silent).digest
    loud = {**silent, "VideoGenFrameCheck": {"input": {"required": {"images": ["IMAGE", {CHANGES: [0, 1, 2]}]}}}}
    assert Dataflow(graph, loud).digest != before, "its own word counts"


def test_only_what_the_bound_output_depends_on_counts() -> None:
    graph: Graph = {
        "1": {"class_type": "Draw", "inputs": {"value": 1}},
        "2": {"class_type": "Draw", "inputs": {"value": 2}},
        "3": {"class_type": "Save", "inputs": {"images": ["1", 0]}},
        "4": {"class_type": "VideoGenSaveSegment", "inputs": {"images": ["2", 0]}},
    }
    ours, bound = Dataflow(graph, OBJECT_INFO), Dataflow(graph, OBJECT_INFO, "3")
    assert (ours.nodes, bound.nodes) == ({"2", "4"}, {"1", "3"})
    assert Dataflow(changed(graph, "1", "inputs", "value", to=9), OBJECT_INFO, "3").digest != bound.digest
    assert Dataflow(changed(graph, "2", "inputs", "value", to=9), OBJECT_INFO, "3").digest == bound.digest
