"""Stories that are told by graphs which know none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.workflows.story_images import StoryImages
from tests.support.graphs.video_models import read_schemas

MakeBound = Callable[..., JobMaker]

#: Eight seconds, five, and one that continues the first of these.
FILM: dict[str, Any] = {
    "title": "Film",
    "fps": 24,
    "size": [1920, 1080],
    "characters": {"ben": {"description": "a man in a blue shirt", "reference": "ben.png", "segments": "1,3"}},
    "segments": [
        {"prompt": "a field", "seed": 11, "timespan": "00:00 - 00:08"},
        {"prompt": "a tree", "seed": 2**63, "timespan": "00:08 - 00:13"},
        {"prompt": "a river", "seed": 13, "timespan": "00:13 - 00:16", "continues": True},
    ],
}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


@pytest.fixture
def make_bound(schemas: dict[str, Any]) -> MakeBound:
    """A JobMaker of a graph; keywords are those of `WorkflowChoices`, and `folder` with the story's pictures."""

    def make(graph: dict[str, Any], story: dict[str, Any] = FILM, **options: Any) -> JobMaker:
        parsed = parse_story(story)
        folder: Path | None = options.pop("folder", None)
        files = options.pop("files", {})
        return JobMaker(
            LoadedStory(parsed, story),
            ConvertedWorkflow(graph, options.pop("object_info", schemas)),
            WorkflowChoices(**{"profiles": shipped_profiles(), **options}),
            lambda name: files.get(name, ""),
            StoryImages(folder, parsed.slug),
        )

    return make
