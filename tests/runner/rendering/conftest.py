from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from tests.runner.rendering.job_makers import STORY, MakeJobs
from tests.support.stories import Graph, segment_graph


@pytest.fixture
def make_jobs(object_info: dict[str, Any]) -> MakeJobs:
    """A JobMaker of the preview workflow and the story above; keywords change what is given."""

    def make(graph: Graph | None = None, story: dict[str, Any] = STORY, **options: Any) -> JobMaker:
        hash_input = options.pop("hash_input", lambda name: f"bytes of {name}")
        hash_model = options.pop("hash_model", lambda folder, name: "")
        workflow = ConvertedWorkflow(
            segment_graph(story) if graph is None else graph, object_info, options.pop("ui_workflow", None)
        )
        return JobMaker(
            LoadedStory(parse_story(story), story), workflow, WorkflowChoices(**options), hash_input, None, hash_model
        )

    return make
