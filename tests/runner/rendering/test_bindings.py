"""--set and --bind."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.rendering.retries import Variant
from tests.runner.rendering.job_makers import STORY, MakeJobs, changed
from tests.support.graphs.plain import image_graph

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
        ("3.cfg=1e999", "1e999"),
        ("3.cfg=-1e999", "-1e999"),
        ("3.cfg=1e3", 1000.0),
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
