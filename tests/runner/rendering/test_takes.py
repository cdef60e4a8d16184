"""The gate: a take that falls short is rendered again, the best one is kept, and a kill in between loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

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
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.metrics.appearance import AppearanceModel
from runner.bench.footage.footage import film
from runner.cli import build_parser
from runner.comfyui.outcome import Outcome
from runner.comfyui.servers import Server
from runner.rendering.continuity import read_measured
from runner.rendering.jobs import JobMaker
from runner.rendering.renderer import Renderer, recover_verified
from runner.rendering.takes import TakeSelector, asks_for_takes, recover_takes
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from runner.workflows.image_inputs import find_needs, find_readers
from runner.workflows.workflow import Graph
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
        self.when_below = when_below
        self.seeds: list[tuple[int, int]] = []
        self.known: dict[str, Outcome] = {}
        self.folder = folder
        self.client = self.session = cast(Any, self)
        self.looks: dict[int, Any] = {}

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
            "scores": make_score(value, self.looks.get(number)).to_dict(),
            "thresholds": to_plain(Thresholds()),
            "notes": [],
            "when_below": self.when_below,
        }
        outputs: dict[str, dict[str, Any]] = {
            "4": {"images": [{"filename": name, "subfolder": "", "type": "output"}], "videogen": [record]},
            "5": {"videogen": [{"number": number, "continuity": said}]},
        }
        return Outcome("success", outputs=outputs, executed=0.1)

    def wait(self, prompt_id: str, graph: Graph, **_: Any) -> Outcome:
        return self.known[prompt_id]

    def download(self, file: dict[str, Any], target: Path) -> int:
        return target.write_bytes((self.folder / file["filename"]).read_bytes())

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
        "ratio",
        looks=() if look is None else (FrameAppearance(3, look),),
    )
    return SegmentScore((subject,), TemporalScore(0.8, 0.8, 0.7, (0.8, 0.7)), FrameCheck(4, (320, 180)))


def make_maker(story: Story) -> JobMaker:
    graph = segment_graph(STORY)
    return JobMaker(
        graph, None, story, STORY, bindings=[], settings=[], quality=None, object_info={}, hash_input=lambda name: ""
    )


class Run:
    """One runner in a run directory; another one may follow it."""

    def __init__(self, folder: Path, server: ScriptedServer, takes: int = 3) -> None:
        self.folder, self.server, self.takes = folder, server, takes
        self.story = parse_story(STORY, "test")

    def go(self, kill_after: str = "", count: int = 1) -> Renderer | None:
        """Render what is missing; killed when the `count`th event `kill_after` is in the journal."""
        with RunDirectory(self.folder, "Field") as directory:
            directory.write_json("run.json", {"run_id": directory.run_id, "title": "Field", "story": STORY})
            recover_takes(directory, self.takes)
            recover_verified(directory)
            directory.remove_leftovers()
            maker = make_maker(self.story)
            todo = [
                n
                for n in (1, 2)
                if not ((state := directory.journal.segment(n)).state == "done" and state.key == maker.key(n))
            ]
            renderer = Renderer(
                [cast(Server, self.server)],
                maker,
                directory,
                LineDisplay(),
                quality=QUALITIES["draft"],
                retries=0,
                stall=60,
                takes=self.takes,
            )
            if kill_after:
                left = count
                append = directory.journal.append

                def dying(event: str, **data: Any) -> dict[str, Any]:
                    nonlocal left
                    if left <= 0:
                        raise Killed  # nothing is written any more
                    record = append(event, **data)
                    left -= event == kill_after
                    return record

                directory.journal.append = dying  # type: ignore[method-assign]
            if kill_after:
                # What a killed process would have done next, nobody does.
                renderer.note_crash = lambda error: renderer.scheduler.stop()  # type: ignore[method-assign]
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("threading.excepthook", lambda args: renderer.scheduler.stop())
                    renderer.render(todo)
                return None
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


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    def make(scores: dict[int, Sequence[float | Outcome]], takes: int = 3, **more: Any) -> Run:
        return Run(tmp_path / "run", ScriptedServer(tmp_path / "server", scores, **more), takes)

    return make


def test_what_passes_is_rendered_once(run: Callable[..., Run]) -> None:
    made = run({1: [0.9], 2: [0.95]})
    made.go()
    assert made.server.seeds == [(1, 101), (2, 102)]
    result = made.result(1)
    assert [(t["take"], t["seed"], t["score"], t["min"], t["temporal"], t["kept"]) for t in result["takes"]] == [
        (1, 101, 0.9, 0.85, 0.8, True)
    ]
    assert result["scores"] == {"Tom": 0.9, "temporal": 0.8}
    assert made.is_take_of(1, 101)
    assert not (made.folder / "takes").exists()


def test_what_falls_short_is_rendered_with_the_next_seed(
    run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    made = run({1: [0.5, 0.9], 2: [0.95]})
    renderer = made.go()
    assert sorted(made.server.seeds) == [(1, 101), (1, 102), (2, 102)]
    assert made.is_take_of(1, 102)
    result = made.result(1)
    assert [(take["level"], take["kept"]) for take in result["takes"]] == [("fail", False), ("pass", True)]
    assert (result["seed"], result["continuity"]["take"]) == (102, 2)
    first = made.folder / result["takes"][0]["file"]
    assert first.read_bytes() == (made.server.folder / "1_101.mp4").read_bytes(), "what was rendered is kept"
    assert renderer is not None
    assert sorted(renderer.rendered) == [1, 2]
    assert "Tom 0.50, expected 0.85" in capsys.readouterr().err


def test_what_never_passes_keeps_its_best_take(run: Callable[..., Run], capsys: pytest.CaptureFixture[str]) -> None:
    made = run({1: [0.5, 0.8, 0.6], 2: [0.95]})
    renderer = made.go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 102, 103]
    assert made.is_take_of(1, 102)
    result = made.result(1)
    assert [take["score"] for take in result["takes"]] == [0.5, 0.8, 0.6]
    assert [take["kept"] for take in result["takes"]] == [False, True, False]
    assert result["continuity"]["level"] == "fail"
    assert renderer is not None
    assert renderer.failed == {}
    assert "take 2 of 3, below the threshold: Tom 0.80" in capsys.readouterr().err


@pytest.mark.parametrize(("takes", "when_below"), [(1, "render again"), (3, "only report")])
def test_the_gate_can_be_switched_off(run: Callable[..., Run], takes: int, when_below: str) -> None:
    made = run({1: [0.5], 2: [0.95]}, takes, when_below=when_below)
    made.go()
    assert len(made.server.seeds) == 2
    assert made.result(1)["continuity"]["level"] == "fail"
    assert made.is_take_of(1, 101)


def test_an_earlier_take_is_better_than_none(run: Callable[..., Run]) -> None:
    made = run({1: [0.5, Outcome("error", "node 3 (KSampler): no")], 2: [0.95]})
    renderer = made.go()
    assert renderer is not None
    assert renderer.failed == {}
    assert made.is_take_of(1, 101)


def test_a_later_segment_is_held_against_the_first_accepted_one(run: Callable[..., Run]) -> None:
    made = run({1: [0.95], 2: [0.95, 0.95]})
    tom, ida = (
        AppearanceModel().measure_reference(film(who).frames[0], film(who).masks[0]).to_dict() for who in ("tom", "ida")
    )
    made.server.looks = {1: tom, 2: ida}
    made.server.scores[2] = [0.95, 0.95, 0.95]
    made.go()
    takes = made.result(2)["takes"]
    assert len(takes) == 3, "it is like its reference, and unlike segment 1"
    assert all(take["score"] < 0.85 for take in takes)
    scores = json.loads((made.folder / made.result(2)["continuity"]["file"]).read_text())["scores"]
    assert set(scores["subjects"][0]["against"]) == {"reference", "first segment"}


def test_nobody_is_held_against_a_segment_that_fell_short_while_another_has_passed(run: Callable[..., Run]) -> None:
    made = run({1: [0.5, 0.5, 0.5], 2: [0.95]})
    tom, ida = (
        AppearanceModel().measure_reference(film(who).frames[0], film(who).masks[0]).to_dict() for who in ("tom", "ida")
    )
    made.server.looks = {1: ida, 2: tom}
    made.go()
    with RunDirectory(made.folder, "Field") as directory:
        gate = TakeSelector(directory, made.story, 3)
        assert gate._first_accepted(3, "character tom")[0] == 2  # type: ignore[index]
        assert gate._first_accepted(2, "character tom")[0] == 1, "better than nothing"  # type: ignore[index]


@pytest.mark.parametrize("takes", [1, 2])
def test_fewer_takes_than_before_are_enough_when_it_carries_on(run: Callable[..., Run], takes: int) -> None:
    made = run({1: [0.5, 0.8, 0.6], 2: [0.95]})
    made.go(kill_after="segment-take", count=1 if takes == 1 else 2)
    made.takes = takes
    made.go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 102][:takes]
    assert made.is_take_of(1, 101 if takes == 1 else 102)


def test_who_asks_for_takes() -> None:
    assert asks_for_takes(watched_graph(when_below="render again"))
    assert asks_for_takes(watched_graph())
    assert not asks_for_takes(watched_graph(when_below="only report"))
    assert not asks_for_takes(segment_graph(STORY))


@pytest.mark.parametrize(
    ("nodes", "gated", "score"),
    [
        ([(0.4, "only report"), (0.5, "render again")], True, 0.5),
        ([(0.4, "only report"), (0.9, "render again")], False, 0.4),
        ([(0.6, "render again"), (0.5, "render again")], True, 0.5),
    ],
)
def test_of_two_nodes_the_one_counts_that_asks_for_another_take(
    nodes: list[tuple[float, str]], gated: bool, score: float
) -> None:
    outputs = {
        str(place): {
            "videogen": [
                {
                    "continuity": {
                        "scores": make_score(value).to_dict(),
                        "thresholds": to_plain(Thresholds()),
                        "when_below": when_below,
                    }
                }
            ]
        }
        for place, (value, when_below) in enumerate(nodes)
    }
    measured = read_measured(Outcome("success", outputs=outputs))
    assert measured is not None
    assert (measured.gated, measured.score.subjects[0].mean) == (gated, score)


@pytest.mark.parametrize(
    ("event", "count"),
    [
        ("segment-submitted", 1),
        ("segment-fetched", 1),
        ("segment-take", 1),
        ("segment-submitted", 2),
        ("segment-fetched", 2),
        ("segment-take", 2),
        ("segment-take", 3),
        ("segment-verified", 1),
        ("segment-done", 1),
    ],
)
def test_killed_anywhere_it_goes_on(run: Callable[..., Run], event: str, count: int) -> None:
    made = run({1: [0.5, 0.8, 0.6], 2: [0.95]})
    made.go(kill_after=event, count=count)
    made.go()
    assert sorted(made.server.seeds) == [(1, 101), (1, 102), (1, 103), (2, 102)], "nothing is rendered twice"
    assert made.is_take_of(1, 102)
    assert [take["score"] for take in made.result(1)["takes"]] == [0.5, 0.8, 0.6]
    assert np.all([event["event"] != "runner-error" for event in made.events])


# ------------------------------------------------------------------ what the runner makes of the node and the option


def watched_graph(**widgets: Any) -> Graph:
    graph = segment_graph(STORY)
    graph["5"] = {"class_type": "VideoGenContinuity", "inputs": {"images": ["3", 0], "segment": ["2", 0], **widgets}}
    return graph


def make_key(graph: Graph, images: dict[str, str] | None = None) -> str:
    maker = JobMaker(
        graph,
        None,
        parse_story(STORY, "test"),
        STORY,
        bindings=[],
        settings=[],
        quality=None,
        object_info={},
        hash_input=lambda name: (images or {}).get(name, ""),
    )
    return maker.key(1)


def test_a_threshold_does_not_make_other_frames_and_an_image_makes_other_scores() -> None:
    lax, strict = watched_graph(threshold=0.5, when_below="only report"), watched_graph(threshold=0.9)
    assert make_key(lax) == make_key(strict)
    assert make_key(lax) != make_key(lax, {"videogen/field/tom.png": "1234"})


def test_the_node_does_without_images() -> None:
    (reader,) = find_readers(watched_graph())
    (need,) = find_needs(plan_segment(parse_story(STORY, "test"), 1), [reader])
    assert (need.name, need.required) == ("videogen/field/tom.png", False)


def test_the_option() -> None:
    parse = build_parser().parse_args
    assert parse(["run"]).takes == 3
    assert parse(["run", "--takes", "1"]).takes == 1
    for wrong in ("0", "7", "x", "-1"):
        with pytest.raises(SystemExit):
            parse(["run", f"--takes={wrong}"])
