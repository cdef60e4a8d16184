"""Images of locations, and the size of reference images, with the schemas and the nodes of a real ComfyUI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from custom_nodes.videogen.core.graph import Graph, nodes_of
from runner.comfyui.installation import PROJECT
from runner.references.graph import ReferencesGraph
from runner.workflows.image_inputs import LocationImageInput, find_image_inputs
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.runs import Ended, read_journal, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import segment_graph, small_story

pytestmark = pytest.mark.server

FRAMES = ["sd15_frames", "sd21_frames", "sdxl_frames", "sdxl_turbo_frames"]


def shipped(server: ComfyServer, name: str) -> Graph:
    return convert_workflow(load_workflow(Path(name)), server.object_info)


# ------------------------------------------------------------------ the workflows that ship


@pytest.mark.parametrize("name", FRAMES)
def test_references_are_drawn_in_the_size_of_the_film_s_frames(comfy_server: ComfyServer, name: str) -> None:
    film = shipped(comfy_server, name)
    references = load_workflow(PROJECT / "workflows" / "character_references.json")
    graph = ReferencesGraph(references, comfy_server.object_info, film)
    (size,) = nodes_of(graph.graph, "VideoGenRenderSize")
    (own,) = nodes_of(film, "VideoGenRenderSize")
    assert graph.graph[size]["inputs"]["megapixels"] == film[own]["inputs"]["megapixels"]
    assert (graph.graph[size]["inputs"]["megapixels"] > 0) is (name == "sdxl_turbo_frames")
    assert graph.adopted["ckpt_name"] in film[nodes_of(film, "CheckpointLoaderSimple")[0]]["inputs"].values()


@pytest.mark.parametrize("name", FRAMES)
def test_shipped_workflows_look_at_places_and_can_do_without(comfy_server: ComfyServer, name: str) -> None:
    image_inputs = find_image_inputs(shipped(comfy_server, name))
    assert [node for node in image_inputs if isinstance(node, LocationImageInput)] == [LocationImageInput(False)]


def test_the_choices_that_are_told_apart_are_those_of_the_node(comfy_server: ComfyServer) -> None:
    choices = comfy_server.object_info["VideoGenColorMatch"]["input"]["required"]["anchor"][1]["options"]
    strict = [color_graph({}, anchor) for anchor in choices]
    found = {anchor: find_image_inputs(graph) for anchor, graph in zip(choices, strict, strict=True)}
    assert [anchor for anchor, nodes in found.items() if nodes == [LocationImageInput(True)]] == ["reference"]
    assert [anchor for anchor, nodes in found.items() if nodes == [LocationImageInput(False)]] == [
        "reference, else first frame"
    ]


# ------------------------------------------------------------------ a film


def place_story(title: str) -> dict[str, Any]:
    places = {"meadow": {"segments": "1"}, "barn": {"segments": "2"}}
    return small_story(title, size=(64, 48), locations=places)


def color_graph(story: dict[str, Any], anchor: str = "reference") -> Graph:
    """Storyboard frames in the colors of their place, node 7."""
    own = {"images": ["3", 0], "segment": ["2", 0], "anchor": anchor, "method": "mean and spread", "strength": 1.0}
    graph = segment_graph(story) | {"7": {"class_type": "VideoGenColorMatch", "inputs": own}}
    graph["4"]["inputs"]["images"] = ["7", 0]
    return graph


def location_graph(story: dict[str, Any]) -> Graph:
    """The image of the place is the segment's only frame, four times."""
    graph = segment_graph(story) | {
        "7": {"class_type": "VideoGenLocation", "inputs": {"segment": ["2", 0], "width": 0, "height": 0}},
        "8": {"class_type": "RepeatImageBatch", "inputs": {"image": ["7", 0], "amount": 4}},
    }
    graph["4"]["inputs"]["images"] = ["8", 0]
    del graph["3"]
    return graph


def paint(path: Path, color: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 48), color).save(path)


@pytest.mark.parametrize("make_graph", [location_graph, color_graph])
def test_a_film_of_places(comfy_server: ComfyServer, tmp_path: Path, make_graph: Any) -> None:
    """Told before anything runs when they lack an image; uploaded; rendered again when theirs has changed."""
    title = f"Places {make_graph.__name__}"
    slug = title.lower().replace(" ", "_")
    story = write_json(tmp_path / "story.json", place_story(title))
    workflow = write_json(tmp_path / "film.json", make_graph(json.loads(story.read_text(encoding="utf-8"))))
    common = (story, "--workflow", workflow, "--server", comfy_server.url)

    def run() -> Ended:
        return videogen("run", *common, "--out", tmp_path / "run")

    def rendered() -> list[int]:
        records = read_journal(tmp_path / "run")
        last = max(number for number, record in enumerate(records) if record["event"] == "run-started")
        return sorted(record["segment"] for record in records[last:] if record["event"] == "segment-done")

    meadow, barn = (tmp_path / "videogen" / slug / f"{name}.png" for name in ("meadow", "barn"))
    paint(meadow, (40, 160, 40))
    for ended in (videogen("check", *common), run()):
        assert ended.status == 2
        assert (
            f"locations.barn: it has no `reference`, and the picture of its default name 'videogen/{slug}/barn.png'"
            in (ended.out + ended.err)
        )
        assert "locations.meadow" not in ended.out + ended.err
    paint(barn, (160, 40, 40))
    assert videogen("check", *common).status == 0
    first = run()
    assert first.status == 0, first.err
    assert rendered() == [1, 2]
    paint(barn, (40, 40, 160))
    assert run().status == 0
    assert rendered() == [2]
