"""Strict JSON and YAML parsing: plain data only, no repeated keys."""

from __future__ import annotations

import json
from typing import Any

import yaml

from ..errors import VideoGenError
from .validation import found

#: A story of 1,000 segments with long prompts has 2 MB; a longer file is not a story.
MAX_CHARACTERS = 20_000_000
#: Keys that merging (``<<: *anchor``) may copy in one document: ten mappings that merge each other can ask for billions.
MAX_MERGED_KEYS = 100_000
_MERGE = "tag:yaml.org,2002:merge"


class _PlainLoader(yaml.SafeLoader):
    """YAML without tags that build objects, without repeated keys, and with a limit on what merge keys copy."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Repeated keys are searched for here: later on, a key that overrides a merged one looks like a repeated one.
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != _MERGE:
                if key_node.value in seen:
                    raise _yaml_error(f"the key {key_node.value[:60]!r} is repeated", key_node)
                seen.add(key_node.value)
        return node

    def get_single_node(self) -> yaml.Node | None:
        # Counted on the composed nodes, before any of them is merged: how often a mapping is copied while it is merged
        # differs from one release of PyYAML to the next.
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _limit_merging(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, ArithmeticError):  # `2025-13-45`, `!!bool perhaps`, `!!int ""`
            kind = node.tag.rpartition(":")[2]
            raise _yaml_error(
                f"a value that cannot be read as {kind} (text needs quotes), {found(node.value)}", node
            ) from None


def _limit_merging(root: yaml.Node) -> None:
    """Refuse a document whose merge keys copy more than `MAX_MERGED_KEYS` keys, or in which a mapping merges itself."""
    sizes: dict[int, int] = {}  # id of a mapping → its keys, once everything is merged into it
    unfinished: set[int] = set()

    def count_keys(node: yaml.MappingNode) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        if id(node) in unfinished:
            raise _yaml_error("a mapping that merges itself", node)
        unfinished.add(id(node))
        size = 0
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                size += 1
                continue
            sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            size += sum(count_keys(source) for source in sources if isinstance(source, yaml.MappingNode))
            if size > MAX_MERGED_KEYS:
                raise _yaml_error(f"merging copies more than {MAX_MERGED_KEYS:,} keys", key_node)
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
            merging = next((key for key, _ in node.value if key.tag == _MERGE), None)
            if merging is not None:
                copied += count_keys(node)
                if copied > MAX_MERGED_KEYS:
                    raise _yaml_error(f"merging copies more than {MAX_MERGED_KEYS:,} keys", merging)
            pending.extend(part for pair in node.value for part in pair)
        else:
            pending.extend(node.value)


def _yaml_error(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def parse_document(text: str, name: str) -> Any:
    """Parse JSON or YAML text into plain data.

    Args:
        name: file name for messages; ``.yaml``/``.yml`` is read as YAML, ``.json`` as JSON, anything else by its first
            character.

    Raises:
        VideoGenError: `story-unreadable`, with line and column.
    """
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise VideoGenError(
            "story-unreadable", f"{name} is empty", "Write a story into it; docs/story-format.md shows one."
        )
    if len(text) > MAX_CHARACTERS:
        raise VideoGenError(
            "story-unreadable",
            f"{name} has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed in a story",
        )
    lowered = name.lower()
    is_yaml = lowered.endswith((".yaml", ".yml")) or (not lowered.endswith(".json") and text.lstrip()[0] not in "[{")
    try:
        return _parse_yaml(text, name) if is_yaml else _parse_json(text, name)
    except RecursionError:
        raise VideoGenError("story-unreadable", f"{name} is nested too deeply") from None


def _parse_json(text: str, name: str) -> Any:
    def refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        unique: dict[str, Any] = {}
        for key, value in pairs:
            if key in unique:
                raise VideoGenError(
                    "story-unreadable",
                    f"{name}: the key {key[:60]!r} is repeated in one object",
                    "Keep one of them.",
                )
            unique[key] = value
        return unique

    try:
        return json.loads(text, object_pairs_hook=refuse_repeated_keys)
    except json.JSONDecodeError as error:
        # Only the surroundings of the error, as a whole file can be one line.
        line_start = error.pos - error.colno + 1
        line = text[max(line_start, error.pos - 50) : error.pos + 30].split("\n")[0]
        line = "".join(character if character.isprintable() else " " for character in line).strip()
        raise VideoGenError(
            "story-unreadable",
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
            + (f", at: {line}" if line else ""),
            "Usually a comma is missing or superfluous. YAML is read from files that end in .yaml.",
        ) from None
    except ValueError:  # the limit of Python's int()
        raise VideoGenError("story-unreadable", f"{name} has a number of more than 4,300 digits") from None


def _parse_yaml(text: str, name: str) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = str(error.problem or error.context)
        if "could not determine a constructor" in problem:
            raise VideoGenError(
                "story-unreadable",
                f"{name} has a YAML tag that builds an object{place}; a story holds text, numbers, lists and mappings",
                "Remove the tag (the word that begins with an exclamation mark).",
            ) from None
        raise VideoGenError("story-unreadable", f"{name} is not YAML: {problem}{place}") from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise VideoGenError("story-unreadable", f"{name} is not YAML: {error}") from None
