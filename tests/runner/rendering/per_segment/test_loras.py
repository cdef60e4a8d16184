"""LoRAs of a segment in its graph: after the loaders of its models, before everything that uses these."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.model import Lora, Segment
from custom_nodes.videogen.core.story.parser import parse_story
from runner.rendering.per_segment.loras import find_model_loaders
from runner.workflows.validate import check_graph
from runner.workflows.workflow import Workflow
from tests.runner.rendering.job_makers import STORY, MakeJobs, changed
from tests.support.graphs.loras import with_loras
from tests.support.graphs.plain import image_graph

RAIN, FOG = Lora("rain.safetensors", 0.6), Lora("fog.safetensors", -1.0)


@pytest.fixture
def object_info(object_info: dict[str, Any]) -> dict[str, Any]:
    info = with_loras(copy.deepcopy(object_info), "rain.safetensors", "fog.safetensors")
    info["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = ["dream.safetensors"]
    return info


def insert(graph: Graph, object_info: dict[str, Any], *loras: Lora) -> Graph:
    graph = copy.deepcopy(graph)
    find_model_loaders(graph, object_info).insert(graph, loras)
    return graph


def two_models() -> Graph:
    """As Wan 2.2 is rendered: two models without a text encoder, one sampler after the other."""
    graph = image_graph()
    graph["4"] = {"class_type": "UNETLoader", "inputs": {"unet_name": "wan_high_noise.safetensors"}}
    graph["14"] = {"class_type": "UNETLoader", "inputs": {"unet_name": "wan_low_noise.safetensors"}}
    graph["15"] = {"class_type": "CLIPLoader", "inputs": {"clip_name": "umt5.safetensors"}}
    graph["13"] = {
        "class_type": "KSampler",
        "inputs": {**graph["3"]["inputs"], "model": ["14", 0], "latent_image": ["3", 0]},
    }
    graph["6"]["inputs"]["clip"] = graph["7"]["inputs"]["clip"] = ["15", 0]
    graph["8"]["inputs"]["samples"] = ["13", 0]
    return graph


def test_several_are_chained_in_their_order_between_a_checkpoint_and_what_uses_it(object_info: dict[str, Any]) -> None:
    graph = insert(image_graph(), object_info, RAIN, FOG)
    last = graph["3"]["inputs"]["model"][0]
    assert graph["3"]["inputs"]["model"] == [last, 0]
    assert graph["6"]["inputs"]["clip"] == graph["7"]["inputs"]["clip"] == [last, 1]
    assert graph["8"]["inputs"]["vae"] == ["4", 2], "everything else stays"
    fog = graph[last]
    assert (fog["class_type"], fog["inputs"]["lora_name"]) == ("LoraLoader", "fog.safetensors")
    assert (fog["inputs"]["strength_model"], fog["inputs"]["strength_clip"]) == (-1.0, -1.0)
    rain = graph[fog["inputs"]["model"][0]]
    assert fog["inputs"]["clip"] == [fog["inputs"]["model"][0], 1]
    assert rain["inputs"] == {
        "model": ["4", 0],
        "clip": ["4", 1],
        "lora_name": "rain.safetensors",
        "strength_model": 0.6,
        "strength_clip": 0.6,
    }
    assert check_graph(graph, object_info, Workflow(Path("film.json"), None, graph)) == []


def test_the_models_of_a_workflow_all_get_a_lora_and_each_its_own(object_info: dict[str, Any]) -> None:
    graph = insert(two_models(), object_info, RAIN, Lora("fog.safetensors", 1.0, "low"))
    high, low = graph[graph["3"]["inputs"]["model"][0]], graph[graph["13"]["inputs"]["model"][0]]
    assert (high["class_type"], high["inputs"]["lora_name"]) == ("LoraLoaderModelOnly", "rain.safetensors")
    assert high["inputs"]["model"] == ["4", 0]
    assert low["inputs"]["lora_name"] == "fog.safetensors"
    assert graph[low["inputs"]["model"][0]]["inputs"] == {
        "model": ["14", 0],
        "lora_name": "rain.safetensors",
        "strength_model": 0.6,
    }
    assert graph["6"]["inputs"]["clip"] == ["15", 0], "the text encoder has a file of its own"


def test_a_lora_of_the_workflow_s_own_comes_after_those_of_the_segment(object_info: dict[str, Any]) -> None:
    graph = image_graph()
    own = {"model": ["4", 0], "clip": ["4", 1], "lora_name": "fog.safetensors", "strength_model": 1, "strength_clip": 1}
    graph["20"] = {"class_type": "LoraLoader", "inputs": own}
    graph["3"]["inputs"]["model"] = ["20", 0]
    graph = insert(graph, object_info, RAIN)
    assert graph["3"]["inputs"]["model"] == ["20", 0]
    assert graph[graph["20"]["inputs"]["model"][0]]["inputs"]["lora_name"] == "rain.safetensors"


def test_a_model_that_the_clip_does_not_need_stays_as_it_is(object_info: dict[str, Any]) -> None:
    graph = image_graph()
    graph["30"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "other.safetensors"}}
    loaders = find_model_loaders(graph, object_info)
    assert [loader.node for loader in loaders.found] == ["4"]


def test_a_text_encoder_that_nothing_uses_is_not_changed(object_info: dict[str, Any]) -> None:
    """Checkpoints without one have the output too."""
    graph = two_models()
    graph["4"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "dream.safetensors"}}
    graph = insert(graph, object_info, RAIN)
    assert graph[graph["3"]["inputs"]["model"][0]]["class_type"] == "LoraLoaderModelOnly"


def segment_with(*loras: Lora) -> Segment:
    (segment,) = parse_story(
        [{"prompt": "x", "loras": [{"file": one.file, "model": one.model or "x"} for one in loras]}]
    ).segments
    return segment


def test_a_model_that_no_loader_loads_is_told_with_those_that_are(object_info: dict[str, Any]) -> None:
    loaders = find_model_loaders(two_models(), object_info)
    (problem,) = loaders.explain_unfit([segment_with(Lora("rain.safetensors", 1.0, "hgih"))])
    assert str(problem) == (
        "segments[1].loras[1].model: no model file of the workflow has 'hgih' in its name; it loads"
        " wan_high_noise.safetensors, wan_low_noise.safetensors"
    )


def own(**fields: Any) -> dict[str, Any]:
    """The story, with fields in its second segment."""
    return changed(STORY, "segments", 1, to={**STORY["segments"][1], **fields})


def test_a_workflow_that_loads_no_model_takes_no_loras(make_jobs: MakeJobs) -> None:
    """The storyboard, say, or nodes of partners."""
    with pytest.raises(VideoGenError) as raised:
        make_jobs(story=own(loras=[{"file": "rain.safetensors"}]))
    assert raised.value.code == "workflow-invalid"
    assert "segments[2].loras: the workflow has no node that loads a model" in raised.value.message


def test_only_the_segment_that_has_loras_gets_another_graph_and_key(make_jobs: MakeJobs) -> None:
    hashes = {"rain.safetensors": "aa", "dream.safetensors": "dd"}

    def keys(story: dict[str, Any]) -> list[str]:
        maker = make_jobs(image_graph(), story, hash_model=lambda folder, name: hashes.get(name, "") if folder else "")
        return [maker.key(number) for number in (1, 2, 3)]

    before = keys(STORY)
    with_rain = keys(own(loras=[{"file": "rain.safetensors", "strength": 0.6}]))
    assert [one == other for one, other in zip(before, with_rain, strict=True)] == [True, False, True]
    assert keys(own(loras=[])) == before
    assert keys(own(loras=[{"file": "rain.safetensors", "strength": 0.5}]))[1] != with_rain[1], "the strength counts"
    hashes["rain.safetensors"] = "bb"
    after = keys(own(loras=[{"file": "rain.safetensors", "strength": 0.6}]))
    assert after[1] != with_rain[1], "the bytes of the file count"
    assert (after[0], after[2]) == (before[0], before[2])


def test_a_graph_of_thousands_of_loaders_takes_no_loras(object_info: dict[str, Any]) -> None:
    """Each LoRA would be a node more for each of them."""
    merge = {"input": {"required": {"model1": ["MODEL", {}], "model2": ["MODEL", {}]}}, "output": ["MODEL"]}
    graph = image_graph()
    for number in range(3_000):
        graph[f"load {number}"] = copy.deepcopy(graph["4"])
        last = ["4", 0] if number == 0 else [f"merge {number - 1}", 0]
        graph[f"merge {number}"] = {"class_type": "Merge", "inputs": {"model1": last, "model2": [f"load {number}", 0]}}
    graph["3"]["inputs"]["model"] = ["merge 2999", 0]
    began = time.monotonic()
    loaders = find_model_loaders(graph, {**object_info, "Merge": merge})
    (problem,) = loaders.explain_unfit([segment_with(RAIN)])
    assert problem.message == "the workflow loads 3,001 models, LoRAs are put into 100 at most"
    assert time.monotonic() - began < 2.0
