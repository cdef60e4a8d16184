"""Runs of workflows without our nodes: those of earlier releases are carried on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import JobMaker
from runner.run.pending_segments import make_jobs
from runner.run.request import RunRequest
from runner.workflows.story_images import StoryImages
from runner.workflows.workflow import Workflow
from tests.runner.rendering.job_makers import STORY
from tests.support.graphs.plain import image_graph


def make(object_info: dict[str, Any], *bindings: str) -> JobMaker:
    request = RunRequest(
        LoadedStory(parse_story(STORY), STORY),
        Workflow(Path("w.json"), None, image_graph()),
        Path("run"),
        bindings=list(bindings),
    )
    cast: Any = SimpleNamespace(local_images=lambda: StoryImages(None, "tiny"))
    models: Any = lambda folder, name: ""  # noqa: E731
    return make_jobs(request, cast, image_graph(), object_info, lambda name: "", models)


def test_what_was_bound_alone_before_is_known_by_its_key(object_info: dict[str, Any]) -> None:
    maker = make(object_info, "prompt=6.text")
    assert maker.before is not None
    assert {binding.value for binding in maker.before.bindings} == {"prompt"}
    assert {"prompt", "seed"} <= {binding.value for binding in maker.bindings}
    former = list(maker.former_keys(1))
    assert maker.before.key(1) in former
    assert maker.key(1) != maker.before.key(1)


def test_a_run_without_bindings_has_nothing_before_it(object_info: dict[str, Any]) -> None:
    assert make(object_info).before is None
    assert make(object_info, "output=9", "negative=keep").before is None
