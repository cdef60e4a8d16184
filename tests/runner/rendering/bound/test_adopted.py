"""An adopted workflow submits what the same workflow submits when it is bound: in every official template, for every segment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE, nodes_of
from custom_nodes.videogen.core.model_values.fit import Takes, fit_segment
from custom_nodes.videogen.core.story.parser import parse_story_text
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.runner.rendering.bound.conftest import FILM, MakeBound
from tests.support.graphs.adopted import OUR_NODES, adopt_in_full
from tests.support.graphs.templates import find_template_files, kinds_in
from tests.support.graphs.video_models import node, wan

_TABLE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[3] / "data" / "template_roles.yaml").read_text(encoding="utf-8")
)
#: Several inputs could have a role in them, or none has: the same templates cannot be bound either.
NOT_BOUND = {
    "video_ltx2_i2v_lora",
    "video_wan_animate2",
    "video_wan_dancer",
    "api_bytedance_vcube_video_enhance",
    "api_kling_v3_video",
    "api_topaz_astra2",
    "ltxv_image_to_video",
    "txt_to_image_to_video",
}


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    return find_template_files()


@pytest.mark.parametrize("name", _TABLE)
def test_a_template_submits_the_same(
    name: str, files: dict[str, Path], schemas: dict[str, Any], make_bound: MakeBound
) -> None:
    workflow = load_workflow(files[name])
    assert workflow.ui is not None
    info = {kind: schemas[kind] for kind in (*kinds_in(workflow), "LoadImage") if kind in schemas} | OUR_NODES
    graph = convert_workflow(workflow, info)
    if name in NOT_BOUND:
        with pytest.raises(VideoGenError) as refused:
            make_bound(graph, object_info=info)
        assert refused.value.code in ("binding-invalid", "workflow-invalid")
        return
    bound = make_bound(graph, object_info=info)
    _, sent = adopt_in_full(workflow.ui, graph, info)
    assert [len(nodes_of(sent, kind)) for kind in (STORY_NODE, SEGMENT_NODE, FIT_NODE)] == [1, 1, 1]
    assert parse_story_text(str(sent[nodes_of(sent, STORY_NODE)[0]]["inputs"]["text"]), "story").segments
    told = make_bound(sent, object_info=info)
    for number in (1, 2, 3):
        for first_frame in ("", "last.png"):
            expected = bound.make(number, first_frame=first_frame).graph
            assert told.make(number, first_frame=first_frame).graph == expected
        assert told.key(number) == bound.key(number)
        assert told.source(number) == bound.source(number)
        prompts = (bound.roles.prompts, told.roles.prompts)
        texts = [one.compile(bound.make(number).plan).text for one in prompts if one is not None]
        assert len({*texts}) <= 1


@pytest.mark.parametrize("name", [name for name in _TABLE if name.startswith("video_") and name not in NOT_BOUND])
def test_the_node_in_the_editor_writes_the_same_prompt(
    name: str, files: dict[str, Path], schemas: dict[str, Any], make_bound: MakeBound
) -> None:
    """Where no pictures of the cast are numbered in it, which only a run uploads."""
    workflow = load_workflow(files[name])
    assert workflow.ui is not None
    info = {kind: schemas[kind] for kind in (*kinds_in(workflow), "LoadImage") if kind in schemas} | OUR_NODES
    graph = convert_workflow(workflow, info)
    bound = make_bound(graph, object_info=info)
    _, sent = adopt_in_full(workflow.ui, graph, info)
    widgets = sent[nodes_of(sent, FIT_NODE)[0]]["inputs"]
    if bound.roles.prompts is None or widgets["references"]:
        return
    profile = next((one for one in shipped_profiles() if one.name == widgets["model"]), None)
    for number in (1, 2, 3):
        plan = bound.make(number).plan
        size = (widgets["own_width"], widgets["own_height"])
        takes = Takes.of_text(widgets["takes"])
        fitted = fit_segment(bound.story, plan, profile, takes, size, 0, widgets["first_frame"])
        assert fitted.prompts.text == bound.roles.prompts.compile(plan).text


def fit(**inputs: Any) -> dict[str, Any]:
    """The three nodes of an adopted graph; keywords are inputs of the last one."""
    return {
        "story": node(STORY_NODE, file="text below", text="[]"),
        "segment": node(SEGMENT_NODE, story=["story", 0], index=2, prompt_override="a lake"),
        "fit": node(FIT_NODE, story=["story", 0], segment=["segment", 0], model="wan-t2v", **inputs),
    }


def adopted_wan(**inputs: Any) -> dict[str, Any]:
    """Wan's graph, whose prompt and seed the story decides."""
    graph = wan(**fit(**inputs))
    graph["positive"]["inputs"]["text"] = ["fit", 0]
    graph["high"]["inputs"]["noise_seed"] = ["fit", 2]
    return graph


def test_only_what_is_connected_is_written(make_bound: MakeBound) -> None:
    jobs = make_bound(adopted_wan())
    graph = jobs.make(1).graph
    assert not {"fit", "segment", "story"} & graph.keys()
    assert "field" in graph["positive"]["inputs"]["text"]
    assert graph["high"]["inputs"]["noise_seed"] == 11
    assert graph["latent"]["inputs"]["length"] == wan()["latent"]["inputs"]["length"], "its own number of frames stays"


def test_the_override_of_the_open_segment_counts(make_bound: MakeBound) -> None:
    jobs = make_bound(adopted_wan())
    assert "lake" in jobs.make(2).graph["positive"]["inputs"]["text"]
    assert "lake" not in jobs.make(3).graph["positive"]["inputs"]["text"]


def test_our_other_nodes_keep_their_segment(make_bound: MakeBound) -> None:
    graph = adopted_wan()
    graph["saved"] = node(
        "VideoGenSaveSegment", images=["decode", 0], segment=["segment", 0], quality="draft", codec="h264"
    )
    made = make_bound(graph).make(3).graph
    assert made["segment"]["inputs"]["index"] == 3
    assert "fit" not in made
    assert "river" in made["positive"]["inputs"]["text"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "wan-9000"}, "`model` of VideoGenFitModel is 'wan-9000', which no profile has"),
        ({"takes": "{"}, "`takes` is no JSON"),
        ({"takes": '{"colour": {}}'}, "`takes` has 'colour', expected seed, frames"),
    ],
)
def test_what_the_node_cannot_mean_is_named(make_bound: MakeBound, change: dict[str, Any], said: str) -> None:
    graph = adopted_wan()
    graph["fit"]["inputs"] |= change
    with pytest.raises(VideoGenError, match=said):
        make_bound(graph)


def test_two_models_in_one_workflow_are_refused(make_bound: MakeBound) -> None:
    graph = adopted_wan()
    graph["again"] = graph["fit"]
    with pytest.raises(VideoGenError, match=r"2 VideoGenFitModel nodes \(fit, again\), expected one"):
        make_bound(graph)


def test_the_story_is_that_of_the_run(make_bound: MakeBound) -> None:
    """What the node's widget had in the editor does not matter."""
    assert make_bound(adopted_wan(), FILM).key(1) == make_bound(
        {**adopted_wan(), "story": node(STORY_NODE, file="text below", text="[{}]")}, FILM
    ).key(1)
