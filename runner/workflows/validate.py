"""Checks a graph against a server: all problems are listed before anything is submitted."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from custom_nodes.videogen.core.errors import Problem, ProblemList, VideoGenError
from custom_nodes.videogen.core.graph import Graph, find_upstream, is_link
from custom_nodes.videogen.core.similar_names import SimilarNames

from .missing_parts import AskSizes, ListModels, find_missing_models, find_missing_nodes, is_model_input, read_choices
from .workflow import Workflow

#: More problems than anyone repairs at once.
_MAX_PROBLEMS = 1_000
#: Nodes whose choices the user writes: the schema has none.
_OWN_CHOICES = ("CustomCombo",)
#: Whether the server has a file that its nodes load: ``cast/anna.png``, ``frame.png [output]``.
HasFile = Callable[[str], bool]
_ANNOTATED = re.compile(r"\[(input|output|temp)\]\s*\Z")
_NUMBERS = {"INT": (int,), "FLOAT": (int, float)}


def check_graph(
    graph: Graph,
    object_info: dict[str, Any],
    workflow: Workflow,
    list_models: ListModels | None = None,
    ask_sizes: AskSizes | None = None,
    brought: Collection[str] = (),
    has_file: HasFile | None = None,
) -> list[Problem]:
    """All problems of a graph in API format: nodes, models, links, required inputs, choices, ranges.

    As on the server, every node must be a known one, and all else matters only for nodes that an output depends on: official
    templates have nodes that are left over, with nothing connected to them.

    Args:
        list_models, ask_sizes: see `find_missing_models`.
        brought: names of files that the run uploads before it submits the graph.
        has_file: asked for files that no list of choices contains: those in subfolders and of the server's output folder.
    """
    used = _used_nodes(graph, object_info)
    found = chain(
        find_missing_nodes(graph, object_info, workflow),
        find_missing_models(used, object_info, workflow, list_models, ask_sizes),
        _check_nodes(used, object_info, brought, has_file),
    )
    problems = list(islice(found, _MAX_PROBLEMS))
    if len(problems) == _MAX_PROBLEMS and next(found, None) is not None:
        problems.append(Problem("", f"and more; these are the first {_MAX_PROBLEMS:,}"))
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
    brought: Collection[str] = (),
    has_file: HasFile | None = None,
) -> None:
    """Raise `workflow-invalid` with all problems, if there are any.

    Args:
        more: further problems for the same message, such as those of the references workflow.
        brought, has_file: see `check_graph`.
    """
    problems = [*check_graph(graph, object_info, workflow, list_models, brought=brought, has_file=has_file), *more]
    if problems:
        raise ProblemList(
            "workflow-invalid",
            f"{workflow.path.name} does not fit the ComfyUI at {server}",
            problems,
            "Nothing was submitted.",
        )


@contextlib.contextmanager
def together(also: Callable[[], None]) -> Iterator[None]:
    """Check something else too, and raise one error for both: what is repaired in one go is told in one message.

    Args:
        also: called at the end of the context, whether what is in it raises a `VideoGenError` or not.

    Raises:
        VideoGenError: that of the context, with the message and hint of the other one's, or either of them.
    """
    try:
        yield
    except VideoGenError as error:
        try:
            also()
        except VideoGenError as other:
            # Each ends with the same sentence.
            hints = dict.fromkeys([*other.hint.splitlines(), *error.hint.splitlines()])
            raise VideoGenError(error.code, f"{error.message}\n{other.message}", "\n".join(hints)) from None
        raise
    also()


def _used_nodes(graph: Graph, object_info: dict[str, Any]) -> Graph:
    """The nodes that outputs depend on; all of them where there is no output, or none that is known."""
    outputs = [
        key
        for key, node in graph.items()
        if object_info.get(node["class_type"], {"output_node": True}).get("output_node")
    ]
    used = find_upstream(graph, outputs or graph)
    return {key: node for key, node in graph.items() if key in used}


def _check_nodes(
    graph: Graph, object_info: dict[str, Any], brought: Collection[str], has_file: HasFile | None
) -> Iterator[Problem]:
    similar = SimilarNames()
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
            if isinstance(value, str) and value in brought:
                continue
            if is_link(value):
                yield from _check_link(where, name, value, spec, graph, object_info)
            else:
                yield from _check_value(where, kind, name, value, spec, similar, has_file)


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


#: The type of what a switch, or a node for images and masks, takes is that of what is connected: only the editor tells.
_FITS_ALL = {"*", "COMFY_MATCHTYPE_V3"}


def types_fit(given: str, wanted: str) -> bool:
    """Whether a link of one type fits an input of another, by ComfyUI's rule: any of "A,B"; some fit all."""
    given_types = {part.strip() for part in given.split(",")}
    wanted_types = {part.strip() for part in wanted.split(",")}
    return bool(_FITS_ALL & (given_types | wanted_types) or given_types & wanted_types)


def _check_value(
    where: str, kind: str, name: str, value: Any, spec: Any, similar: SimilarNames, has_file: HasFile | None
) -> Iterator[Problem]:
    options = spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}
    choices = read_choices(spec)
    if choices is not None:
        values = value if isinstance(value, list) and options.get("multiselect") else [value]
        for one in values:
            if one not in choices and not options.get("remote") and kind not in _OWN_CHOICES:
                uploaded = any(key.endswith("_upload") and options[key] for key in options)
                if uploaded and has_file is not None and _is_elsewhere(one) and has_file(one):
                    continue
                if uploaded or not is_model_input(kind, name, one):  # models are named already
                    yield Problem(where, _missing_choice(name, one, choices, uploaded, similar))
    elif spec[0] in _NUMBERS:
        is_number = isinstance(value, _NUMBERS[spec[0]]) and not isinstance(value, bool)
        if not is_number or (isinstance(value, float) and not math.isfinite(value)):
            yield Problem(where, f"{name!r} is {value!r}, expected a {'whole ' if spec[0] == 'INT' else ''}number")
            return
        low, high = options.get("min"), options.get("max")
        if (low is not None and value < low) or (high is not None and value > high):
            yield Problem(where, f"{name!r} is {value}, expected {low} to {high}")
    elif spec[0] not in ("STRING", "BOOLEAN", "*") and isinstance(spec[0], str) and not _has_widget(value, options):
        yield Problem(where, f"{name!r} expects a link of type {spec[0]}")


def _is_elsewhere(value: Any) -> bool:
    """Whether a file is none that a list of choices has: these lists end with the input folder itself."""
    return isinstance(value, str) and ("/" in value or bool(_ANNOTATED.search(value)))


def _has_widget(value: Any, options: Mapping[str, Any]) -> bool:
    # Of what has no socket the editor knows the value, which may be null.
    return value is not None or bool(options.get("socketless"))


def _missing_choice(name: str, value: Any, choices: list[Any], uploaded: bool, similar: SimilarNames) -> str:
    if uploaded:
        annotated = _ANNOTATED.search(str(value))
        folder = annotated[1] if annotated else "input"
        return f"the file {value!r} is not in the server's {folder} folder{_other_slashes(str(value), choices)}"
    close = similar.find(str(value), map(str, choices))
    return f"{name!r} is {value!r}, expected one of {_some(choices)}" + (f" (did you mean {close!r}?)" if close else "")


def _other_slashes(name: str, choices: list[Any]) -> str:
    """Where a name has the other system's separators: what it is called on this server, or how it would be."""
    there = {str(choice).replace("\\", "/"): choice for choice in choices}.get(name.replace("\\", "/"))
    if there is not None:
        return f", but there is {there!r}: choose that in the node"
    return " (a server on Linux or macOS separates folders by /)" if "\\" in name else ""


def _some(choices: list[Any]) -> str:
    shown = ", ".join(repr(choice) for choice in choices[:8])
    return shown + (f" and {len(choices) - 8} more" if len(choices) > 8 else "")
