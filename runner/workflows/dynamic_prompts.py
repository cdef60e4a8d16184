"""Dynamic prompts, ``{a|b|c}``: the editor draws one of the choices when a workflow is queued, here a seed does.

The editor's rules, as its `processDynamicPrompt` has them: comments (``/* … */``, and ``//`` to the end of the line, also in an
address) are removed, ``\\{``, ``\\|`` and ``\\}`` are the characters themselves, and choices may hold choices. Only texts that
are widgets of a saved workflow are drawn: an API export has been drawn by the editor, and no server knows these braces.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph

from .bindings import InputRef

#: The option of an input's schema that says that its text is one.
DYNAMIC = "dynamicPrompts"
#: Levels of choices within choices that are read.
MAX_DEPTH = 100

#: Gets how many choices there are, and says which one is taken, from 0.
Choose = Callable[[int], int]

_ESCAPED = re.compile(r"\\([{}|])")
#: Where a line ends, and with it a comment.
_LINE_END = re.compile("[\n\r\u2028\u2029]|\\Z")
_COMMENT = re.compile(r"/[*/]")
#: What a text has that is not drawn as it is.
_DRAWN = re.compile(r"[{\\]|/[*/]")


def without_drawing(object_info: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas of a server's nodes as if no text of theirs was dynamic: a converter then leaves the texts as they are."""
    return {kind: _without_option(schema) for kind, schema in object_info.items()}


def find_dynamic_texts(graph: Graph, object_info: Mapping[str, Any]) -> dict[InputRef, str]:
    """The inputs of a converted graph whose text the editor would change, and these texts as they are written."""
    return {
        InputRef(node_id, name): text
        for node_id, node in graph.items()
        for name in _dynamic_inputs(object_info.get(node["class_type"]))
        if isinstance(text := node["inputs"].get(name), str) and _DRAWN.search(text)
    }


def draw_prompts(graph: Graph, texts: Mapping[InputRef, str], seed: int) -> None:
    """Draw the dynamic texts of a graph, in place, unless something else was written there since.

    The same text and seed draw the same, whatever the number of the node: a workflow in which something else has changed
    renders the same segment.

    Raises:
        VideoGenError: `workflow-invalid`, for choices nested deeper than `MAX_DEPTH`.
    """
    for target, text in texts.items():
        if graph[target.node_id]["inputs"].get(target.name) != text:
            continue
        try:
            drawn = draw_text(text, _seeded(seed, text))
        except RecursionError:
            kind = graph[target.node_id]["class_type"]
            raise VideoGenError(
                "workflow-invalid",
                f"node {target.node_id} ({kind}): the choices in {target.name!r} are nested deeper than {MAX_DEPTH} levels",
                "Write fewer braces within braces, or \\{ for a brace that is meant as such.",
            ) from None
        target.set(graph, drawn)


def draw_in_workflow(ui: dict[str, Any], texts: Mapping[InputRef, str], graph: Graph) -> None:
    """Write what was drawn into the widgets of a saved workflow, in place, as the editor does with the one it saves in files."""
    for node in ui.get("nodes", []):
        values = node.get("widgets_values")
        if not isinstance(values, list):
            continue
        for target, text in texts.items():
            drawn = graph.get(target.node_id, {}).get("inputs", {}).get(target.name)
            if str(node.get("id")) == target.node_id and isinstance(drawn, str) and drawn != text:
                values[:] = [drawn if value == text else value for value in values]


def draw_text(text: str, choose: Choose) -> str:
    """Draw one text.

    Raises:
        RecursionError: its choices are nested deeper than `MAX_DEPTH`.
    """
    # What is chosen is read by the same rules again; it has no comments any more.
    return _draw(_strip_comments(text), choose, MAX_DEPTH)


def _draw(text: str, choose: Choose, depth: int) -> str:
    if depth < 0:
        raise RecursionError
    found: list[str] = []
    place = 0
    while place < len(text):
        char = text[place]
        place += 1
        if char == "\\":
            found.append(char + text[place : place + 1])
            place += 1
        elif char == "{":
            choices, place = _read_choices(text, place)
            found.append(_draw(choices[choose(len(choices))], choose, depth - 1))
        else:
            found.append(char)
    return _ESCAPED.sub(r"\1", "".join(found))


def _read_choices(text: str, place: int) -> tuple[list[str], int]:
    """The choices of a block, and the place after it.

    Args:
        place: behind its opening brace; one that is never closed ends with the text.
    """
    choices: list[str] = []
    begin, depth = place, 0
    while place < len(text):
        char = text[place]
        place += 1
        if char == "\\":
            place += 1
        elif char == "{":
            depth += 1
        elif char == "}":
            if not depth:
                return [*choices, text[begin : place - 1]], place
            depth -= 1
        elif char == "|" and not depth:
            choices.append(text[begin : place - 1])
            begin = place
    return [*choices, text[begin:]], place


def _strip_comments(text: str) -> str:
    found: list[str] = []
    begin = 0
    # In one pass: a text of a million "/*" without an end is no reason to look for one a million times.
    last_close = text.rfind("*/")
    place = 0
    while (match := _COMMENT.search(text, place)) is not None:
        if match[0] == "/*" and last_close < match.end():
            place = match.start() + 1
            continue
        found.append(text[begin : match.start()])
        if match[0] == "/*":
            begin = text.index("*/", match.end()) + 2
        else:
            end = _LINE_END.search(text, match.end())
            begin = end.start() if end else len(text)
        place = begin
    return "".join([*found, text[begin:]])


def _seeded(seed: int, text: str) -> Choose:
    """Choices that follow from a seed and a text, one after the other; the same with every release of Python."""
    count = 0
    # Once: a text may have as many choices as letters.
    of_text = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    def choose(choices: int) -> int:
        nonlocal count
        count += 1
        digest = hashlib.sha256(f"{seed}/{count}/{of_text}".encode()).digest()
        return int.from_bytes(digest, "big") % choices

    return choose


def _dynamic_inputs(schema: Any) -> Iterator[str]:
    for name, spec in _specs(schema):
        if _is_dynamic(spec):
            yield name


def _specs(schema: Any) -> Iterator[tuple[str, Any]]:
    groups = schema.get("input") if isinstance(schema, dict) else None
    for group in ("required", "optional"):
        inputs = groups.get(group) if isinstance(groups, dict) else None
        yield from inputs.items() if isinstance(inputs, dict) else ()


def _is_dynamic(spec: Any) -> bool:
    return (
        isinstance(spec, (list, tuple)) and len(spec) > 1 and isinstance(spec[1], dict) and bool(spec[1].get(DYNAMIC))
    )


def _without_option(schema: Any) -> Any:
    if not any(_is_dynamic(spec) for _, spec in _specs(schema)):
        return schema
    found = copy.deepcopy(schema)
    for _, spec in _specs(found):
        if _is_dynamic(spec):
            spec[1].pop(DYNAMIC)
    return found
