"""ComfyUI's official templates, which `install.py --test` has downloaded, as graphs for ComfyUI 0.33."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.graph import Graph
from runner.comfyui.installation import PROJECT
from runner.setup.comfyui.templates import TEMPLATES, templates_in
from runner.workflows.workflow import Workflow, convert_workflow, load_workflow
from tests.support.needs import skip_or_fail


def find_template_files() -> dict[str, Path]:
    """All workflows among the templates by name; skips or fails without them."""
    folder = templates_in(PROJECT / ".videogen")
    files = {path.stem: path for path in sorted(folder.glob("*.json")) if not path.stem.startswith(("index", "fuse"))}
    if not files:
        skip_or_fail(f"{folder} has no templates; python3 install.py --test downloads version {TEMPLATES}")
    return files


def convert_template(path: Path, schemas: Mapping[str, Any]) -> Graph:
    """A template in API format.

    Args:
        schemas: of the server; a conversion looks through all that it gets, so it gets those that the template uses.
    """
    workflow = load_workflow(path)
    return convert_workflow(workflow, {kind: schemas[kind] for kind in kinds_in(workflow) if kind in schemas})


def kinds_in(workflow: Workflow) -> Iterator[str]:
    """The classes of a workflow's nodes, also of those in subgraphs, each once."""
    assert workflow.ui is not None
    subgraphs = (workflow.ui.get("definitions") or {}).get("subgraphs") or []
    yield from dict.fromkeys(node["type"] for level in (workflow.ui, *subgraphs) for node in level["nodes"])
