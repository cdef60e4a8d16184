"""Parses what a segment is rendered with, where that is its own: a workflow, and LoRAs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from .file_names import LORA_SUFFIXES, WORKFLOW_SUFFIXES, explain_name
from .model import Lora, Segment
from .schema import LORA_KEYS, MAX_COMBINATIONS, MAX_LORA_STRENGTH, MAX_LORAS, MAX_WORKFLOWS
from .validation import Fields, Range, Validator, found

_STRENGTHS = Range(-MAX_LORA_STRENGTH, MAX_LORA_STRENGTH)
_SEPARATOR = re.compile(r"[/\\]")
#: Any ending: the name of a workflow that ships or is installed has none.
_ANY = ("",)
_ONE = Fraction(1)


def parse_workflow(fields: Fields) -> str:
    """The name of a segment's workflow: a file in the story's folder, or one that ``--workflow`` takes too; "" without one."""
    name = fields.text("workflow", longest=255, filled=True)
    problem = explain_name(name, WORKFLOW_SUFFIXES if _SEPARATOR.search(name) else _ANY) if name else ""
    if problem or name == ".":
        problem = problem or "names no file"
        fields.report("workflow", f"{name!r} {problem}")
        return ""
    return name


def parse_loras(check: Validator, value: Any, where: str) -> tuple[Lora, ...]:
    """Parse the LoRAs of a segment; whether a server has their files is found later."""
    if not isinstance(value, list) or len(value) > MAX_LORAS:
        said = f"has {len(value):,} LoRAs" if isinstance(value, list) else found(value)
        check.report(
            where, f"{said}, expected a list of up to {MAX_LORAS} LoRAs, each with `file` and perhaps `strength`"
        )
        return ()
    return tuple(_parse_lora(check, item, f"{where}[{index}]") for index, item in enumerate(value, 1))


def _parse_lora(check: Validator, item: Any, where: str) -> Lora:
    fields = check.mapping(item, where, LORA_KEYS)
    if isinstance(item, dict) and "file" not in item:
        check.report(f"{where}.file", "is missing, expected the name of a file in models/loras")
    file = fields.text("file", longest=255, filled=True)
    problem = explain_name(file, LORA_SUFFIXES) if file else ""
    if problem:
        fields.report("file", f"{file!r} {_of_models(problem)}")
    strength = fields.number("strength", default=_ONE, limits=_STRENGTHS)
    return Lora(file, float(strength or 0), fields.text("model", longest=100, filled=True).lower())


def _of_models(problem: str) -> str:
    """What is wrong with a name, for one that is looked up on a server."""
    return problem.replace("the story's folder", "models/loras")


def check_combinations(check: Validator, segments: Iterable[Segment]) -> None:
    """Report a story that has too many workflows: a small file could keep a machine busy for hours."""
    combinations = {(segment.workflow, segment.loras) for segment in segments}
    workflows = {workflow for workflow, _ in combinations} - {""}
    if len(workflows) > MAX_WORKFLOWS:
        check.report(
            "segments",
            f"name {len(workflows):,} different workflows, at most {MAX_WORKFLOWS} are allowed: split the film",
        )
    elif len(combinations) > MAX_COMBINATIONS:
        check.report(
            "segments",
            f"have {len(combinations):,} different combinations of `workflow` and `loras`, at most {MAX_COMBINATIONS} are"
            " allowed: split the film",
        )
