"""Keys of segments that earlier releases have written into run directories: with another one, films are rendered again."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.workflows.story_images import StoryImages
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.graphs.plain import image_graph
from tests.support.stories import segment_graph

STORY: dict[str, Any] = {
    "title": "Orchard",
    "fps": "24000/1001",
    "frames": 48,
    "size": [1280, 720],
    "quality": "standard",
    "style": {"prefix": "Documentary", "negative": "text", "lighting": "Daylight", "kelvin": [5500, 6000]},
    "characters": {
        "anna": {
            "description": "a tall woman",
            "seed": 5,
            "segments": "1,2",
            "reference": ["anna.png", "people/anna side.png"],
            "region": "anna_mask.png",
        },
        "ben": {"description": "a small man", "segments": "2,3"},
    },
    "objects": {"tree": {"segments": "1-3", "reference": "tree.png"}},
    "locations": {"field": {"description": "a dry field", "seed": 9, "segments": "1-3"}},
    "transitions": [{"after": 1, "seconds": 0.5}],
    "segments": [
        {"prompt": "one", "seed": 11, "technical": "Wide shot", "timespan": "0:00-0:02"},
        {"prompt": "two", "seed": 12, "continues": True},
        {"prompt": "three", "frames": 30},
    ],
}
BINDINGS = [
    "prompt=6.text",
    "negative=7.text",
    "seed=3.seed",
    "width=5.width",
    "height=5.height",
    "frames=5.batch_size",
    "name=9.filename_prefix",
    "fps=3.cfg",
]
CONTINUITY: Graph = {
    "5": {
        "class_type": "VideoGenContinuity",
        "inputs": {"images": ["3", 0], "segment": ["2", 0], "threshold": 0.85, "when_below": "render again"},
    }
}
FIRST_FRAME: Graph = {
    "9": {"class_type": "LoadImage", "inputs": {"image": "example.png"}, "_meta": {"title": "First Frame"}}
}
CAST: Graph = {
    "7": {
        "class_type": "VideoGenApplyCharacters",
        "inputs": {
            "segment": ["2", 0],
            "character_weight": 0.8,
            "object_weight": 0.5,
            "location_weight": 0.3,
            "missing": "stop",
        },
    }
}

#: The keys of segments 1, 2 and 3, as commit cd3e88f has made them.
PREVIEW = [
    "eb9eb793b48c7655994cbbbd233eaf96b62945900bd1951ba07a77a428f83a6d",
    "1de5b21d3eeebcea14577038956ab0e9eabebba41fa84a335eab095c4527bce0",
    "dfda2fcc2fe3d0436e471bee6da3f377ac216eb8e4a296586b82ba10191ebb13",
]
BOUND = [
    "c47a9765b533c16cfa88644150088f358a464f576e69847bc2bd1c9afd6437d6",
    "c5e58b765e5acfd130e3616d078d31e3921513b08177ca3f618465203ab8ac6b",
    "b971deae3c73e47a007a771cee35b8cdea0975d1e43ab31911220214d4f6b659",
]
MEASURED = [
    "57c40223b42580316cbb6a3a57fe3476b27289bd27f8b335dfa2e1a01c2834a7",
    "72fa1dc7197a740c54f713df83eab0b7b3b7a4ddb1df052e4cd214d0511ed7dd",
    "0e249b17f44661d65474fac9dfbbdf6b55456e369e8224cdbc2f2481ebaa0517",
]
CONTINUED = [
    "2e81af2bb20f6e722e4fd1c932fc23eb207ab671f10ae0bb08c810bd2ca318c0",
    "f49049d56bed29a8b879202656ce85c55855b02f46f97adfffcc620c61b091a7",
]
CONTINUED_BOUND = "1b035e4b39c1199bfb7c93a1a51890e6e0e2838fa0eee0dedf99f4d09868e0d5"
CAST_ON_SERVER = [
    "a8fe0eb324c5044233d2f6917414b51226e3fd136c4b64806d1626d08722b378",
    "e61f4d9aceaf2d9fa2cf54fb3f4483eef01df92696c710501df23b300538c382",
    "e3f9527b1c00dbca881a8af9686476e04ed57c93d2c77d774e9bebfbbf388210",
]
CAST_BESIDE = [
    "bd037083c1952fed3b56d0b453ed5199b688c7c26e079b03b11f9ee2db4fd845",
    "76caa76ba2d37459dcde34363fe132204e6dc48f459ca18c6997e783312dc03f",
    "90b9aa777e3de3140fc33025f5251a5d783f649d6ae8d3733c7a45b2eb9f1f19",
]
WHOLE_STORY = [
    "9b57ac2115b7085293923ee67621ca0bb352b0181f10864f8a0cc636254350cd",
    "0960349893f150a790fdedf5eaeb858bc77d0dc75c4de279bdc4a85e9205ec6c",
    "e145eb7d9bef68809e24afbeb784be88abb26a665202d7103f5ee94250fb1dd4",
]


def hash_input(name: str) -> str:
    """What the server has: every file, of bytes that follow from its name."""
    return hashlib.sha256(name.encode()).hexdigest()


def make_maker(
    graph: Graph,
    object_info: Mapping[str, Any],
    folder: Path | None = None,
    bindings: list[str] | None = None,
    settings: list[str] | None = None,
    quality: str | None = None,
) -> JobMaker:
    story = parse_story(copy.deepcopy(STORY))
    return JobMaker(
        LoadedStory(story, STORY),
        ConvertedWorkflow(graph, object_info),
        WorkflowChoices(bindings or [], settings or [], quality),
        hash_input,
        StoryImages(folder, story.slug),
    )


def former_key(maker: JobMaker, number: int, begins_from: str = "") -> str:
    return list(maker.former_keys(number, begins_from))[-1]


def keys(maker: JobMaker) -> list[str]:
    return [former_key(maker, number) for number in (1, 2, 3)]


def test_the_preview_workflow(object_info: dict[str, Any]) -> None:
    graph = convert_workflow(load_workflow(Path("preview")), object_info)
    assert keys(make_maker(graph, object_info)) == PREVIEW


def test_a_workflow_without_a_segment_node(object_info: dict[str, Any]) -> None:
    maker = make_maker(image_graph(), object_info, None, BINDINGS, ["3.steps=30"])
    assert keys(maker) == BOUND


def test_a_workflow_that_measures_continuity(object_info: dict[str, Any]) -> None:
    maker = make_maker(segment_graph(STORY) | CONTINUITY, object_info, None, None, ["4.codec=hevc"], "high")
    assert keys(maker) == MEASURED


def test_a_segment_that_begins_from_the_one_before(object_info: dict[str, Any]) -> None:
    maker = make_maker(segment_graph(STORY) | FIRST_FRAME, object_info)
    assert maker.source(2) == 1
    assert [former_key(maker, 2), former_key(maker, 2, "ab" * 32)] == CONTINUED


def test_a_first_frame_that_is_bound(object_info: dict[str, Any]) -> None:
    graph = segment_graph(STORY) | {"9": {"class_type": "LoadImage", "inputs": {"image": "example.png"}}}
    maker = make_maker(graph, object_info, None, ["first_frame=9.image"])
    assert former_key(maker, 2, "ab" * 32) == CONTINUED_BOUND


@pytest.mark.parametrize("beside_the_story", [False, True])
def test_a_cast_with_images(object_info: dict[str, Any], tmp_path: Path, beside_the_story: bool) -> None:
    if beside_the_story:
        (tmp_path / "anna.png").write_bytes(b"anna")
        (tmp_path / "tree.png").write_bytes(b"tree")
    maker = make_maker(segment_graph(STORY) | CAST, object_info, tmp_path if beside_the_story else None)
    assert keys(maker) == (CAST_BESIDE if beside_the_story else CAST_ON_SERVER)


def test_another_node_that_reads_the_story(object_info: dict[str, Any]) -> None:
    graph = segment_graph(STORY) | {"9": {"class_type": "SomeNode", "inputs": {"story": ["1", 0]}}}
    assert keys(make_maker(graph, object_info)) == WHOLE_STORY
