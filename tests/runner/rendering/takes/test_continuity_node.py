"""What the runner makes of VideoGenContinuity's widgets and result, and of --takes."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.continuity.policy import Thresholds
from custom_nodes.videogen.core.continuity.scores import to_plain
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.cli import build_parser
from runner.comfyui.outcome import Outcome
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.rendering.takes.measurement import read_measurement
from runner.rendering.takes.selector import asks_for_takes
from runner.workflows.image_inputs import find_image_inputs, find_needs
from tests.runner.rendering.takes.scripted_run import STORY, make_score
from tests.support.stories import segment_graph


def watched_graph(**widgets: Any) -> Graph:
    graph = segment_graph(STORY)
    graph["5"] = {"class_type": "VideoGenContinuity", "inputs": {"images": ["3", 0], "segment": ["2", 0], **widgets}}
    return graph


def test_who_asks_for_takes() -> None:
    assert asks_for_takes(watched_graph(when_below="render again"))
    assert asks_for_takes(watched_graph())
    assert not asks_for_takes(watched_graph(when_below="only report"))
    assert not asks_for_takes(segment_graph(STORY))


@pytest.mark.parametrize(
    ("nodes", "retakes", "score"),
    [
        ([(0.4, "only report"), (0.5, "render again")], True, 0.5),
        ([(0.4, "only report"), (0.9, "render again")], False, 0.4),
        ([(0.6, "render again"), (0.5, "render again")], True, 0.5),
    ],
)
def test_of_two_nodes_the_one_counts_that_asks_for_another_take(
    nodes: list[tuple[float, str]], retakes: bool, score: float
) -> None:
    outputs = {
        str(place): {
            "videogen": [
                {
                    "continuity": {
                        "scores": make_score(value).to_dict(),
                        "thresholds": to_plain(Thresholds()),
                        "when_below": when_below,
                    }
                }
            ]
        }
        for place, (value, when_below) in enumerate(nodes)
    }
    measurement = read_measurement(Outcome("success", outputs=outputs))
    assert measurement is not None
    assert (measurement.retakes, measurement.score.subjects[0].mean) == (retakes, score)


def make_key(graph: Graph, images: dict[str, str] | None = None) -> str:
    story = LoadedStory(parse_story(STORY, "test"), STORY)
    maker = JobMaker(story, ConvertedWorkflow(graph, {}), WorkflowChoices(), lambda name: (images or {}).get(name, ""))
    return maker.key(1)


def test_a_threshold_does_not_make_other_frames_and_an_image_makes_other_scores() -> None:
    lax, strict = watched_graph(threshold=0.5, when_below="only report"), watched_graph(threshold=0.9)
    assert make_key(lax) == make_key(strict)
    assert make_key(lax) != make_key(lax, {"videogen/field/tom.png": "1234"})


def test_the_node_does_without_images() -> None:
    (image_input,) = find_image_inputs(watched_graph())
    (need,) = find_needs(plan_segment(parse_story(STORY, "test"), 1), [image_input])
    assert (need.name, need.required) == ("videogen/field/tom.png", False)


def test_the_option() -> None:
    parse = build_parser().parse_args
    assert parse(["run"]).takes == 3
    assert parse(["run", "--takes", "1"]).takes == 1
    for wrong in ("0", "7", "x", "-1"):
        with pytest.raises(SystemExit):
            parse(["run", f"--takes={wrong}"])
