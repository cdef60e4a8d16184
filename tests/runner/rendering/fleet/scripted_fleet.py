"""Servers that do what a test says, under the real renderer: scheduler, threads, attempts, journal and results."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.probe import VideoInfo, hash_file
from runner.comfyui.client import Queue
from runner.comfyui.outcome import Outcome
from runner.comfyui.outputs import VIDEO, ClipFiles
from runner.comfyui.servers import Server, require_nothing
from runner.rendering.collect import Fetched, VerifiedFile
from runner.rendering.jobs import JobMaker
from runner.rendering.renderer import Renderer
from runner.rendering.scheduler import Lacks, lack_nothing
from runner.rendering.worker import RenderSettings
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from tests.support.runs import read_journal

SECONDS = 30.0
#: What a prompt comes to: nothing for success, or an outcome, or what waiting for it raises.
Behavior = Callable[["ScriptedServer", int], Outcome | VideoGenError | None]


def node_error(message: str, kind: str = "ValueError") -> Outcome:
    return Outcome("error", f"node 3 (KSampler): {message}", exception_type=kind)


DEAD_CONTEXT = node_error("CUDA error: an illegal memory access was encountered", "torch.AcceleratorError")
STALLED = VideoGenError("server-stalled", "it answers, but its prompt has made no progress for 900 s")
GONE = VideoGenError("server-unreachable", "nothing listens there")
REFUSED = VideoGenError("submission-rejected", "refused the prompt (HTTP 400):\n  - node 4: Value not in list")


class ScriptedServer:
    """A server, its session and its client in one.

    Args:
        behave: what becomes of each prompt, by the server and the number of the segment.

    Attributes:
        known: state of every prompt that it was given, by id; see `Session.find`.
        rendered: numbers of the segments that were submitted to it, in order.
        reasons: why it was looked after.
        back: it comes back only once this is set.
        lacks: raised when its nodes are looked at again.
    """

    def __init__(self, name: str, behave: Behavior = lambda server, number: None, *, restarts: bool = False) -> None:
        self.name, self.behave, self.restarts = name, behave, restarts
        self.known: dict[str, str] = {}
        self.ended: dict[str, Outcome] = {}
        self.rendered: list[int] = []
        self.seeds: list[tuple[int, int]] = []
        self.cancelled: list[str] = []
        self.reasons: list[str] = []
        self.back = threading.Event()
        self.back.set()
        self.on_recover: Callable[[ScriptedServer], None] = lambda server: None
        self.lacks: VideoGenError | None = None
        self.refuses: VideoGenError | None = None
        self.require: Any = require_nothing
        self.session = self.client = self
        self.successes = 0

    # ------------------------------------------------------------------ the server

    def check(self) -> None:
        """It never knows that it has ended."""

    def note_success(self) -> None:
        self.successes += 1

    def look_again(self) -> None:
        if self.lacks is not None:
            raise self.lacks

    def recover(self, reason: VideoGenError, sleep: Callable[[float], bool], say: Callable[[str], None]) -> bool:
        self.reasons.append(reason.message)
        assert len(self.reasons) < 1_000, "it is looked after for ever"
        # A real one takes a second at least; without a pause this thread would not let another server work beside it.
        time.sleep(0.001)
        if self.restarts:
            self.known.clear()
            self.ended.clear()
        while not self.back.wait(0.01):
            if sleep(0):
                return False
        self.on_recover(self)
        return not sleep(0)

    # ------------------------------------------------------------------ session and client

    def find(self, prompt_id: str) -> str:
        return self.known.get(prompt_id, "")

    def submit(self, graph: dict[str, Any], prompt_id: str, workflow: Any) -> None:
        if self.refuses is not None:
            raise self.refuses
        number = graph["2"]["inputs"]["index"]
        self.rendered.append(number)
        self.seeds.append((number, json.loads(graph["1"]["inputs"]["text"])["segments"][number - 1]["seed"]))
        self.known[prompt_id] = "queued"

    def wait(self, prompt_id: str, graph: dict[str, Any], **calls: Any) -> Outcome:
        calls["check"]()
        calls["on_start"]()
        if prompt_id in self.ended:
            return self.ended[prompt_id]
        if self.known[prompt_id] == "success":
            return Outcome("success")
        result = self.behave(self, graph["2"]["inputs"]["index"])
        calls["check"]()
        if isinstance(result, VideoGenError):
            raise result
        self.ended[prompt_id] = result or Outcome("success")
        self.known[prompt_id] = self.ended[prompt_id].status
        return self.ended[prompt_id]

    def cancel(self, prompt_id: str) -> None:
        self.cancelled.append(prompt_id)
        self.known[prompt_id] = "interrupted"

    def free(self) -> None:
        pass

    def queue(self) -> Queue:
        return Queue(frozenset(), frozenset(name for name, state in self.known.items() if state == "queued"))

    def telemetry(self) -> None:
        return None


def without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a prompt has saved is whole."""

    def fetch(client: Any, outcome: Outcome, folder: Path, stem: str, *more: Any) -> Fetched:
        path = folder / f".{stem}-00000.mp4.part"
        path.write_bytes(stem.encode())
        return Fetched((path,), ClipFiles("9", VIDEO, ()), path.stat().st_size)

    def verify(fetched: Fetched, plan: Any, quality: Any, folder: Path) -> VerifiedFile:
        path = fetched.paths[0]
        info = VideoInfo(320, 180, Fraction(24), 12, "h264", "yuv420p")
        return VerifiedFile(path, folder / f"{plan.file_stem}.mp4", info, path.stat().st_size, hash_file(path))

    monkeypatch.setattr("runner.rendering.worker.fetch_outputs", fetch)
    monkeypatch.setattr("runner.rendering.worker.verify_output", verify)


class Run:
    """One run of the real renderer on scripted servers."""

    def __init__(self, folder: Path, maker: JobMaker) -> None:
        self.folder, self.maker = folder, maker
        self.failed: dict[int, VideoGenError] = {}
        self.error: VideoGenError | None = None

    def render(
        self,
        *servers: ScriptedServer,
        retries: int = 2,
        numbers: Sequence[int] = (),
        lacks: Lacks = lack_nothing,
    ) -> Run:
        """Render everything that is not done, or these segments; it must come to an end."""
        with RunDirectory(self.folder, self.maker.story.title) as directory:
            record = {"format": 1, "run_id": directory.run_id, "title": self.maker.story.title, "story": {}}
            directory.write_json("run.json", record)
            settings = RenderSettings(QUALITIES["draft"], retries=retries, one_graph=lacks is lack_nothing)
            renderer = Renderer(
                cast("list[Server]", servers), self.maker, directory, LineDisplay(), settings, lacks=lacks
            )
            states = directory.journal.segments
            every = [segment.number for segment in self.maker.story.segments]
            todo = numbers or [number for number in every if number not in states or states[number].state != "done"]
            self.error = None

            def work() -> None:
                try:
                    renderer.render(todo)
                except VideoGenError as error:
                    self.error = error

            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            thread.join(SECONDS)
            assert not thread.is_alive(), "the run hangs"
            self.failed = renderer.failed
        return self

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        return [event for event in read_journal(self.folder) if not kinds or event["event"] in kinds]

    def done(self) -> dict[int, str]:
        """The server of each segment that is done; none was done twice."""
        events = self.events("segment-done")
        assert len(events) == len({event["segment"] for event in events}), "a segment was rendered twice"
        return {event["segment"]: event["server"] for event in events}

    def failures(self) -> list[tuple[int, str, str]]:
        return [(event["segment"], event["failure"], event["remedy"]) for event in self.events("attempt-failed")]
