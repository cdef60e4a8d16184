"""Nodes and models that a workflow needs and a server lacks: named with their pack, or their folder, address and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.workflows.validate import check_graph
from runner.workflows.workflow import Workflow, convert_workflow
from tests.support.graphs.checks import find_problems, with_input
from tests.support.graphs.plain import Graph, image_graph
from tests.support.stories import segment_graph, small_story

# ------------------------------------------------------------------ nodes


def test_a_node_that_the_server_lacks_is_named_with_one_that_it_has(object_info: dict[str, Any]) -> None:
    graph = image_graph()
    graph["9"]["class_type"] = "SaveImages"
    assert find_problems(graph, object_info) == [
        "SaveImages (node 9): the server does not have this node (it has 'SaveImage')"
    ]


@pytest.mark.parametrize("key", ["cnr_id", "aux_id"])
def test_a_node_that_the_server_lacks_is_named_with_its_pack(object_info: dict[str, Any], key: str) -> None:
    graph = image_graph() | {"20": {"class_type": "VHS_VideoCombine", "inputs": {}}}
    nodes = [{"id": 20, "type": "VHS_VideoCombine", "properties": {key: "comfyui-videohelpersuite"}}]
    assert find_problems(graph, object_info, nodes) == [
        "VHS_VideoCombine (node 20): the server does not have this node; it comes with the pack 'comfyui-videohelpersuite'"
    ]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("VHS_LoadVideo", "by its name it comes with the pack 'comfyui-videohelpersuite'"),
        ("UnetLoaderGGUF", "by its name it comes with the pack 'ComfyUI-GGUF'"),
        ("Quux", "the workflow does not say which pack it comes with; ComfyUI-Manager finds it by its name"),
    ],
)
def test_a_workflow_that_does_not_name_the_pack(object_info: dict[str, Any], kind: str, said: str) -> None:
    graph = image_graph() | {"20": {"class_type": kind, "inputs": {}}}
    (problem,) = find_problems(graph, object_info)
    assert problem.startswith(f"{kind} (node 20): ")
    assert said in problem


def test_a_node_of_a_newer_comfyui(object_info: dict[str, Any]) -> None:
    graph = image_graph() | {"20": {"class_type": "SaveHologram", "inputs": {}}}
    nodes = [{"id": 20, "type": "SaveHologram", "properties": {"cnr_id": "comfy-core", "ver": "0.9.1"}}]
    assert find_problems(graph, object_info, nodes) == [
        "SaveHologram (node 20): the server does not have this node; it is part of ComfyUI itself, saved with 0.9.1:"
        " update the server's"
    ]


def test_a_type_that_is_missing_many_times_takes_one_line(object_info: dict[str, Any]) -> None:
    graph = image_graph() | {str(n): {"class_type": "Quux", "inputs": {}} for n in range(20, 23)}
    (problem,) = find_problems(graph, object_info)
    assert problem.startswith("Quux (nodes 20, 21 and 22): ")
    graph |= {str(n): {"class_type": "Quux", "inputs": {}} for n in range(23, 60)}
    (problem,) = find_problems(graph, object_info)
    assert problem.startswith("Quux (nodes 20, 21, 22, 23, 24, 25, 26, 27 and 32 more): ")


def test_a_node_inside_a_subgraph_is_found(object_info: dict[str, Any]) -> None:
    """Its pack and its model are in the definition, not among the workflow's own nodes."""
    inner = {
        "id": 8,
        "type": "HoloLoader",
        "inputs": [],
        "outputs": [],
        "mode": 0,
        "widgets_values": ["holo.safetensors"],
        "properties": {
            "cnr_id": "holo-pack",
            "models": [
                {"name": "holo.safetensors", "url": "https://example.org/holo.safetensors", "directory": "holos"}
            ],
        },
    }
    ui = {
        "nodes": [{"id": 57, "type": "0f8fad5b-d9cb-469f-a165-70867728950e", "mode": 0, "inputs": [], "outputs": []}],
        "links": [],
        "definitions": {
            "subgraphs": [
                {
                    "id": "0f8fad5b-d9cb-469f-a165-70867728950e",
                    "nodes": [inner],
                    "links": [],
                    "inputs": [],
                    "outputs": [],
                    "inputNode": {"id": -10},
                    "outputNode": {"id": -20},
                }
            ]
        },
    }
    workflow = Workflow(Path("film.json"), ui, None)
    graph = convert_workflow(workflow, object_info)
    assert list(graph) == ["57:8"]
    assert [str(problem) for problem in check_graph(graph, object_info, workflow, lambda folder: [])] == [
        "HoloLoader (node 57:8): the server does not have this node; it comes with the pack 'holo-pack'",
        "model 'holo.safetensors' (node 8): it is missing: put it into models/holos, from https://example.org/holo.safetensors"
        " (the folder is empty)",
    ]
    # The file may exist under another folder of the same place.
    there = check_graph(graph, object_info, workflow, lambda folder: ["v1/holo.safetensors"])
    assert len(there) == 1
    assert len(check_graph(graph, object_info, workflow)) == 1  # nobody knows


def test_a_server_without_our_pack_is_told_so(object_info: dict[str, Any]) -> None:
    without = {name: schema for name, schema in object_info.items() if not name.startswith("VideoGen")}
    assert find_problems(segment_graph(small_story("Tiny")), without) == [
        "VideoGenStory, VideoGenSegment, VideoGenStoryboardFrames, VideoGenSaveSegment (nodes 1, 2, 3 and 4): the server does"
        " not have the videogen pack; link custom_nodes/videogen into its custom_nodes and restart it"
    ]


def test_a_server_with_an_older_pack_of_ours_is_told_so(object_info: dict[str, Any]) -> None:
    without = {name: schema for name, schema in object_info.items() if name != "VideoGenStoryboardFrames"}
    (problem,) = find_problems(segment_graph(small_story("Tiny")), without)
    assert problem.startswith("VideoGenStoryboardFrames (node 3): the server's videogen pack is an older one")


# ------------------------------------------------------------------ models


def test_a_missing_model_is_named_with_its_folder_and_where_it_comes_from(object_info: dict[str, Any]) -> None:
    graph = with_input("4", "ckpt_name", "wan.safetensors")
    nodes = [
        {"id": 3, "type": "KSampler", "properties": {}},
        {
            "id": 4,
            "type": "CheckpointLoaderSimple",
            "properties": {
                "models": [{"name": "wan.safetensors", "url": "https://example.org/wan.safetensors?download=true"}]
            },
        },
    ]
    assert find_problems(graph, object_info, nodes) == [
        "model 'wan.safetensors' (node 4): it is missing: put it into models/checkpoints, from"
        " https://example.org/wan.safetensors (there are: 'dream.safetensors')"
    ]


def test_a_published_model_is_named_with_its_size_even_where_the_workflow_says_nothing(
    object_info: dict[str, Any],
) -> None:
    graph = with_input("4", "ckpt_name", "sd_xl_base_1.0.safetensors")
    (problem,) = find_problems(graph, object_info)
    assert "/stable-diffusion-xl-base-1.0/resolve/main/sd_xl_base_1.0.safetensors (6.94 GB)" in problem


def test_a_file_that_is_published_under_another_name(object_info: dict[str, Any]) -> None:
    schema = {"input": {"required": {"clip_name": [[], {}]}}, "output": ["CLIP_VISION"], "output_node": True}
    graph = {
        "1": {"class_type": "CLIPVisionLoader", "inputs": {"clip_name": "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors"}}
    }
    (problem,) = find_problems(graph, object_info | {"CLIPVisionLoader": schema})
    assert "put it into models/clip_vision, from" in problem
    assert "image_encoder/model.safetensors, saved as CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors (2.53 GB)" in problem


def test_a_model_that_several_nodes_want_takes_one_line(object_info: dict[str, Any]) -> None:
    graph = with_input("4", "ckpt_name", "wan.safetensors")
    graph["11"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "wan.safetensors"}}
    graph["7"]["inputs"]["clip"] = ["11", 1]
    (problem,) = find_problems(graph, object_info)
    assert problem.startswith("model 'wan.safetensors' (nodes 4 and 11): it is missing")


def vision(**properties: Any) -> tuple[Graph, dict[str, Any], list[dict[str, Any]]]:
    """A checkpoint and a CLIP vision of one name, missing both; the schema of the second loader; the editor's node of it."""
    graph = with_input("4", "ckpt_name", "model.safetensors")
    graph["11"] = {"class_type": "CLIPVisionLoader", "inputs": {"clip_name": "model.safetensors"}}
    schema = {
        "input": {"required": {"clip_name": [["vit.safetensors"], {}]}},
        "output": ["CLIP_VISION"],
        "output_node": True,
    }
    return graph, {"CLIPVisionLoader": schema}, [{"id": 11, "type": "CLIPVisionLoader", "properties": properties}]


def test_two_files_of_one_name_belong_into_two_folders(object_info: dict[str, Any]) -> None:
    graph, schema, _ = vision()
    assert find_problems(graph, object_info | schema) == [
        "model 'model.safetensors' (node 4): it is missing: put it into models/checkpoints (there are: 'dream.safetensors')",
        "model 'model.safetensors' (node 11): it is missing: put it into models/clip_vision (there are: 'vit.safetensors')",
    ]


def test_what_is_declared_of_one_file_is_not_said_of_another_of_its_name(object_info: dict[str, Any]) -> None:
    model = {
        "name": "model.safetensors",
        "url": "https://example.org/vit/model.safetensors",
        "directory": "clip_vision",
    }
    graph, schema, nodes = vision(models=[model])
    checkpoint, encoder = find_problems(graph, object_info | schema, nodes)
    assert "models/checkpoints (there are" in checkpoint
    assert "models/clip_vision, from https://example.org/vit/model.safetensors (there are" in encoder
    # Also where both are at one node, as in a note on all models of a workflow.
    other = model | {"url": "https://example.org/sd/model.safetensors", "directory": "checkpoints"}
    note = [{"id": 1, "type": "MarkdownNote", "properties": {"models": [model, other]}}]
    checkpoint, encoder = find_problems(graph, object_info | schema, note)
    assert "models/checkpoints, from https://example.org/sd/model.safetensors" in checkpoint
    assert "models/clip_vision, from https://example.org/vit/model.safetensors" in encoder


def test_two_loaders_that_nobody_knows_and_one_name(object_info: dict[str, Any]) -> None:
    """Only what each node declares tells the two files apart."""
    schema = {"input": {"required": {"engine": [[], {}]}}, "output": ["VAE"], "output_node": True}
    kinds = {"1": "Exotic", "2": "Exotic", "3": "Strange"}
    graph = {key: {"class_type": kind, "inputs": {"engine": "b.safetensors"}} for key, kind in kinds.items()}
    nodes = [
        {
            "id": int(key),
            "type": kinds[key],
            "properties": {
                "models": [{"name": "b.safetensors", "url": f"https://example.org/{key}", "directory": f"place{key}"}]
            },
        }
        for key in "12"
    ]
    first, second, third = find_problems(graph, dict.fromkeys(kinds.values(), schema), nodes)
    assert "models/place1, from https://example.org/1," in first
    assert "models/place2, from https://example.org/2," in second
    assert third.endswith("(node 3): it is missing: put it into the folder of that node's models")


def test_a_folder_by_its_former_name_is_the_same_place(object_info: dict[str, Any]) -> None:
    schema = {"input": {"required": {"clip_name": [[], {}]}}, "output": ["CLIP"], "output_node": True}
    graph = {key: {"class_type": "CLIPLoader", "inputs": {"clip_name": "t5.safetensors"}} for key in ("1", "2")}
    model = {"name": "t5.safetensors", "url": "https://example.org/t5.safetensors", "directory": "clip"}
    nodes = [{"id": 9, "type": "Somebodys", "properties": {"models": [model]}}]
    (problem,) = find_problems(graph, {"CLIPLoader": schema}, nodes)
    assert problem.startswith("model 't5.safetensors' (nodes 1 and 2): it is missing: put it into models/clip, from ")


def test_a_declared_file_of_a_missing_node_that_another_wants_elsewhere(object_info: dict[str, Any]) -> None:
    graph = with_input("4", "ckpt_name", "b.safetensors") | {"20": {"class_type": "Quux", "inputs": {}}}
    models = [{"name": "b.safetensors", "url": "https://example.org/b.safetensors", "directory": "quuxes"}]
    workflow = Workflow(
        Path("film.json"), {"nodes": [{"id": 20, "type": "Quux", "properties": {"models": models}}], "links": []}, None
    )
    problems = [str(problem) for problem in check_graph(graph, object_info, workflow, lambda folder: [])]
    assert [problem for problem in problems if problem.startswith("model")] == [
        "model 'b.safetensors' (node 4): it is missing: put it into models/checkpoints (there are: 'dream.safetensors')",
        "model 'b.safetensors' (node 20): it is missing: put it into models/quuxes, from https://example.org/b.safetensors (the"
        " folder is empty)",
    ]


@pytest.mark.parametrize(
    ("chosen", "wanted"), [("b.safetensors", True), ("auto", False), ("none", False), (None, True)]
)
def test_a_model_that_a_missing_node_can_do_without(
    object_info: dict[str, Any], chosen: str | None, wanted: bool
) -> None:
    graph = image_graph() | {"20": {"class_type": "Quux", "inputs": {}}}
    models = [{"name": "b.safetensors", "url": "https://example.org/b.safetensors", "directory": "quuxes"}]
    node = {
        "id": 20,
        "type": "Quux",
        "properties": {"models": models},
        "widgets_values": [chosen, 3] if chosen else [3],
    }
    workflow = Workflow(Path("film.json"), {"nodes": [node], "links": []}, None)
    problems = [str(problem) for problem in check_graph(graph, object_info, workflow, lambda folder: [])]
    assert any(problem.startswith("model 'b.safetensors'") for problem in problems) == wanted


def test_a_model_that_lies_in_another_folder(object_info: dict[str, Any]) -> None:
    graph = with_input("4", "ckpt_name", "SD/Dream.safetensors")
    assert find_problems(graph, object_info) == [
        "model 'SD/Dream.safetensors' (node 4): it is missing under this name, but there is 'dream.safetensors':"
        " choose that in the node"
    ]


def test_a_model_of_a_node_that_nobody_knows(object_info: dict[str, Any]) -> None:
    schema = {"input": {"required": {"engine": [["a.safetensors"], {}]}}, "output": ["VAE"], "output_node": True}
    graph = {"1": {"class_type": "Exotic", "inputs": {"engine": "b.safetensors"}}}
    assert find_problems(graph, {"Exotic": schema}) == [
        "model 'b.safetensors' (node 1): it is missing: put it into the folder of that node's models (there are: 'a.safetensors')"
    ]


def test_an_empty_model_folder_is_told(object_info: dict[str, Any]) -> None:
    schema = {"input": {"required": {"vae_name": [[], {}]}}, "output": ["VAE"], "output_node": True}
    graph = {"1": {"class_type": "VAELoader", "inputs": {"vae_name": "wan_vae.safetensors"}}}
    assert find_problems(graph, {"VAELoader": schema}) == [
        "model 'wan_vae.safetensors' (node 1): it is missing: put it into models/vae (the folder is empty)"
    ]
