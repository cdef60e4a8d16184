"""The key that decides whether a segment has to be rendered again."""

from __future__ import annotations

from typing import Any

import pytest

from runner.rendering.retries import Variant
from tests.runner.rendering.job_makers import STORY, MakeJobs, changed
from tests.support.stories import segment_graph


@pytest.mark.parametrize(
    "story",
    [
        changed(STORY, "segments", 0, "prompt", to="another"),
        changed(STORY, "segments", 2, "seed", to=99),
        changed(STORY, "transitions", to=[{"after": 1, "seconds": 0.5}]),
        changed(STORY, "audio", to={"music": "song.mp3"}),
        changed(STORY, "characters", "dog", to={"description": "a dog", "segments": "3"}),
        changed(STORY, "characters", "man", "segments", to="1,2,3"),
    ],
    ids=["another's prompt", "another's seed", "transition", "music", "somebody elsewhere", "the man elsewhere"],
)
def test_what_does_not_touch_a_segment_does_not_change_its_key(make_jobs: MakeJobs, story: dict[str, Any]) -> None:
    assert make_jobs(story=story).key(2) == make_jobs().key(2)


@pytest.mark.parametrize(
    "story",
    [
        changed(STORY, "segments", 1, "prompt", to="another"),
        changed(STORY, "segments", 1, "seed", to=99),
        changed(STORY, "segments", 1, "frames", to=5),
        changed(STORY, "segments", 1, "technical", to="Close-up"),
        changed(STORY, "size", to=[640, 360]),
        changed(STORY, "fps", to=8),
        changed(STORY, "quality", to="high"),
        changed(STORY, "style", "negative", to="blurry"),
        changed(STORY, "style", "master_prompt", to="Daylight throughout."),
        changed(STORY, "characters", "man", "description", to="a man in a red shirt"),
        changed(STORY, "characters", "man", "segments", to="1"),
        changed(STORY, "characters", "man", "reference", to="man.png"),
    ],
    ids=[
        "prompt",
        "seed",
        "frames",
        "shot",
        "size",
        "rate",
        "quality",
        "negative",
        "master prompt",
        "looks",
        "cast",
        "face",
    ],
)
def test_what_touches_a_segment_changes_its_key(make_jobs: MakeJobs, story: dict[str, Any]) -> None:
    assert make_jobs(story=story).key(2) != make_jobs().key(2)


@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({"graph": segment_graph(STORY, take="mine")}, True),
        ({"graph": segment_graph(STORY, index=3)}, True),
        ({"graph": segment_graph(changed(STORY, "title", to="in the widget"))}, True),
        ({"graph": changed(segment_graph(STORY), "3", "_meta", to={"title": "My Frames"})}, True),
        ({"ui_workflow": {"nodes": []}}, True),
        ({"graph": segment_graph(STORY, codec="hevc")}, False),
        ({"settings": ["2.with_master_prompt=true"]}, False),
        ({"quality": "premium"}, False),
    ],
    ids=["take", "saved index", "story in the widget", "a node's name", "layout", "codec", "--set", "--quality"],
)
def test_the_workflow_s_inputs_are_part_of_the_key(make_jobs: MakeJobs, options: dict[str, Any], same: bool) -> None:
    assert (make_jobs(**options).key(2) == make_jobs().key(2)) is same


def test_every_attempt_has_the_segment_s_key(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    variants = [Variant(), Variant(seed_offset=1), Variant(size=(160, 90)), Variant(2, (160, 90))]
    assert {maker.make(2, variant=variant).key for variant in variants} == {maker.key(2)}


def test_every_segment_has_a_key_of_its_own(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    assert len({maker.key(number) for number in (1, 2, 3)}) == 3


def test_the_bytes_of_the_input_files_are_part_of_the_key(make_jobs: MakeJobs) -> None:
    graph = segment_graph(STORY) | {"9": {"class_type": "LoadImage", "inputs": {"image": "example.png"}}}
    asked: list[str] = []

    def hash_file(name: str) -> str:
        asked.append(name)
        return "old"

    before = make_jobs(graph, hash_input=hash_file).key(2)
    assert asked == ["example.png"]
    assert before == make_jobs(graph, hash_input=lambda name: "old").key(2)
    assert before != make_jobs(graph, hash_input=lambda name: "new").key(2)


def test_what_a_segment_begins_from_is_part_of_its_key(make_jobs: MakeJobs) -> None:
    maker = make_jobs()
    assert len({maker.key(2), maker.key(2, begins_from="a" * 64), maker.key(2, begins_from="b" * 64)}) == 3


def test_where_another_node_reads_the_story_all_of_it_counts(make_jobs: MakeJobs) -> None:
    graph = segment_graph(STORY) | {"9": {"class_type": "SomebodyElsesNode", "inputs": {"story": ["1", 0]}}}
    other = changed(STORY, "segments", 0, "prompt", to="another")
    assert make_jobs(graph).key(2) != make_jobs(graph, other).key(2)
