"""The conversion of a saved workflow: what the editor does to links is done here, comfy-cli reads the widgets."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph

from .dynamic_choices import align_values
from .everywhere import add_everywhere_links
from .flattening import FlatWorkflow, flatten
from .group_nodes import replace_group_nodes
from .levels import unfold
from .prefixes import ALIAS, fill_values
from .schemas import ALIASES, adapt_schemas
from .unknown_nodes import drop_unused

_EXPORT = "Open it in the editor and export it with File → Export (API); that file works too."
_SHOWN = 8
#: Stands for an object among the values of widgets.
_OBJECT = "videogen object "
#: How the converter's warning of an unknown choice begins.
_OF_CHOICES = "Dynamic-combo input"


@dataclass(frozen=True)
class Converted:
    """A graph in API format.

    Attributes:
        notes: what may not be as it is in the editor, as sentences.
    """

    graph: Graph
    notes: tuple[str, ...] = ()


def convert_ui(path: Path, ui: dict[str, Any], object_info: Mapping[str, Any]) -> Converted:
    """The graph that the editor would send for a workflow that it has saved.

    Args:
        path: of its file, for messages.
        object_info: the schemas of the server's nodes.

    Raises:
        VideoGenError: `workflow-invalid`.
    """
    if not isinstance(ui.get("links"), list):
        raise VideoGenError(
            "workflow-invalid", f"{path} cannot be converted to the API format: it has no links", _EXPORT
        )
    ui, notes = add_everywhere_links(replace_group_nodes(ui, object_info))
    root = unfold(ui)
    flat = flatten(root, object_info)
    notes += drop_unused(flat, object_info)
    unknown = list(_prepare(flat, object_info))
    objects = _hide_objects(flat)
    schemas = adapt_schemas(object_info, {str(node.get("type")) for node in flat.ui["nodes"]} | set(ALIASES))
    graph, said = _read_widgets(path, flat.ui, schemas)
    names = {alias: kind for kind, alias in ALIASES.items()}
    for node in graph.values():
        node["class_type"] = names.get(node["class_type"], node["class_type"])
    _show_objects(graph, objects)
    for (node_id, name), value in flat.values.items():
        if node_id in graph:
            # A list is a value here, not a link.
            graph[node_id]["inputs"][name] = {"__value__": value} if isinstance(value, list) else value
    if unknown:
        said = [text for text in said if not text.startswith(_OF_CHOICES)]  # said with the node's number already
    return Converted(graph, (*notes, *unknown, *said, *fill_values(graph, flat.nodes)))


def _prepare(flat: FlatWorkflow, object_info: Mapping[str, Any]) -> Iterator[str]:
    """Give the converter what it reads as the editor does."""
    for node in flat.ui["nodes"]:
        schema, values = object_info.get(node["type"]), node.get("widgets_values")
        if isinstance(values, list):
            node["widgets_values"], unknown = align_values(values, schema)
            yield from (f"node {node['id']} ({node['type']}): {text}" for text in unknown)
        if isinstance(properties := node.get("properties"), dict):
            # A name that users may change; the converter takes it for the node's class.
            node["properties"] = {name: value for name, value in properties.items() if name != ALIAS}
        if schema is not None:
            node["type"] = ALIASES.get(node["type"], node["type"])


def _hide_objects(flat: FlatWorkflow) -> dict[str, dict[str, Any]]:
    """Put a text in the place of each object among the values of widgets, such as a curve: the converter drops a node's values
    where one of them is an object.

    Returns:
        Text → object.
    """
    objects: dict[str, dict[str, Any]] = {}
    for node in flat.ui["nodes"]:
        values = node.get("widgets_values")
        if not isinstance(values, list):
            continue
        for place, value in enumerate(values):
            if isinstance(value, dict):
                name = f"{_OBJECT}{len(objects)}"
                objects[name] = value
                values = [*values[:place], name, *values[place + 1 :]]
        node["widgets_values"] = values
    return objects


def _show_objects(graph: Graph, objects: Mapping[str, dict[str, Any]]) -> None:
    for node in graph.values() if objects else ():
        for name, value in node["inputs"].items():
            if isinstance(value, str) and value in objects:
                node["inputs"][name] = objects[value]


def _read_widgets(path: Path, ui: dict[str, Any], object_info: dict[str, Any]) -> tuple[Graph, list[str]]:
    # The import takes a third of a second and prints; only conversions pay for it.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        from comfy_cli.workflow_to_api import convert_ui_to_api

    said = _Said()
    log = logging.getLogger("comfy_cli.workflow_to_api")
    log.addFilter(said)
    try:
        graph: Graph = convert_ui_to_api(ui, object_info)
    except Exception as error:  # whatever a foreign converter raises on a foreign file
        raise VideoGenError(
            "workflow-invalid", f"{path} cannot be converted to the API format: {error}", _EXPORT
        ) from None
    finally:
        log.removeFilter(said)
    if said.skipped:
        named = ", ".join(said.skipped[:_SHOWN]) + (" …" if len(said.skipped) > _SHOWN else "")
        raise VideoGenError("workflow-invalid", f"{path} has nodes that cannot be converted: {named}", _EXPORT)
    return graph, said.warnings


class _Said(logging.Filter):
    """What the converter logs.

    Attributes:
        skipped: nodes that it leaves out because it fails on them, such as ``"5 (KSampler)"``; it logs a traceback for each.
        warnings: its other messages, each once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.skipped: list[str] = []
        self.warnings: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.args, tuple) and len(record.args) == 2:
            self.skipped.append(f"{record.args[0]} ({record.args[1]})")
        elif record.levelno >= logging.WARNING and (text := record.getMessage()) not in self.warnings:
            self.warnings.append(text)
        return False
