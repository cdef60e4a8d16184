"""Images of a story's cast: who reads them, what is missing, under which names servers get them, and what keys hold on to."""

from __future__ import annotations

import copy
import gc
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story
from runner.rendering.failures import Variant
from runner.rendering.jobs import JobMaker
from runner.rendering.renderer import Renderer
from runner.rendering.scheduler import Task
from runner.workflows.image_inputs import find_needs, find_readers, find_unknown_references
from runner.workflows.story_images import StoryImages, find_missing, read_unchanged
from tests.support.stories import Graph, segment_graph

STORY: dict[str, Any] = {
    "title": "Garden",
    "fps": 4,
    "frames": 4,
    "size": [320, 180],
    "quality": "draft",
    "characters": {
        "anna": {"segments": "1,2", "reference": ["anna.png", "people/anna side.png"], "region": "anna_mask.png"},
        "ben": {"segments": "2,3"},
    },
    "objects": {"tree": {"segments": "1-3", "reference": "tree.png"}},
    "locations": {"field": {"segments": "1-3"}},
    "segments": [{"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"}],
}
WIDGETS = {"character_weight": 0.8, "object_weight": 0.5, "location_weight": 0.3, "missing": "stop"}
BEN = "videogen/garden/ben.png"


def cast_graph(**inputs: Any) -> Graph:
    """The segment graph with a VideoGenApplyCharacters in it, node 7."""
    node = {"class_type": "VideoGenApplyCharacters", "inputs": {"segment": ["2", 0], **WIDGETS, **inputs}}
    return segment_graph(STORY) | {"7": node}


def reference(name: Any, *behind: Any) -> dict[str, Any]:
    """A VideoGenReference; `behind` is the link of its `references`."""
    links = {"references": [behind[0], 0]} if behind else {}
    return {"class_type": "VideoGenReference", "inputs": {"name": name, "image": ["30", 0], **links}}


def needs(number: int, graph: Graph) -> dict[str, bool]:
    """file → whether the segment cannot do without it."""
    found = find_needs(plan_segment(parse_story(copy.deepcopy(STORY)), number), find_readers(graph))
    return {need.name: need.required for need in found}


# ------------------------------------------------------------------ who reads what


def test_a_workflow_without_such_a_node_reads_nothing() -> None:
    assert find_readers(segment_graph(STORY)) == []
    assert needs(1, segment_graph(STORY)) == {}


def test_a_segment_needs_the_images_and_masks_of_its_cast() -> None:
    assert needs(1, cast_graph()) == dict.fromkeys(
        ["anna.png", "people/anna side.png", "tree.png", "anna_mask.png"], True
    )
    assert needs(3, cast_graph()) == {BEN: True, "tree.png": True}


def test_kinds_that_are_off_need_none() -> None:
    assert needs(3, cast_graph(object_weight=0.0)) == {BEN: True}
    assert needs(3, cast_graph(object_weight=0, character_weight=0)) == {}


def test_a_weight_out_of_another_node_may_be_any() -> None:
    assert needs(3, cast_graph(object_weight=["40", 0])) == {BEN: True, "tree.png": True}


@pytest.mark.parametrize("missing", ["go on without", ["40", 0]])
def test_a_node_that_goes_on_can_do_without(missing: Any) -> None:
    assert needs(3, cast_graph(missing=missing)) == {BEN: False, "tree.png": False}


def test_what_the_graph_shows_needs_no_file() -> None:
    graph = cast_graph(references=["20", 0]) | {"20": reference("ben", "21"), "21": reference(" tree ")}
    assert needs(2, graph) == dict.fromkeys(["anna.png", "people/anna side.png", "anna_mask.png"], True)
    assert needs(3, graph) == {}


@pytest.mark.parametrize(
    "more",
    [
        {"20": {"class_type": "SomebodyElses", "inputs": {}}},
        {"20": reference(["41", 0])},
        {},
        {"20": reference("ben", "20")},
    ],
    ids=["another pack's node", "a name out of a node", "dangling", "a circle"],
)
def test_images_from_who_knows_where_may_be_of_anybody(more: Graph) -> None:
    found = needs(2, cast_graph(references=["20", 0]) | more)
    assert found["anna.png"] is False
    assert found["anna_mask.png"] is True


def test_of_two_nodes_the_stricter_counts() -> None:
    graph = cast_graph(missing="go on without")
    graph["8"] = copy.deepcopy(graph["7"])
    graph["8"]["inputs"] |= {"missing": "stop", "object_weight": 0.0}
    assert needs(3, graph) == {BEN: True, "tree.png": False}


def test_a_reference_to_nobody_is_named() -> None:
    story = parse_story(copy.deepcopy(STORY))
    graph = cast_graph() | {"20": reference("bem"), "21": reference("tree"), "22": reference(["1", 0])}
    assert [str(problem) for problem in find_unknown_references(graph, story)] == [
        "node 20 (VideoGenReference): 'bem' is not in the story's cast (did you mean 'ben'?)"
    ]


# ------------------------------------------------------------------ what is missing


def missing(folder: Path | None, *servers: dict[str, str], numbers: tuple[int, ...] = (1, 2, 3)) -> list[str]:
    """The sentences; each server is given as file → hash."""
    story = parse_story(copy.deepcopy(STORY))
    hash_inputs = {
        f"http://host:{port}": (lambda name, files=files: files.get(name, "")) for port, files in enumerate(servers, 1)
    }
    found = find_missing(story, numbers, find_readers(cast_graph()), StoryImages(folder, story.slug), hash_inputs)
    return [str(one.explain()) for one in found]


ALL = {name: name for name in ("anna.png", "people/anna side.png", "anna_mask.png", "tree.png", BEN)}


def test_nothing_is_missing() -> None:
    assert missing(None, ALL) == []


def test_what_is_missing_is_named_with_its_segments() -> None:
    assert missing(None, {"tree.png": "x"}) == [
        "characters.anna: its picture 'anna.png' is not in the input folder of http://host:1, nor beside the story"
        " (segments 1,2)",
        "characters.anna: its picture 'people/anna side.png' is not in the input folder of http://host:1, nor beside the story"
        " (segments 1,2)",
        "characters.anna: the mask 'anna_mask.png' of its region is not in the input folder of http://host:1, nor beside the"
        " story (segments 1,2)",
        "characters.ben: it has no `reference`, and the picture of its default name 'videogen/garden/ben.png' is not in the"
        " input folder of http://host:1, nor beside the story (segments 2,3)",
    ]


def test_only_the_segments_that_are_rendered_count() -> None:
    assert missing(None, {"tree.png": "x", BEN: "x"}, numbers=(3,)) == []


def test_what_lies_beside_the_story_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(b"x")
    (tmp_path / "videogen" / "garden").mkdir(parents=True)
    (tmp_path / BEN).write_bytes(b"x")
    assert len(missing(tmp_path, {"tree.png": "x"})) == 2


def test_every_server_needs_the_files_and_the_same_ones() -> None:
    other = {**ALL, "tree.png": "another"}
    del other[BEN]
    assert missing(None, ALL, other) == [
        "characters.ben: it has no `reference`, and the picture of its default name 'videogen/garden/ben.png' is not in the"
        " input folder of http://host:2, nor beside the story (segments 2,3)",
        "objects.tree: 'tree.png' is not the same file on http://host:1 and http://host:2",
    ]


# ------------------------------------------------------------------ jobs

MakeJobs = Callable[..., JobMaker]


@pytest.fixture
def make_jobs(object_info: dict[str, Any], tmp_path: Path) -> MakeJobs:
    """A JobMaker of the graph above, whose story lies in `tmp_path`; `files` is what the server has, name → hash."""

    def make(
        story: dict[str, Any] = STORY,
        *,
        files: dict[str, str] | None = None,
        graph: Graph | None = None,
        **options: Any,
    ) -> JobMaker:
        parsed = parse_story(copy.deepcopy(story))
        return JobMaker(
            graph or cast_graph(),
            options.pop("ui_workflow", None),
            parsed,
            story,
            bindings=[],
            settings=[],
            quality=None,
            object_info=object_info,
            hash_input=lambda name: (files if files is not None else ALL).get(name, ""),
            images=StoryImages(tmp_path, parsed.slug),
            **options,
        )

    return make


def with_anna(**changes: Any) -> dict[str, Any]:
    story = copy.deepcopy(STORY)
    story["characters"]["anna"] |= changes
    return story


def sent_story(maker: JobMaker, number: int = 1, **options: Any) -> dict[str, Any]:
    return json.loads(maker.make(number, **options).graph["1"]["inputs"]["text"])


def test_images_beside_the_story_go_to_the_server_under_names_of_their_own(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(b"anna")
    (tmp_path / "anna_mask.png").write_bytes(b"mask")
    maker = make_jobs()
    names = [image.name for image in maker.images_of(1)]
    assert names == ["videogen/garden/anna-55579b557896.png", "videogen/garden/anna_mask-48bf9b4f142a.png"]
    assert [read_unchanged(image) for image in maker.images_of(1)] == [b"anna", b"mask"]
    assert maker.images_of(3) == []
    sent = parse_story(sent_story(maker))
    assert sent.characters[0].references == (names[0], "people/anna side.png")
    assert sent.characters[0].region == names[1]
    assert sent.objects[0].references == ("tree.png",)
    # One text for all segments: the server's own Story is computed once.
    assert sent_story(maker, 3) == sent_story(maker)


def test_a_further_attempt_has_the_names_too(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(b"anna")
    story = sent_story(make_jobs(), variant=Variant(1, (160, 90)))
    assert story["characters"]["anna"]["reference"][0] == "videogen/garden/anna-55579b557896.png"
    assert story["size"] == [160, 90]


def test_an_image_of_the_default_name_is_named_in_the_story_that_is_sent(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "videogen" / "garden").mkdir(parents=True)
    (tmp_path / BEN).write_bytes(b"ben")
    maker = make_jobs()
    assert sent_story(maker)["characters"]["ben"]["reference"] == [maker.images_of(3)[0].name]


def test_the_editor_s_workflow_has_the_names_that_the_server_knows(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(b"anna")
    ui_workflow = {"nodes": [{"id": 1, "type": "VideoGenStory", "widgets_values": ["text below", ""]}]}
    workflow = make_jobs(ui_workflow=ui_workflow).make(1).workflow
    assert workflow is not None
    text = workflow["nodes"][0]["widgets_values"][1]
    assert json.loads(text)["characters"]["anna"]["reference"][0] == "videogen/garden/anna-55579b557896.png"


def test_without_a_node_that_reads_them_nothing_is_renamed(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(b"anna")
    maker = make_jobs(graph=segment_graph(STORY))
    assert sent_story(maker) == STORY
    assert maker.images_of(1) == []


def test_an_image_that_changes_during_a_run_stops_it(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(b"anna")
    [image] = make_jobs().images_of(1)
    image.path.write_bytes(b"another")
    with pytest.raises(VideoGenError, match=r"anna\.png has changed since the run began") as caught:
        read_unchanged(image)
    assert caught.value.code == "path-invalid"


def test_a_link_that_leads_out_of_the_story_s_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "story"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(b"x")
    (folder / "anna.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(VideoGenError) as caught:
        StoryImages(folder, "garden").find("anna.png")
    assert caught.value.code == "path-invalid"


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Ännä im Garten (2).PNG", "_nn_im_Garten_2_"),
        ("a" * 80 + ".jpg", "a" * 40),
        ("no suffix", "no_suffix"),
    ],
)
def test_names_on_servers_are_plain(tmp_path: Path, name: str, sent: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    image = StoryImages(tmp_path, "garden").find(name)
    assert image is not None
    assert image.name.startswith(f"videogen/garden/{sent}-")
    assert image.name.isascii()


# ------------------------------------------------------------------ keys


def test_the_bytes_of_a_segment_s_images_and_masks_are_part_of_its_key(make_jobs: MakeJobs) -> None:
    before = {number: make_jobs().key(number) for number in (1, 2, 3)}
    for name in ("anna.png", "people/anna side.png", "anna_mask.png"):
        maker = make_jobs(files={**ALL, name: "another"})
        assert [maker.key(number) == before[number] for number in (1, 2, 3)] == [False, False, True], name
    maker = make_jobs(files={**ALL, BEN: "another"})
    assert [maker.key(number) == before[number] for number in (1, 2, 3)] == [True, False, False]


def test_names_are_not_part_of_the_key(make_jobs: MakeJobs) -> None:
    renamed = with_anna(reference=["new.png", "side.png"], region="shape.png")
    files = {
        **ALL,
        "new.png": ALL["anna.png"],
        "side.png": ALL["people/anna side.png"],
        "shape.png": ALL["anna_mask.png"],
    }
    assert make_jobs(renamed, files=files).key(1) == make_jobs().key(1)


def test_where_an_image_lies_is_not_part_of_the_key(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "tree.png").write_bytes(b"tree")
    beside = make_jobs().key(3)
    image = make_jobs().images_of(3)[0]
    (tmp_path / "tree.png").unlink()
    assert make_jobs(files={**ALL, "tree.png": image.sha256}).key(3) == beside


def test_the_image_beside_the_story_comes_before_the_server_s(make_jobs: MakeJobs, tmp_path: Path) -> None:
    before = make_jobs().key(3)
    (tmp_path / "tree.png").write_bytes(b"tree")
    assert make_jobs().key(3) != before


@pytest.mark.parametrize(
    "story",
    [
        with_anna(reference=["people/anna side.png", "anna.png"]),
        with_anna(reference="anna.png"),
        with_anna(region="left"),
        with_anna(region="tree.png"),
        with_anna(weight=0.5),
        with_anna(weight=0),
    ],
    ids=["order", "fewer", "region", "another mask", "weight", "off"],
)
def test_what_a_story_says_of_its_images_is_part_of_the_key(make_jobs: MakeJobs, story: dict[str, Any]) -> None:
    assert make_jobs(story).key(1) != make_jobs().key(1)
    assert make_jobs(story).key(3) == make_jobs().key(3)


def test_images_that_the_node_does_not_read_are_no_part_of_the_key(make_jobs: MakeJobs) -> None:
    off = cast_graph(object_weight=0.0)
    assert make_jobs(graph=off, files={**ALL, "tree.png": "x"}).key(3) == make_jobs(graph=off).key(3)


def test_every_server_file_is_asked_for_once(object_info: dict[str, Any]) -> None:
    asked: list[str] = []
    story = parse_story(copy.deepcopy(STORY))

    def hash_input(name: str) -> str:
        asked.append(name)
        return "x"

    maker = JobMaker(
        cast_graph(),
        None,
        story,
        STORY,
        bindings=[],
        settings=[],
        quality=None,
        object_info=object_info,
        hash_input=hash_input,
    )
    for number in (1, 2, 3, 1, 2, 3):
        maker.key(number)
    assert sorted(asked) == sorted(ALL)


# ------------------------------------------------------------------ onto the servers


class Uploads:
    """The client of a server that only takes files."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []

    def upload_file(self, name: str, data: bytes) -> None:
        self.files.append((name, data))


class FakeSession:
    """A connection to it."""

    def __init__(self, client: Uploads) -> None:
        self.client = client


def make_renderer(maker: JobMaker) -> Renderer:
    directory = SimpleNamespace(journal=SimpleNamespace(segments={}), run_id="run")
    quality = display = cast(Any, None)
    return Renderer([], maker, cast(Any, directory), display, quality=quality, retries=0, stall=1.0)


def test_each_server_gets_what_its_segments_need_once(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(b"anna")
    (tmp_path / "tree.png").write_bytes(b"tree")
    renderer = make_renderer(make_jobs())
    client, other = Uploads(), Uploads()
    server, second = (cast(Any, SimpleNamespace(session=FakeSession(one))) for one in (client, other))
    for number in (3, 1, 2):
        renderer.prepare(Task(number, "key"), server)
    assert [data for _, data in client.files] == [b"tree", b"anna"]
    renderer.prepare(Task(3, "key"), second)
    assert [data for _, data in other.files] == [b"tree"]
    # A server that went away and came back is another connection, and may have lost them.
    server.session = FakeSession(client)
    renderer.prepare(Task(3, "key"), server)
    assert [data for _, data in client.files] == [b"tree", b"anna", b"tree"]


def test_connections_that_are_gone_are_forgotten(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "tree.png").write_bytes(b"tree")
    renderer = make_renderer(make_jobs())
    for _ in range(3):
        renderer.prepare(Task(3, "key"), cast(Any, SimpleNamespace(session=FakeSession(Uploads()))))
    gc.collect()
    assert len(renderer._uploaded) == 0


def test_two_servers_at_once(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "tree.png").write_bytes(b"tree")
    renderer = make_renderer(make_jobs())
    clients = [Uploads() for _ in range(4)]
    threads = [
        threading.Thread(target=renderer.prepare, args=(Task(3, "key"), SimpleNamespace(session=FakeSession(client))))
        for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(client.files) for client in clients] == [1] * 4
