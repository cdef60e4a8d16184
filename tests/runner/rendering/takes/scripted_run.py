"""Runs whose takes score what a test says."""

from __future__ import annotations

import contextlib
import io
import json
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.continuity.own_likeness import RULES
from custom_nodes.videogen.core.continuity.policy import Thresholds
from custom_nodes.videogen.core.continuity.scores import (
    FrameAppearance,
    FrameCheck,
    SampleScore,
    SegmentScore,
    SubjectScore,
    TemporalScore,
    to_plain,
)
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.comfyui.answers import SavedFile
from runner.comfyui.outcome import Outcome
from runner.comfyui.servers import Server
from runner.rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from runner.rendering.kept_results import trim_results
from runner.rendering.renderer import Renderer
from runner.rendering.results import recover_takes, recover_verified
from runner.rendering.run_log import RunLog
from runner.rendering.worker import RenderSettings
from runner.run.pending_segments import find_pending
from runner.run.request import RunRequest
from runner.state.event import Event
from runner.state.progress import LineDisplay
from runner.state.run_directory import KEEP_RESULTS, RunDirectory
from tests.support.stories import segment_graph, small_story
from tests.support.videos import draw_code, write_video

STORY = small_story("Field", characters={"tom": {"segments": "1-2"}})


class Killed(BaseException):
    """The process ends here."""


class ScriptedServer:
    """A server whose takes score what a test says: segment → character's score of its takes, one after the other."""

    def __init__(
        self, folder: Path, scores: dict[int, Sequence[float | Outcome]], when_below: str = "render again"
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.name = self.url = "http://host:1"
        self.scores = {number: list(values) for number, values in scores.items()}
        self.when_below, self.measured, self.sounds = when_below, True, False
        self.seeds: list[tuple[int, int]] = []
        self.known: dict[str, Outcome] = {}
        self.folder = folder
        self.client = self.session = cast(Any, self)
        self.looks: dict[int, Any] = {}
        self.rules: dict[int, int] = {}

    def find(self, prompt_id: str) -> str:
        return self.known[prompt_id].status if prompt_id in self.known else ""

    def submit(self, graph: Graph, prompt_id: str, workflow: Any) -> None:
        number = graph["2"]["inputs"]["index"]
        seed = json.loads(graph["1"]["inputs"]["text"])["segments"][number - 1]["seed"]
        self.seeds.append((number, seed))
        value = self.scores[number].pop(0)
        self.known[prompt_id] = value if isinstance(value, Outcome) else self._render(number, seed, value)

    def _render(self, number: int, seed: int, value: float) -> Outcome:
        name = f"{number}_{seed}.mp4"
        quality = QUALITIES["draft"]
        images = (draw_code(seed, (quality.width, quality.height)) for _ in range(12))
        path = write_video(self.folder / name, images, count=12, size=(quality.width, quality.height), quality=quality)
        record = {"sha256": hash_file(path), "seed": seed, "quality": "draft"}
        said = {
            "scores": {
                **make_score(value, self.looks.get(number)).to_dict(),
                "rules": self.rules.get(number, RULES),
            },
            "thresholds": to_plain(Thresholds()),
            "notes": [],
            "when_below": self.when_below,
        }
        if not self.measured:
            said = {}
        outputs: dict[str, dict[str, Any]] = {
            "4": {"images": [{"filename": name, "subfolder": "", "type": "output"}], "videogen": [record]},
            **({"5": {"videogen": [{"number": number, "continuity": said}]}} if said else {}),
        }
        if self.sounds:
            (self.folder / f"{number}_{seed}.wav").write_bytes(tone(seed))
            outputs["7"] = {"audio": [{"filename": f"{number}_{seed}.wav", "subfolder": "", "type": "output"}]}
        return Outcome("success", outputs=outputs, executed=0.1)

    def wait(self, prompt_id: str, graph: Graph, **_: Any) -> Outcome:
        return self.known[prompt_id]

    def download(self, file: SavedFile, target: Path, most: int = 0) -> int:
        return target.write_bytes((self.folder / file.filename).read_bytes())

    def telemetry(self) -> None:
        return None

    def queue(self) -> Any:
        return SimpleNamespace(ids=frozenset(), running=frozenset())

    def check(self) -> None:
        pass

    def note_success(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: None


def tone(seed: int) -> bytes:
    """A sound that is another one for each seed."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes([seed % 256, 0]) * 800)
    return data.getvalue()


def make_score(value: float, look: Any = None) -> SegmentScore:
    samples = tuple(SampleScore(3, "reference", score, score, score, 0.5) for score in (value - 0.05, value + 0.05))
    subject = SubjectScore(
        "character",
        "tom",
        "Tom",
        value,
        value - 0.05,
        3,
        {"reference": (value, value - 0.05)},
        samples,
        "classical",
        "r",
        "mask",
        looks=() if look is None else (FrameAppearance(3, look),),
    )
    return SegmentScore((subject,), TemporalScore(0.8, 0.8, 0.7, (0.8, 0.7)), FrameCheck(4, (320, 180)))


#: Takes an image that a segment begins from.
FIRST_FRAME: Graph = {
    "9": {"class_type": "LoadImage", "inputs": {"image": "example.png"}, "_meta": {"title": "First Frame"}}
}


def make_maker(story: Story, data: dict[str, Any] = STORY) -> JobMaker:
    workflow = ConvertedWorkflow(segment_graph(data) | FIRST_FRAME, {})
    return JobMaker(LoadedStory(story, data), workflow, WorkflowChoices(), hash_input=lambda name: "")


class Steps:
    """Counts what a runner does to its directory, and ends the process before one of the steps.

    A step is an event in the journal, or a file that is renamed.
    """

    def __init__(self, directory: RunDirectory, last: int, patch: pytest.MonkeyPatch) -> None:
        self.left = last
        append, replace = directory.journal.append, Path.replace
        # What a killed process would have done next is not done.
        patch.setattr(directory.journal, "append", lambda event: self.take(lambda: append(event)))
        patch.setattr(Path, "replace", lambda path, target: self.take(lambda: replace(path, target)))

    def take(self, step: Callable[[], Any]) -> Any:
        if self.left <= 0:
            raise Killed
        self.left -= 1
        return step()


class Run:
    """One runner in a run directory; another one may follow it."""

    def __init__(self, folder: Path, server: ScriptedServer, takes: int = 3) -> None:
        self.folder, self.server, self.takes = folder, server, takes
        self.data, self.keep_results = STORY, KEEP_RESULTS

    @property
    def story(self) -> Story:
        return parse_story(self.data, "test")

    def tell(self, data: dict[str, Any]) -> Run:
        """Change the story."""
        self.data = data
        return self

    def go_until(self, step: int) -> bool:
        """Render what is missing, and be killed before this step; whether it came to an end before."""
        with RunDirectory(self.folder, "Field") as directory, pytest.MonkeyPatch.context() as patch:
            steps = Steps(directory, step, patch)
            with contextlib.suppress(Killed):
                self._render(directory, patch)
            return steps.left > 0

    def go(self, kill_after: str = "", count: int = 1) -> Renderer | None:
        """Render what is missing; killed when the `count`th event `kill_after` is in the journal."""
        with RunDirectory(self.folder, "Field", keep_results=self.keep_results) as directory:
            directory.write_json("run.json", {"run_id": directory.run_id, "title": "Field", "story": self.data})
            if not kill_after:
                with pytest.MonkeyPatch.context() as patch:
                    return self._render(directory, patch)
            left = count
            append = directory.journal.append

            def dying(event: Event) -> dict[str, Any]:
                nonlocal left
                if left <= 0:
                    raise Killed  # nothing is written any more
                record = append(event)
                left -= event.event_name == kill_after
                return record

            directory.journal.append = dying  # type: ignore[method-assign]
            with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
                self._render(directory, patch)
            return None

    def _render(self, directory: RunDirectory, patch: pytest.MonkeyPatch) -> Renderer:
        recover_takes(directory, self.takes)
        recover_verified(directory)
        directory.remove_leftovers()
        trim_results(directory)
        maker = make_maker(self.story, self.data)
        request = cast(RunRequest, SimpleNamespace(wanted=(1, 2)))
        todo = find_pending(request, directory, maker, RunLog(directory.journal))
        renderer = Renderer(
            [cast(Server, self.server)],
            maker,
            directory,
            LineDisplay(),
            RenderSettings(QUALITIES["draft"], retries=0, stall=60, max_takes=self.takes),
        )
        crash = renderer.log.note_crash

        def end(error: BaseException) -> None:
            renderer.scheduler.stop() if isinstance(error, Killed) else crash(error)  # type: ignore[arg-type]

        patch.setattr(renderer.log, "note_crash", end)
        patch.setattr("threading.excepthook", lambda args: renderer.scheduler.stop())
        renderer.render(todo)
        return renderer

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "journal.jsonl").read_text().splitlines()]

    def result(self, number: int) -> dict[str, Any]:
        return next(e for e in reversed(self.events) if e["event"] == "segment-done" and e["segment"] == number)

    def is_take_of(self, number: int, seed: int) -> bool:
        """Whether a segment's file is the one that was rendered with a seed."""
        file = self.folder / "segments" / f"segment_{number:02d}.mp4"
        return file.read_bytes() == (self.server.folder / f"{number}_{seed}.mp4").read_bytes()
