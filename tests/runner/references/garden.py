"""A small cast, and a server that draws it; what the server answers is written down here."""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.answers import SavedFile
from runner.comfyui.outcome import Outcome
from runner.comfyui.session import Session
from runner.references.generate import ReferencesRun
from runner.references.graph import ReferencesGraph
from runner.rendering.run_log import RunLog
from runner.state.event import Event
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from runner.workflows.story_images import Missing
from runner.workflows.workflow import Workflow

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
        input_files: the content of its input folder.
        submitted: graphs, in order.
        endings: how prompts end that a test has decided about.
    """

    def __init__(self, first: list[Outcome | BaseException] | None = None) -> None:
        self.name = self.url = "http://host:1"
        self.first = list(first or [])
        self.input_files: dict[str, bytes] = {}
        self.submitted: list[Graph] = []
        self.known: dict[str, str] = {}
        self.endings: dict[str, Outcome] = {}
        self.freed = self.recovered = 0
        self.client = self.session = cast(Any, self)
        self.object_info: dict[str, Any] = {}

    def find(self, prompt_id: str) -> str:
        return self.known.get(prompt_id, "")

    def submit(self, graph: Graph, prompt_id: str, workflow: Any) -> None:
        self.submitted.append(graph)
        self.known[prompt_id] = "queued"

    def finish(self, prompt_id: str) -> None:
        """The server has drawn a picture, whether anybody waits for it or not."""
        graph = self.submitted[list(self.known).index(prompt_id)]
        self.input_files[graph["5"]["inputs"]["file"]] = make_png()
        self.known[prompt_id] = "success"

    def wait(self, prompt_id: str, graph: Graph, **_: Any) -> Outcome:
        if prompt_id in self.endings:
            return self.endings[prompt_id]
        if self.first:
            outcome = self.first.pop(0)
            if isinstance(outcome, BaseException):
                raise outcome
            self.known[prompt_id] = outcome.status
            return outcome
        self.finish(prompt_id)
        name = graph["5"]["inputs"]["file"]
        subfolder, _, filename = name.rpartition("/")
        image = {"filename": filename, "subfolder": subfolder, "type": "input"}
        return Outcome("success", outputs={"5": {"images": [image]}}, executed=1.5)

    def download(self, file: SavedFile, target: Path, most: int = 0) -> int:
        name = "/".join(part for part in (file.subfolder, file.filename) if part)
        return target.write_bytes(self.input_files[name])

    def hash_input_file(self, name: str) -> str:
        return hashlib.sha256(self.input_files[name]).hexdigest() if name in self.input_files else ""

    def read_input_file(self, name: str) -> bytes | None:
        return self.input_files.get(name)

    def has_input_file(self, name: str) -> bool:
        return False

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


def workflow() -> Workflow:
    return Workflow(Path("references.json"), None, REFERENCES)


def make_run(
    directory: RunDirectory, server: FakeServer, names: tuple[str, ...] = ("anna", "tree"), film: Graph | None = None
) -> tuple[ReferencesRun, list[dict[str, Any]]]:
    """A run that draws these, and the events that it notes."""
    story = make_story()
    events: list[dict[str, Any]] = []
    log = RunLog(directory.journal, LineDisplay())
    write = log.note

    def note(event: Event) -> None:
        events.append({"event": event.event_name, **event.to_fields()})
        write(event)

    log.note = note  # type: ignore[method-assign]
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


def missing(name: str) -> Missing:
    story = make_story()
    entity = next(
        entity
        for entity in (*story.characters, *story.objects, *story.locations)
        if name in (entity.references or (entity.name,))
    )
    return Missing(entity, name, (1,), ("http://a",), ("http://a",))
