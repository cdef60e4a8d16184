"""Hints on missing pictures name the nodes that need them."""

from __future__ import annotations

import copy

from custom_nodes.videogen.core.story.parser import parse_story
from runner.workflows.image_inputs import find_image_inputs
from runner.workflows.story_images import StoryImages, explain_missing, find_missing
from tests.support.cast_stories import STORY, cast_graph


def test_the_hint_names_the_nodes_that_need_them() -> None:
    story = parse_story(copy.deepcopy(STORY))
    graph = cast_graph()
    graph |= {"12:3": copy.deepcopy(graph["7"]), "9": copy.deepcopy(graph["7"]), "10": copy.deepcopy(graph["7"])}
    graph["9"]["inputs"]["missing"] = "go on without"

    def hint(*ids: str) -> str:
        inputs = find_image_inputs({key: node for key, node in graph.items() if key in ("2", *ids)})
        found = find_missing(story, (1, 2, 3), inputs, StoryImages(None, story.slug), {"http://1": lambda name: ""})
        return explain_missing(found)[1]

    assert hint("7") == (
        "Put a picture of that name into ComfyUI's input folder or the story's folder, render"
        " workflows/character_references.json, which draws the pictures, or set `missing` of node 7 (VideoGenApplyCharacters)"
        " to “go on without”."
    )
    both = hint("7", "9", "12:3")
    assert "set `missing` of node 7 (VideoGenApplyCharacters) to “go on without” and set `missing` of node 12:3" in both
    assert "node 9" not in both, "it goes on without already"
