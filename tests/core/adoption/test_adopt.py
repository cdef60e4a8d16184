"""What an adopted workflow shows: three nodes beside the others, what was there before, and a story that begins with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from custom_nodes.videogen.core.adoption.adopt import Wishes, adopt
from custom_nodes.videogen.core.adoption.first_story import write_first_story
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import FIT_NODE, SEGMENT_NODE, STORY_NODE
from custom_nodes.videogen.core.model_values.model_workflow import NamedInput, read_model_workflow
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from tests.support.graphs.video_models import node, read_schemas, wan


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    return read_schemas()


def drawn(graph: dict[str, Any]) -> dict[str, Any]:
    """A graph as a workflow of the editor: only what adopting reads."""
    nodes = [
        {"id": number, "type": one["class_type"], "pos": [300 * number, 100], "size": [250, 200], "inputs": []}
        for number, one in enumerate(graph.values(), 1)
    ]
    return {"nodes": nodes, "links": [], "groups": [{"id": 4, "bounding": [0, -50, 900, 900]}]}


def numbered(graph: dict[str, Any]) -> dict[str, Any]:
    """A graph with the ids that `drawn` gives."""
    names = {name: str(number) for number, name in enumerate(graph, 1)}
    return {
        names[name]: {
            **one,
            "inputs": {
                key: [names[value[0]], value[1]] if isinstance(value, list) else value
                for key, value in one["inputs"].items()
            },
        }
        for name, one in graph.items()
    }


def adopt_wan(schemas: dict[str, Any], wishes: Wishes | None = None, **changes: Any) -> tuple[dict[str, Any], Any]:
    graph = wan(**changes)
    adopted = adopt(drawn(graph), numbered(graph), schemas, shipped_profiles(), wishes)
    return {
        one["type"]: one for one in adopted.ui["nodes"] if one["type"].startswith(("VideoGen", "Markdown"))
    }, adopted


def test_the_nodes_stand_beside_the_others_in_a_group(schemas: dict[str, Any]) -> None:
    ours, adopted = adopt_wan(schemas)
    assert ours.keys() == {STORY_NODE, SEGMENT_NODE, FIT_NODE, "MarkdownNote"}
    group = adopted.ui["groups"][-1]
    assert (group["title"], group["id"]) == ("Story", 5)
    left, top, width, height = group["bounding"]
    boxes = [(*one["pos"], *one["size"]) for one in ours.values()]
    for x, y, wide, high in boxes:
        assert left < x
        assert top < y - 30
        assert x + wide < left + width < 0, "left of everything"
        assert y + high < top + height
    for number, a in enumerate(boxes):
        for b in boxes[:number]:
            apart = max(b[0] - a[0] - a[2], a[0] - b[0] - b[2], b[1] - 30 - a[1] - a[3], a[1] - 30 - b[1] - b[3])
            assert apart >= 10


def test_former_values_are_in_the_note_and_in_the_story(schemas: dict[str, Any]) -> None:
    ours, _ = adopt_wan(schemas, Wishes("My film"))
    note = ours["MarkdownNote"]["widgets_values"][0]
    for line in (
        'prompt, 7.text (CLIPTextEncode): "a tree"',
        "frames, 6.length (EmptyHunyuanLatentVideo): 81",
        "seed, 5.noise_seed",
    ):
        assert line in note
    text = ours[STORY_NODE]["widgets_values"][1]
    assert json.loads(text) == {
        "title": "My film",
        "fps": 16,
        "size": [640, 480],
        "segments": [{"timespan": "00:00 - 00:05", "prompt": "a tree", "seed": 7}],
    }
    assert parse_story_text(text, "story").segments[0].seed == 7


def test_the_fit_node_knows_the_model_and_its_inputs(schemas: dict[str, Any]) -> None:
    ours, adopted = adopt_wan(schemas)
    model, width, height, negative, references, first_frame, takes, profile = ours[FIT_NODE]["widgets_values"]
    assert (model, width, height) == ("wan-t2v", 640, 480)
    assert (negative, references, first_frame, profile) == ("ugly", 0, False, "")
    assert json.loads(takes)["frames"]["step"] == 4
    assert [note for note in adopted.notes if "no profile" in note] == []


def test_a_story_of_ones_own(schemas: dict[str, Any]) -> None:
    text = '[{"prompt": "a lake"}]'
    ours, _ = adopt_wan(schemas, Wishes(story=(parse_story_text(text, "story"), text)))
    assert ours[STORY_NODE]["widgets_values"] == ["text below", text]


def test_a_role_that_is_kept_is_not_connected(schemas: dict[str, Any]) -> None:
    ours, _ = adopt_wan(schemas, Wishes(kept={"seed", "frames"}))
    sent = [output["name"] for output in ours[FIT_NODE]["outputs"] if output["links"]]
    assert sent == ["prompt", "negative", "width", "height"]


def test_two_prompts_are_asked_about_or_named(schemas: dict[str, Any]) -> None:
    low = {**wan()["low"], "inputs": {**wan()["low"]["inputs"], "positive": ["other", 0]}}
    other = node("CLIPTextEncode", text="a river", clip=["clip", 0])
    with pytest.raises(VideoGenError, match="2 inputs may be the prompt, and differ"):
        adopt_wan(schemas, low=low, other=other)
    ours, _ = adopt_wan(schemas, Wishes(named=[NamedInput("prompt", "12", "text")]), low=low, other=other)
    assert 'prompt, 12.text (CLIPTextEncode): "a river"' in ours["MarkdownNote"]["widgets_values"][0]


def test_a_workflow_that_tells_a_story_already_is_refused(schemas: dict[str, Any]) -> None:
    with pytest.raises(VideoGenError, match="knows stories already: node 12 is VideoGenSegment"):
        adopt_wan(schemas, segment=node(SEGMENT_NODE, index=1))


def test_a_workflow_without_anything_to_decide_is_refused(schemas: dict[str, Any]) -> None:
    graph = {"1": node("LoadImage", image="a.png"), "2": node("SaveImage", images=["1", 0], filename_prefix="a")}
    with pytest.raises(VideoGenError, match="no input that a segment could decide was found"):
        adopt(drawn(graph), graph, schemas, shipped_profiles())


def test_the_first_story_of_a_workflow_without_a_prompt_or_a_rate(schemas: dict[str, Any]) -> None:
    graph = {"1": node("EmptyImage", width=63, height=1001, batch_size=3, color=0)}
    graph["2"] = node("SaveImage", images=["1", 0], filename_prefix="a")
    any_story = parse_story([{"prompt": "any"}])
    model = read_model_workflow(graph, schemas, any_story, any_story.segments, shipped_profiles())
    story = parse_story_text(write_first_story(model, "Film"), "story")
    assert story.segments[0].prompt == "What happens in the first segment."
    assert all(side % 2 == 0 for side in story.size)
