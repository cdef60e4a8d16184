"""Checking workflows of others: the templates that come with ComfyUI, on a server that has none of their models."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import Problem, VideoGenError
from custom_nodes.videogen.core.graph import Graph, find_upstream
from runner.workflows.missing_parts import all_ui_nodes
from runner.workflows.validate import check_graph
from runner.workflows.workflow import Workflow, convert_workflow, load_workflow
from tests.support.graphs.checks import declared_models
from tests.support.needs import skip_or_fail
from tests.support.servers.comfy import ComfyServer

pytestmark = pytest.mark.server

#: Those of ComfyUI 0.3.75 have their images beside them; from 0.33 on, all of them are in the last one.
PACKAGES = ("core", "media_api", "media_image", "media_other", "media_video", "json")


def find_templates() -> list[Path]:
    """All templates of the editor that are installed, as files."""
    found: list[Path] = []
    for package in PACKAGES:
        spec = importlib.util.find_spec(f"comfyui_workflow_templates_{package}")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            found += sorted(Path(folder).glob("templates/*.json"))
    return found


@pytest.fixture(scope="module")
def checked(comfy_server: ComfyServer) -> dict[str, tuple[Workflow, Graph, list[Problem]]]:
    """Workflow, graph and problems of each template."""
    if not find_templates():
        skip_or_fail("ComfyUI's templates are not installed")
    results = {}
    for path in find_templates():
        try:
            workflow = load_workflow(path)
        except VideoGenError:
            continue  # the index of a language
        graph = convert_workflow(workflow, comfy_server.object_info)
        problems = check_graph(graph, comfy_server.object_info, workflow, comfy_server.client.list_models)
        results[path.stem] = (workflow, graph, problems)
    assert len(results) > 100
    return results


def values_of(graph: Graph, nodes: Iterable[str]) -> Iterator[str]:
    yield from (value for node in nodes for value in graph[node]["inputs"].values() if isinstance(value, str))


def test_every_model_that_a_workflow_declares_is_named_once_with_folder_and_address(
    checked: dict[str, tuple[Workflow, Graph, list[Problem]]], comfy_server: ComfyServer
) -> None:
    """Only what an output depends on: `flux1_dev_uso_reference_image_gen` has loaders for nodes that are bypassed."""
    saves = {kind for kind, schema in comfy_server.object_info.items() if schema["output_node"]}
    count = 0
    for name, (workflow, graph, problems) in checked.items():
        ends = [
            key
            for key, node in graph.items()
            if node["class_type"] in saves or node["class_type"] not in comfy_server.object_info
        ]
        used = set(values_of(graph, find_upstream(graph, ends)))
        lines = Counter(problem.where.split(" (")[0] for problem in problems)
        assert not [where for where, times in lines.items() if where.startswith("model ") and times > 1], name
        for model in {model.name: model for model in declared_models(workflow)}.values():
            if model.name not in used:
                continue  # another one is chosen in its node, or the node is muted
            (problem,) = [problem for problem in problems if problem.where.startswith(f"model {model.name!r} ")]
            assert f"models/{model.folder}, from https://" in problem.message, (name, model.name)
            count += 1
    assert count > 200


def test_every_missing_node_type_takes_one_line_with_its_pack(
    checked: dict[str, tuple[Workflow, Graph, list[Problem]]], comfy_server: ComfyServer
) -> None:
    count = 0
    for name, (workflow, graph, problems) in checked.items():
        lacking = {node["class_type"] for node in graph.values()} - set(comfy_server.object_info)
        packs = {str(node.get("type")): (node.get("properties") or {}).get("cnr_id") for node in all_ui_nodes(workflow)}
        for kind in lacking:
            (problem,) = [problem for problem in problems if problem.where.startswith(f"{kind} (node")]
            assert packs[kind] is None or repr(packs[kind]) in problem.message or "ComfyUI itself" in problem.message, (
                name
            )
            count += 1
    assert count > 0


def test_what_a_workflow_of_core_nodes_alone_lacks_are_models_and_images(
    checked: dict[str, tuple[Workflow, Graph, list[Problem]]],
) -> None:
    """No false alarm: a template of ten core nodes, the same for years, fits but for its model."""
    _, _, problems = checked["sdxlturbo_example"]
    assert [problem.where for problem in problems] == ["model 'sd_xl_turbo_1.0_fp16.safetensors' (node 20)"]
