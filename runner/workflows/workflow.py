"""Workflow files: read them, and convert the editor's format to the API's."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.errors import VideoGenError

from ..comfyui.graph import STORY_NODE, Graph
from ..comfyui.installation import PROJECT

#: In a run directory: the converted workflow of the last run, and the versions that it was converted from and for.
CONVERSION_FILE = "graph.json"


@dataclass(frozen=True)
class Workflow:
    """A workflow file: `ui` as the editor saves it, or `api` as the server takes it."""

    path: Path
    ui: dict[str, Any] | None
    api: Graph | None

    def story_text(self) -> str:
        """The story in the workflow's VideoGenStory, or ""."""
        if self.api is not None:
            texts = [node["inputs"].get("text") for node in self.api.values() if node["class_type"] == STORY_NODE]
        else:
            assert self.ui is not None
            texts = [
                value
                for node in self.ui["nodes"]
                if node.get("type") == STORY_NODE
                for value in (node.get("widgets_values") or [])[1:2]
            ]
        return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def load_workflow(path: Path) -> Workflow:
    """Read a workflow file; a bare name such as ``preview`` may be that of a shipped workflow.

    Raises:
        VideoGenError: `workflow-unreadable`.
    """
    try:
        if not path.exists() and len(path.parts) == 1:
            shipped = PROJECT / "workflows" / f"{path.name.removesuffix('.json')}.json"
            path = shipped if shipped.exists() else path
        # Prompts from images' metadata contain NaN; the editor reads it as null too.
        data = json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=lambda _: None)
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in (PROJECT / "workflows").glob("*.json")))
        raise VideoGenError("workflow-unreadable", f"there is no workflow {path}", f"Shipped are: {known}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise VideoGenError("workflow-unreadable", f"{path} cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise VideoGenError("workflow-unreadable", f"{path} is not JSON: {error}") from None
    if isinstance(data, dict) and isinstance(data.get("nodes"), list) and "links" in data:
        if not all(isinstance(node, dict) and "type" in node for node in data["nodes"]):
            raise VideoGenError("workflow-unreadable", f"{path} has nodes without a type")
        return Workflow(path, data, None)
    if isinstance(data, dict) and data and all(_is_api_node(node) for node in data.values()):
        return Workflow(path, None, data)
    raise VideoGenError(
        "workflow-unreadable",
        f"{path} is no ComfyUI workflow: neither what the editor saves (`nodes`, `links`) nor its API export",
    )


def _is_api_node(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("class_type"), str) and isinstance(node.get("inputs"), dict)


def convert_workflow(workflow: Workflow, object_info: dict[str, Any]) -> Graph:
    """The workflow in API format, without inputs that the server's nodes do not have.

    Raises:
        VideoGenError: `workflow-invalid`, when it cannot be converted.
    """
    if workflow.api is not None:
        graph: Graph = json.loads(json.dumps(workflow.api))
    else:
        graph = _convert_ui(workflow, object_info)
    for node in graph.values():
        schema = object_info.get(node["class_type"])
        if schema:
            known = {name for group in schema.get("input", {}).values() for name in group}
            node["inputs"] = {name: value for name, value in node["inputs"].items() if _is_known(name, known)}
    return graph


def _is_known(name: str, known: set[str]) -> bool:
    # Growing inputs are called "images.image0", and "images" in the schema.
    return name in known or name.split(".")[0] in known


def _convert_ui(workflow: Workflow, object_info: dict[str, Any]) -> Graph:
    # The import takes a third of a second and prints; only conversions pay for it.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from comfy_cli.workflow_to_api import convert_ui_to_api

    logging.getLogger("comfy_cli").setLevel(logging.ERROR)
    try:
        return convert_ui_to_api(json.loads(json.dumps(workflow.ui)), object_info)
    except Exception as error:  # whatever a foreign converter raises on a foreign file
        raise VideoGenError(
            "workflow-invalid",
            f"{workflow.path} cannot be converted to the API format: {error}",
            "Open it in the editor and export it with File → Export (API); that file works too.",
        ) from None


def describe_conversion(workflow: Workflow, version: str, graph: Graph, object_info: dict[str, Any]) -> dict[str, Any]:
    """The record of a conversion for a run directory, with the schemas of the nodes that it uses."""
    used = {node["class_type"] for node in graph.values()}
    return {
        "workflow": digest(workflow.ui or workflow.api),
        "comfyui": version,
        "graph": graph,
        "object_info": {kind: object_info[kind] for kind in sorted(used) if kind in object_info},
    }


def load_conversion(folder: Path, workflow: Workflow, version: str) -> tuple[Graph, dict[str, Any]] | None:
    """The graph and schemas of a run directory, if they belong to this workflow and this ComfyUI version."""
    try:
        record = json.loads((folder / CONVERSION_FILE).read_text(encoding="utf-8"))
        if record["workflow"] != digest(workflow.ui or workflow.api) or record["comfyui"] != version:
            return None
        return record["graph"], record["object_info"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
