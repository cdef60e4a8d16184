"""The graph that draws a reference image takes over the film's model and sampling."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.references.graph import ReferencesGraph, adopt_model
from runner.workflows.workflow import Workflow
from tests.runner.references.garden import REFERENCES
from tests.support.graphs.plain import image_graph


def test_the_film_s_model_and_sampling_are_taken_over() -> None:
    graph, film = copy.deepcopy(REFERENCES), image_graph()
    assert adopt_model(graph, film) == {
        "ckpt_name": "dream.safetensors",
        "steps": 20,
        "cfg": 7.0,
        "sampler_name": "euler",
    }
    assert graph["4"]["inputs"]["ckpt_name"] == "dream.safetensors"
    assert graph["3"]["inputs"]["steps"] == 20
    assert graph["3"]["inputs"]["seed"] == ["2", 2]


def test_what_the_film_says_twice_is_left_as_it_is() -> None:
    graph, film = copy.deepcopy(REFERENCES), image_graph()
    film["40"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "refiner.safetensors"}}
    film["3"]["inputs"]["steps"] = ["6", 0]
    taken = adopt_model(graph, film)
    assert "ckpt_name" not in taken
    assert "steps" not in taken
    assert graph["4"]["inputs"]["ckpt_name"] == "small.safetensors"


def test_the_size_that_the_film_s_model_draws_is_taken_over() -> None:
    graph, film = copy.deepcopy(REFERENCES), image_graph()
    graph["6"] = {"class_type": "VideoGenRenderSize", "inputs": {"megapixels": 0.0, "multiple": "64"}}
    film["40"] = {"class_type": "VideoGenRenderSize", "inputs": {"megapixels": 0.33, "multiple": "8"}}
    # The same word of another node means another size.
    film["41"] = {"class_type": "ImageScaleToTotalPixels", "inputs": {"megapixels": 2.0}}
    assert adopt_model(graph, film)["megapixels"] == 0.33
    assert graph["6"]["inputs"] == {"megapixels": 0.33, "multiple": "64"}
    del film["40"]
    assert "megapixels" not in adopt_model(graph, film)


@pytest.mark.parametrize("kind", ["VideoGenCastMember", "VideoGenSaveReference"])
def test_a_workflow_that_cannot_draw_references(kind: str) -> None:
    graph = {key: node for key, node in REFERENCES.items() if node["class_type"] != kind}
    with pytest.raises(VideoGenError, match=rf"film.json has 0 {kind} nodes, expected one"):
        ReferencesGraph(Workflow(Path("film.json"), None, graph), {}, {})
