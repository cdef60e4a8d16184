"""Where a graph has the frames of its clip, and what is put there for those that two segments share."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.borders.shared_frames import HANDED_OVER, ClipFrames, find_clip_frames, index_of_last_shown
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.workflows.bindings import InputRef
from tests.support.graphs.video_models import node, read_schemas, wan

MakeMaker = Callable[..., JobMaker]

SCHEMAS = read_schemas()
#: Eight seconds that two others continue, and one that continues one of these.
STORY: dict[str, Any] = {
    "fps": 24,
    "segments": [
        {"prompt": "a field", "timespan": "0 - 2"},
        {"prompt": "a tree", "timespan": "2 - 4", "start": "continue"},
        {"prompt": "a river", "timespan": "4 - 6", "continue_from": 1},
        {"prompt": "a cut", "timespan": "6 - 8"},
    ],
}


def image_to_video(**changes: dict[str, Any]) -> dict[str, Any]:
    sockets = {"positive": ["positive", 0], "negative": ["negative", 0], "vae": ["vae", 0]}
    graph = wan(i2v=node("WanImageToVideo", **sockets, width=640, height=480, length=81, batch_size=1), **changes)
    for stage in ("high", "low"):
        graph[stage]["inputs"] |= {"positive": ["i2v", 0], "negative": ["i2v", 1]}
    graph["high"]["inputs"]["latent_image"] = ["i2v", 2]
    del graph["latent"]
    return graph


def make(graph: dict[str, Any], story: dict[str, Any] = STORY, **choices: Any) -> JobMaker:
    choices = {"profiles": shipped_profiles(), **choices}
    return JobMaker(
        LoadedStory(parse_story(story), story),
        ConvertedWorkflow(graph, SCHEMAS),
        WorkflowChoices(**choices),
        lambda name: "",
    )


VHS = {
    "VHS_VideoCombine": {
        "input": {
            "required": {"images": ["IMAGE"], "filename_prefix": ["STRING", {}], "frame_rate": ["FLOAT", {}]},
            "optional": {"audio": ["AUDIO"]},
        },
        "output_node": True,
    }
}


@pytest.mark.parametrize(
    ("savers", "expected"),
    [
        ({}, ClipFrames(InputRef("video", "images"))),
        (
            {"video": node("CreateVideo", images=["decode", 0], audio=["sound", 0], fps=16.0)},
            ClipFrames(InputRef("video", "images"), InputRef("video", "audio")),
        ),
        (
            {"save": node("VHS_VideoCombine", images=["decode", 0], audio=["sound", 0], filename_prefix="a")},
            ClipFrames(InputRef("save", "images"), InputRef("save", "audio")),
        ),
        (
            {"save": node("SaveAnimatedWEBP", images=["decode", 0], filename_prefix="a", fps=16.0)},
            ClipFrames(InputRef("save", "images")),
        ),
        # A video that another node makes has no frames in the graph.
        ({"video": node("KlingTextToVideoNode")}, None),
        # Which of two files the segment is, nobody has said.
        ({"more": node("SaveVideo", video=["video", 0], filename_prefix="b")}, None),
        ({"videogen_handed_over": node("PreviewImage", images=["decode", 0])}, None),
    ],
)
def test_where_a_graph_has_its_frames(savers: dict[str, Any], expected: ClipFrames | None) -> None:
    assert find_clip_frames(wan(**savers), SCHEMAS | VHS, "") == expected


def test_the_node_that_the_user_names_has_the_frames() -> None:
    graph = wan(more=node("SaveAnimatedWEBP", images=["low", 0], filename_prefix="b"))
    assert find_clip_frames(graph, SCHEMAS, "more") == ClipFrames(InputRef("more", "images"))


def test_a_core_without_these_nodes_shares_no_frames() -> None:
    for name in ("ImageFromBatch", "PreviewImage"):
        assert find_clip_frames(wan(), {key: value for key, value in SCHEMAS.items() if key != name}, "") is None


@pytest.mark.parametrize(
    ("seconds", "rate", "index"),
    [("8", "16", 127), ("8", "24", 191), ("1/3", "16", 5), ("1/100", "16", 0), ("2", "24000/1001", 47)],
)
def test_the_last_frame_that_is_shown(seconds: str, rate: str, index: int) -> None:
    assert index_of_last_shown(Fraction(seconds), Fraction(rate)) == index


def test_a_segment_that_others_continue_keeps_its_last_frame() -> None:
    maker = make(image_to_video())
    one = maker.make(1).graph
    last = one[one[HANDED_OVER]["inputs"]["images"][0]]
    # Two seconds are 32 frames at Wan's 16 a second; 33 are rendered, and the last of them is not shown.
    assert (one["i2v"]["inputs"]["length"], last["inputs"]) == (
        33,
        {"image": ["decode", 0], "batch_index": 31, "length": 1},
    )
    assert one["video"]["inputs"]["images"] == ["decode", 0]
    assert all(HANDED_OVER not in maker.make(number).graph for number in (2, 3, 4))


@pytest.mark.parametrize("number", [2, 3])
def test_a_segment_that_continues_another_drops_the_frame_that_is_shown_already(number: int) -> None:
    sound = {"video": node("CreateVideo", images=["decode", 0], audio=["sound", 0], fps=16.0)}
    maker = make(image_to_video(**sound))
    assert maker.source(number) == 1
    graph = maker.make(number, first_frame="last.png").graph
    frames, cut = (graph[graph["video"]["inputs"][name][0]]["inputs"] for name in ("images", "audio"))
    assert frames == {"image": ["decode", 0], "batch_index": 1, "length": 4096}
    assert cut == {"audio": ["sound", 0], "start_index": 1 / 16, "duration": 2.0}
    assert graph["i2v"]["inputs"]["length"] == 33
    plain = make(wan(**sound)).make(number).graph
    assert plain["video"]["inputs"]["images"] == ["decode", 0], "a model that takes no first frame begins anew"


def test_one_more_frame_than_a_segment_shows_is_rendered() -> None:
    story = {
        **STORY,
        "segments": [{**one, "timespan": span} for one, span in zip(STORY["segments"], SPANS, strict=True)],
    }
    maker = make(image_to_video(), story)
    lengths = [maker.make(number).graph["i2v"]["inputs"]["length"] for number in (1, 2, 3, 4)]
    assert lengths == [29, 33, 33, 29], "29 frames cover it, and one more is on the next place of 4n + 1"


#: 28.8 frames each at 16 a second.
SPANS = ("0 - 1.8", "1.8 - 3.6", "3.6 - 5.4", "5.4 - 7.2")


def test_a_length_that_the_user_sets_stays_with_all_its_frames() -> None:
    graph = make(image_to_video(), settings=["i2v.length=17"]).make(2, first_frame="a.png").graph
    assert graph["video"]["inputs"]["images"] == ["decode", 0]


def test_keys_of_what_is_shown_as_before_stay() -> None:
    """Only a segment that continues another has other frames than in releases that showed the shared one twice."""
    now, before = make(image_to_video()), make(image_to_video(), drop_shared=False)
    assert [now.key(number) == before.key(number) for number in (1, 2, 3, 4)] == [True, False, False, True]
    apart = {**STORY, "segments": [{key: one[key] for key in ("prompt", "timespan")} for one in STORY["segments"]]}
    assert make(image_to_video(), apart).key(1) == now.key(1), "what another begins with is none of its business"
