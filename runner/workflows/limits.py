"""How large a workflow may be: told before anything expands it, since a file of a few kilobytes can ask for billions of nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError

#: Bytes of a workflow file.
MAX_BYTES = 20_000_000
#: Characters of a picture's or video's metadata: workflow and prompt may each be as long as a file.
MAX_METADATA = 2 * MAX_BYTES
#: Nodes, with those of subgraphs counted as often as they are used.
MAX_NODES = 10_000
#: How deep subgraphs may contain each other: the converter goes no deeper.
MAX_NESTING = 10
_BRACES_AND_COMMENTS = re.compile(r"[{}]|/\*|\*/")
_PASSING_TYPES = ("Reroute", "GetNode")
_BYPASSED = 4


@dataclass
class Amounts:
    """Amounts of a workflow as the editor saves it, with those of subgraphs counted as often as they are used.

    Attributes:
        links: those across the border of a subgraph too.
        subgraphs: nodes that are subgraphs.
        passed_on: inputs of nodes that only pass on what they get (bypassed ones, Reroute, GetNode).
        values: of widgets.
        text: characters of the widgets' texts, as often as the converter reads them: once for each level of ``{a|b}``, and for
            each comment that does not end.
        promoted: inputs of subgraphs that the converter follows to the widgets inside.
        models: files that nodes declare.
    """

    nodes: int = 0
    links: int = 0
    subgraphs: int = 0
    passed_on: int = 0
    values: int = 0
    text: int = 0
    promoted: int = 0
    models: int = 0

    def add(self, other: Amounts) -> None:
        """Add the amounts of a part."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


#: Largest amounts. A workflow of 2,000 nodes, the largest that people share, has a tenth of each.
LIMITS = Amounts(
    nodes=MAX_NODES,
    links=50_000,
    subgraphs=1_000,
    passed_on=20_000,
    values=200_000,
    text=50_000_000,
    promoted=200_000,
    models=2_000,
)
#: The converter looks through all links for each subgraph, and along all nodes that pass on for each link.
MAX_LOOKUPS = 20_000_000
_NAMES = {
    "nodes": "nodes",
    "links": "links",
    "subgraphs": "subgraphs",
    "passed_on": "inputs of nodes that are bypassed or reroute",
    "values": "values of widgets",
    "text": "characters in its widgets",
    "promoted": "inputs of subgraphs",
    "models": "declared models",
}


def read_beginning(path: Path, size: int) -> bytes:
    """The first bytes of a workflow file, as many as there are.

    Raises:
        VideoGenError: `workflow-unreadable`, when it is a pipe, which could wait for ever.
        OSError: when it cannot be read.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise VideoGenError("workflow-unreadable", f"{path} is not a file")
    with path.open("rb") as file:
        return file.read(size)


def require_short_metadata(path: Path, texts: Mapping[str, str]) -> None:
    """Refuse more text of a picture's or video's metadata than `MAX_METADATA`.

    Raises:
        VideoGenError: `workflow-unreadable`.
    """
    if (size := sum(map(len, texts.values()))) > MAX_METADATA:
        raise VideoGenError(
            "workflow-unreadable", f"{path} has {size:,} characters of metadata, at most {MAX_METADATA:,} are read"
        )


def read_bounded(path: Path) -> bytes:
    """The bytes of a workflow file.

    Raises:
        VideoGenError: `workflow-unreadable`, when there are more than `MAX_BYTES`, and see `read_beginning`.
        OSError: when it cannot be read.
    """
    data = read_beginning(path, MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        size = path.stat().st_size
        raise VideoGenError(
            "workflow-unreadable", f"{path} has {max(size, len(data)):,} bytes, at most {MAX_BYTES:,} are read"
        )
    return data


def require_bounded(path: Path, ui: dict[str, Any] | None, api: dict[str, Any] | None) -> None:
    """Refuse a workflow that is too large to be converted and checked in seconds.

    Raises:
        VideoGenError: `workflow-unreadable`, with the amount and its limit.
    """
    if api is not None:
        if len(api) > MAX_NODES:
            raise _too_large(path, f"{len(api):,} nodes, at most {MAX_NODES:,} are allowed")
        return
    assert ui is not None
    amounts = _Measure(path, ui).measure()
    lookups = amounts.links * max(amounts.subgraphs, amounts.passed_on)
    if lookups > MAX_LOOKUPS:
        raise _too_large(
            path,
            f"{amounts.links:,} links, {amounts.subgraphs:,} subgraphs and {amounts.passed_on:,} inputs of nodes that are"
            " bypassed or reroute: so many in one workflow cannot be followed",
        )


def _too_large(path: Path, what: str) -> VideoGenError:
    return VideoGenError(
        "workflow-unreadable", f"{path} has {what}", "Remove what it does not need, or split it into several workflows."
    )


class _Measure:
    def __init__(self, path: Path, ui: dict[str, Any]) -> None:
        self._path, self._ui = path, ui
        definitions = ui.get("definitions")
        listed = definitions.get("subgraphs") if isinstance(definitions, dict) else None
        self._definitions = {
            one["id"]: one
            for one in (listed if isinstance(listed, list) else ())
            if isinstance(one, dict) and isinstance(one.get("id"), str)
        }
        self._known: dict[str, Amounts] = {}
        self._fan_out: dict[str, int] = {}
        self._following: dict[str, int] = {}

    def measure(self) -> Amounts:
        return self._level(self._ui, ())

    def _level(self, level: dict[str, Any], inside: tuple[str, ...]) -> Amounts:
        amounts = Amounts(links=len(_list(level, "links")))
        for node in _list(level, "nodes"):
            if not isinstance(node, dict):
                continue
            amounts.add(_measure_node(node))
            kind = node.get("type")
            if isinstance(kind, str) and kind in self._definitions:
                amounts.add(self._subgraph(kind, inside))
            self._limit(amounts)
        return amounts

    def _subgraph(self, kind: str, inside: tuple[str, ...]) -> Amounts:
        if kind in self._known:
            return self._known[kind]
        name = str(self._definitions[kind].get("name") or kind)[:60]
        if kind in inside:
            raise VideoGenError("workflow-unreadable", f"{self._path} has a subgraph inside itself: {name!r}")
        if len(inside) >= MAX_NESTING:
            raise _too_large(
                self._path, f"subgraphs inside each other, more than {MAX_NESTING} deep (the last one is {name!r})"
            )
        definition = self._definitions[kind]
        amounts = self._level(definition, (*inside, kind))
        amounts.subgraphs += 1
        borders = [*_list(definition, "inputs"), *_list(definition, "outputs")]
        amounts.links += sum(len(_list(border, "linkIds")) for border in borders if isinstance(border, dict))
        self._follow_inputs(kind, definition)
        amounts.promoted += self._following[kind] + self._fan_out[kind]
        self._limit(amounts)
        self._known[kind] = amounts
        return amounts

    def _follow_inputs(self, kind: str, definition: dict[str, Any]) -> None:
        """Count how many inputs of inner nodes one input of a subgraph leads to, and how many are looked at on the way."""
        inner: dict[str, str] = {}  # id of an inner subgraph → its kind; of two with one id the one that leads further
        for node in _list(definition, "nodes"):
            other = node.get("type") if isinstance(node, dict) else None
            if isinstance(other, str) and other in self._known:
                inner[str(node.get("id"))] = max(
                    other, inner.get(str(node.get("id")), other), key=lambda one: self._following[one]
                )
        links = {str(link.get("id")): link for link in _list(definition, "links") if isinstance(link, dict)}
        widest, following = 1, 1
        for border in _list(definition, "inputs"):
            reached = 0
            for link_id in _list(border, "linkIds") if isinstance(border, dict) else ():
                target = inner.get(str(links.get(str(link_id), {}).get("target_id")))
                reached += self._fan_out[target] if target else 1
                following += self._following[target] if target else 1
            widest = max(widest, reached)
        self._fan_out[kind], self._following[kind] = widest, following

    def _limit(self, amounts: Amounts) -> None:
        for field in fields(Amounts):
            amount, limit = getattr(amounts, field.name), getattr(LIMITS, field.name)
            if amount > limit:
                raise _too_large(
                    self._path,
                    f"{amount:,} {_NAMES[field.name]} or more, with those of subgraphs counted as often as they are used; at"
                    f" most {limit:,} are allowed",
                )


def _list(holder: dict[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    return value if isinstance(value, list) else []


def _measure_node(node: dict[str, Any]) -> Amounts:
    passes = node.get("mode") == _BYPASSED or node.get("type") in _PASSING_TYPES
    values = list(_texts_and_values(node.get("widgets_values")))
    properties = node.get("properties")
    return Amounts(
        nodes=1,
        passed_on=1 + len(_list(node, "inputs")) if passes else 0,
        values=len(values),
        text=sum(_reading(value) for value in values if isinstance(value, str)),
        models=len(_list(properties, "models")) if isinstance(properties, dict) else 0,
    )


def _texts_and_values(values: Any) -> Iterator[Any]:
    """The values of widgets, also those in lists and mappings."""
    pending = [values]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
        elif value is not None:
            yield value


def _reading(text: str) -> int:
    """How many characters the converter reads of a text with alternatives, ``{red|blue}``, and comments."""
    depth = deepest = unended = 0
    for mark in _BRACES_AND_COMMENTS.finditer(text):
        sign = mark[0]
        if sign == "{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign == "}":
            depth = max(0, depth - 1)
        else:
            unended = unended + 1 if sign == "/*" else 0
    return len(text) * (1 + deepest + unended)
