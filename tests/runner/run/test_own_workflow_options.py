"""What of a user's options reaches the workflows that segments have of their own."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import JobMaker
from runner.run.pending_segments import make_jobs
from runner.run.request import RunRequest
from runner.workflows.story_images import StoryImages
from runner.workflows.workflow import Workflow
from tests.runner.rendering.job_makers import STORY
from tests.support.graphs.plain import image_graph
from tests.support.stories import segment_graph

OWN = Workflow(Path("stories/rain.json"), None, image_graph())


def make_makers(object_info: dict[str, Any], own: Graph | None = None, default: Graph | None = None) -> list[JobMaker]:
    """The makers of a run with options for its own workflow, in which the second segment has another one."""
    workflow = Workflow(Path("film.json"), None, default or image_graph())
    rain = Workflow(OWN.path, None, own or image_graph())
    request = RunRequest(
        LoadedStory(parse_story(copy.deepcopy(STORY)), STORY),
        workflow,
        Path("run"),
        bindings=["prompt=6.text", "output=9"],
        settings=["3.steps=33"],
        own={2: rain},
    )
    cast: Any = SimpleNamespace(local_images=lambda: StoryImages(None, "tiny"))
    models: Any = lambda folder, name: ""  # noqa: E731
    return [
        make_jobs(request, cast, use.workflow.api or {}, object_info, lambda name: "", models, use=use)
        for use in request.uses
    ]


def test_settings_and_bindings_reach_the_run_s_workflow_only(object_info: dict[str, Any]) -> None:
    default, own = make_makers(object_info)
    assert default.graph["3"]["inputs"]["steps"] == 33
    assert own.graph["3"]["inputs"]["steps"] == 20
    assert (default.output_node, own.output_node) == ("9", "")
    assert own.make(2).graph["6"]["inputs"]["text"] == default.make(2).graph["6"]["inputs"]["text"], "it is found"


def test_nodes_that_only_the_run_s_workflow_has_break_no_other(object_info: dict[str, Any]) -> None:
    own = {f"1{name}": node for name, node in image_graph().items()}
    for node in own.values():
        for name, value in node["inputs"].items():
            if isinstance(value, list):
                node["inputs"][name] = [f"1{value[0]}", value[1]]
    _, maker = make_makers(object_info, own)
    assert "two" in maker.make(2).graph["16"]["inputs"]["text"]


def test_a_role_that_is_unclear_is_told_with_the_segment_and_what_helps(object_info: dict[str, Any]) -> None:
    unclear = image_graph()
    unclear["16"] = {"class_type": "CLIPTextEncode", "inputs": {"text": "something else", "clip": ["4", 1]}}
    unclear["13"] = copy.deepcopy(unclear["3"])
    unclear["13"]["inputs"] |= {"positive": ["16", 0], "latent_image": ["3", 0]}
    unclear["8"]["inputs"]["samples"] = ["13", 0]
    with pytest.raises(VideoGenError) as raised:
        make_makers(object_info, unclear)
    assert raised.value.code == "binding-invalid"
    assert raised.value.message.startswith("segments[2].workflow (rain.json): it is not clear what a segment decides")
    assert "--bind and --set name nodes of --workflow only" in raised.value.hint


def test_what_only_other_segments_do_is_not_said_of_a_workflow(object_info: dict[str, Any]) -> None:
    """The third segment continues the second one, with a workflow that takes no first frame."""
    story = copy.deepcopy(STORY)
    story["segments"][2]["continues"] = True
    request = RunRequest(
        LoadedStory(parse_story(story), story),
        Workflow(Path("film.json"), None, image_graph()),
        Path("run"),
        own={2: OWN},
    )
    cast: Any = SimpleNamespace(local_images=lambda: StoryImages(None, "tiny"))
    models: Any = lambda folder, name: ""  # noqa: E731
    default, own = (
        make_jobs(request, cast, image_graph(), object_info, lambda name: "", models, use=use) for use in request.uses
    )
    assert any("segment 3 cannot begin from the last frame" in note for note in default.roles.notes)
    assert not any("cannot begin from the last frame" in note for note in own.roles.notes)


def test_the_story_that_servers_get_has_no_workflows(object_info: dict[str, Any]) -> None:
    """Packs of an earlier release do not know these keys; and what reads the whole story keeps its key."""
    story = copy.deepcopy(STORY)
    story["segments"][1] |= {"workflow": "rain.json", "loras": []}
    whole = segment_graph("")
    # A node between the frames and their file that reads the story too.
    whole["9"] = {"class_type": "SomeNode", "inputs": {"story": ["1", 0], "images": whole["4"]["inputs"]["images"]}}
    whole["4"]["inputs"]["images"] = ["9", 0]

    def make(data: dict[str, Any]) -> JobMaker:
        request = RunRequest(
            LoadedStory(parse_story(copy.deepcopy(data)), data), Workflow(Path("film.json"), None, whole), Path("run")
        )
        cast: Any = SimpleNamespace(local_images=lambda: StoryImages(None, "tiny"))
        models: Any = lambda folder, name: ""  # noqa: E731
        return make_jobs(request, cast, whole, object_info, lambda name: "", models)

    text = make(story).make(1).graph["1"]["inputs"]["text"]
    assert "rain.json" not in text
    assert text == make(STORY).make(1).graph["1"]["inputs"]["text"]
    assert [make(story).key(number) for number in (1, 2, 3)] == [make(STORY).key(number) for number in (1, 2, 3)]
