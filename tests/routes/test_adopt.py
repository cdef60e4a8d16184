"""POST /videogen/adopt: what a page may send, and what comes back."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE
from custom_nodes.videogen.routes.adopt import adopt_open_workflow
from tests.support.graphs.templates import convert_template, find_template_files
from tests.support.graphs.video_models import read_schemas

_TEMPLATE = "text_to_video_wan"


@functools.cache
def workflow() -> dict[str, Any]:
    return json.loads(find_template_files()[_TEMPLATE].read_text(encoding="utf-8"))


@functools.cache
def graph() -> dict[str, Any]:
    return convert_template(find_template_files()[_TEMPLATE], read_schemas())


def request(**changes: Any) -> dict[str, Any]:
    return {"workflow": workflow(), "output": graph(), "schemas": read_schemas(), "title": " My \n film ", **changes}


def test_the_open_workflow_comes_back_with_a_story() -> None:
    answer = adopt_open_workflow(request())
    kinds = [one["type"] for one in answer["workflow"]["nodes"]]
    assert {STORY_NODE, SEGMENT_NODE, FIT_NODE} < {*kinds}
    story = next(one for one in answer["workflow"]["nodes"] if one["type"] == STORY_NODE)
    assert '"title": "My film"' in story["widgets_values"][1]
    assert STORY_NODE not in {one["type"] for one in workflow()["nodes"]}, "what was sent is not changed"


@pytest.mark.parametrize(
    "changes",
    [
        {"output": []},
        {"output": {"1": {"class_type": 5, "inputs": {}}}},
        {"output": {"1": {"class_type": "A"}}},
        {"workflow": None},
        {"workflow": {"nodes": 5, "links": 5}},
        {"workflow": {"nodes": ["a"], "links": []}},
        {"workflow": {"nodes": [{"id": 6, "type": "CLIPTextEncode", "inputs": [5]}], "links": {}}},
        {"workflow": {"nodes": [], "links": [], "definitions": {"subgraphs": [{"id": "a", "nodes": 5}]}, "groups": 5}},
        {"schemas": {"CLIPTextEncode": 5, "KSampler": 5, "SaveWEBM": 5}},
    ],
    ids=str,
)
def test_what_no_editor_sends_is_refused_with_a_sentence(changes: dict[str, Any]) -> None:
    with pytest.raises(VideoGenError) as refused:
        adopt_open_workflow(request(**changes))
    assert refused.value.code in ("workflow-unreadable", "workflow-invalid")


@pytest.mark.parametrize("data", [None, [], {}, "a"])
def test_what_is_no_request(data: Any) -> None:
    with pytest.raises(VideoGenError, match="the request has no `workflow`, `output` and `schemas`"):
        adopt_open_workflow(data)
