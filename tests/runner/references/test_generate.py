"""Drawing reference images before a film: which, with what, and what is kept; the server is written down here."""

from __future__ import annotations

import copy
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.outcome import Outcome
from runner.comfyui.servers import Server
from runner.comfyui.session import Session
from runner.references.generate import ReferencesRun, find_drawable, find_kept, find_stale, read_record, share_images
from runner.references.graph import ReferencesGraph, adopt_model
from runner.references.resolve import CastImages
from runner.rendering.run_log import RunLog
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from runner.workflows.image_inputs import find_readers
from runner.workflows.story_images import Missing, find_missing
from runner.workflows.workflow import Graph, Workflow
from tests.support.graphs import image_graph
from tests.support.stories import segment_graph

STORY: dict[str, Any] = {
    "title": "Garden",
    "fps": 4,
    "frames": 4,
    "size": [320, 180],
    "quality": "draft",
    "style": {"prefix": "A painting"},
    "characters": {"anna": {"segments": "1,2", "description": "a tall woman", "seed": 5, "reference": "anna.png"}},
    "objects": {"tree": {"segments": "1-3", "reference": ["tree.png", "bark.png"]}},
    "locations": {"field": {"segments": "1-3", "reference": "field.png"}},
    "segments": [{"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"}],
}
REFERENCES: Graph = {
    "1": {"class_type": "VideoGenStory", "inputs": {"file": "text below", "text": ""}},
    "2": {
        "class_type": "VideoGenCastMember",
        "inputs": {"story": ["1", 0], "index": 1, "character_words": "Person", "object_words": "Thing"},
    },
    "3": {"class_type": "KSampler", "inputs": {"seed": ["2", 2], "steps": 25, "cfg": 7.0, "sampler_name": "euler"}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "small.safetensors"}},
    "5": {
        "class_type": "VideoGenSaveReference",
        "inputs": {"images": ["3", 0], "file": ["2", 3], "existing": "replace rendered", "prompt": ["2", 0]},
    },
}


def make_story(**changes: Any) -> Story:
    return parse_story(copy.deepcopy(STORY) | changes, "test")


def make_png(color: str = "red") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(data, "PNG")
    return data.getvalue()


class FakeServer:
    """A server that answers every prompt with an image, after the outcomes of `first`.

    Attributes:
        input_files: what lies in its input folder.
        submitted: graphs, in order.
    """

    def __init__(self, first: list[Outcome | BaseException] | None = None) -> None:
        self.name = self.url = "http://host:1"
        self.first = list(first or [])
        self.input_files: dict[str, bytes] = {}
        self.submitted: list[Graph] = []
        self.known: dict[str, str] = {}
        self.freed = self.recovered = 0
        self.client = self.session = cast(Any, self)
        self.object_info: dict[str, Any] = {}

    def find(self, prompt_id: str) -> str:
        return self.known.get(prompt_id, "")

    def submit(self, graph: Graph, prompt_id: str, workflow: Any) -> None:
        self.submitted.append(graph)
        self.known[prompt_id] = "queued"

    def wait(self, prompt_id: str, graph: Graph, **_: Any) -> Outcome:
        if self.first:
            outcome = self.first.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            self.known[prompt_id] = outcome.status
            return outcome
        name = graph["5"]["inputs"]["file"]
        self.input_files[name] = make_png()
        self.known[prompt_id] = "success"
        subfolder, _, filename = name.rpartition("/")
        image = {"filename": filename, "subfolder": subfolder, "type": "input"}
        return Outcome("success", outputs={"5": {"images": [image]}}, executed=1.5)

    def download(self, file: dict[str, Any], target: Path) -> int:
        name = "/".join(part for part in (file["subfolder"], file["filename"]) if part)
        return target.write_bytes(self.input_files[name])

    def hash_input_file(self, name: str) -> str:
        return hashlib.sha256(self.input_files[name]).hexdigest() if name in self.input_files else ""

    def read_input_file(self, name: str) -> bytes | None:
        return self.input_files.get(name)

    def list_models(self, folder: str) -> None:
        return None

    def check(self) -> None:
        pass

    def cancel(self, prompt_id: str) -> None:
        self.known[prompt_id] = "cancelled"

    def free(self) -> None:
        self.freed += 1

    def recover(self, error: VideoGenError, sleep: Callable[[float], bool], say: Callable[[str], None]) -> bool:
        self.recovered += 1
        return True


@pytest.fixture
def directory(tmp_path: Path) -> Any:
    with RunDirectory(tmp_path / "run", "Garden") as opened:
        yield opened


def workflow() -> Workflow:
    return Workflow(Path("references.json"), None, REFERENCES)


def make_run(
    directory: RunDirectory, server: FakeServer, names: tuple[str, ...] = ("anna", "tree"), film: Graph | None = None
) -> tuple[ReferencesRun, list[dict[str, Any]]]:
    """A run that draws these, and the events that it notes."""
    story = make_story()
    events: list[dict[str, Any]] = []
    log = RunLog(directory.journal, LineDisplay())
    log.note = lambda event, **data: events.append({"event": event, **data})  # type: ignore[method-assign]
    graph = ReferencesGraph(workflow(), {}, film or {})
    entities = [entity for entity in (*story.characters, *story.objects) if entity.name in names]
    run = ReferencesRun(
        graph,
        entities,
        LoadedStory(story, STORY),
        directory,
        log,
        stall=60,
        session=cast(Session, server),
    )
    return run, events


# ------------------------------------------------------------------ what is drawn


def missing(name: str) -> Missing:
    story = make_story()
    entity = next(
        entity
        for entity in (*story.characters, *story.objects, *story.locations)
        if name in (entity.references or (entity.name,))
    )
    return Missing(entity, name, (1,), ("http://a",), ("http://a",))


def test_the_first_image_of_characters_and_objects_can_be_drawn() -> None:
    wanted = [missing("anna.png"), missing("tree.png"), missing("bark.png"), missing("field.png")]
    assert [entity.name for entity in find_drawable(make_story(), wanted)] == ["anna", "tree"]


def test_what_some_server_has_is_not_drawn() -> None:
    one = Missing(make_story().characters[0], "anna.png", (1,), ("http://a",), ("http://a", "http://b"))
    assert find_drawable(make_story(), [one]) == []


# ------------------------------------------------------------------ with which model


def test_the_film_s_model_and_sampling_are_taken_over() -> None:
    graph, film = copy.deepcopy(REFERENCES), image_graph()
    assert adopt_model(graph, film) == {
        "ckpt_name": "dream.safetensors",
        "steps": 20,
        "cfg": 7.0,
        "sampler_name": "euler",
    }
    assert graph["4"]["inputs"]["ckpt_name"] == "dream.safetensors"
    assert graph["3"]["inputs"]["steps"] == 20
    assert graph["3"]["inputs"]["seed"] == ["2", 2]


def test_what_the_film_says_twice_is_left_as_it_is() -> None:
    graph, film = copy.deepcopy(REFERENCES), image_graph()
    film["40"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "refiner.safetensors"}}
    film["3"]["inputs"]["steps"] = ["6", 0]
    taken = adopt_model(graph, film)
    assert "ckpt_name" not in taken
    assert "steps" not in taken
    assert graph["4"]["inputs"]["ckpt_name"] == "small.safetensors"


def test_the_size_that_the_film_s_model_draws_is_taken_over() -> None:
    graph, film = copy.deepcopy(REFERENCES), image_graph()
    graph["6"] = {"class_type": "VideoGenRenderSize", "inputs": {"megapixels": 0.0, "multiple": "64"}}
    film["40"] = {"class_type": "VideoGenRenderSize", "inputs": {"megapixels": 0.33, "multiple": "8"}}
    # The same word of another node means another size.
    film["41"] = {"class_type": "ImageScaleToTotalPixels", "inputs": {"megapixels": 2.0}}
    assert adopt_model(graph, film)["megapixels"] == 0.33
    assert graph["6"]["inputs"] == {"megapixels": 0.33, "multiple": "64"}
    del film["40"]
    assert "megapixels" not in adopt_model(graph, film)


@pytest.mark.parametrize("kind", ["VideoGenCastMember", "VideoGenSaveReference"])
def test_a_workflow_that_cannot_draw_references(kind: str) -> None:
    graph = {key: node for key, node in REFERENCES.items() if node["class_type"] != kind}
    with pytest.raises(VideoGenError, match=rf"film.json has 0 {kind} nodes, expected one"):
        ReferencesGraph(Workflow(Path("film.json"), None, graph), {}, {})


# ------------------------------------------------------------------ drawing


def test_each_is_drawn_once_and_kept(directory: RunDirectory) -> None:
    server = FakeServer()
    run, events = make_run(directory, server)
    drawn = run.draw(cast(Server, server))
    assert {name: path.relative_to(directory.path).as_posix() for name, path in drawn.items()} == {
        "anna.png": "references/anna.png",
        "tree.png": "references/tree.png",
    }
    inputs = [(graph["2"]["inputs"]["index"], graph["5"]["inputs"]["file"]) for graph in server.submitted]
    assert inputs == [(1, "anna.png"), (2, "tree.png")]
    assert json.loads(server.submitted[0]["5"]["inputs"]["prompt"])["seed"] == 5
    assert json.loads(server.submitted[0]["1"]["inputs"]["text"])["title"] == "Garden"
    record = read_record(directory.path)["anna.png"]
    assert (record.entity, record.kind, record.seed, record.seconds) == ("anna", "character", 5, 1.5)
    assert record.prompt == "Person. a tall woman. A painting."
    assert record.sha256 == hash_file(directory.path / "references" / "anna.png")
    assert [event["event"] for event in events] == ["reference-submitted", "reference-done"] * 2
    # Another runner in the same directory takes them, also where a server has lost its own.
    assert set(find_kept(directory.path, make_story(), lambda name: "")) == {"anna.png", "tree.png"}
    assert set(find_kept(directory.path, make_story(), server.hash_input_file)) == {"anna.png", "tree.png"}


class KilledError(BaseException):
    """What a kill looks like from inside: nothing catches it."""


def test_a_runner_that_was_killed_finds_what_it_had_submitted(directory: RunDirectory) -> None:
    server = FakeServer([KilledError()])
    run, _ = make_run(directory, server, ("anna",))
    with pytest.raises(KilledError):
        run.draw(cast(Server, server))
    again, _ = make_run(directory, server, ("anna",))
    again.draw(cast(Server, server))
    assert len(server.submitted) == 1  # it was still in the queue


def test_ctrl_c_takes_the_prompt_back(directory: RunDirectory) -> None:
    server = FakeServer([KeyboardInterrupt()])
    run, _ = make_run(directory, server, ("anna",))
    with pytest.raises(KeyboardInterrupt):
        run.draw(cast(Server, server))
    assert list(server.known.values()) == ["cancelled"]
    again, _ = make_run(directory, server, ("anna",))
    again.draw(cast(Server, server))
    assert len(server.submitted) == 2


def test_short_memory_is_freed_and_a_lost_server_is_waited_for(directory: RunDirectory) -> None:
    server = FakeServer(
        [
            Outcome("error", "node 3 (KSampler): out of memory", exception_type="torch.OutOfMemoryError"),
            VideoGenError("server-unreachable", "gone"),
        ]
    )
    run, events = make_run(directory, server, ("anna",))
    assert set(run.draw(cast(Server, server))) == {"anna.png"}
    assert (server.freed, server.recovered) == (1, 1)
    assert [event["failure"] for event in events if event["event"] == "reference-failed"] == [
        "out of memory",
        "server gone",
    ]


def test_one_that_cannot_be_drawn_ends_the_run_and_those_before_it_are_kept(directory: RunDirectory) -> None:
    failed = Outcome("error", "node 3 (KSampler): nothing works")
    server = FakeServer()
    run, _ = make_run(directory, server)
    run.draw(cast(Server, server))
    server = FakeServer([failed, failed])
    (directory.path / "references" / "tree.png").unlink()
    run, _ = make_run(directory, server, ("tree",))
    with pytest.raises(VideoGenError, match=r"tree.png of tree cannot be drawn: node 3 (?s:.*)--references none") as e:
        run.draw(cast(Server, server))
    assert e.value.code == "reference-failed"
    assert set(find_kept(directory.path, make_story(), lambda name: "")) == {"anna.png"}


def test_a_broken_image_is_drawn_again(directory: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    server = FakeServer()
    broken = iter([True, False])
    real = FakeServer.download

    def download(self: FakeServer, file: dict[str, Any], target: Path) -> int:
        return target.write_bytes(make_png()[:40]) if next(broken) else real(self, file, target)

    monkeypatch.setattr(FakeServer, "download", download)
    run, events = make_run(directory, server, ("anna",))
    path = run.draw(cast(Server, server))["anna.png"]
    assert path.read_bytes() == make_png()
    assert [event["event"] for event in events].count("reference-failed") == 1
    assert list((directory.path / "references").iterdir()) == [path]


# ------------------------------------------------------------------ what still counts


def test_another_description_makes_an_image_stale(directory: RunDirectory) -> None:
    server = FakeServer()
    make_run(directory, server)[0].draw(cast(Server, server))
    changed = make_story(characters={"anna": {**STORY["characters"]["anna"], "description": "a short woman"}})
    assert set(find_kept(directory.path, changed, server.hash_input_file)) == {"tree.png"}
    assert find_stale(directory.path, changed, server.hash_input_file) == {"anna.png"}
    assert find_stale(directory.path, make_story(), server.hash_input_file) == set()
    # Somebody's own image under that name stays, whatever the description says.
    server.input_files["anna.png"] = make_png("blue")
    assert find_stale(directory.path, changed, server.hash_input_file) == set()


def test_an_image_that_somebody_has_put_in_its_place_counts(directory: RunDirectory) -> None:
    server = FakeServer()
    make_run(directory, server)[0].draw(cast(Server, server))
    server.input_files["anna.png"] = make_png("blue")
    assert set(find_kept(directory.path, make_story(), server.hash_input_file)) == {"tree.png"}


def test_a_copy_that_was_tampered_with_does_not_count(directory: RunDirectory) -> None:
    server = FakeServer()
    make_run(directory, server)[0].draw(cast(Server, server))
    (directory.path / "references" / "anna.png").write_bytes(make_png("green"))
    assert set(find_kept(directory.path, make_story(), lambda name: "")) == {"tree.png"}


def test_what_one_server_has_is_brought_to_the_others(directory: RunDirectory) -> None:
    one, other = FakeServer(), FakeServer()
    one.url, other.url = "http://a", "http://b"
    one.input_files["anna.png"] = make_png("blue")
    lacking = Missing(make_story().characters[0], "anna.png", (1,), ("http://b",), ("http://a", "http://b"))
    shared = share_images(directory.path, [lacking], cast(Any, [other, one]))
    assert shared["anna.png"].read_bytes() == one.input_files["anna.png"]


def test_everything_together(directory: RunDirectory) -> None:
    """What a run does: look, find what is missing, draw it, and use it from then on."""
    story, server = make_story(), FakeServer()
    server.input_files |= {"bark.png": make_png(), "field.png": make_png()}
    images = CastImages(LoadedStory(story, STORY), directory, workflow())
    hash_input = images.look(server.hash_input_file)
    node = {"class_type": "VideoGenApplyCharacters", "inputs": {"segment": ["2", 0], "missing": "stop"}}
    readers = find_readers(segment_graph(STORY) | {"7": node})

    def find() -> list[Missing]:
        return find_missing(story, [1, 2, 3], readers, images.local_images(), {server.url: hash_input})

    assert [one.name for one in find()] == ["anna.png", "tree.png"]
    maker = SimpleNamespace(graph={})
    run = images.plan(cast(Any, maker), find(), cast(Session, server), RunLog(directory.journal, LineDisplay()), 60)
    assert run is not None
    images.require(find(), run.names)
    with pytest.raises(VideoGenError, match="lacks pictures: 2 problems"):
        images.require(find(), ())
    images.drawn |= run.draw(cast(Server, server))
    assert find() == []
    assert {
        name.rpartition("/")[2].split("-")[0] for name in images.local_images().names_for_servers(story).values()
    } == {
        "anna",
        "tree",
    }
