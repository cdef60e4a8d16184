"""Limits on YAML documents, counted on their composed nodes: before anything is copied, and whatever copies it later."""

from __future__ import annotations

from collections.abc import Callable

import yaml

#: Values and keys of a document: PyYAML takes 20 µs for each. A story of 10,000 segments with nine fields each has as many.
MAX_NODES = 200_000
#: Characters of a document as it is, and with its anchors written out. PyYAML takes 1 µs for each.
MAX_YAML_CHARACTERS = 5_000_000
#: Keys that merging (``<<: *anchor``) may copy in one document: ten mappings that merge each other can ask for billions.
MAX_MERGED_KEYS = 100_000
#: Keys of one mapping that are not text. Text is hashed with a secret; numbers can be chosen so that all have one hash.
MAX_ODD_KEYS = 1_000
#: Characters of a number or date. A longer one is none, and to compute it ("1:0:0:0…" counts in sixties) can take minutes.
MAX_NUMBER = 100
MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"


def yaml_error(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    """The error for a problem of a node, with its place."""
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


class NodeCounter:
    """Counts the nodes of a document while they are composed."""

    def __init__(self) -> None:
        self._nodes = 0

    def count(self, mark: yaml.Mark) -> None:
        """Count one node.

        Raises:
            yaml.MarkedYAMLError: for the first one beyond `MAX_NODES`.
        """
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise yaml.composer.ComposerError(
                None, None, f"it has more than {MAX_NODES:,} values; larger stories are read as JSON", mark
            )


def check_keys(node: yaml.MappingNode) -> None:
    """Refuse repeated keys, and many keys that are not text.

    Repeated keys are searched for before merging: later on, a key that overrides a merged one looks like a repeated one.

    Raises:
        yaml.MarkedYAMLError: with the place of the key.
    """
    seen: set[str] = set()
    odd = 0
    for key_node, _ in node.value:
        odd += key_node.tag not in (_TEXT, MERGE)
        if odd > MAX_ODD_KEYS:
            raise yaml_error(f"a mapping with more than {MAX_ODD_KEYS:,} keys that are no text", key_node)
        if isinstance(key_node, yaml.ScalarNode) and key_node.tag != MERGE:
            if key_node.value in seen:
                raise yaml_error(f"the key {key_node.value[:60]!r} is repeated", key_node)
            seen.add(key_node.value)


def limit_merging(root: yaml.Node) -> None:
    """Refuse a document whose merge keys copy more than `MAX_MERGED_KEYS` keys, or in which a mapping merges itself."""
    sizes: dict[int, int] = {}  # id of a mapping → its keys, once everything is merged into it
    unfinished: set[int] = set()

    def count_keys(node: yaml.MappingNode) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in unfinished:
            raise yaml_error("a mapping that merges itself", node)
        unfinished.add(id(node))
        size = 0
        for key_node, value_node in node.value:
            if key_node.tag != MERGE:
                size += 1
                continue
            sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            size += sum(count_keys(source) for source in sources if isinstance(source, yaml.MappingNode))
            if size > MAX_MERGED_KEYS:
                raise yaml_error(f"merging copies more than {MAX_MERGED_KEYS:,} keys", key_node)
        unfinished.discard(id(node))
        sizes[id(node)] = size
        return size

    copied, seen, pending = 0, set(), [root]
    while pending:
        node = pending.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            merging = next((key for key, _ in node.value if key.tag == MERGE), None)
            if merging is not None:
                copied += count_keys(node)
                if copied > MAX_MERGED_KEYS:
                    raise yaml_error(f"merging copies more than {MAX_MERGED_KEYS:,} keys", merging)
            pending.extend(part for pair in node.value for part in pair)
        else:
            pending.extend(node.value)


def limit_aliases(root: yaml.Node) -> None:
    """Refuse a document that is too large with its anchors written out: whoever reads it reads them as often as they are named.

    A node inside itself (``&loop [*loop]``) counts once.
    """
    _limit_written_out(root, lambda node: 1, MAX_NODES, "values")
    _limit_written_out(
        root,
        lambda node: len(node.value) if isinstance(node, yaml.ScalarNode) else 0,
        MAX_YAML_CHARACTERS,
        "characters",
    )


def _limit_written_out(root: yaml.Node, measure: Callable[[yaml.Node], int], limit: int, unit: str) -> None:
    sizes: dict[int, int] = {}  # id of a node → its size with everything in it written out; 0 while it is counted

    def count(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        sizes[id(node)] = 0
        size = measure(node)
        parts = (part for pair in node.value for part in pair) if isinstance(node, yaml.MappingNode) else node.value
        for part in () if isinstance(node, yaml.ScalarNode) else parts:
            size += count(part)
            if size > limit:
                raise yaml_error(f"with its anchors written out it has more than {limit:,} {unit}", part)
        sizes[id(node)] = size
        return size

    count(root)
