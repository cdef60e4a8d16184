"""`videogen check` of a story whose segments have workflows and LoRAs of their own: every problem with its segments."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.check import check_on_server
from runner.check_result import CheckResult
from runner.comfyui.client import ComfyClient
from runner.workflows.workflow import Workflow
from tests.runner.test_check import Server
from tests.support.graphs.loras import with_loras
from tests.support.graphs.plain import image_graph
from tests.support.stories import segment_graph

SEGMENTS = [{"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"}, {"prompt": "four"}]


@pytest.fixture
def info(object_info: dict[str, Any]) -> dict[str, Any]:
    found = with_loras(copy.deepcopy(object_info), "rain.safetensors")
    found["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = ["dream.safetensors"]
    return found


def check(
    info: dict[str, Any], default: Graph, own: dict[int, Graph] | None = None, **fields: list[dict[str, Any]]
) -> CheckResult:
    """Check a story of four segments.

    Args:
        own: the workflows of segments, by their numbers.
        fields: ``loras_N`` of segment N.
    """
    segments = copy.deepcopy(SEGMENTS)
    for name, value in fields.items():
        segments[int(name.rpartition("_")[2]) - 1]["loras"] = value  # type: ignore[assignment]
    workflows = {id(graph): Workflow(Path("rain.json"), None, graph) for graph in (own or {}).values()}
    return check_on_server(
        cast(ComfyClient, Server(info)),
        Workflow(Path("film.json"), None, default),
        LoadedStory(parse_story(segments), {"segments": segments}),
        None,
        own={number: workflows[id(graph)] for number, graph in (own or {}).items()},
    )


def with_model(name: str) -> Graph:
    graph = image_graph()
    graph["4"]["inputs"]["ckpt_name"] = name
    return graph


def test_a_story_that_fits_has_no_problems(info: dict[str, Any]) -> None:
    result = check(info, image_graph(), {2: image_graph()}, loras_3=[{"file": "rain.safetensors"}])
    assert result.problems == []


def test_each_problem_says_which_segments_it_is_about(info: dict[str, Any]) -> None:
    other = with_model("gone.safetensors")
    result = check(info, with_model("lost.safetensors"), {2: other, 4: other})
    (own,) = (problem for problem in result.problems if "gone.safetensors" in problem)
    assert own.startswith("segments 2,4: rain.json on http://host:1: 1 problem")
    (default,) = (problem for problem in result.problems if "lost.safetensors" in problem)
    assert default.startswith("film.json on http://host:1: 1 problem")


def test_a_lora_that_is_missing_is_a_problem_of_its_segments(info: dict[str, Any]) -> None:
    lora = [{"file": "rian.safetensors"}]
    (problem,) = check(info, image_graph(), loras_2=lora, loras_3=lora).problems
    assert "segments 2,3, model 'rian.safetensors'" in problem
    assert "put it into models/loras (did you mean 'rain.safetensors'?" in problem


def test_what_all_segments_lack_is_said_once(info: dict[str, Any]) -> None:
    (problem,) = check(info, with_model("lost.safetensors"), loras_2=[{"file": "rain.safetensors"}]).problems
    assert problem.count("lost.safetensors") == 1
    assert "segment" not in problem


def test_loras_for_a_workflow_that_loads_no_model_are_a_problem_beside_the_others(info: dict[str, Any]) -> None:
    story = {"title": "Tiny", "segments": SEGMENTS}
    result = check(
        info,
        image_graph(),
        {2: segment_graph(story)},
        loras_2=[{"file": "rain.safetensors"}],
        loras_3=[{"file": "a.pt"}],
    )
    first, second = result.problems
    assert "segment 3, model 'a.pt'" in first
    assert second.startswith("segment 2 (rain.json): ")
    assert "segments[2].loras: the workflow has no node that loads a model" in second


def test_a_workflow_in_which_a_role_is_unclear_is_told_with_its_segment(info: dict[str, Any]) -> None:
    unclear = image_graph()
    for old, new in (("3", "13"), ("8", "18"), ("9", "19"), ("6", "16")):
        unclear[new] = copy.deepcopy(unclear[old])
    unclear["13"]["inputs"]["positive"], unclear["16"]["inputs"]["text"] = ["16", 0], "something else"
    unclear["18"]["inputs"]["samples"], unclear["19"]["inputs"]["images"] = ["13", 0], ["18", 0]
    result = check(info, image_graph(), {4: unclear})
    (problem,) = result.problems
    assert problem.startswith("segment 4: rain.json on http://host:1")
