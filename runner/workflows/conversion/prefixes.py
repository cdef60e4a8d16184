"""Names of files that hold values of the workflow, and dates: ``%KSampler.seed%``, ``%date:yyyy-MM-dd%``.

The editor writes them into the graph that it sends; servers know only names such as ``%width%`` and ``%year%``.
"""

from __future__ import annotations

import datetime
import functools
import re
from collections.abc import Iterable
from typing import Any

from custom_nodes.videogen.core.graph import Graph

from .levels import PlacedNode

PREFIX = "filename_prefix"
#: Classes whose prefix the editor reads, those of newer editors among them.
_SAVING = frozenset(
    {
        "CLIPSave",
        "LoraSave",
        "ModelSave",
        "Save3DAdvanced",
        "SaveAnimatedPNG",
        "SaveAnimatedWEBP",
        "SaveAudio",
        "SaveAudioAdvanced",
        "SaveAudioMP3",
        "SaveAudioOpus",
        "SaveGLB",
        "SaveGaussianSplat",
        "SaveImage",
        "SaveImageAdvanced",
        "SaveLatent",
        "SavePointCloud",
        "SaveSVGNode",
        "SaveVideo",
        "SaveWEBM",
        "VAESave",
    }
)
_NAMED = re.compile(r"%([^%]+)%")
_IN_NO_FILE_NAME = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_DATE = "date:"
_DATE_PART = re.compile(r"dd?|MM?|hh?|mm?|ss?|yyy?y?")
#: The property that a node is found by before its title.
ALIAS = "Node name for S&R"


def fill_values(graph: Graph, nodes: Iterable[PlacedNode]) -> list[str]:
    """Write the values of widgets into the prefixes that name them, in place. Dates stay: see `fill_dates`.

    Args:
        nodes: those of the graph, in the order in which the editor looks for them.

    Returns:
        what is named but not in the workflow, as sentences.
    """
    targets = [
        (key, text)
        for key, node in graph.items()
        if node["class_type"] in _SAVING and isinstance(text := node["inputs"].get(PREFIX), str) and "%" in text
    ]
    if not targets:
        return []
    by_alias, by_title = _find_named(nodes)
    values = {key: dict(node["inputs"]) for key, node in graph.items()}
    notes: list[str] = []

    def fill(key: str, match: re.Match[str]) -> str:
        found, (alias, dot, widget) = match[0], match[1].partition(".")
        if not dot or "." in widget:
            return found
        value = values.get(by_alias.get(alias, by_title.get(alias, "")), {}).get(widget, [])
        if isinstance(value, (list, dict)):
            notes.append(
                f"node {key}: {PREFIX} names {found}, which is no widget of the workflow; it stays as it is written"
            )
            return found
        return _IN_NO_FILE_NAME.sub("_", _write(value))

    for key, text in targets:
        fill_in = functools.partial(fill, key)
        graph[key]["inputs"][PREFIX] = _NAMED.sub(fill_in, text)
    return notes


def fill_dates(graph: Graph, now: datetime.datetime) -> Graph:
    """The graph with this moment in the dates of its prefixes. A segment's key has them as they are written."""
    filled = {
        key: text
        for key, node in graph.items()
        if node["class_type"] in _SAVING and isinstance(text := node["inputs"].get(PREFIX), str) and f"%{_DATE}" in text
    }
    return {
        key: {
            **node,
            "inputs": {**node["inputs"], PREFIX: _NAMED.sub(lambda match: _fill_date(match, now), filled[key])},
        }
        if key in filled
        else node
        for key, node in graph.items()
    }


def _fill_date(match: re.Match[str], now: datetime.datetime) -> str:
    name = match[1]
    return format_date(name.removeprefix(_DATE), now) if name.startswith(_DATE) and "." not in name else match[0]


def format_date(text: str, now: datetime.datetime) -> str:
    """Write a date as the editor does: ``d M yy yyyy h m s``, with two letters for two digits."""
    parts = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def write(match: re.Match[str]) -> str:
        part = match[0]
        if part == "yyyy":
            return str(now.year)
        if part == "yy":
            return str(now.year)[2:]
        return str(parts[part[0]]).rjust(len(part), "0") if part[0] in parts else part

    return _DATE_PART.sub(write, text)


def _find_named(nodes: Iterable[PlacedNode]) -> tuple[dict[str, str], dict[str, str]]:
    """The first node with each alias, and with each title."""
    by_alias: dict[str, str] = {}
    by_title: dict[str, str] = {}
    for node in nodes:
        properties = node.data.get("properties")
        alias = properties.get(ALIAS) if isinstance(properties, dict) else None
        # The editor gives every node its class as an alias when it opens a workflow without one.
        by_alias.setdefault(alias if isinstance(alias, str) else node.kind, node.id)
        if isinstance(title := node.data.get("title"), str):
            by_title.setdefault(title, node.id)
    return by_alias, by_title


def _write(value: Any) -> str:
    """A value as JavaScript writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    return "" if value is None else str(value)
