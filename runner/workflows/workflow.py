"""Workflow files: read them, and convert the editor's format to the API's."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import IMAGE_LOADER, STORY_NODE, Graph
from custom_nodes.videogen.core.similar_names import SimilarNames
from custom_nodes.videogen.media.path_inside import suggest_slashes

from .conversion.converter import convert_ui
from .conversion.ui_format import list_links, require_ui_format
from .dynamic_prompts import draw_prompts, find_dynamic_texts, without_drawing
from .files.embedded import is_media, read_metadata
from .files.locate import find_templates, list_shipped, locate_workflow
from .files.wrappers import parse_json, unwrap
from .limits import read_beginning, read_bounded, require_bounded, require_short_metadata

_NO_METADATA = (
    "ComfyUI writes it into what it saves, unless it was started with --disable-metadata; other tools remove it."
)
#: In a run directory: the converted workflow of the last run, and the versions that it was converted from and for.
CONVERSION_FILE = "graph.json"
#: In it: the same of the workflows that segments have of their own.
OTHERS = "others"
_AS_WRITTEN = "as written"


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
                values[1]
                for node in self.ui["nodes"]
                if node.get("type") == STORY_NODE
                and isinstance(values := node.get("widgets_values"), list)
                and len(values) > 1
            ]
        return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def load_workflow(path: Path) -> Workflow:
    """Read a workflow from a JSON file, or from the metadata of a picture or video that was made with it.

    Args:
        path: a file; or the name of a shipped workflow (``preview``), or of an official template that is installed.

    Raises:
        VideoGenError: `workflow-unreadable`, `media-broken`.
    """
    try:
        path = locate_workflow(path)
        beginning = read_beginning(path, 16)
        if is_media(beginning):
            data: Any = read_metadata(path, beginning)
            if not data:
                raise VideoGenError("workflow-unreadable", f"{path} has no workflow in its metadata", _NO_METADATA)
            require_short_metadata(path, data)
        else:
            data = parse_json(read_bounded(path).decode("utf-8-sig"))
    except FileNotFoundError:
        known = ", ".join(list_shipped())
        message = f"there is no workflow {path}{suggest_slashes(path)}"
        raise VideoGenError("workflow-unreadable", message, _known(path, known)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise VideoGenError("workflow-unreadable", f"{path} cannot be read: {error}") from None
    except (ValueError, RecursionError) as error:
        raise VideoGenError("workflow-unreadable", f"{path} is not JSON: {error}") from None
    ui, api = unwrap(data)
    if ui is not None:
        ui = list_links(ui)
        require_ui_format(path, ui)
        require_bounded(path, ui, None)
        return Workflow(path, ui, None)
    if api is not None:
        require_bounded(path, None, api)
        return Workflow(path, None, api)
    raise VideoGenError(
        "workflow-unreadable",
        f"{path} is no ComfyUI workflow: neither what the editor saves (`nodes`, `links`) nor its API export",
    )


def _known(path: Path, shipped: str) -> str:
    """What names a workflow could have: of hundreds of templates those that are similar."""
    similar = (
        SimilarNames().find(path.name.removesuffix(".json"), list(find_templates())) if len(path.parts) == 1 else ""
    )
    return f"Shipped are: {shipped}." + (f" An installed template is named {similar}." if similar else "")


def convert_workflow(
    workflow: Workflow,
    object_info: dict[str, Any],
    *,
    seed: int | None = 0,
    warn: Callable[[str], None] = lambda text: None,
) -> Graph:
    """The workflow in API format, without inputs that the server's nodes do not have.

    Args:
        seed: draws the choices of dynamic prompts (``{a|b}``); None leaves these texts as they are written, for `draw_prompts`.
        warn: gets what may not be as it is in the editor, as sentences.

    Raises:
        VideoGenError: `workflow-invalid`, when it cannot be converted.
    """
    if workflow.api is not None:
        graph: Graph = json.loads(json.dumps(workflow.api))
    else:
        assert workflow.ui is not None
        converted = convert_ui(workflow.path, workflow.ui, without_drawing(object_info))
        graph = converted.graph
        for note in converted.notes:
            warn(note)
        if seed is not None:
            draw_prompts(graph, find_dynamic_texts(graph, object_info), seed)
    for node in graph.values():
        schema = object_info.get(node["class_type"])
        if schema:
            known = {name for group in schema.get("input", {}).values() for name in group}
            node["inputs"] = {name: value for name, value in node["inputs"].items() if _is_known(name, known)}
    return graph


def _is_known(name: str, known: set[str]) -> bool:
    # Growing inputs are called "images.image0", and "images" in the schema.
    return name in known or name.split(".")[0] in known


@dataclass(frozen=True)
class Conversion:
    """A conversion that a run directory holds.

    Attributes:
        graph: in API format, with dynamic prompts as they are written.
        object_info: the schemas of the nodes that it uses.
        comfyui: version of the server that it was converted for.
        drawn: the graph that an earlier release has rendered, which drew dynamic prompts once for all segments; else None.
        written: `graph` has the texts as they are written; that of an earlier release has them drawn.
    """

    graph: Graph
    object_info: dict[str, Any]
    comfyui: str
    drawn: Graph | None = None
    written: bool = True


def describe_conversion(
    workflow: Workflow,
    version: str,
    graph: Graph,
    object_info: dict[str, Any],
    drawn: Graph | None = None,
    added: Collection[str] = (),
) -> dict[str, Any]:
    """The record of a conversion for a run directory, with the schemas of the nodes that it uses; see `Conversion`.

    Args:
        added: classes of nodes that the runner may put into it, besides loaders of pictures.
    """
    used = {node["class_type"] for node in graph.values()} | {IMAGE_LOADER, *added}
    return {
        "workflow": digest(workflow.ui or workflow.api),
        "comfyui": version,
        "graph": graph,
        "object_info": {kind: object_info[kind] for kind in sorted(used) if kind in object_info},
        "texts": _AS_WRITTEN,
        **({"drawn": drawn} if drawn is not None else {}),
    }


def load_conversion(folder: Path, workflow: Workflow) -> Conversion | None:
    """The conversion of this workflow in a run directory, if there is one."""
    try:
        first = json.loads(read_bounded(folder / CONVERSION_FILE).decode("utf-8"))
        wanted = digest(workflow.ui or workflow.api)
        record = next((one for one in (first, *first.get(OTHERS, ())) if one["workflow"] == wanted), None)
        if record is None:
            return None
        graph, written = record["graph"], record.get("texts") == _AS_WRITTEN
        drawn = record.get("drawn") if written else graph
        return Conversion(graph, record["object_info"], record["comfyui"], drawn, written)
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError, VideoGenError):
        return None  # it is converted again
