"""Strict JSON and YAML parsing: plain data only, no repeated keys."""

from __future__ import annotations

import json
from typing import Any

import yaml

from ..errors import VideoGenError
from .pasted.tidy_text import explain_json, strip_fences, tidy_json
from .yaml_limits import MAX_YAML_CHARACTERS
from .yaml_loader import load_yaml

#: A story of 1,000 segments with long prompts has 2 MB; a longer file is not a story.
MAX_CHARACTERS = 20_000_000
#: What PyYAML says → the next step.
_YAML_HINTS = {
    r"found character '\t'": "Indent with blanks: YAML takes no tabs there.",
    "mapping values are not allowed here": "A text with a colon and a blank in it needs quotes.",
    "unknown escape character": "In double quotes a backslash begins an escape: write / between folders.",
}


def parse_document(text: str, name: str) -> Any:
    """Parse JSON or YAML text into plain data.

    Text that was pasted is read where it has one meaning: a code block without its fences, JSON with comments, trailing commas or
    curly quotes.

    Args:
        name: file name for messages; ``.yaml``/``.yml`` is read as YAML, ``.json`` as JSON, anything else by its first
            character.

    Raises:
        VideoGenError: `story-unreadable`, with line and column.
    """
    text = text.lstrip("\ufeff")
    if not text.strip():
        raise VideoGenError(
            "story-unreadable", f"{name} is empty", "Write a story into it; docs/story-format.md shows one."
        )
    if len(text) > MAX_CHARACTERS:
        raise VideoGenError(
            "story-unreadable",
            f"{name} has {len(text):,} characters, at most {MAX_CHARACTERS:,} are allowed in a story",
        )
    text = strip_fences(text)
    if not text.strip():
        raise VideoGenError("story-unreadable", f"{name} is an empty code block", "Write a story between its fences.")
    if text.lstrip().startswith("```"):
        raise VideoGenError(
            "story-unreadable",
            f"{name} has more than one code block, or one without an end",
            "Keep the story alone, without the lines of ```.",
        )
    lowered = name.lower()
    is_yaml = lowered.endswith((".yaml", ".yml")) or (not lowered.endswith(".json") and text.lstrip()[0] not in "[{")
    if is_yaml and len(text) > MAX_YAML_CHARACTERS:
        raise VideoGenError(
            "story-unreadable",
            f"{name} has {len(text):,} characters, at most {MAX_YAML_CHARACTERS:,} are read as YAML",
            f"Save it as JSON, which is read up to {MAX_CHARACTERS:,} characters.",
        )
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

    def parse(source: str) -> Any:
        return json.loads(source, object_pairs_hook=refuse_repeated_keys)

    try:
        try:
            return parse(text)
        except json.JSONDecodeError:
            text = tidy_json(text)
            return parse(text)
    except json.JSONDecodeError as error:
        # Only the surroundings of the error, as a whole file can be one line.
        line_start = error.pos - error.colno + 1
        line = text[max(line_start, error.pos - 50) : error.pos + 30].split("\n")[0]
        line = "".join(character if character.isprintable() else " " for character in line).strip()
        raise VideoGenError(
            "story-unreadable",
            f"{name} is not JSON: {error.msg.removesuffix(' at')} in line {error.lineno}, column {error.colno}"
            + (f", at: {line}" if line else ""),
            explain_json(text, error.pos),
        ) from None
    except ValueError:  # the limit of Python's int()
        raise VideoGenError("story-unreadable", f"{name} has a number of more than 4,300 digits") from None


def _parse_yaml(text: str, name: str) -> Any:
    try:
        return load_yaml(text)
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
        hint = next((hint for said, hint in _YAML_HINTS.items() if said in problem), "")
        raise VideoGenError("story-unreadable", f"{name} is not YAML: {problem}{place}", hint) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise VideoGenError("story-unreadable", f"{name} is not YAML: {error}") from None
