"""A story, servers and a run directory that a test does things to, and the story of all that was done."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.continuity.policy import ONLY_REPORT, RENDER_AGAIN, Thresholds
from custom_nodes.videogen.core.continuity.scores import to_plain
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.story_file import LoadedStory
from runner.run.request import RunRequest
from runner.state.journal import Journal
from runner.workflows.workflow import Workflow
from tests.runner.property.child import POWER_CUT, CrashPoint, RunEnded, ServerClocks, Surroundings, run_in_child
from tests.runner.rendering.takes.scripted_run import make_score
from tests.support.graphs.loras import with_loras
from tests.support.servers.fake_server import FakeServer
from tests.support.servers.model.chronicle import Chronicle
from tests.support.servers.model.graphs import CHECKPOINT, FOG, IMPOSSIBLE, LORA
from tests.support.servers.model.prompt_faults import PROMPT_FAULTS
from tests.support.servers.model.server import ModelServer
from tests.support.servers.model.tiny_segments import read_content, render_clip
from tests.support.stories import segment_graph

#: Seconds of a server's own clock without progress after which it counts as hung.
STALL = 300.0
#: Looks at the clock (one a poll) after which a server that is away counts as lost.
PATIENCE = 12.0
PROMPTS = ("a tree", "a river", IMPOSSIBLE)
STYLES = ("ink", "oil")
#: Fields of the journal's events that a scenario's story shows.
_TOLD = (
    *("segment", "attempt", "server", "seed", "seed_offset", "take", "level", "another", "failure", "remedy", "ended"),
    *("code", "message", "todo", "kept", "rendered", "failed", "status", "degraded", "part"),
)


@dataclass
class RunRecord:
    """A run that has ended, and what its servers were then."""

    number: int
    order: tuple[str, ...]
    ended: RunEnded
    trouble: dict[str, list[str]]
    struck: dict[str, list[str]]
    own: bool
    selection: tuple[int, ...]
    crash: CrashPoint | None


class World:
    """Everything that a scenario consists of.

    Args:
        folder: an empty one.
        fronts: one for each server; they outlive the world.
        continues: numbers of the segments that begin from the last frame of the one before them.
        shortfalls: how many takes of each segment fall short; None where the workflow does not measure continuity.
        jobs: its servers have the jobs API.
    """

    def __init__(
        self,
        folder: Path,
        fronts: Sequence[FakeServer],
        object_info: dict[str, Any],
        *,
        segments: int = 3,
        continues: Sequence[int] = (),
        shortfalls: Sequence[int] | None = None,
        jobs: bool = False,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.directory = folder, folder / "run"
        self.chronicle = Chronicle(position=self._journal_size)
        self.clocks = ServerClocks(len(fronts))
        self.shortfalls = shortfalls
        self.servers: dict[str, ModelServer] = {}
        schemas = describe_nodes(object_info)
        for index, (name, front) in enumerate(zip("ABCDEF", fronts, strict=False)):
            server = ModelServer(
                name,
                front,
                schemas,
                self.chronicle,
                tick=lambda seconds, index=index: self.clocks.advance(index, seconds),  # type: ignore[misc]
                score=self._score,
            )
            server.inputs["example.png"] = b"example"
            server.has_jobs = jobs
            self.servers[name] = server
        self.prompts = [PROMPTS[0]] * segments
        self.seeds = [0] * segments
        self.style = STYLES[0]
        self.continues = set(continues)
        self.when_below, self.takes = RENDER_AGAIN, 3
        #: Instead of `graph`.
        self.workflow: Workflow | None = None
        self.adopt = False
        #: What some segments have of their own: fields of the story, and workflows.
        self.fields: dict[int, dict[str, Any]] = {}
        self.own: dict[int, Workflow] = {}
        self.runs: list[RunRecord] = []
        #: Segments whose file was lost: number, and how many prompts had been submitted by then.
        self.losses: list[tuple[int, int]] = []

    # ------------------------------------------------------------------ the story

    @property
    def numbers(self) -> range:
        return range(1, len(self.prompts) + 1)

    @property
    def story(self) -> dict[str, Any]:
        return {
            "title": "Property",
            "fps": 8,
            "frames": 4,
            "size": [1280, 720],
            "quality": "draft",
            "style": {"master_prompt": self.style},
            "segments": [
                {
                    "prompt": self.prompts[number - 1],
                    "seed": self.seed_of(number),
                    **({"continues": True} if number in self.continues else {}),
                    **self.fields.get(number, {}),
                }
                for number in self.numbers
            ],
        }

    def seed_of(self, number: int) -> int:
        """The seed of a segment's first take."""
        return 1000 * number + 100 * self.seeds[number - 1]

    @property
    def graph(self) -> Graph:
        graph = segment_graph("")
        graph["3"] = {"class_type": "TestSampler", "inputs": {"segment": ["2", 0], "model": ["6", 0]}}
        graph["6"] = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": CHECKPOINT}}
        if self.continues:
            loader = {"class_type": "LoadImage", "inputs": {"image": "example.png"}, "_meta": {"title": "First Frame"}}
            graph["9"] = loader
            graph["3"]["inputs"]["first_frame"] = ["9", 0]
        if self.shortfalls is not None:
            inputs = {"images": ["3", 0], "segment": ["2", 0], "when_below": self.when_below}
            graph["5"] = {"class_type": "VideoGenContinuity", "inputs": inputs}
        return graph

    def render_with_fog(self, *numbers: int, density: float = 0.5) -> None:
        """Give some segments another workflow, in which a node fogs their frames."""
        graph = self.graph
        graph["7"] = {"class_type": FOG, "inputs": {"images": ["3", 0], "density": density}}
        graph["4"]["inputs"]["images"] = ["7", 0]
        workflow = Workflow(Path("fog.json"), None, graph)
        for number in numbers:
            self.own[number] = workflow
            self.fields.setdefault(number, {})["workflow"] = "fog.json"

    def _score(self, number: int, seed: int) -> dict[str, Any]:
        assert self.shortfalls is not None
        taken = seed % 100
        value = 0.5 + taken / 100 if taken < self.shortfalls[number - 1] else 0.95
        return {
            "scores": make_score(value).to_dict(),
            "thresholds": to_plain(Thresholds()),
            "notes": [],
            "when_below": self.when_below,
        }

    # ------------------------------------------------------------------ what a test does

    def say(self, text: str) -> None:
        self.chronicle.add("—", text)

    def edit(
        self,
        number: int = 0,
        *,
        prompt: str | None = None,
        seed: int | None = None,
        style: str | None = None,
        takes: int | None = None,
        render_again: bool | None = None,
    ) -> None:
        """Change a segment, the style, or what becomes of takes that fall short.

        Args:
            number: of the segment whose prompt or seed changes.
        """
        changes = {"prompt": prompt, "seed": seed, "style": style, "takes": takes, "render again": render_again}
        where = f" of segment {number}" if number else ""
        told = (f"{name} {value!r}{where}" for name, value in changes.items() if value is not None)
        self.say(f"now: {', '.join(told)}")
        if prompt is not None:
            self.prompts[number - 1] = prompt
        if seed is not None:
            self.seeds[number - 1] = seed
        self.style = style or self.style
        self.takes = takes or self.takes
        if render_again is not None:
            self.when_below = RENDER_AGAIN if render_again else ONLY_REPORT

    def spoil_file(self, number: int, how: str) -> bool:
        """Delete or damage a segment's file, or put another clip in its place; whether there was one."""
        path = self.file_of(number)
        if path is None:
            return False
        self.say(f"the file of segment {number} is {how}")
        if how == "deleted":
            path.unlink()
        elif how == "replaced":
            path.write_bytes(render_clip({**self.content_of(number), "number": 9}, Fraction(1, 2)))
        else:
            path.write_bytes(path.read_bytes()[:-100])
        self.losses.append((number, len(self.chronicle.executions)))
        return True

    def arm(self, server: str, *faults: str) -> None:
        """The next prompts of a server meet these faults."""
        self.say(f"{server} will have: {', '.join(faults)}")
        self.servers[server].faults += [PROMPT_FAULTS[fault] for fault in faults]

    # ------------------------------------------------------------------ runs

    def run(
        self,
        *order: str,
        crash: CrashPoint | None = None,
        film: bool = False,
        own: bool = False,
        selection: Sequence[int] = (),
    ) -> RunRecord:
        """Run the story on some servers, to the end or to a crash.

        Args:
            own: the run starts the one server itself, and stops it.
        """
        self.chronicle.run += 1
        number = self.chronicle.run
        with_own = (" of its own" if own else "") + (f", segments {selection}" if selection else "")
        self.say(
            f"run {number} on {', '.join(order)}{with_own}"
            + (f", {crash.how} {crash.step} #{crash.count}" if crash else "")
        )
        for name, server in self.servers.items():
            server.begin_run(own=own and name in order)
        around = Surroundings(
            self.folder / f"run_{number}.log",
            self.clocks,
            [server.url for server in self.servers.values()],
            crash,
            self.servers[order[0]].url if own else "",
        )
        self.clocks.set(self.clocks.synced, self._journal_size())
        ended = run_in_child(self.request(() if own else order, film, selection), around)
        if ended.how == "killed" and crash is not None and crash.how == POWER_CUT:
            self._lose_what_was_not_synced()
        if own and ended.how == "killed":
            self.servers[order[0]].stop()
        self.say(f"run {number} {ended.how}, status {ended.status} {ended.message}")
        with self.chronicle.lock:
            record = RunRecord(
                number,
                order,
                ended,
                {name: list(server.trouble) for name, server in self.servers.items()},
                {name: list(server.struck) for name, server in self.servers.items()},
                own,
                tuple(selection) or tuple(self.numbers),
                crash,
            )
        self.runs.append(record)
        return record

    def _lose_what_was_not_synced(self) -> None:
        synced = int(self.clocks.read(self.clocks.synced))
        if self._journal_size() > synced:
            for event in self.events(start=synced):
                self.say(f"lost with the power: {event['event']} of segment {event.get('segment', '')}")
            os.truncate(self.directory / "journal.jsonl", synced)
            for execution in self.chronicle.executions:
                execution.position = min(execution.position, synced)

    def request(self, order: Sequence[str], film: bool, selection: Sequence[int]) -> RunRequest:
        story = self.story
        return RunRequest(
            LoadedStory(parse_story(story), story),
            self.workflow or Workflow(Path("property.json"), None, self.graph),
            self.directory,
            servers=tuple(self.servers[name].url for name in order),
            selection=tuple(selection) or None,
            takes=self.takes,
            stall=STALL,
            patience=PATIENCE,
            film=film,
            adopt=self.adopt,
            own=self.own,
        )

    # ------------------------------------------------------------------ what is left

    def journal(self) -> Journal:
        """The journal, replayed; it must be possible."""
        return Journal(self.directory / "journal.jsonl", read_only=True)

    def _journal_size(self) -> int:
        """In bytes, without a line that is not whole: the next runner removes it."""
        path = self.directory / "journal.jsonl"
        return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0

    def events(self, *kinds: str, start: int = 0, end: int | None = None) -> list[dict[str, Any]]:
        """The journal's events, or some kinds of them, between two positions in bytes."""
        path = self.directory / "journal.jsonl"
        lines = path.read_bytes()[start:end].splitlines(keepends=True) if path.exists() else []
        records = [json.loads(line) for line in lines if line.endswith(b"\n")]
        return [record for record in records if not kinds or record["event"] in kinds]

    def file_of(self, number: int) -> Path | None:
        """The file of a segment that is done."""
        state = self.journal().segment(number)
        path = self.directory / str(state.result.get("file", "-"))
        return path if state.state == "done" and path.is_file() else None

    def content_of(self, number: int) -> dict[str, Any]:
        """What a segment's file was rendered from."""
        path = self.file_of(number)
        return {} if path is None else read_content(path.read_bytes())

    def tell(self) -> str:
        """Everything that was done and happened, in order, with the journal's events among it."""
        names = {server.url: name for name, server in self.servers.items()}
        lines = list(self.chronicle.lines)
        for event in self.events():
            words = [f"{name}={value}" for name, value in event.items() if name in _TOLD and value is not None]
            said = f"{event['event']} {str(event.get('prompt_id', ''))[:6]} {' '.join(words)}"
            lines.append((event["time"], "journal", said))
        # The journal's times are rounded: among equals the order of each source is kept.
        lines.sort(key=lambda line: round(line[0], 3))
        told = "\n".join(f"{who:>8}  {text}" for _, who, text in lines)
        for url, name in names.items():
            told = told.replace(url, name)
        return told


def describe_nodes(object_info: dict[str, Any]) -> dict[str, Any]:
    """Schemas of the nodes, with one that samples and one that measures continuity."""
    schemas = copy.deepcopy(object_info)
    schemas["TestSampler"] = {
        "input": {
            "required": {"segment": ["SEGMENT", {}], "model": ["MODEL", {}]},
            "optional": {
                "first_frame": ["IMAGE", {}],
                "words": ["STRING", {"multiline": True, "dynamicPrompts": True}],
            },
        },
        "output": ["IMAGE"],
        "output_name": ["images"],
        "output_node": False,
    }
    schemas[FOG] = {
        "input": {"required": {"images": ["IMAGE", {}], "density": ["FLOAT", {"min": 0.0, "max": 1.0}]}},
        "output": ["IMAGE"],
        "output_name": ["images"],
        "output_node": False,
    }
    schemas[LORA] = with_loras({})[LORA]
    schemas["VideoGenContinuity"] = {
        "input": {
            "required": {"images": ["IMAGE", {}], "segment": ["SEGMENT", {}]},
            "optional": {"when_below": ["COMBO", {"options": [RENDER_AGAIN, ONLY_REPORT]}]},
        },
        "output": ["FLOAT"],
        "output_name": ["score"],
        "output_node": True,
    }
    return schemas
