"""Dynamic prompts: drawn by the editor's rules, by a seed, and the same again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.rendering.retries import Variant
from runner.workflows.bindings import InputRef
from runner.workflows.dynamic_prompts import MAX_DEPTH, draw_text, find_dynamic_texts
from runner.workflows.workflow import Workflow, convert_workflow
from tests.runner.rendering.job_makers import STORY
from tests.support.stories import segment_graph

#: Two encoders of the prompt and one of what is not wanted.
PROMPT, NEGATIVE = "a {red|green|blue|white} {house|boat}", "text, {ugly|dull}"


def first(choices: int) -> int:
    return 0


def last(choices: int) -> int:
    return choices - 1


#: Text → what the editor makes of it when it always draws the first choice, and the last one. Taken from `processDynamicPrompt`
#: of comfyui-frontend-package 1.32.9, with `Math.random` replaced.
DRAWN = {
    "a {red|blue} hat": ("a red hat", "a blue hat"),
    "{a|{b|c}|d {e|f}}": ("a", "d f"),
    "{a}": ("a", "a"),
    "{}": ("", ""),
    "{|b}": ("", "b"),
    "{a|b": ("a", "b"),
    "a}b|c": ("a}b|c", "a}b|c"),
    r"\{a\|b\}": ("{a|b}", "{a|b}"),
    r"{a\|b|c\}}": ("a|b", "c}"),
    r"{\{a|b\}|c}": ("{a", "c"),
    r"C:\path {x|y}": (r"C:\path x", r"C:\path y"),
    "see http://x.y/{a|b}\nnext": ("see http:\nnext", "see http:\nnext"),
    "a /* {b|c} */ d // e\n{f|g}": ("a  d \nf", "a  d \ng"),
    "a /* b {c|d}": ("a /* b c", "a /* b d"),
    "{a // b|c}\nd": ("a \nd", "a \nd"),
    "x // y\r\nz": ("x \r\nz", "x \r\nz"),
    "{漢|🎬}": ("漢", "🎬"),
}


@pytest.mark.parametrize("text", DRAWN)
def test_the_rules_are_the_editors(text: str) -> None:
    assert (draw_text(text, first), draw_text(text, last)) == DRAWN[text]


def test_a_backslash_at_the_end_stays() -> None:
    """The editor adds the word "undefined"."""
    assert draw_text("{a|b}\\", first) == "a\\"


@pytest.mark.parametrize(
    "text", ["{" * 20_000, "{a|" * 5_000 + "}" * 5_000, "/*" * 500_000, "//" * 500_000, "\\" * 99_999]
)
def test_texts_of_strangers_cost_no_time(text: str) -> None:
    if "{" in text:
        with pytest.raises(RecursionError):
            draw_text(text, last)
    else:
        assert len(draw_text(text, first)) <= len(text)


# ------------------------------------------------------------------ a workflow


def workflow(prompt: str = PROMPT, negative: str = NEGATIVE, shift: int = 0) -> Workflow:
    """The preview workflow with a prompt and a negative one of its own, as the editor saves it.

    Args:
        shift: added to the ids of these two nodes.
    """

    def node(
        number: int, kind: str, values: list[Any], inputs: Sequence[str] = (), links: Sequence[int] = ()
    ) -> dict[str, Any]:
        return {
            "id": number,
            "type": kind,
            "mode": 0,
            "inputs": [{"name": name, "type": "*", "link": link} for name, link in zip(inputs, links, strict=True)],
            "outputs": [],
            "properties": {},
            "widgets_values": values,
        }

    nodes = [
        node(1, "VideoGenStory", ["text below", ""]),
        node(2, "VideoGenSegment", [1, "fixed", "", False], ["story"], [1]),
        node(3, "TestSampler", [], ["segment", "positive", "negative"], [2, 4, 5]),
        node(4, "VideoGenSaveSegment", ["story", "h264"], ["images", "segment"], [3, 6]),
        node(7 + shift, "CLIPTextEncode", [prompt], ["clip"], [7]),
        node(8 + shift, "CLIPTextEncode", [negative], ["clip"], [8]),
        node(9, "CheckpointLoaderSimple", ["dream.safetensors"]),
    ]
    links = [
        [1, 1, 0, 2, 0, "STORY"],
        [2, 2, 0, 3, 0, "SEGMENT"],
        [3, 3, 0, 4, 0, "IMAGE"],
        [4, 7 + shift, 0, 3, 1, "CONDITIONING"],
        [5, 8 + shift, 0, 3, 2, "CONDITIONING"],
        [6, 2, 0, 4, 1, "SEGMENT"],
        [7, 9, 1, 7 + shift, 0, "CLIP"],
        [8, 9, 1, 8 + shift, 0, "CLIP"],
    ]
    return Workflow(Path("film.json"), {"nodes": nodes, "links": links, "version": 0.4}, None)


@pytest.fixture
def info(object_info: dict[str, Any]) -> dict[str, Any]:
    inputs = {"segment": ["SEGMENT", {}], "positive": ["CONDITIONING", {}], "negative": ["CONDITIONING", {}]}
    return {**object_info, "TestSampler": {"input": {"required": inputs}, "output": ["IMAGE"], "output_node": False}}


MakeJobs = Callable[..., JobMaker]


@pytest.fixture
def make(info: dict[str, Any]) -> MakeJobs:
    """A JobMaker of a workflow that is converted anew, as each run does it."""

    def make(of: Workflow | None = None, settings: Sequence[str] = (), bindings: Sequence[str] = ()) -> JobMaker:
        of = of or workflow()
        graph = convert_workflow(of, info, seed=None)
        converted = ConvertedWorkflow(graph, info, of.ui, written=True)
        choices = WorkflowChoices(bindings, settings)
        return JobMaker(LoadedStory(parse_story(copy.deepcopy(STORY)), STORY), converted, choices, lambda name: "")

    return make


def texts(maker: JobMaker, number: int, variant: Variant | None = None) -> list[str]:
    graph = maker.make(number, variant=variant).graph
    return [node["inputs"]["text"] for node in graph.values() if node["class_type"] == "CLIPTextEncode"]


def keys(maker: JobMaker) -> list[str]:
    return [maker.key(number) for number in (1, 2, 3)]


@pytest.mark.parametrize("prompt", [PROMPT, "{a|{b|c}} on {d|e|f|g|h}", r"\{literal\} {one|two|three|four|five|six}"])
def test_the_same_command_asks_for_the_same(make: MakeJobs, prompt: str) -> None:
    """The same command, ten times: each conversion would draw something else."""
    of = workflow(prompt)
    assert len({tuple(keys(make(of))) for _ in range(10)}) == 1
    assert len({json.dumps([texts(make(of), number) for number in (1, 2, 3)]) for _ in range(10)}) == 1


def test_each_segment_draws_for_itself_by_its_seed(make: MakeJobs) -> None:
    drawn = [texts(make(workflow("{" + "|".join(map(str, range(1000))) + "}")), number)[0] for number in (1, 2, 3)]
    assert len(set(drawn)) == 3


def test_what_is_drawn_is_one_of_the_choices(make: MakeJobs) -> None:
    prompt, negative = texts(make(), 1)
    assert prompt.split()[1] in ("red", "green", "blue", "white")
    assert prompt.split()[2] in ("house", "boat")
    assert negative in ("text, ugly", "text, dull")


def test_another_take_is_another_try_at_the_same_text(make: MakeJobs) -> None:
    assert {str(texts(make(), 1, Variant(seed_offset=offset))) for offset in range(20)} == {str(texts(make(), 1))}


def test_the_numbers_of_nodes_change_nothing(make: MakeJobs) -> None:
    assert keys(make(workflow(shift=30))) == keys(make())


def test_another_choice_is_another_segment(make: MakeJobs) -> None:
    assert not set(keys(make(workflow("a {red|green|blue|yellow} {house|boat|tent}")))) & set(keys(make()))


def test_a_text_without_choices_has_the_key_that_it_had(make: MakeJobs, info: dict[str, Any]) -> None:
    """Earlier releases converted the texts with everything else."""
    of = workflow("a tree // not this\n(big) tree", "text")
    before = JobMaker(
        LoadedStory(parse_story(copy.deepcopy(STORY)), STORY),
        ConvertedWorkflow(convert_workflow(of, info), info, of.ui),
        WorkflowChoices(),
        lambda name: "",
    )
    assert texts(before, 1) == ["a tree \n(big) tree", "text"]
    assert keys(make(of)) == keys(before)


def test_what_the_user_sets_is_meant_as_it_is(make: MakeJobs) -> None:
    assert texts(make(settings=["7.text=a {cat|dog}"]), 1)[0] == "a {cat|dog}"
    bound = make(bindings=["prompt=7.text"])
    assert texts(bound, 2)[0] == bound.make(2).plan.prompt


def test_an_api_export_was_drawn_by_the_editor(info: dict[str, Any]) -> None:
    graph = segment_graph("") | {"7": {"class_type": "CLIPTextEncode", "inputs": {"text": PROMPT}}}
    converted = convert_workflow(Workflow(Path("film.json"), None, graph), info)
    assert converted["7"]["inputs"]["text"] == PROMPT


def test_the_file_opens_with_what_was_drawn(make: MakeJobs) -> None:
    job = make().make(2)
    assert job.workflow is not None
    shown = [node["widgets_values"][0] for node in job.workflow["nodes"] if node["type"] == "CLIPTextEncode"]
    assert shown == [node["inputs"]["text"] for node in job.graph.values() if node["class_type"] == "CLIPTextEncode"]


def test_choices_nested_too_deeply_name_the_node(make: MakeJobs) -> None:
    with pytest.raises(
        VideoGenError, match=r"node 7 \(CLIPTextEncode\): the choices in 'text' are nested deeper than 100"
    ):
        make(workflow("{" * (MAX_DEPTH + 1) + "}" * (MAX_DEPTH + 1))).make(1)


def test_convert_prints_one_draw_and_always_the_same(info: dict[str, Any]) -> None:
    printed = {json.dumps(convert_workflow(workflow(), info)) for _ in range(10)}
    assert len(printed) == 1
    assert "{" not in json.loads(printed.pop())["7"]["inputs"]["text"]


def test_texts_that_are_drawn_as_they_are_are_not_listed(info: dict[str, Any]) -> None:
    graph = convert_workflow(workflow("a tree", "not {a|b}"), info, seed=None)
    assert find_dynamic_texts(graph, info) == {InputRef("8", "text"): "not {a|b}"}
