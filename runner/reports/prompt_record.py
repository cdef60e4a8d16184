"""What a model without our nodes got to read for each segment: prompts in its own form, and what was cut of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import Story

from ..rendering.bound.prompts import ModelPrompts
from ..state.record_files import read_json
from ..state.run_directory import write_json_whole

PROMPTS_FILE = "prompts.json"
#: Notes on one prompt that a report has.
_MAX_NOTES = 50


def write_prompts(path: Path, story: Story, prompts: Mapping[int, ModelPrompts]) -> None:
    """Write ``prompts.json`` into a run directory; without prompts of a model's own form, remove an earlier one.

    Args:
        prompts: of the segments that have such a prompt, by their numbers.

    Raises:
        VideoGenError: `disk-full`, `path-invalid`.
    """
    if not prompts:
        (path / PROMPTS_FILE).unlink(missing_ok=True)
        return
    record = {}
    for number, writer in sorted(prompts.items()):
        plan = plan_segment(story, number)
        compiled = writer.compile(plan)
        record[str(number)] = {
            "prompt": compiled.text,
            # Where the model takes none, the workflow's own is used.
            "negative": compiled.negative or "",
            "prompt_notes": list(compiled.notes),
        }
    write_json_whole(path / PROMPTS_FILE, record)


def read_prompts(path: Path) -> dict[int, dict[str, Any]]:
    """Of ``prompts.json`` in a run directory: by segment, what replaces the fields of the same name in its report.

    Returns:
        What is missing or unreadable is left out: a run directory may come from somebody else.
    """
    try:
        data = read_json(path / PROMPTS_FILE)
    except (OSError, ValueError):
        return {}
    found: dict[int, dict[str, Any]] = {}
    for number, entry in data.items() if isinstance(data, dict) else ():
        if not (isinstance(entry, dict) and number.isascii() and number.isdigit() and len(number) < 6):
            continue
        texts = {name: entry[name] for name in ("prompt", "negative") if isinstance(entry.get(name), str)}
        notes = entry.get("prompt_notes")
        notes = [note for note in notes if isinstance(note, str)][:_MAX_NOTES] if isinstance(notes, list) else []
        found[int(number)] = {**texts, "prompt_notes": notes}
    return found
