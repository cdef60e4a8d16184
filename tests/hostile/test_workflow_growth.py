"""Workflows of strangers: small files that ask for much are refused with the amount, all others are read in linear time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from runner.workflows import limits
from runner.workflows.bindings import apply_setting
from runner.workflows.image_inputs import find_image_inputs, find_unknown_references
from runner.workflows.validate import check_graph
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.hostile.growth import assert_grows_linearly

Json = dict[str, Any]
#: A class with a text, a list of files, and an input of its own kind.
INFO: Json = {
    "Text": {
        "input": {
            "required": {
                "text": ["STRING", {"dynamicPrompts": True}],
                "model": [[f"model_{number:04d}.safetensors" for number in range(300)]],
            },
            "optional": {"before": ["TEXT"]},
        },
        "input_order": {"required": ["text", "model"], "optional": ["before"]},
        "output": ["TEXT"],
        "output_name": ["TEXT"],
        "output_node": True,
    },
    **{f"Class{number:04d}": {"input": {"required": {}}, "output": [], "output_node": True} for number in range(500)},
}


def node(number: int | str, kind: str = "Text", *, link: int | None = None, **fields: Any) -> Json:
    return {
        "id": number,
        "type": kind,
        "mode": 0,
        "inputs": [{"name": "before", "type": "TEXT", "link": link}],
        "outputs": [{"name": "TEXT", "type": "TEXT", "links": []}],
        "widgets_values": ["a tree", "model_0001.safetensors"],
        **fields,
    }


def chain(size: int, kind: str = "Text", **fields: Any) -> Json:
    """Nodes in one line, each linked to the one before it."""
    nodes = [node(number, kind, link=number if number else None, **fields) for number in range(size)]
    links = [[number, number - 1, 0, number, 0, "TEXT"] for number in range(1, size)]
    return {"nodes": nodes, "links": links}


def name_of(level: int) -> str:
    return f"{level:08d}-0000-0000-0000-000000000000"


def nested(levels: int, each: int, **fields: Any) -> Json:
    """Subgraphs inside each other, `each` of them on each level: each ** levels nodes."""
    subgraphs = [
        {
            "id": name_of(level),
            "name": f"level {level}",
            "nodes": [node(number, name_of(level + 1) if level + 1 < levels else "Text") for number in range(each)],
            "links": [],
            **fields,
        }
        for level in range(levels)
    ]
    return {"nodes": [node(1, name_of(0))], "links": [], "definitions": {"subgraphs": subgraphs}}


def fanned_out(levels: int, each: int) -> Json:
    """Subgraphs inside each other, one on each level, whose input leads `each` times to the next one's."""
    border = [
        {"id": number, "origin_id": -10, "origin_slot": 0, "target_id": 0, "target_slot": 0} for number in range(each)
    ]
    found = nested(levels, 1, links=border)
    for one in found["definitions"]["subgraphs"]:
        one["inputs"] = [{"name": "before", "type": "TEXT", "linkIds": list(range(each))}]
    return found


def promoted(levels: int, each: int) -> Json:
    """Subgraphs inside each other, each input of which is one of the next one's: all are followed for each."""
    border = [
        {"id": number, "origin_id": -10, "origin_slot": number, "target_id": 0, "target_slot": number}
        for number in range(each)
    ]
    found = nested(levels, 1, links=border)
    for one in found["definitions"]["subgraphs"]:
        one["inputs"] = [{"name": f"i{number}", "type": "TEXT", "linkIds": [number]} for number in range(each)]
    return found


def inside_itself() -> Json:
    found = nested(2, 2)
    found["definitions"]["subgraphs"][1]["nodes"][0]["type"] = name_of(0)
    return found


def with_text(text: str) -> Json:
    return {"nodes": [node(1, widgets_values=[text, "model_0001.safetensors"])], "links": []}


TOO_LARGE: dict[str, tuple[Callable[[], Json], str]] = {
    "nested subgraphs": (lambda: nested(9, 10), "11,110 nodes or more"),
    "wide subgraphs": (lambda: nested(2, 1_001), "or more, with those of subgraphs counted"),
    "deep subgraphs": (lambda: nested(11, 1), "more than 10 deep"),
    "a subgraph inside itself": (inside_itself, "a subgraph inside itself: 'level 0'"),
    "inputs that lead to many": (lambda: fanned_out(9, 20), "inputs of subgraphs or more"),
    "inputs of inputs": (lambda: promoted(9, 8), "inputs of subgraphs or more"),
    "nodes": (lambda: chain(10_001), "10,001 nodes or more"),
    "links": (lambda: {**chain(2), "links": [[1, 0, 0, 1, 0, "TEXT"]] * 50_001}, "50,001 links or more"),
    "bypassed": (lambda: chain(9_000, mode=4), "inputs of nodes that are bypassed or reroute"),
    "reroutes": (lambda: chain(9_000, "Reroute"), "inputs of nodes that are bypassed or reroute"),
    "alternatives": (lambda: with_text("{" * 10_000 + "a|" * 10_000), "characters in its widgets"),
    "comments": (lambda: with_text("/*" * 20_000), "characters in its widgets"),
    "widgets": (lambda: {**chain(1, widgets_values=[1] * 200_001)}, "200,001 values of widgets"),
    "models": (
        lambda: chain(1, properties={"models": [{"name": f"m{number}"} for number in range(2_001)]}),
        "2,001 declared models",
    ),
    "API format": (lambda: api(10_001), "10,001 nodes, at most 10,000"),
}


def api(size: int, kind: str = "Text", **inputs: Any) -> Json:
    before = {"text": "a", "model": "model_0001.safetensors"}
    return {
        str(number): {
            "class_type": kind.format(number),
            "inputs": {**before, **inputs, **({"before": [str(number - 1), 0]} if number else {})},
        }
        for number in range(size)
    }


def load(folder: Path, data: Json) -> Any:
    path = folder / "workflow.json"
    path.write_text(json.dumps(data))
    return load_workflow(path)


@pytest.mark.parametrize("case", TOO_LARGE)
def test_a_workflow_that_asks_for_too_much_is_refused_with_the_amount(tmp_path: Path, case: str) -> None:
    make, said = TOO_LARGE[case]
    with pytest.raises(VideoGenError) as caught:
        load(tmp_path, make())
    assert caught.value.code == "workflow-unreadable"
    assert said in caught.value.message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "workflow.json")
    with pytest.raises(VideoGenError, match="is not a file"):
        load_workflow(tmp_path / "workflow.json")


def test_a_file_of_too_many_bytes_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_BYTES", 1_000)
    with pytest.raises(VideoGenError, match=r"has [\d,]+ bytes, at most 1,000 are read"):
        load(tmp_path, chain(50))


@pytest.mark.parametrize(
    "data",
    [
        nested(3, 8),
        fanned_out(4, 4),
        promoted(3, 10),
        chain(300),
        chain(30, mode=4),
        with_text("{red|{dark |}blue} hat"),
    ],
    ids=["nested", "fanned out", "promoted", "chain", "bypassed", "alternatives"],
)
def test_a_workflow_as_people_make_them_is_converted(tmp_path: Path, data: Json) -> None:
    workflow = load(tmp_path, data)
    assert isinstance(convert_workflow(workflow, INFO), dict)


SHAPES: dict[str, tuple[Callable[[int], Json], int]] = {
    "chain": (chain, 8_000),
    "unlinked": (lambda size: {"nodes": [node(number) for number in range(size)], "links": []}, 8_000),
    "unknown classes": (lambda size: {"nodes": [node(n, f"Clas{n:04d}") for n in range(size)], "links": []}, 8_000),
    "one unknown class": (lambda size: chain(size, "Clas0001"), 8_000),
    "wrong choices": (
        lambda size: {
            "nodes": [node(n, widgets_values=["a", f"modle_{n:04d}"]) for n in range(size)],
            "links": [],
        },
        8_000,
    ),
    "missing models": (
        lambda size: {
            "nodes": [
                node(
                    n,
                    widgets_values=["a", f"new_{n}.safetensors"],
                    properties={"models": [{"name": f"new_{n}.safetensors", "directory": "loras"}]},
                )
                for n in range(size)
            ],
            "links": [],
        },
        2_000,
    ),
    "text": (lambda size: with_text("a tree " * (size // 7)), 8_000_000),
    "texts": (lambda size: {"nodes": [node(n, widgets_values=["{a|b}" * 100, ""]) for n in range(size)]}, 8_000),
    "braces": (lambda size: with_text("{a|b}" * (size // 5)), 1_000_000),
    "comments": (lambda size: with_text("/* a */ // b\n" * (size // 13)), 1_000_000),
    "values": (lambda size: chain(1, widgets_values=list(range(size))), 200_000),
    "controls": (lambda size: chain(1, widgets_values=["fixed"] * size), 200_000),
    "outputs": (lambda size: chain(1, outputs=[{"name": "a", "links": [n]} for n in range(size)]), 100_000),
    "inputs": (lambda size: chain(1, inputs=[{"name": f"i{n}", "link": n} for n in range(size)]), 100_000),
    "one input often": (lambda size: chain(1, inputs=[{"name": "before", "link": n} for n in range(size)]), 100_000),
    "definitions": (
        lambda size: {**chain(1), "definitions": {"subgraphs": [{"id": name_of(n), "nodes": []} for n in range(size)]}},
        20_000,
    ),
    "instances": (lambda size: nested_wide(size), 400),
    "links in the browser": (
        lambda size: {
            "nodes": [node(number) for number in range(size)],
            "extra": {
                "ue_links": [
                    {"downstream": n, "downstream_slot": 9, "upstream": 0, "upstream_slot": 0, "type": "TEXT"}
                    for n in range(1, size)
                ]
            },
        },
        4_000,
    ),
    "group nodes": (
        lambda size: {
            "nodes": [node(number, "workflow>pair", inputs=[]) for number in range(size)],
            "extra": {"groupNodes": {"pair": {"nodes": [{"type": "Class0001"}] * 2, "links": []}}},
        },
        4_000,
    ),
    "primitives": (
        lambda size: {
            "nodes": [
                *(node(number, link=number) for number in range(size)),
                *(node(size + number, "PrimitiveNode") for number in range(size)),
            ],
            "links": [[number, size + number, 0, number, 0, "TEXT"] for number in range(size)],
        },
        4_000,
    ),
}


def nested_wide(size: int) -> Json:
    found = nested(1, 10)
    found["nodes"] = [node(number, name_of(0)) for number in range(size)]
    return found


@pytest.mark.parametrize("case", SHAPES)
def test_reading_converting_and_checking(tmp_path: Path, case: str) -> None:
    make, largest = SHAPES[case]

    def run(path: Path) -> None:
        workflow = load_workflow(path)
        graph = convert_workflow(workflow, INFO)
        check_graph(graph, INFO, workflow, lambda folder: [])

    def write(size: int) -> Path:
        path = tmp_path / f"{size}.json"
        path.write_text(json.dumps({"links": [], **make(size)}))
        return path

    assert_grows_linearly(run, write, largest)


API_SHAPES: dict[str, Callable[[int], Json]] = {
    "chain": api,
    "unknown": lambda size: api(size, "Clas{:04d}"),
    "wrong choices": lambda size: api(size, model="modle_0001"),
    "locations": lambda size: api(size, "VideoGenLocation"),
    "references": lambda size: api(size, "VideoGenReference", name="nobody"),
}


@pytest.mark.parametrize("case", API_SHAPES)
def test_graphs_in_api_format(tmp_path: Path, case: str) -> None:
    story = parse_story({"characters": {f"c{number}": {} for number in range(100)}, "segments": [{"prompt": "x"}]})

    def run(path: Path) -> None:
        workflow = load_workflow(path)
        graph = convert_workflow(workflow, INFO)
        check_graph(graph, INFO, workflow)
        find_image_inputs(graph)
        find_unknown_references(graph, story)
        with pytest.raises(VideoGenError) as caught:
            apply_setting("nothing.text=1", graph, INFO)
        assert len(caught.value.message) < 10_000

    def write(size: int) -> Path:
        path = tmp_path / f"{size}.json"
        path.write_text(json.dumps(API_SHAPES[case](size)))
        return path

    assert_grows_linearly(run, write, 8_000)
