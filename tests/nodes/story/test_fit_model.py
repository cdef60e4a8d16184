"""VideoGenFitModel in ComfyUI's own Python: what leaves its outputs, and what its widgets refuse."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from tests.support.graphs.adopted import OUR_NODES
from tests.support.needs import require_comfy

require_comfy()

from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE
from custom_nodes.videogen.core.model_values.fit import UNKNOWN
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.nodes.story.fit_model import VideoGenFitModel
from custom_nodes.videogen.nodes.story.story import VideoGenSegment, VideoGenStory

STORY = parse_story(
    {"fps": 24, "size": [1280, 720], "segments": [{"prompt": "a field", "seed": 11, "timespan": "0 - 5"}]}
)
TAKES = '{"frames": {"type": "INT", "min": 1, "max": 4096, "step": 4}}'
OWN = """
family: mine
models:
  - name: mine
    title: My model
    makes: video
    recognize: [{nodes: [MyNode]}]
    frames: {step: 10, offset: 3, least: 3, most: 103, source: me}
"""


def run(**widgets: Any) -> Any:
    values = {"model": "wan-t2v", "own_width": 832, "own_height": 480, **widgets}
    return VideoGenFitModel.execute(STORY, plan_segment(STORY, 1), **values)


@pytest.mark.parametrize(
    ("kind", "node"), [(STORY_NODE, VideoGenStory), (SEGMENT_NODE, VideoGenSegment), (FIT_NODE, VideoGenFitModel)]
)
def test_what_tests_without_comfyui_take_for_its_schema(kind: str, node: Any) -> None:
    schema = node.GET_SCHEMA().get_v1_info(node)
    assert {group: list(inputs) for group, inputs in schema.input.items() if group != "hidden"} == {
        group: list(inputs) for group, inputs in OUR_NODES[kind]["input"].items()
    }
    assert [str(one) for one in schema.output] == OUR_NODES[kind]["output"]


def test_outputs() -> None:
    result = run(takes=TAKES, own_negative="ugly").result
    names = [output.id for output in VideoGenFitModel.define_schema().outputs]
    values = dict(zip(names, result, strict=True))
    assert values["prompt"] == "a field."
    assert values["negative"] == "ugly", "the workflow's own, as the story has none"
    assert (values["seed"], values["frames"]) == (11, 81)
    assert values["duration"] is None, "no input takes one"


def test_what_is_sent_is_shown_on_the_node() -> None:
    shown = run(takes=TAKES).ui["videogen"][0]
    assert shown["title"] == "Segment 1"
    assert shown["report"][0] == "a field."
    assert "81 frames" in "\n".join(shown["report"])


def test_a_profile_of_ones_own() -> None:
    result = run(takes=TAKES, profile=OWN).result
    assert result[3] % 10 == 3


def test_an_unknown_model() -> None:
    assert run(model=UNKNOWN).result[0] == "a field."


@pytest.mark.parametrize(
    ("widgets", "said"),
    [
        ({"takes": "{"}, "`takes` is no JSON"),
        ({"profile": "family: [a"}, "`profile`"),
        ({"takes": None, "profile": None}, True),
    ],
)
def test_widgets_are_checked_before_anything_runs(widgets: dict[str, Any], said: Any) -> None:
    checked = VideoGenFitModel.validate_inputs(**widgets)
    assert checked is True if said is True else said in checked


def test_a_model_that_is_gone_is_named() -> None:
    with pytest.raises(VideoGenError, match="`model` is 'wan-0', which no profile has"):
        run(model="wan-0")


def test_another_node_s_socket_is_named() -> None:
    with pytest.raises(VideoGenError, match="`story` got str"):
        VideoGenFitModel.execute("a story", plan_segment(STORY, 1), "wan-t2v", 0, 0)  # type: ignore[arg-type]
