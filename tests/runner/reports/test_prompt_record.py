"""Prompts in a model's own form, in a run directory and its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from runner.rendering.bound.prompts import ModelPrompts
from runner.reports.prompt_record import PROMPTS_FILE, read_prompts, write_prompts
from runner.reports.report import report_directory
from tests.runner.reports.run_page import Page, Run

STORY = parse_story({"style": {"negative": "text"}, "segments": [{"prompt": "A field, wide"}, {"prompt": "A tree"}]})


def prompts(name: str) -> ModelPrompts:
    return ModelPrompts(STORY, next(one for one in shipped_profiles() if one.name == name))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_prompts(tmp_path, STORY, dict.fromkeys((1, 2), prompts("ltx-2.5")))
    found = read_prompts(tmp_path)
    assert list(found) == [1, 2]
    assert found[1]["prompt"] == "A field, wide."
    assert found[1]["negative"] == ""
    assert "the negative prompt is not used: LTX-2.5 takes none" in found[1]["prompt_notes"]


def test_prompts_of_an_earlier_workflow_are_removed(tmp_path: Path) -> None:
    write_prompts(tmp_path, STORY, dict.fromkeys((1, 2), prompts("wan-t2v")))
    write_prompts(tmp_path, STORY, {})
    write_prompts(tmp_path, STORY, {})
    assert not (tmp_path / PROMPTS_FILE).exists()
    assert read_prompts(tmp_path) == {}


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("no JSON", {}),
        ("[]", {}),
        ('{"one": {}, "-1": {}, "1.5": {}, "²": {}, "7": 5, "999999": {}}', {}),
        ('{"1": {"prompt": 5, "negative": null, "prompt_notes": "x"}}', {1: {"prompt_notes": []}}),
        (
            json.dumps({"1": {"prompt": "a", "file": "/etc/passwd", "prompt_notes": ["n", 5, *["x"] * 99]}}),
            {1: {"prompt": "a", "prompt_notes": ["n", *["x"] * 49]}},
        ),
    ],
)
def test_a_file_of_somebody_else_does_no_harm(tmp_path: Path, written: str, found: dict[int, Any]) -> None:
    (tmp_path / PROMPTS_FILE).write_text(written, encoding="utf-8")
    assert read_prompts(tmp_path) == found


def test_the_report_has_what_the_model_read_and_what_was_cut(run: Run) -> None:
    assert all(segment["prompt_notes"] == [] for segment in report_directory(run.path)["segments"])
    run.add_segment(2)
    profile = next(one for one in shipped_profiles() if one.name == "sdxl")
    story = parse_story({"style": {"negative": "text"}, "segments": [{"prompt": "x"}, {"prompt": "word <b> " * 100}]})
    write_prompts(run.path, story, {one.number: ModelPrompts(story, profile) for one in story.segments})
    segment = report_directory(run.path)["segments"][1]
    assert segment["prompt"].startswith("word <b> word")
    assert segment["negative"] == "text"
    assert segment["prompt_notes"][-1].startswith("the model reads 75 tokens: cut from the segment's prompt: 'word")
    assert "Note: the model reads 75 tokens: cut from the segment's prompt" in Page(run.write()).words
