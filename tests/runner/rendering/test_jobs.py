"""Jobs: what is submitted for an attempt at a segment."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from runner.rendering.retries import Variant
from tests.runner.rendering.job_makers import STORY, MakeJobs, changed
from tests.support.stories import Graph, segment_graph

# ------------------------------------------------------------------ prompt_override


def with_override(index: int, text: Any) -> Graph:
    return changed(segment_graph(STORY, index=index), "2", "inputs", "prompt_override", to=text)


def test_an_override_counts_only_for_the_segment_it_was_saved_with(make_jobs: MakeJobs) -> None:
    plain, maker = make_jobs(), make_jobs(with_override(2, "a storm"))
    assert maker.key(2) != plain.key(2)
    overrides = {n: maker.make(n).graph["2"]["inputs"]["prompt_override"] for n in (1, 2, 3)}
    assert overrides == {1: "", 2: "a storm", 3: ""}
    assert "a storm" in maker.make(2).plan.prompt
    assert "a storm" not in maker.make(1).plan.prompt


def test_an_override_that_comes_out_of_another_node_is_left_alone(make_jobs: MakeJobs) -> None:
    maker = make_jobs(with_override(2, ["7", 0]))
    assert maker.make(1).graph["2"]["inputs"]["prompt_override"] == ["7", 0]


# ------------------------------------------------------------------ what is submitted


def test_a_job_has_the_segment_s_index_its_story_and_its_take(make_jobs: MakeJobs) -> None:
    job = make_jobs().make(3)
    assert job.graph["2"]["inputs"]["index"] == 3
    assert json.loads(job.graph["1"]["inputs"]["text"]) == STORY
    assert job.graph["4"]["inputs"]["take"] == job.key[:12]


def test_a_story_file_in_the_widget_gives_way_to_the_story_of_the_run(make_jobs: MakeJobs) -> None:
    graph = changed(segment_graph(STORY), "1", "inputs", to={"file": "other.json", "text": ""})
    inputs = make_jobs(graph).make(1).graph["1"]["inputs"]
    assert inputs["file"] == "text below"
    assert parse_story(json.loads(inputs["text"])).title == "Tiny"


def test_a_further_attempt_has_the_next_seed_in_its_story(make_jobs: MakeJobs) -> None:
    job = make_jobs().make(2, variant=Variant(seed_offset=2))
    seeds = [segment["seed"] for segment in json.loads(job.graph["1"]["inputs"]["text"])["segments"]]
    assert (seeds, job.plan.seed) == ([11, 14, 13], 14)


def test_behind_the_last_seed_comes_the_first(make_jobs: MakeJobs) -> None:
    last = changed(STORY, "segments", 0, "seed", to=2**64 - 1)
    assert make_jobs(story=last).make(1, variant=Variant(seed_offset=1)).plan.seed == 0


def test_a_step_down_has_its_size_in_the_story(make_jobs: MakeJobs) -> None:
    job = make_jobs().make(1, variant=Variant(size=(160, 88)))
    assert json.loads(job.graph["1"]["inputs"]["text"])["size"] == [160, 88]
    assert job.plan.size == (160, 88)


def test_a_step_down_makes_the_model_s_own_size_smaller_too(make_jobs: MakeJobs) -> None:
    """Frames that are sampled in another size than the film's would need as much memory as before."""
    size = {"class_type": "VideoGenRenderSize", "inputs": {"megapixels": 1.03, "multiple": "64", "scale": 0.8}}
    maker = make_jobs(segment_graph(STORY) | {"7": size})
    half = (STORY["size"][0] // 2, STORY["size"][1] // 2)
    assert maker.make(1, variant=Variant(size=half)).graph["7"]["inputs"]["scale"] == 0.4
    assert maker.make(1).graph["7"]["inputs"]["scale"] == 0.8
    assert maker.make(1, variant=Variant(size=(2, 2))).graph["7"]["inputs"]["scale"] == 0.1
    assert maker.make(1, variant=Variant(size=half)).key == maker.key(1)
    linked = {**size, "inputs": {"scale": ["2", 0]}}
    assert make_jobs(segment_graph(STORY) | {"7": linked}).make(1, variant=Variant(size=half)).graph["7"] == linked


def test_neither_the_workflow_nor_the_story_are_changed(make_jobs: MakeJobs) -> None:
    graph, story = segment_graph(STORY), copy.deepcopy(STORY)
    maker = make_jobs(graph, story, settings=["4.codec=hevc"], quality="high")
    maker.make(2, variant=Variant(1, (160, 90)))
    assert (graph, story) == (segment_graph(STORY), STORY)


def test_the_film_node_is_left_out(make_jobs: MakeJobs) -> None:
    graph = segment_graph(STORY) | {"5": {"class_type": "VideoGenCompileFilm", "inputs": {"story": ["1", 0]}}}
    assert set(make_jobs(graph).make(1).graph) == {"1", "2", "3", "4"}
    assert make_jobs(graph).key(1) == make_jobs().key(1)


def test_the_quality_of_the_command_line_goes_into_the_saving_node(make_jobs: MakeJobs) -> None:
    assert make_jobs(quality="premium").make(1).graph["4"]["inputs"]["quality"] == "premium"


def test_the_editor_s_workflow_comes_along_with_the_segment_chosen(make_jobs: MakeJobs) -> None:
    ui_workflow = {
        "nodes": [
            {"id": 1, "type": "VideoGenStory", "widgets_values": ["old.json", ""]},
            {"id": 2, "type": "VideoGenSegment", "widgets_values": [1, "fixed", "", False]},
            {"id": 7, "type": "Note"},
        ]
    }
    workflow = make_jobs(ui_workflow=ui_workflow).make(3).workflow
    assert workflow is not None
    assert workflow["nodes"][1]["widgets_values"] == [3, "fixed", "", False]
    assert workflow["nodes"][0]["widgets_values"][0] == "text below"
    assert json.loads(workflow["nodes"][0]["widgets_values"][1]) == STORY
    assert ui_workflow["nodes"][1]["widgets_values"] == [1, "fixed", "", False]


# ------------------------------------------------------------------ workflows that cannot be run


def test_more_than_one_segment_node_is_refused(make_jobs: MakeJobs) -> None:
    graph = segment_graph(STORY)
    with pytest.raises(VideoGenError, match=r"2 VideoGenSegment nodes \(2, 12\)") as caught:
        make_jobs(graph | {"12": graph["2"]})
    assert caught.value.code == "workflow-invalid"


def test_without_a_segment_node_something_must_be_bound(make_jobs: MakeJobs) -> None:
    with pytest.raises(VideoGenError, match="no VideoGenSegment node") as caught:
        make_jobs(
            {"1": LOADER, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "a"}}}
        )
    assert caught.value.code == "workflow-invalid"
    assert "--bind prompt=6.text" in caught.value.hint


# ------------------------------------------------------------------ segments that continue the one before

CHAIN = changed(STORY, "segments", 1, to={"prompt": "two", "seed": 12, "continues": True})
LOADER = {"class_type": "LoadImage", "inputs": {"image": "example.png"}, "_meta": {"title": "First Frame"}}


def test_a_load_image_of_that_title_takes_the_first_frame(make_jobs: MakeJobs) -> None:
    maker = make_jobs(segment_graph(CHAIN) | {"9": LOADER}, CHAIN)
    assert [number for number in (1, 2, 3) if maker.source(number)] == [2]
    graph = maker.make(2, "key", first_frame="videogen/last.png").graph
    assert graph["9"]["inputs"]["image"] == "videogen/last.png"


def test_a_bound_input_takes_the_first_frame(make_jobs: MakeJobs) -> None:
    untitled = {"class_type": "LoadImage", "inputs": {"image": "example.png"}}
    maker = make_jobs(segment_graph(CHAIN) | {"9": untitled}, CHAIN, bindings=["first_frame=9.image"])
    assert maker.make(2, "key", first_frame="x.png").graph["9"]["inputs"]["image"] == "x.png"
    assert maker.make(1).graph["9"]["inputs"]["image"] == "example.png"


def test_a_workflow_that_takes_no_image_continues_nothing(make_jobs: MakeJobs) -> None:
    assert make_jobs(story=CHAIN).source(2) is None
