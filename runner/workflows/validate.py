"""Checks a graph against a server: all problems are listed before anything is submitted."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator
from typing import Any

from custom_nodes.videogen.core.errors import Problem, ProblemList

from ..comfyui.graph import Graph, is_link
from .missing_parts import AskSizes, ListModels, find_missing_models, find_missing_nodes, is_model_input, read_choices
from .workflow import Workflow

_NUMBERS = {"INT": (int,), "FLOAT": (int, float)}


def check_graph(
    graph: Graph,
    object_info: dict[str, Any],
    workflow: Workflow,
    list_models: ListModels | None = None,
    ask_sizes: AskSizes | None = None,
) -> list[Problem]:
    """All problems of a graph in API format: nodes, models, links, required inputs, choices, ranges.

    Args:
        list_models, ask_sizes: see `find_missing_models`.
    """
    problems = [
        *find_missing_nodes(graph, object_info, workflow),
        *find_missing_models(graph, object_info, workflow, list_models, ask_sizes),
        *_check_nodes(graph, object_info),
    ]
    # A node that the server does not know may well be the one that saves.
    known = all(node["class_type"] in object_info for node in graph.values())
    if known and not any(object_info[node["class_type"]].get("output_node") for node in graph.values()):
        problems.append(Problem("", "no node of the workflow saves anything: add an output node"))
    return problems


def require_fit(
    graph: Graph,
    object_info: dict[str, Any],
    workflow: Workflow,
    server: str,
    list_models: ListModels | None = None,
    more: Iterable[Problem] = (),
) -> None:
    """Raise `workflow-invalid` with all problems, if there are any.

    Args:
        more: further problems for the same message, such as those of the references workflow.
    """
    problems = [*check_graph(graph, object_info, workflow, list_models), *more]
    if problems:
        raise ProblemList(
            "workflow-invalid",
            f"{workflow.path.name} does not fit the ComfyUI at {server}",
            problems,
            "Nothing was submitted.",
        )


def _check_nodes(graph: Graph, object_info: dict[str, Any]) -> Iterator[Problem]:
    for node_id, node in graph.items():
        kind = node["class_type"]
        where = f"node {node_id} ({kind})"
        schema = object_info.get(kind)
        if schema is None:
            continue  # named already
        required = schema.get("input", {}).get("required", {})
        optional = schema.get("input", {}).get("optional", {})
        for name, spec in required.items():
            if name not in node["inputs"] and not _is_dynamic(spec):
                yield Problem(where, f"the required input {name!r} is not connected and has no value")
        for name, value in node["inputs"].items():
            spec = required.get(name) or optional.get(name)
            if spec is None or _is_dynamic(spec):
                continue
            if is_link(value):
                yield from _check_link(where, name, value, spec, graph, object_info)
            else:
                yield from _check_value(where, kind, name, value, spec)


def _is_dynamic(spec: Any) -> bool:
    # Growing and branching inputs have schemas of their own, which only the server knows how to read.
    return bool(spec) and isinstance(spec[0], str) and spec[0].startswith("COMFY_")


def _check_link(
    where: str, name: str, value: list[Any], spec: Any, graph: Graph, object_info: dict[str, Any]
) -> Iterator[Problem]:
    source = graph.get(value[0])
    if source is None:
        yield Problem(where, f"{name!r} is linked to node {value[0]}, which is not in the graph (muted or bypassed?)")
        return
    schema = object_info.get(source["class_type"])
    if schema is None:
        return  # named already
    outputs = schema.get("output", [])
    if not 0 <= value[1] < len(outputs):
        yield Problem(where, f"{name!r} is linked to output {value[1]} of node {value[0]}, which has {len(outputs)}")
        return
    given, wanted = _type_name(outputs[value[1]]), _type_name(spec[0])
    if not types_fit(given, wanted):
        yield Problem(where, f"{name!r} expects {wanted}, found {given} from node {value[0]} ({source['class_type']})")


def _type_name(kind: Any) -> str:
    return "COMBO" if isinstance(kind, list) else str(kind)


def types_fit(given: str, wanted: str) -> bool:
    """Whether a link of one type fits an input of another, by ComfyUI's rule: any of "A,B", ``*`` for all."""
    given_types = {part.strip() for part in given.split(",")}
    wanted_types = {part.strip() for part in wanted.split(",")}
    return "*" in given_types | wanted_types or bool(given_types & wanted_types)


def _check_value(where: str, kind: str, name: str, value: Any, spec: Any) -> Iterator[Problem]:
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
    choices = read_choices(spec)
    if choices is not None:
        values = value if isinstance(value, list) and options.get("multiselect") else [value]
        for one in values:
            if one not in choices and not options.get("remote"):
                uploaded = any(key.endswith("_upload") and options[key] for key in options)
                if uploaded or not is_model_input(kind, name, one):  # models are named already
                    yield Problem(where, _missing_choice(name, one, choices, uploaded))
    elif spec[0] in _NUMBERS:
        is_number = isinstance(value, _NUMBERS[spec[0]]) and not isinstance(value, bool)
        if not is_number or (isinstance(value, float) and not math.isfinite(value)):
            yield Problem(where, f"{name!r} is {value!r}, expected a {'whole ' if spec[0] == 'INT' else ''}number")
            return
        low, high = options.get("min"), options.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            yield Problem(where, f"{name!r} is {value}, expected {low} to {high}")
    elif spec[0] not in ("STRING", "BOOLEAN", "*") and isinstance(spec[0], str) and not _has_widget(value):
        yield Problem(where, f"{name!r} expects a link of type {spec[0]}")


def _has_widget(value: Any) -> bool:
    return value is not None


def _missing_choice(name: str, value: Any, choices: list[Any], uploaded: bool) -> str:
    if uploaded:
        return f"the file {value!r} is not in the server's input folder"
    close = difflib.get_close_matches(str(value), [str(choice) for choice in choices], n=1)
    return f"{name!r} is {value!r}, expected one of {_some(choices)}" + (
        f" (did you mean {close[0]!r}?)" if close else ""
    )


def _some(choices: list[Any]) -> str:
    shown = ", ".join(repr(choice) for choice in choices[:8])
    return shown + (f" and {len(choices) - 8} more" if len(choices) > 8 else "")
