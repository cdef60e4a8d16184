"""The pictures that segments begin and end with, in the graph of a job and in its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.profiles.library import shipped_profiles
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.workflows.story_images import StoryImages, explain_missing, find_missing
from tests.support.graphs.video_models import node, read_schemas, wan

STORY: dict[str, Any] = {
    "fps": 24,
    "segments": [
        {"prompt": "a field", "keyframes": {"first": "sapling.png", "last": "tree.png"}},
        {"prompt": "a tree", "start": "keyframe"},
        {"prompt": "a cut"},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, color in (("sapling", "green"), ("tree", "brown")):
        Image.new("RGB", (64, 48), color).save(tmp_path / f"{name}.png")
    return tmp_path


def first_and_last(kind: str = "WanFirstLastFrameToVideo", **pictures: Any) -> dict[str, Any]:
    sockets = {"positive": ["positive", 0], "negative": ["negative", 0], "vae": ["vae", 0]}
    graph = wan(model_node=node(kind, **sockets, width=640, height=480, length=81, batch_size=1, **pictures))
    for stage in ("high", "low"):
        graph[stage]["inputs"] |= {"positive": ["model_node", 0], "negative": ["model_node", 1]}
    graph["high"]["inputs"]["latent_image"] = ["model_node", 2]
    del graph["latent"]
    return graph


def own_pictures() -> dict[str, Any]:
    graph = first_and_last(start_image=["a", 0], end_image=["b", 0])
    return graph | {"a": node("LoadImage", image="a.png"), "b": node("LoadImage", image="b.png")}


def make(graph: dict[str, Any], folder: Path | None, story: dict[str, Any] = STORY, **files: str) -> JobMaker:
    parsed = parse_story(story)
    return JobMaker(
        LoadedStory(parsed, story),
        ConvertedWorkflow(graph, read_schemas()),
        WorkflowChoices(profiles=shipped_profiles()),
        lambda name: files.get(name.replace(".", "_"), ""),
        StoryImages(folder, parsed.slug),
    )


def test_pictures_next_to_the_story_replace_those_of_the_workflow(folder: Path) -> None:
    maker = make(own_pictures(), folder)
    shown = [
        [maker.make(number).graph[name]["inputs"]["image"].rpartition("/")[2].partition("-")[0] for name in "ab"]
        for number in (1, 2, 3)
    ]
    assert shown == [["sapling", "tree"], ["tree", "b.png"], ["a.png", "b.png"]]
    assert [sorted(one.name.split("/")[-1].split("-")[0] for one in maker.images_of(n)) for n in (1, 2, 3)] == [
        ["sapling", "tree"],
        ["tree"],
        [],
    ]
    assert "segments 2,3 have no `keyframes.last`: the workflow's own last frame stays there" in maker.roles.notes


def test_free_sockets_get_loaders_for_the_segments_that_have_pictures(folder: Path) -> None:
    maker = make(first_and_last(), folder)
    one, three = (maker.make(number).graph["model_node"]["inputs"] for number in (1, 3))
    assert {"start_image", "end_image"} <= one.keys()
    assert not {"start_image", "end_image"} & three.keys()


def test_the_bytes_of_a_picture_are_in_the_key_and_its_name_is_not(folder: Path) -> None:
    keys = [make(own_pictures(), folder).key(number) for number in (1, 2, 3)]
    renamed = {**STORY, "segments": [{**STORY["segments"][0]}, *STORY["segments"][1:]]}
    renamed["segments"][0]["keyframes"] = {"first": "other.png", "last": "tree.png"}
    (folder / "sapling.png").rename(folder / "other.png")
    assert [make(own_pictures(), folder, renamed).key(number) for number in (1, 2, 3)] == keys
    Image.new("RGB", (64, 48), "red").save(folder / "tree.png")
    changed = [make(own_pictures(), folder, renamed).key(number) for number in (1, 2, 3)]
    assert [one == other for one, other in zip(changed, keys, strict=True)] == [False, False, True]
    plain = {**STORY, "segments": [{"prompt": one["prompt"]} for one in STORY["segments"]]}
    assert make(own_pictures(), folder, plain).key(3) == keys[2]


def test_a_workflow_that_takes_no_pictures_says_so(folder: Path) -> None:
    maker = make(wan(), folder)
    assert "segments 1,2 cannot begin with a picture: the workflow takes no first frame" in maker.roles.notes
    assert "segment 1 cannot end with a picture: the workflow takes no last frame" in maker.roles.notes
    assert maker.keyframes_of(1) == []


def test_pictures_that_are_nowhere_are_named_with_their_segments(folder: Path) -> None:
    (folder / "tree.png").unlink()
    maker = make(own_pictures(), folder)
    keyframes = {number: maker.keyframes_of(number) for number in (1, 2, 3)}
    servers = {"http://a": lambda name: "", "http://b": lambda name: "00"}

    def explain(*urls: str) -> tuple[list[str], str]:
        chosen = {url: servers[url] for url in urls}
        missing = find_missing(maker.story, (1, 2, 3), (), maker.images, chosen, keyframes)
        problems, hint = explain_missing(missing)
        return [str(problem) for problem in problems], hint

    assert explain("http://b") == ([], "")
    assert explain("http://a", "http://b") == (
        [
            "segments[1].keyframes: the picture 'tree.png' is not in the input folder of http://a, nor next to the story"
            " (segments 1,2)"
        ],
        "Put the keyframes next to the story, or into ComfyUI's input folder.",
    )


def test_a_workflow_with_our_nodes_says_what_it_cannot_take(folder: Path) -> None:
    graph = {
        "1": node("VideoGenStory", file="text below", text=""),
        "2": node("VideoGenSegment", story=["1", 0], index=1, prompt_override=""),
        "4": node("VideoGenStoryboardFrames", segment=["2", 0]),
        "5": node("VideoGenSaveSegment", images=["4", 0], segment=["2", 0]),
    }
    assert make(graph, folder).roles.notes == [
        "segments 1,2 cannot begin with a picture: the workflow takes no first frame",
        "segment 1 cannot end with a picture: the workflow takes no last frame",
    ]


def test_titles_name_the_loaders_of_a_workflow_with_our_nodes(folder: Path) -> None:
    graph = {
        "1": node("VideoGenStory", file="text below", text=""),
        "2": node("VideoGenSegment", story=["1", 0], index=1, prompt_override=""),
        "3": node("LoadImage", image="a.png") | {"_meta": {"title": "First frame"}},
        "4": node("LoadImage", image="b.png") | {"_meta": {"title": "Last Frame"}},
        "5": node("VideoGenSaveSegment", images=["4", 0], segment=["2", 0]),
    }
    maker = make(graph, folder)
    assert maker.roles.notes == ["segments 2,3 have no `keyframes.last`: the workflow's own last frame stays there"]
    shown = maker.make(1).graph
    assert [shown[name]["inputs"]["image"].rpartition("/")[2].partition("-")[0] for name in "34"] == ["sapling", "tree"]
