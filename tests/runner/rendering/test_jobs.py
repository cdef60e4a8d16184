"""Jobs: the graph of one segment, and the key that decides whether it has to be rendered again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from runner.rendering.failures import Variant
from runner.rendering.jobs import JobMaker
from tests.support.graphs import image_graph
from tests.support.stories import Graph, segment_graph

STORY: dict[str, Any] = {
    "title": "Tiny",
    "fps": 4,
    "frames": 4,
    "size": [320, 180],
    "quality": "draft",
    "style": {"negative": "text"},
    "characters": {"man": {"description": "a man in a blue shirt", "segments": "1,2"}},
    "segments": [{"prompt": "one", "seed": 11}, {"prompt": "two", "seed": 12}, {"prompt": "three", "seed": 13}],
}

MakeJobs = Callable[..., JobMaker]


@pytest.fixture
def make_jobs(object_info: dict[str, Any]) -> MakeJobs:
    """A JobMaker of the preview workflow and the story above; keywords change what is given."""

    def make(graph: Graph | None = None, story: dict[str, Any] = STORY, **options: Any) -> JobMaker:
        ui_workflow = options.pop("ui_workflow", None)
        given = {"bindings": [], "settings": [], "quality": None, "hash_input": lambda name: f"bytes of {name}"}
        maker_options = {**given, "object_info": object_info, **options}
        return JobMaker(
            segment_graph(story) if graph is None else graph, ui_workflow, parse_story(story), story, **maker_options
        )

    return make


def changed(data: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy of nested data with one value changed."""
    data = copy.deepcopy(data)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return data


# ------------------------------------------------------------------ the key


@pytest.mark.parametrize(
    "story",
    [
        changed(STORY, "segments", 0, "prompt", to="another"),
        changed(STORY, "segments", 2, "seed", to=99),
        changed(STORY, "transitions", to=[{"after": 1, "seconds": 0.5}]),
        changed(STORY, "audio", to={"music": "song.mp3"}),
        changed(STORY, "characters", "dog", to={"description": "a dog", "segments": "3"}),
        changed(STORY, "characters", "man", "segments", to="1,2,3"),
    ],
    ids=["another's prompt", "another's seed", "transition", "music", "somebody elsewhere", "the man elsewhere"],
)
def test_what_does_not_touch_a_segment_does_not_change_its_key(make_jobs: MakeJobs, story: dict[str, Any]) -> None:
    assert make_jobs(story=story).key(2) == make_jobs().key(2)


@pytest.mark.parametrize(
    "story",
    [
        changed(STORY, "segments", 1, "prompt", to="another"),
        changed(STORY, "segments", 1, "seed", to=99),
        changed(STORY, "segments", 1, "frames", to=5),
        changed(STORY, "segments", 1, "technical", to="Close-up"),
        changed(STORY, "size", to=[640, 360]),
        changed(STORY, "fps", to=8),
        changed(STORY, "quality", to="high"),
        changed(STORY, "style", "negative", to="blurry"),
        changed(STORY, "style", "master_prompt", to="Daylight throughout."),
        changed(STORY, "characters", "man", "description", to="a man in a red shirt"),
        changed(STORY, "characters", "man", "segments", to="1"),
        changed(STORY, "characters", "man", "reference", to="man.png"),
    ],
    ids=[
        "prompt",
        "seed",
        "frames",
        "shot",
        "size",
        "rate",
        "quality",
        "negative",
        "master prompt",
        "looks",
        "cast",
        "face",
    ],
)
def test_what_touches_a_segment_changes_its_key(make_jobs: MakeJobs, story: dict[str, Any]) -> None:
    assert make_jobs(story=story).key(2) != make_jobs().key(2)


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"graph": segment_graph(STORY, take="mine")}, True),
        ({"graph": segment_graph(STORY, index=3)}, True),
        ({"graph": segment_graph(changed(STORY, "title", to="in the widget"))}, True),
        ({"graph": changed(segment_graph(STORY), "3", "_meta", to={"title": "My Frames"})}, True),
        ({"ui_workflow": {"nodes": []}}, True),
        ({"graph": segment_graph(STORY, codec="hevc")}, False),
        ({"settings": ["2.with_master_prompt=true"]}, False),
        ({"quality": "premium"}, False),
    ],
    ids=["take", "saved index", "story in the widget", "a node's name", "layout", "codec", "--set", "--quality"],
)
def test_the_workflow_s_inputs_are_part_of_the_key(make_jobs: MakeJobs, options: dict[str, Any], same: bool) -> None:
    assert (make_jobs(**options).key(2) == make_jobs().key(2)) is same


def test_every_attempt_has_the_segment_s_key(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    variants = [Variant(), Variant(seed_offset=1), Variant(size=(160, 90)), Variant(2, (160, 90))]
    assert {maker.make(2, variant=variant).key for variant in variants} == {maker.key(2)}


def test_every_segment_has_a_key_of_its_own(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    assert len({maker.key(number) for number in (1, 2, 3)}) == 3


def test_the_bytes_of_the_input_files_are_part_of_the_key(make_jobs: MakeJobs) -> None:
    graph = segment_graph(STORY) | {"9": {"class_type": "LoadImage", "inputs": {"image": "example.png"}}}
    asked: list[str] = []

    def hash_file(name: str) -> str:
        asked.append(name)
        return "old"

    before = make_jobs(graph, hash_input=hash_file).key(2)
    assert asked == ["example.png"]
    assert before == make_jobs(graph, hash_input=lambda name: "old").key(2)
    assert before != make_jobs(graph, hash_input=lambda name: "new").key(2)


def test_what_a_segment_begins_from_is_part_of_its_key(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    assert len({maker.key(2), maker.key(2, begins_from="a" * 64), maker.key(2, begins_from="b" * 64)}) == 3


def test_where_another_node_reads_the_story_all_of_it_counts(make_jobs: MakeJobs) -> None:
    graph = segment_graph(STORY) | {"9": {"class_type": "SomebodyElsesNode", "inputs": {"story": ["1", 0]}}}
    other = changed(STORY, "segments", 0, "prompt", to="another")
    assert make_jobs(graph).key(2) != make_jobs(graph, other).key(2)


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
        make_jobs(image_graph())
    assert caught.value.code == "workflow-invalid"
    assert "--bind prompt=6.text" in caught.value.hint


# ------------------------------------------------------------------ --set


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("3.steps=30", 30),
        ("3.cfg=7.5", 7.5),
        ("KSampler.sampler_name=heun", "heun"),
        ("6.text=a house = a home", "a house = a home"),
        ('6.text="in quotes"', "in quotes"),
        ("6.text=", ""),
        ("6.text=Über den Apfelbaum", "Über den Apfelbaum"),
        ('3.model=["4", 0]', ["4", 0]),
        ("3.cfg=NaN", "NaN"),
        ("3.cfg=-Infinity", "-Infinity"),
    ],
)
def test_set_gives_an_input_a_value(make_jobs: MakeJobs, setting: str, value: Any) -> None:
    graph = make_jobs(image_graph(), settings=[setting], bindings=["seed=3.seed"]).make(1).graph
    node, _, rest = setting.partition(".")
    node_id = "3" if node == "KSampler" else node
    assert graph[node_id]["inputs"][rest.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("steps", "expected NODE.INPUT=VALUE"),
        ("3=5", "expected NODE.INPUT=VALUE"),
        ("", "expected NODE.INPUT=VALUE"),
        ("99.steps=5", r"no node '99'; the workflow has 3 \(KSampler\)"),
        ("CLIPTextEncode.text=x", "there are 2 nodes 'CLIPTextEncode'"),
        ("3.stepps=5", "node 3 has no input 'stepps', it has model, seed, steps"),
        (".steps=5", "there is no node ''"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(make_jobs: MakeJobs, setting: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=said) as caught:
        make_jobs(image_graph(), settings=[setting], bindings=["seed=3.seed"])
    assert caught.value.code == "binding-invalid"


# ------------------------------------------------------------------ --bind

BINDINGS = [
    "prompt=6.text",
    "negative=7.text",
    "seed=3.seed",
    "width=5.width",
    "height=5.height",
    "frames=5.batch_size",
    "name=9.filename_prefix",
    "fps=3.cfg",
]


def test_bound_inputs_get_the_segment_s_values(make_jobs: MakeJobs) -> None:
    graph = make_jobs(image_graph(), bindings=BINDINGS).make(2).graph
    assert graph["6"]["inputs"]["text"] == "a man in a blue shirt. two."
    assert graph["7"]["inputs"]["text"] == "text"
    assert graph["3"]["inputs"]["seed"] == 12
    assert graph["5"]["inputs"] == {"width": 320, "height": 180, "batch_size": 4}
    assert graph["9"]["inputs"]["filename_prefix"] == "segment_02"
    assert graph["3"]["inputs"]["cfg"] == 4
    assert isinstance(graph["3"]["inputs"]["cfg"], int)


def test_a_rate_that_is_no_whole_number_is_bound_as_a_float(make_jobs: MakeJobs) -> None:
    ntsc = changed(STORY, "fps", to="24000/1001")
    assert make_jobs(image_graph(), ntsc, bindings=BINDINGS).make(1).graph["3"]["inputs"]["cfg"] == pytest.approx(
        23.976, abs=1e-3
    )


def test_a_bound_seed_is_that_of_the_attempt(make_jobs: MakeJobs) -> None:
    maker = make_jobs(image_graph(), bindings=BINDINGS)
    assert maker.make(1, variant=Variant(seed_offset=3)).graph["3"]["inputs"]["seed"] == 14
    assert maker.make(1, variant=Variant(seed_offset=3)).key == maker.key(1)


def test_bound_values_decide_the_key_through_the_segment_only(make_jobs: MakeJobs) -> None:
    other_widgets = changed(image_graph(), "6", "inputs", "text", to="what was typed there last")
    assert make_jobs(image_graph(), bindings=BINDINGS).key(1) == make_jobs(other_widgets, bindings=BINDINGS).key(1)
    other_steps = changed(image_graph(), "3", "inputs", "steps", to=3)
    assert make_jobs(image_graph(), bindings=BINDINGS).key(1) != make_jobs(other_steps, bindings=BINDINGS).key(1)


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ("prompt", "expected NAME=NODE.INPUT with NAME one of prompt, negative, seed"),
        ("prompt=6", "expected NAME=NODE.INPUT"),
        ("propmt=6.text", "expected NAME=NODE.INPUT"),
        ("prompt=66.text", "there is no node '66'"),
        ("prompt=CLIPTextEncode.text", "there are 2 nodes"),
        ("prompt=6.words", "node 6 has no input 'words', it has text, clip"),
    ],
)
def test_a_binding_that_cannot_be_used_is_named(make_jobs: MakeJobs, binding: str, said: str) -> None:
    with pytest.raises(VideoGenError, match=said) as caught:
        make_jobs(image_graph(), bindings=[binding])
    assert caught.value.code == "binding-invalid"


# ------------------------------------------------------------------ segments that continue the one before

CHAIN = changed(STORY, "segments", 1, to={"prompt": "two", "seed": 12, "continues": True})
LOADER = {"class_type": "LoadImage", "inputs": {"image": "example.png"}, "_meta": {"title": "First Frame"}}


def test_a_load_image_of_that_title_takes_the_first_frame(make_jobs: MakeJobs) -> None:
    maker = make_jobs(segment_graph(CHAIN) | {"9": LOADER}, CHAIN)
    assert [number for number in (1, 2, 3) if maker.continues(number)] == [2]
    graph = maker.make(2, "key", first_frame="videogen/last.png").graph
    assert graph["9"]["inputs"]["image"] == "videogen/last.png"


def test_a_bound_input_takes_the_first_frame(make_jobs: MakeJobs) -> None:
    untitled = {"class_type": "LoadImage", "inputs": {"image": "example.png"}}
    maker = make_jobs(segment_graph(CHAIN) | {"9": untitled}, CHAIN, bindings=["first_frame=9.image"])
    assert maker.make(2, "key", first_frame="x.png").graph["9"]["inputs"]["image"] == "x.png"
    assert maker.make(1).graph["9"]["inputs"]["image"] == "example.png"


def test_a_workflow_that_takes_no_image_continues_nothing(make_jobs: MakeJobs) -> None:
    assert not make_jobs(story=CHAIN).continues(2)
