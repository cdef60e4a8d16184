"""Images of a story's cast: which are missing, their names on servers, and what of them is part of a segment's key."""

from __future__ import annotations

import copy
import gc
import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.rendering.attempts import Attempts
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.rendering.retries import Variant
from runner.rendering.scheduler import Task
from runner.workflows.image_inputs import find_image_inputs
from runner.workflows.story_images import StoryImages, find_missing, read_unchanged
from tests.support.cast_stories import BEN, STORY, cast_graph
from tests.support.hostile.files import NO_PICTURES, png_of
from tests.support.stories import Graph, segment_graph

ANNA, MASK, TREE = png_of(8, 8), png_of(9, 8), png_of(10, 8)


def sha256(data: bytes) -> str:
    """The part of the hash that is in a name."""
    return hashlib.sha256(data).hexdigest()[:12]


# ------------------------------------------------------------------ what is missing


def missing(folder: Path | None, *servers: dict[str, str], numbers: tuple[int, ...] = (1, 2, 3)) -> list[str]:
    """The sentences; each server is given as file → hash."""
    story = parse_story(copy.deepcopy(STORY))
    hash_inputs = {
        f"http://host:{port}": (lambda name, files=files: files.get(name, "")) for port, files in enumerate(servers, 1)
    }
    found = find_missing(story, numbers, find_image_inputs(cast_graph()), StoryImages(folder, story.slug), hash_inputs)
    return [str(one.explain()) for one in found]


ALL = {name: name for name in ("anna.png", "people/anna side.png", "anna_mask.png", "tree.png", BEN)}


def test_nothing_is_missing() -> None:
    assert missing(None, ALL) == []


def test_what_is_missing_is_named_with_its_segments() -> None:
    assert missing(None, {"tree.png": "x"}) == [
        "characters.anna: its picture 'anna.png' is not in the input folder of http://host:1, nor next to the story"
        " (segments 1,2)",
        "characters.anna: its picture 'people/anna side.png' is not in the input folder of http://host:1, nor next to the story"
        " (segments 1,2)",
        "characters.anna: the mask 'anna_mask.png' of its region is not in the input folder of http://host:1, nor next to the"
        " story (segments 1,2)",
        "characters.ben: it has no `reference`, and the picture of its default name 'videogen/garden/ben.png' is not in the"
        " input folder of http://host:1, nor next to the story (segments 2,3)",
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
        " input folder of http://host:2, nor next to the story (segments 2,3)",
        "objects.tree: 'tree.png' is not the same file on http://host:1 and http://host:2",
    ]


# ------------------------------------------------------------------ jobs

MakeJobs = Callable[..., JobMaker]


@pytest.fixture
def make_jobs(object_info: dict[str, Any], tmp_path: Path) -> MakeJobs:
    """A JobMaker of the graph above, whose story is in `tmp_path`; `files` is what the server has, name → hash."""

    def make(
        story: dict[str, Any] = STORY,
        *,
        files: dict[str, str] | None = None,
        graph: Graph | None = None,
        **options: Any,
    ) -> JobMaker:
        parsed = parse_story(copy.deepcopy(story))
        return JobMaker(
            LoadedStory(parsed, story),
            ConvertedWorkflow(graph or cast_graph(), object_info, options.pop("ui_workflow", None)),
            WorkflowChoices(),
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
    (tmp_path / "anna.png").write_bytes(ANNA)
    (tmp_path / "anna_mask.png").write_bytes(MASK)
    maker = make_jobs()
    names = [image.name for image in maker.images_of(1)]
    assert names == [f"videogen/garden/anna-{sha256(ANNA)}.png", f"videogen/garden/anna_mask-{sha256(MASK)}.png"]
    assert [read_unchanged(image) for image in maker.images_of(1)] == [ANNA, MASK]
    assert maker.images_of(3) == []
    sent = parse_story(sent_story(maker))
    assert sent.characters[0].references == (names[0], "people/anna side.png")
    assert sent.characters[0].region == names[1]
    assert sent.objects[0].references == ("tree.png",)
    # One text for all segments: the server's own Story is computed once.
    assert sent_story(maker, 3) == sent_story(maker)


def test_a_further_attempt_has_the_names_too(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(ANNA)
    story = sent_story(make_jobs(), variant=Variant(1, (160, 90)))
    assert story["characters"]["anna"]["reference"][0] == f"videogen/garden/anna-{sha256(ANNA)}.png"
    assert story["size"] == [160, 90]


def test_an_image_of_the_default_name_is_named_in_the_story_that_is_sent(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "videogen" / "garden").mkdir(parents=True)
    (tmp_path / BEN).write_bytes(b"ben")
    maker = make_jobs()
    assert sent_story(maker)["characters"]["ben"]["reference"] == [maker.images_of(3)[0].name]


def test_the_editor_s_workflow_has_the_names_that_the_server_knows(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(ANNA)
    ui_workflow = {"nodes": [{"id": 1, "type": "VideoGenStory", "widgets_values": ["text below", ""]}]}
    workflow = make_jobs(ui_workflow=ui_workflow).make(1).workflow
    assert workflow is not None
    text = workflow["nodes"][0]["widgets_values"][1]
    assert json.loads(text)["characters"]["anna"]["reference"][0] == f"videogen/garden/anna-{sha256(ANNA)}.png"


def test_without_a_node_that_reads_them_nothing_is_renamed(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(ANNA)
    maker = make_jobs(graph=segment_graph(STORY))
    assert sent_story(maker) == STORY
    assert maker.images_of(1) == []


def test_an_image_that_changes_during_a_run_stops_it(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(ANNA)
    [image] = make_jobs().images_of(1)
    image.path.write_bytes(b"another")
    with pytest.raises(VideoGenError, match=r"anna\.png has changed since the run began") as caught:
        read_unchanged(image)
    assert caught.value.code == "path-invalid"


@pytest.mark.parametrize("kind", NO_PICTURES)
def test_what_is_no_picture_is_not_sent(make_jobs: MakeJobs, tmp_path: Path, kind: str) -> None:
    NO_PICTURES[kind](tmp_path / "anna.png")
    [image] = make_jobs().images_of(1)
    said = (
        "is too large: .*at most 120 megapixels"
        if kind in ("large", "huge")
        else "is no picture that can be used, and is not sent"
    )
    with pytest.raises(VideoGenError, match=rf"anna\.png {said}") as caught:
        read_unchanged(image)
    assert caught.value.code == "image-invalid"
    with pytest.raises(VideoGenError, match=rf"anna\.png {said}"):
        StoryImages(tmp_path, "garden").require_pictures(parse_story(copy.deepcopy(STORY)))


@pytest.mark.parametrize("target", ["../secret.png", "ben.png", "gone.png"])
def test_a_link_is_refused_wherever_it_leads(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "story"
    folder.mkdir()
    for path in (tmp_path / "secret.png", folder / "ben.png"):
        path.write_bytes(ANNA)
    (folder / "anna.png").symlink_to(target)
    with pytest.raises(VideoGenError, match=r"is a link.*copy the file itself into the story's folder") as caught:
        StoryImages(folder, "garden").find("anna.png")
    assert caught.value.code == "path-invalid"


def test_a_picture_behind_a_linked_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "anna.png").write_bytes(ANNA)
    (tmp_path / "story").mkdir()
    (tmp_path / "story" / "people").symlink_to(tmp_path / "private")
    with pytest.raises(VideoGenError, match="in a folder that is one"):
        StoryImages(tmp_path / "story", "garden").find("people/anna.png")


def test_a_story_s_folder_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "anna.png").write_bytes(ANNA)
    (tmp_path / "story").symlink_to(tmp_path / "real")
    assert StoryImages(tmp_path / "story", "garden").find("anna.png") is not None


@pytest.mark.parametrize("name", [".ssh/id_rsa", ".anna.png", "a/.b/anna.png", "anna.txt", "../anna.png", "C:anna.png"])
def test_a_name_that_a_picture_may_not_have_is_not_looked_up(tmp_path: Path, name: str) -> None:
    with pytest.raises(VideoGenError) as caught:
        StoryImages(tmp_path, "garden").find(name)
    assert caught.value.code == "path-invalid"


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("Ännä im Garten (2).PNG", "_nn_im_Garten_2_"),
        ("a" * 80 + ".jpg", "a" * 40),
        ("no reason.GIF", "no_reason"),
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
    (tmp_path / "tree.png").write_bytes(TREE)
    beside = make_jobs().key(3)
    image = make_jobs().images_of(3)[0]
    (tmp_path / "tree.png").unlink()
    assert make_jobs(files={**ALL, "tree.png": image.sha256}).key(3) == beside


def test_the_image_beside_the_story_comes_before_the_server_s(make_jobs: MakeJobs, tmp_path: Path) -> None:
    before = make_jobs().key(3)
    (tmp_path / "tree.png").write_bytes(TREE)
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

    workflow = ConvertedWorkflow(cast_graph(), object_info)
    maker = JobMaker(LoadedStory(story, STORY), workflow, WorkflowChoices(), hash_input)
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


def make_attempts(maker: JobMaker) -> Attempts:
    directory = SimpleNamespace(journal=SimpleNamespace(segments={}), run_id="run")
    return Attempts(maker, cast(Any, directory), cast(Any, None))


def test_each_server_gets_what_its_segments_need_once(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "anna.png").write_bytes(ANNA)
    (tmp_path / "tree.png").write_bytes(TREE)
    attempts = make_attempts(make_jobs())
    client, other = Uploads(), Uploads()
    session, second = (cast(Any, FakeSession(one)) for one in (client, other))
    for number in (3, 1, 2):
        attempts.prepare(Task(number, "key"), session)
    assert [data for _, data in client.files] == [TREE, ANNA]
    attempts.prepare(Task(3, "key"), second)
    assert [data for _, data in other.files] == [TREE]
    # A server that went away and came back is another connection, and may have lost them.
    attempts.prepare(Task(3, "key"), cast(Any, FakeSession(client)))
    assert [data for _, data in client.files] == [TREE, ANNA, TREE]


def test_connections_that_are_gone_are_forgotten(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "tree.png").write_bytes(TREE)
    attempts = make_attempts(make_jobs())
    for _ in range(3):
        attempts.prepare(Task(3, "key"), cast(Any, FakeSession(Uploads())))
    gc.collect()
    assert len(attempts._uploaded) == 0


def test_two_servers_at_once(make_jobs: MakeJobs, tmp_path: Path) -> None:
    (tmp_path / "tree.png").write_bytes(TREE)
    attempts = make_attempts(make_jobs())
    clients = [Uploads() for _ in range(4)]
    threads = [
        threading.Thread(target=attempts.prepare, args=(Task(3, "key"), FakeSession(client))) for client in clients
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(client.files) for client in clients] == [1] * 4
