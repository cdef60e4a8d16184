"""Checks of small graphs against a frozen ``/object_info``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.workflows.missing_parts import DeclaredModel, all_ui_nodes
from runner.workflows.validate import check_graph
from runner.workflows.workflow import Workflow
from tests.support.graphs.plain import Graph, image_graph


def find_problems(graph: Graph, info: dict[str, Any], nodes: list[dict[str, Any]] | None = None) -> list[str]:
    """The problems of a graph as lines; `nodes` are those of the editor's workflow that it comes from."""
    workflow = Workflow(Path("film.json"), {"nodes": nodes, "links": []} if nodes else None, None if nodes else graph)
    return [str(problem) for problem in check_graph(graph, info, workflow)]


def with_input(node_id: str, name: str, value: Any) -> Graph:
    """The image workflow with one input changed."""
    graph = image_graph()
    graph[node_id]["inputs"][name] = value
    return graph


def declared_models(workflow: Workflow) -> list[DeclaredModel]:
    """Every model of the nodes' ``properties.models``, those in subgraphs too."""
    return [
        DeclaredModel(model["name"], model.get("directory") or "", model.get("url") or "")
        for node in all_ui_nodes(workflow)
        for model in (node.get("properties") or {}).get("models") or []
    ]
