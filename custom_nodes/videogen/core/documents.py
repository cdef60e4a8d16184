"""JSON and YAML text to plain data, strictly: no objects, no doubled keys."""

from __future__ import annotations

import json
from typing import Any

import yaml

from .errors import VideoGenError

#: A story of 1,000 segments with long prompts has 2 MB; more than this is another file.
MAX_CHARACTERS = 20_000_000


class _PlainLoader(yaml.SafeLoader):
    """YAML without tags that build objects and without doubled keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key_node.value!r} stands twice", key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


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
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise VideoGenError(
                    "story-unreadable", f"{name}: the key {key!r} stands twice in one object", "Keep one of the two."
                )
            found[key] = value
        return found

    try:
        return json.loads(text, object_pairs_hook=refuse_doubles)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1][:80].strip() if error.lineno <= len(text.splitlines()) else ""
        raise VideoGenError(
            "story-unreadable",
            f"{name} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
            + (f", at: {line}" if line else ""),
            "A comma too many or too few is the usual reason. YAML is read from files that end in .yaml.",
        ) from None
    except ValueError as error:  # a number with more digits than Python converts
        raise VideoGenError("story-unreadable", f"{name} is not JSON that can be read: {error}") from None


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
