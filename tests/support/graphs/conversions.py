"""Small workflows with the graph that the editor's own graphToPrompt() made of them, and how such graphs are compared."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.graph import Graph

FOLDER = Path(__file__).parents[2] / "data" / "conversions"


@dataclass(frozen=True)
class SmallWorkflow:
    """A workflow and what an editor has made of it.

    Attributes:
        taken_with: the editor, and the pack whose scripts it had.
        otherwise: version of an editor that makes something else of it → why we do not.
    """

    about: str
    taken_with: str
    workflow: dict[str, Any]
    graph: Graph
    otherwise: dict[str, str] = field(default_factory=dict)


def small_workflows() -> dict[str, SmallWorkflow]:
    """All of them, by name."""
    return {
        path.stem: SmallWorkflow(**json.loads(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*.json"))
        if path.stem != "object_info"
    }


def schemas() -> dict[str, Any]:
    """What ComfyUI 0.3.75 answers to /object_info, of the nodes that are in them."""
    return json.loads((FOLDER / "object_info.json").read_text(encoding="utf-8"))


def executed(graph: Graph, object_info: dict[str, Any]) -> Graph:
    """What the server reads of a graph: no titles, and none of the inputs that only the browser has, such as previews."""
    found = {}
    for key, node in graph.items():
        known = {name for group in object_info.get(node["class_type"], {}).get("input", {}).values() for name in group}
        inputs = {name: value for name, value in node["inputs"].items() if not known or name.split(".")[0] in known}
        found[key] = {"class_type": node["class_type"], "inputs": inputs}
    return found
