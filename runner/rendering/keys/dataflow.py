"""What the saved frames of a graph depend on: everything else is no part of a key.

A node says in the options of its inputs what they do, which ``/object_info`` tells the runner:

- ``videogen_passes: N``: output N is this input, the same frame for frame. Whether the node is there makes no difference.
- ``videogen_changes: [N, …]``: the input changes these outputs only; ``[]`` means none (a threshold, an interval).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from custom_nodes.videogen.core.digest import digest
from custom_nodes.videogen.core.graph import CONTINUITY_NODE, SAVE_NODE, Graph, is_link, nodes_of
from custom_nodes.videogen.core.redaction import hide_in_addresses

PASSES, CHANGES = "videogen_passes", "videogen_changes"

#: The core's output nodes whose files are temporary: they count only where there are no others.
PREVIEW_NODES = ("PreviewImage", "MaskPreview", "PreviewAudio", "PreviewAny", "Preview3D", "Preview3DAnimation")

_GUARD: Mapping[str, Mapping[str, Any]] = {
    name: {CHANGES: []}
    for name in (
        "pause_above",
        "resume_at",
        "interval",
        "max_minutes",
        "when_over",
        "devices",
        "throttle",
        "strict",
        "memory_pause_above",
        "memory_resume_at",
    )
}
#: What packs before 0.2 did not say of their nodes: class → input → options. `tests/nodes/test_declarations.py` compares it with
#: what they say today.
UNDECLARED: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "VideoGenThermalGuard": {"anything": {PASSES: 0}, **_GUARD},
    "VideoGenGuardModel": {"model": {PASSES: 0}, **_GUARD},
    "VideoGenMemoryGuard": {"anything": {PASSES: 0}, "limit_gb": {CHANGES: [1]}, "empty_caches": {CHANGES: [1]}},
    CONTINUITY_NODE: {
        "images": {PASSES: 0},
        "threshold": {CHANGES: [2]},
        "minimum": {CHANGES: [2]},
        "temporal_threshold": {CHANGES: [2]},
        "when_below": {CHANGES: []},
    },
    "VideoGenFrameCheck": {"images": {PASSES: 0}},
}

#: An output of a node, or with None what it saves.
Value = tuple[str, int | None]


@dataclass
class Dataflow:
    """The part of a graph that its saved frames depend on.

    Attributes:
        output_node: the node whose file is the segment, where the user has named one; else "".
        with_tokens: passwords, tokens and signatures in addresses count, as in keys of earlier releases. They change no frame,
            and a signature is another one every day.
        digest: of that part; neither the nodes' ids nor their order change it.
        nodes: ids of its nodes.
        literals: (class, input, value) of its inputs that are not linked.
    """

    graph: Graph
    object_info: Mapping[str, Any]
    output_node: str = ""
    with_tokens: bool = False
    nodes: set[str] = field(default_factory=set)
    literals: list[tuple[str, str, Any]] = field(default_factory=list)
    digest: str = ""

    def __post_init__(self) -> None:
        self._options: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        self._digests: dict[Value, str] = {}
        roots: list[Value] = [(node_id, None) for node_id in self._saving_nodes()]
        self._walk(roots)
        self.digest = digest(sorted(self._digests[root] for root in roots))

    def _saving_nodes(self) -> list[str]:
        """The nodes whose files the runner takes: the one that the user has named, else Save Segment, else whatever saves; and
        those that save sound.

        A node that the server does not know saves something, for all that is known.
        """
        savers = [
            node_id
            for node_id, node in self.graph.items()
            if self.object_info.get(node["class_type"], {"output_node": True}).get("output_node")
            and not any(PASSES in options for options in self._options_of(node["class_type"]).values())
        ]
        lasting = [node_id for node_id in savers if self.graph[node_id]["class_type"] not in PREVIEW_NODES]
        ours = [self.output_node] if self.output_node in self.graph else nodes_of(self.graph, SAVE_NODE)
        if ours:
            return ours + [node_id for node_id in lasting if node_id not in ours and self._takes_sound(node_id)]
        return lasting or savers or list(self.graph)

    def _takes_sound(self, node_id: str) -> bool:
        schema = self.object_info.get(self.graph[node_id]["class_type"], {}).get("input", {})
        specs = [*schema.get("required", {}).values(), *schema.get("optional", {}).values()]
        return any(isinstance(spec, (list, tuple)) and spec and spec[0] == "AUDIO" for spec in specs)

    def _options_of(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        if kind not in self._options:
            schema = self.object_info.get(kind, {}).get("input", {})
            found = {
                name: options
                for group in ("required", "optional")
                for name, spec in (schema.get(group) or {}).items()
                if (options := read_options(spec)) and (PASSES in options or CHANGES in options)
            }
            self._options[kind] = found or UNDECLARED.get(kind, {})
        return self._options[kind]

    def _source(self, link: list[Any]) -> Value | None:
        """The value behind a link, with the nodes left out that only pass it on; None when there is no such node."""
        seen = set()
        node_id, output = str(link[0]), int(link[1])
        while node_id in self.graph and node_id not in seen:
            seen.add(node_id)
            node = self.graph[node_id]
            passed = (
                node["inputs"].get(name)
                for name, options in self._options_of(node["class_type"]).items()
                if options.get(PASSES) == output
            )
            before = next(filter(is_link, passed), None)
            if before is None:
                return node_id, output
            node_id, output = str(before[0]), int(before[1])
        return None

    def _inputs_of(self, value: Value) -> Iterator[tuple[str, Any]]:
        """The inputs that change a value: name and literal, or name and `Value`."""
        node_id, output = value
        node = self.graph[node_id]
        options = self._options_of(node["class_type"])
        for name, given in node["inputs"].items():
            changes = options.get(name, {}).get(CHANGES)
            if isinstance(changes, list) and output not in changes:
                continue
            source = self._source(given) if is_link(given) else None
            if source is None and isinstance(given, str) and not self.with_tokens:
                given = hide_in_addresses(given)
            yield name, given if source is None else source

    def _walk(self, roots: list[Value]) -> None:
        # Without recursion: a chain of a thousand nodes is no mistake.
        stack = [(root, False) for root in reversed(roots)]
        begun: set[Value] = set()
        while stack:
            value, ready = stack.pop()
            if ready:
                self._digests[value] = self._describe(value)
            elif value not in begun:
                begun.add(value)
                self.nodes.add(value[0])
                stack.append((value, True))
                stack += [(source, False) for _, source in self._inputs_of(value) if isinstance(source, tuple)]

    def _describe(self, value: Value) -> str:
        node_id, output = value
        kind = self.graph[node_id]["class_type"]
        inputs: dict[str, Any] = {}
        for name, given in self._inputs_of(value):
            if isinstance(given, tuple):
                # A circle has no digest yet; no server accepts one.
                inputs[name] = {"from": self._digests.get(given, "")}
            else:
                inputs[name] = given
                self.literals.append((kind, name, given))
        return digest({"class": kind, "output": output, "inputs": inputs})


def read_options(spec: Any) -> Mapping[str, Any]:
    """The options of an input's schema; empty when it has none."""
    return spec[1] if isinstance(spec, (list, tuple)) and len(spec) > 1 and isinstance(spec[1], dict) else {}
