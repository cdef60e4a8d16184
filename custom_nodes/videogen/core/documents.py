"""JSON and YAML text to plain data, strictly: no objects, no doubled keys."""

from __future__ import annotations

import json
from typing import Any

import yaml

from .checks import found
from .errors import VideoGenError

#: A story of 1,000 segments with long prompts has 2 MB; more than this is another file.
MAX_CHARACTERS = 20_000_000
#: Keys that merging (``<<: *anchor``) may copy in one document: ten mappings that merge each other can ask for billions.
MAX_MERGED_KEYS = 100_000
_MERGE = "tag:yaml.org,2002:merge"


class _PlainLoader(yaml.SafeLoader):
    """YAML without tags that build objects, without doubled keys, and with an end to what merge keys copy."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.merged_keys = 0

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Doubled keys are looked for here: later on a key that overrides a merged one looks like a doubled one.
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != _MERGE:
                if key_node.value in seen:
                    raise _yaml_error(f"the key {key_node.value[:60]!r} stands twice", key_node)
                seen.add(key_node.value)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key_node, value_node in node.value:
            if key_node.tag != _MERGE:
                continue
            for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                if isinstance(source, yaml.MappingNode):
                    self.flatten_mapping(source)
                    self.merged_keys += len(source.value)
                    if self.merged_keys > MAX_MERGED_KEYS:
                        raise _yaml_error(f"merging copies more than {MAX_MERGED_KEYS:,} keys", key_node)
        super().flatten_mapping(node)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, ArithmeticError):  # `2025-13-45`, `!!bool perhaps`, `!!int ""`
            kind = node.tag.rpartition(":")[2]
            raise _yaml_error(
                f"a value that cannot be read as {kind} (text needs quotes), {found(node.value)}", node
            ) from None


def _yaml_error(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def parse_document(text: str, name: str) -> Any:
    """Plain data out of JSON or YAML text.

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
        raise VideoGenError("story-unreadable", f"{name} has {len(text):,} characters, which is no story")
    lowered = name.lower()
    is_yaml = lowered.endswith((".yaml", ".yml")) or (not lowered.endswith(".json") and text.lstrip()[0] not in "[{")
    try:
        return _parse_yaml(text, name) if is_yaml else _parse_json(text, name)
    except RecursionError:
        raise VideoGenError("story-unreadable", f"{name} is nested too deeply") from None


def _parse_json(text: str, name: str) -> Any:
    def refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        unique: dict[str, Any] = {}
        for key, value in pairs:
            if key in unique:
                raise VideoGenError(
                    "story-unreadable",
                    f"{name}: the key {key[:60]!r} stands twice in one object",
                    "Keep one of the two.",
                )
            unique[key] = value
        return unique

    try:
        return json.loads(text, object_pairs_hook=refuse_doubles)
    except json.JSONDecodeError as error:
        # Around the place, as a whole file can be one line.
        line_start = error.pos - error.colno + 1
        line = text[max(line_start, error.pos - 50) : error.pos + 30].split("\n")[0]
        line = "".join(character if character.isprintable() else " " for character in line).strip()
        raise VideoGenError(
            "story-unreadable",
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
            + (f", at: {line}" if line else ""),
            "A comma too many or too few is the usual reason. YAML is read from files that end in .yaml.",
        ) from None
    except ValueError:  # Python converts no longer ones
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
