"""Images of locations: which nodes read them, and what that means for keys, uploads and `check`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.references import cast_roles
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.check import check_on_server
from runner.comfyui.client import ComfyClient
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.workflows.image_inputs import LocationImageInput, find_image_inputs, find_needs
from runner.workflows.story_images import Missing, StoryImages, explain_missing, find_missing
from runner.workflows.workflow import Workflow
from tests.support.stories import Graph, segment_graph

#: The field has no image in the story, the barn has two; segment 3 plays nowhere.
STORY: dict[str, Any] = {
    "title": "Garden",
    "fps": 4,
    "frames": 4,
    "size": [320, 180],
    "quality": "draft",
    "characters": {"ben": {"segments": "1"}},
    "locations": {"field": {"segments": "1"}, "barn": {"segments": "2", "reference": ["barn.png", "barn side.png"]}},
    "segments": [{"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"}],
}
FIELD, BEN = "videogen/garden/field.png", "videogen/garden/ben.png"
SEEN = {"20": {"class_type": "VAEEncode", "inputs": {"pixels": ["7", 0]}}}


def location_graph(**inputs: Any) -> Graph:
    """The segment graph with a VideoGenLocation, node 7, whose image node 20 takes."""
    node = {"class_type": "VideoGenLocation", "inputs": {"segment": ["2", 0], "width": 0, "height": 0, **inputs}}
    return segment_graph(STORY) | {"7": node} | copy.deepcopy(SEEN)


def color_graph(anchor: Any = "reference, else first frame", **inputs: Any) -> Graph:
    """The segment graph with a VideoGenColorMatch in front of what saves, node 7."""
    own = {"images": ["3", 0], "segment": ["2", 0], "anchor": anchor, "method": "clamped", "strength": 0.8, **inputs}
    graph = segment_graph(STORY) | {"7": {"class_type": "VideoGenColorMatch", "inputs": own}}
    graph["4"]["inputs"]["images"] = ["7", 0]
    return graph


def cast_graph(**inputs: Any) -> Graph:
    node = {"class_type": "VideoGenApplyCharacters", "inputs": {"segment": ["2", 0], "missing": "stop", **inputs}}
    return color_graph() | {"8": node}


def without(graph: Graph, node_id: str, *names: str) -> Graph:
    """A graph without a node's inputs, or without the node."""
    if not names:
        return {key: node for key, node in graph.items() if key != node_id}
    graph[node_id]["inputs"] = {key: value for key, value in graph[node_id]["inputs"].items() if key not in names}
    return graph


#: The graphs that read a place's image, and whether they cannot do without.
READING = {
    "Location": (location_graph(), True),
    "Color Match, reference": (color_graph("reference"), True),
    "Color Match, else first frame": (color_graph(), False),
}


@pytest.fixture(params=READING, ids=str)
def graph(request: pytest.FixtureRequest) -> Graph:
    return copy.deepcopy(READING[request.param][0])


# ------------------------------------------------------------------ who reads it


@pytest.mark.parametrize(("graph", "required"), READING.values(), ids=READING)
def test_the_image_of_the_place_is_needed_under_its_default_name_too(graph: Graph, required: bool) -> None:
    def needs(number: int) -> list[tuple[tuple[str, ...], bool]]:
        plan = plan_segment(parse_story(copy.deepcopy(STORY)), number)
        return [(need.names, need.required) for need in find_needs(plan, find_image_inputs(graph))]

    assert needs(1) == [((FIELD,), required)]
    assert needs(2) == [(("barn.png", "barn side.png"), required)]
    assert needs(3) == []


@pytest.mark.parametrize(
    "graph",
    [
        location_graph(image=["30", 0]),
        without(location_graph(), "20"),
        location_graph() | {"20": {"class_type": "CLIPTextEncode", "inputs": {"text": ["7", 1]}}},
        color_graph("first frame"),
        color_graph("average of the frames"),
        color_graph("reference", reference=["30", 0]),
        color_graph("reference", strength=0.0),
        without(color_graph(), "7", "segment"),
    ],
    ids=[
        "another picture",
        "Location that nobody asks",
        "only its words",
        "first frame",
        "average",
        "a reference",
        "off",
        "no segment",
    ],
)
def test_nodes_that_look_at_something_else(graph: Graph) -> None:
    assert find_image_inputs(graph) == []


def test_a_choice_or_a_strength_out_of_another_node_may_be_any() -> None:
    assert find_image_inputs(color_graph(["40", 0])) == [LocationImageInput(False)]
    assert find_image_inputs(color_graph("reference", strength=["40", 0])) == [LocationImageInput(True)]


def test_a_weight_of_0_keeps_a_place_out_of_the_cast_and_not_from_these_nodes() -> None:
    story = copy.deepcopy(STORY)
    story["locations"]["barn"]["weight"] = 0
    plan = plan_segment(parse_story(story), 2)
    assert cast_roles(plan) == []
    assert [need.name for need in find_needs(plan, find_image_inputs(location_graph()))] == ["barn.png"]


# ------------------------------------------------------------------ keys

MakeJobs = Callable[..., JobMaker]


@pytest.fixture
def make_jobs(object_info: dict[str, Any], tmp_path: Path) -> MakeJobs:
    """A JobMaker whose story is in `tmp_path`; the keywords are what the server has, name → hash."""

    def make(graph: Graph, files: dict[str, str] | None = None) -> JobMaker:
        story = parse_story(copy.deepcopy(STORY))
        return JobMaker(
            LoadedStory(story, STORY),
            ConvertedWorkflow(graph, object_info),
            WorkflowChoices(),
            hash_input=lambda name: (files or {}).get(name, ""),
            images=StoryImages(tmp_path, story.slug),
        )

    return make


def keys(maker: JobMaker) -> list[str]:
    return [maker.key(number) for number in (1, 2, 3)]


def same(one: list[str], other: list[str]) -> list[bool]:
    return [a == b for a, b in zip(one, other, strict=True)]


def test_an_image_that_comes_or_changes_makes_another_segment_of_it(make_jobs: MakeJobs, graph: Graph) -> None:
    before, there = keys(make_jobs(graph)), keys(make_jobs(graph, {FIELD: "a"}))
    assert same(before, there) == [False, True, True]
    assert same(there, keys(make_jobs(graph, {FIELD: "b"}))) == [False, True, True]


def test_of_several_images_the_first_that_is_there_counts(make_jobs: MakeJobs, graph: Graph) -> None:
    second = keys(make_jobs(graph, {"barn side.png": "side"}))
    first = keys(make_jobs(graph, {"barn.png": "barn"}))
    assert same(second, first) == [True, False, True]
    assert keys(make_jobs(graph, {"barn.png": "barn", "barn side.png": "another"})) == first
    assert keys(make_jobs(graph, {"barn.png": "side"})) == second


def test_an_image_that_nobody_looks_at_changes_no_key(make_jobs: MakeJobs) -> None:
    for graph in (color_graph("first frame"), location_graph(image=["30", 0])):
        assert keys(make_jobs(graph)) == keys(make_jobs(graph, {FIELD: "a"}))


def test_images_that_the_cast_shows_are_no_others_because_colors_are_matched(make_jobs: MakeJobs) -> None:
    maker = make_jobs(cast_graph(), {"barn side.png": "side", "barn.png": "barn"})
    assert len(maker.image_inputs) == 2
    before = maker.key(2)
    maker.image_inputs = maker.image_inputs[:1]
    assert maker.key(2) == before


def test_a_place_without_an_image_has_the_key_that_it_had_before_anybody_looked(make_jobs: MakeJobs) -> None:
    maker = make_jobs(color_graph())
    before = maker.key(1)
    maker.image_inputs = []
    assert maker.key(1) == before


# ------------------------------------------------------------------ onto the servers


def write(folder: Path, name: str, data: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def test_an_image_beside_the_story_goes_to_the_server(make_jobs: MakeJobs, graph: Graph, tmp_path: Path) -> None:
    write(tmp_path, FIELD, b"field")
    write(tmp_path, "barn side.png", b"side")
    maker = make_jobs(graph)
    (field,), (side,) = maker.images_of(1), maker.images_of(2)
    assert field.name.startswith("videogen/garden/field-")
    assert maker.images_of(3) == []
    # Under these names the node looks for them, the first that is there.
    sent = parse_story(json.loads(maker.make(1).graph["1"]["inputs"]["text"]))
    assert sent.locations[0].references == (field.name,)
    assert sent.locations[1].references == ("barn.png", side.name)


def test_a_place_that_the_story_does_not_name_stays_out_of_the_cast(make_jobs: MakeJobs, tmp_path: Path) -> None:
    """Its image gets a name of its own on the way, and a place with a name counts among the cast."""
    write(tmp_path, FIELD, b"field")
    maker = make_jobs(cast_graph(), {BEN: "ben"})
    sent = parse_story(json.loads(maker.make(1).graph["1"]["inputs"]["text"]))
    assert sent.locations[0].references == (maker.images_of(1)[0].name,)
    assert [role.entity.name for role in cast_roles(plan_segment(sent, 1))] == ["ben"]
    assert sent.locations[1].weight is None
    # Wherever the image is, the frames are the same, and so is the key.
    sha256 = maker.images_of(1)[0].sha256
    beside = maker.key(1)
    (tmp_path / FIELD).unlink()
    assert make_jobs(cast_graph(), {BEN: "ben", FIELD: sha256}).key(1) == beside


def test_a_place_that_the_workflow_shows_stays_in_the_cast(make_jobs: MakeJobs, tmp_path: Path) -> None:
    write(tmp_path, FIELD, b"field")
    shown = {"9": {"class_type": "VideoGenReference", "inputs": {"name": "field", "image": ["30", 0]}}}
    maker = make_jobs(cast_graph(references=["9", 0]) | shown)
    sent = parse_story(json.loads(maker.make(1).graph["1"]["inputs"]["text"]))
    assert [role.entity.name for role in cast_roles(plan_segment(sent, 1), given=("field",))] == ["ben", "field"]


def test_nobody_who_looks_at_places_nothing_sent(make_jobs: MakeJobs, tmp_path: Path) -> None:
    """Apply Characters takes no image of a place that the story does not name: it must not be told of one."""
    write(tmp_path, FIELD, b"field")
    graph = without(cast_graph(), "7", "segment")
    maker = make_jobs(graph)
    assert maker.images_of(1) == []
    assert json.loads(maker.make(1).graph["1"]["inputs"]["text"])["locations"] == STORY["locations"]


# ------------------------------------------------------------------ what is missing


def missing(graph: Graph, folder: Path | None, *servers: dict[str, str]) -> list[Missing]:
    story = parse_story(copy.deepcopy(STORY))
    hashes = {
        f"http://{port}": (lambda name, files=files: files.get(name, "")) for port, files in enumerate(servers, 1)
    }
    return find_missing(story, [1, 2, 3], find_image_inputs(graph), StoryImages(folder, story.slug), hashes)


def lines(found: list[Missing]) -> list[str]:
    return [str(problem) for problem in explain_missing(found)[0]]


STRICT = [graph for graph, required in READING.values() if required]


@pytest.mark.parametrize("graph", STRICT, ids=[name for name, (_, required) in READING.items() if required])
def test_what_stops_the_node_is_told_before(graph: Graph) -> None:
    found = missing(graph, None, {})
    assert lines(found) == [
        "locations.field: it has no `reference`, and the picture of its default name 'videogen/garden/field.png' is not in the"
        " input folder of http://1, nor next to the story (segments 1)",
        "locations.barn: its picture 'barn.png' is not in the input folder of http://1, nor next to the story (segments 2)",
        "locations: segments 3 have no location, and a node of the workflow shows its picture",
    ]
    hint = explain_missing(found)[1]
    assert "Pictures of locations are not drawn automatically" in hint
    assert "character_references" not in hint
    node = (
        "connect a picture to `image` of node" if graph == location_graph() else "or set its `anchor` to “first frame”"
    )
    assert node in hint


def test_one_image_of_several_is_enough(tmp_path: Path) -> None:
    write(tmp_path, FIELD, b"field")
    for files in ({"barn side.png": "side"}, {"barn.png": "barn"}):
        assert [one.entity for one in missing(location_graph(), tmp_path, files)] == [None]


def test_several_servers_look_at_the_same_image() -> None:
    both = {FIELD: "field", "barn side.png": "side"}
    assert lines(missing(location_graph(), None, both, both | {FIELD: "other", "barn.png": "barn"}))[:2] == [
        "locations.field: 'videogen/garden/field.png' is not the same file on http://1 and http://2",
        # The second one would take this, the first one another.
        "locations.barn: its picture 'barn.png' is not in the input folder of http://1, nor next to the story (segments 2)",
    ]


def test_a_node_that_can_do_without_asks_for_nothing() -> None:
    assert missing(color_graph(), None, {}) == []
    assert missing(color_graph(), None, {}, {}) == []


def test_what_only_some_servers_have_is_told_all_the_same_to_be_shared() -> None:
    (one,) = missing(color_graph(), None, {}, {FIELD: "field"})
    assert (one.name, one.lacking, one.servers) == (FIELD, ("http://1",), ("http://1", "http://2"))


# ------------------------------------------------------------------ check


class Server:
    """What `check_on_server` asks of a server: all nodes of a graph, and an input folder."""

    url = "http://host:1"

    def __init__(self, info: dict[str, Any], files: dict[str, str]) -> None:
        self.info, self.files = info, files

    def object_info(self) -> dict[str, Any]:
        return self.info

    def read_input_file(self, name: str) -> bytes | None:
        return None

    def hash_input_file(self, name: str) -> str:
        return self.files.get(name, "")

    def has_input_file(self, name: str) -> bool:
        return False

    def list_models(self, folder: str) -> None:
        return None


def check(graph: Graph, object_info: dict[str, Any], files: dict[str, str]) -> list[str]:
    more = {
        kind: {"input": {}, "output": ["*", "*", "*"]}
        for kind in ("VideoGenLocation", "VideoGenColorMatch", "VAEEncode")
    }
    # Inputs that the schema does not have are taken out of a graph: these schemas have those of the graph.
    for node in graph.values():
        if node["class_type"] in more:
            more[node["class_type"]]["input"] = {"optional": {name: ["*", {}] for name in node["inputs"]}}
    client = cast(ComfyClient, Server(object_info | more, files))
    data = copy.deepcopy(STORY)
    loaded = LoadedStory(parse_story(data), data)
    result = check_on_server(client, Workflow(Path("film.json"), None, graph), loaded, None)
    assert result.notes == []
    return result.problems


@pytest.mark.parametrize("graph", STRICT, ids=[name for name, (_, required) in READING.items() if required])
def test_check_names_the_images_in_one_message_with_the_rest(graph: Graph, object_info: dict[str, Any]) -> None:
    graph = copy.deepcopy(graph)
    graph["4"]["inputs"]["codec"] = "av1"
    graph["9"] = {"class_type": "VHS_VideoCombine", "inputs": {}}
    wrong, images = check(graph, object_info, {"barn.png": "barn"})
    assert "VHS_VideoCombine" in wrong
    assert "'codec' is 'av1'" in wrong
    assert f"'{FIELD}' is not in the input folder of http://host:1" in images
    assert "segments 3 have no location" in images
    assert "barn.png" not in images


def test_check_says_nothing_where_an_image_is_not_needed(object_info: dict[str, Any]) -> None:
    assert check(color_graph(), object_info, {}) == []
    assert check(location_graph(image=["3", 0]), object_info, {}) == []
