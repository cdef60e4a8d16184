"""*auto* of Upscale means one thing in a whole film, on all its servers, before and after a download."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.upscale_models import find_preferred
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.workflows.automatic_choices import kept_choices, settle_choices
from tests.support.stories import segment_graph, small_story

GRAPH: Graph = {"9": {"class_type": "VideoGenUpscale", "inputs": {"images": ["8", 0], "model": "auto"}}}
REAL, SHARP = "RealESRGAN_x4plus.pth", "4x-UltraSharp.pth"


def server(*files: str, is_old: bool = False) -> dict[str, Any]:
    """The schemas of a server with these upscale models."""
    inputs: dict[str, Any] = {"required": {"model": ["COMBO", {"options": ["auto", "none", *files]}]}, "optional": {}}
    if not is_old:
        inputs["optional"]["auto_model"] = ["STRING", {"default": ""}]
    return {"VideoGenUpscale": {"input": inputs}}


def settled(*servers: dict[str, Any], kept: dict[str, str] | None = None) -> tuple[str, tuple[str, ...]]:
    found = settle_choices(GRAPH, {f"http://{name}": info for name, info in zip("abc", servers, strict=False)}, kept)
    return found.graph["9"]["inputs"]["auto_model"], found.notes


def test_the_first_general_model_that_all_servers_have() -> None:
    assert settled(server(SHARP, REAL)) == (REAL, (f"Upscale: auto is {REAL} in this run",))
    assert settled(server(SHARP, REAL), server(SHARP)) == (
        SHARP,
        (f"Upscale: auto is {SHARP} in this run; {REAL} is not on all servers",),
    )


def test_servers_that_differ_never_mix_models_and_the_filter() -> None:
    choice, notes = settled(server(REAL), server())
    assert choice == "none"
    assert notes == (f"Upscale: auto is a Lanczos filter in this run; {REAL} is not on all servers",)


@pytest.mark.parametrize(("kept", "files"), [("none", [REAL]), (SHARP, [REAL, SHARP])])
def test_a_resumed_run_keeps_its_choice_whatever_was_downloaded(kept: str, files: list[str]) -> None:
    assert settled(server(*files), kept={"VideoGenUpscale": kept}) == (kept, ())


def test_a_choice_that_a_server_cannot_do_any_more_is_made_again_and_said() -> None:
    assert settled(server(REAL), server(REAL, SHARP), kept={"VideoGenUpscale": SHARP}) == (
        REAL,
        (f"Upscale: auto was {SHARP}, which http://a does not have; it is {REAL} now",),
    )


@pytest.mark.parametrize(
    "graph",
    [
        {"9": {"class_type": "VideoGenUpscale", "inputs": {"model": "none"}}},
        {"9": {"class_type": "VideoGenUpscale", "inputs": {"model": ["3", 0]}}},
        {"1": {"class_type": "KSampler", "inputs": {}}},
    ],
)
def test_a_graph_that_leaves_nothing_open_stays_as_it_is(graph: Graph) -> None:
    assert settle_choices(graph, {"http://a": server(REAL)}) == settle_choices(graph, {})
    assert settle_choices(graph, {"http://a": server(REAL)}).graph is graph


@pytest.mark.parametrize("setting", ["VideoGenUpscale.model=none", "9.model=none"])
def test_what_the_user_sets_needs_no_choice(setting: str) -> None:
    assert settle_choices(GRAPH, {"http://a": server(REAL)}, settings=[setting]).graph is GRAPH


def test_a_server_with_an_older_pack_chooses_as_before() -> None:
    assert settle_choices(GRAPH, {"http://a": server(REAL, is_old=True)}).graph is GRAPH


def test_the_graph_that_was_given_is_not_changed() -> None:
    settled(server(REAL))
    assert "auto_model" not in GRAPH["9"]["inputs"]


def test_models_in_folders_count_by_their_names() -> None:
    assert find_preferred(["photo/RealESRGAN_x2.pth", "anime\\4x-UltraSharp.pth"]) == "anime\\4x-UltraSharp.pth"
    assert find_preferred(["4x-AnimeSharp.pth"]) == ""


def test_the_record_of_a_run_has_the_choices() -> None:
    assert kept_choices({"choices": {"VideoGenUpscale": "none"}}) == {"VideoGenUpscale": "none"}
    assert kept_choices(None) == kept_choices({}) == kept_choices({"choices": "x"}) == {}


def test_the_choice_is_in_the_keys_of_segments() -> None:
    story = small_story("Tiny", segments=1)

    def key(*servers: dict[str, Any]) -> str:
        graph = segment_graph(story) | {
            "9": {"class_type": "VideoGenUpscale", "inputs": {"images": ["3", 0], "segment": ["2", 0], "model": "auto"}}
        }
        graph["4"]["inputs"]["images"] = ["9", 0]
        infos = {f"http://{number}": info for number, info in enumerate(servers)}
        settled_graph = settle_choices(graph, infos).graph
        loaded = LoadedStory(parse_story(copy.deepcopy(story)), story)
        return JobMaker(loaded, ConvertedWorkflow(settled_graph, {}), WorkflowChoices(), lambda name: "").key(1)

    assert key(server(REAL)) == key(server(REAL, SHARP), server(REAL)) != key(server()) != key(server(SHARP))
