"""What the options of `videogen run` come to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from runner.cli import main
from runner.commands import run as run_command
from runner.run.request import RunRequest, RunResult
from runner.state.progress import Display
from runner.state.run_directory import RunDirectory
from tests.support.journal_events import finish
from tests.support.stories import segment_graph, small_story

Ask = Callable[..., RunRequest]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ask:
    """Run a command as far as its request, in a folder with story.json and workflow.json."""
    (tmp_path / "story.json").write_text(json.dumps(small_story("My Film", segments=9)))
    (tmp_path / "workflow.json").write_text(json.dumps(segment_graph("")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VIDEOGEN_HEADER", raising=False)

    def call(*arguments: str) -> RunRequest:
        asked: list[RunRequest] = []

        def run_story(request: RunRequest, display: Display) -> RunResult:
            asked.append(request)
            with RunDirectory(request.out, request.loaded.story.title) as directory:
                (directory.segments / "segment_01.mp4").write_bytes(b"clip")
                finish(directory.journal, 1, file="segments/segment_01.mp4")
            return RunResult(request.out, (), (), {}, None)

        monkeypatch.setattr(run_command, "run_story", run_story)
        assert main(["run", "--workflow", "workflow.json", *arguments]) == 0
        return asked[0]

    return call


def test_a_run_of_a_story(ask: Ask) -> None:
    request = ask("story.json")
    assert (request.loaded.story.title, len(request.loaded.story.segments)) == ("My Film", 9)
    assert request.out == Path("runs/my_film")
    assert (request.servers, request.selection, request.quality, request.fresh, request.film) == (
        (),
        None,
        None,
        False,
        True,
    )
    assert request.retries == 2


def test_options_are_handed_on(ask: Ask) -> None:
    request = ask(
        "story.json",
        "--out",
        "there",
        "--segments",
        "1,4,8-9",
        "--retries",
        "0",
        "--fresh",
        "--no-film",
        "--set",
        "3.cfg=5",
        "--set",
        "3.steps=2",
        "--bind",
        "seed=3.seed",
        "--stall",
        "30",
        "--strict",
    )
    assert request.out == Path("there")
    assert request.selection == (1, 4, 8, 9)
    assert (request.retries, request.fresh, request.film, request.strict, request.stall) == (0, True, False, True, 30)
    assert (request.settings, request.bindings) == (["3.cfg=5", "3.steps=2"], ["seed=3.seed"])


def test_another_quality_is_that_of_the_story_too(ask: Ask) -> None:
    request = ask("story.json", "--quality", "premium")
    assert (request.loaded.story.quality, request.loaded.data["quality"], request.quality) == ("premium",) * 3


def test_the_same_server_counts_once_however_it_is_written(ask: Ask) -> None:
    request = ask("story.json", *(f"--server={url}" for url in ("host:8188", "http://host:8188/", "http://other")))
    assert request.servers == ("http://host:8188", "http://other")


def test_headers_come_from_the_command_line_and_from_the_environment(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOGEN_HEADER", "Authorization: Bearer abc\n\nX-Team: film")
    request = ask("story.json", "--server", "http://host", "--header", "X-Team: other")
    assert request.headers == {"Authorization": "Bearer abc", "X-Team": "other"}


# ------------------------------------------------------------------ where the story comes from


def test_a_workflow_can_bring_its_story_along(ask: Ask, tmp_path: Path) -> None:
    story = small_story("In the Workflow")
    (tmp_path / "workflow.json").write_text(json.dumps(segment_graph(story)))
    request = ask()
    assert request.loaded.story.title == "In the Workflow"
    assert parse_story(request.loaded.data) == request.loaded.story


def test_a_story_that_is_named_comes_before_the_workflow_s(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(json.dumps(segment_graph(small_story("In the Workflow"))))
    assert ask("story.json").loaded.story.title == "My Film"


def test_notes_in_the_workflow_s_story_are_left_out(ask: Ask, tmp_path: Path) -> None:
    """YAML makes a date of one, which the server could not be sent."""
    (tmp_path / "workflow.json").write_text(json.dumps(segment_graph("- prompt: a tree\n  x-shot-on: 2025-06-01")))
    assert json.loads(json.dumps(ask().loaded.data))["segments"] == [{"prompt": "a tree"}]


def test_a_plain_list_in_the_workflow_is_named_after_it(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "workflow.json").write_text(json.dumps(segment_graph('[{"prompt": "a tree"}]')))
    assert "workflow" in ask().loaded.story.title


# ------------------------------------------------------------------ a single clip


def test_a_clip_is_a_story_of_one_segment(ask: Ask, tmp_path: Path) -> None:
    request = ask(
        "--prompt",
        "a tree",
        "--seed",
        "1001",
        "--frames",
        "12",
        "--fps",
        "24000/1001",
        "--size",
        "640x360",
        "--output",
        "clips/tree.mp4",
    )
    (segment,) = request.loaded.story.segments
    assert (segment.prompt, segment.seed, segment.frames) == ("a tree", 1001, 12)
    assert (request.loaded.story.size, str(request.loaded.story.fps)) == ((640, 360), "24000/1001")
    assert not request.film
    assert request.out == Path("runs/clip_tree")
    assert (tmp_path / "clips" / "tree.mp4").read_bytes() == b"clip"


def test_a_clip_has_defaults(ask: Ask, tmp_path: Path) -> None:
    request = ask("--prompt", "a tree")
    assert (request.loaded.story.size, request.loaded.story.fps, request.loaded.story.segments[0].frames) == (
        (1920, 1080),
        3,
        24,
    )
    assert (tmp_path / "clip.mp4").exists()


def test_clips_of_different_names_do_not_share_a_folder(ask: Ask) -> None:
    assert ask("--prompt", "a", "--output", "a.mp4").out != ask("--prompt", "a", "--output", "b.mp4").out


def test_with_json_nothing_else_is_written_to_standard_output(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    ask("--prompt", "a tree", "--json")
    assert [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")] == []


# ------------------------------------------------------------------ how it ends


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VideoGenError("server-unreachable", "http://host cannot be reached"), 3),
        (VideoGenError("workflow-invalid", "film.json does not fit"), 2),
        (VideoGenError("render-interrupted", "somebody interrupted it"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=["no server", "bad input", "failed", "Ctrl-C"],
)
def test_the_exit_status_says_how_it_ended(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, status: int
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(run_command, "run_story", fail)
    assert main(["run", "story.json", "--workflow", "workflow.json"]) == status
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert said.startswith("videogen: ")


def test_failed_segments_are_named_with_status_1(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failed = {2: VideoGenError("render-failed", "node 3 (KSampler): oh")}
    monkeypatch.setattr(run_command, "run_story", lambda *_: RunResult(tmp_path, (1,), (), failed, None))
    assert main(["run", "story.json", "--workflow", "workflow.json"]) == 1
    said = capsys.readouterr().err
    assert "Segment 2 failed: node 3 (KSampler): oh" in said
    assert "1 segments rendered, 0 kept, 1 failed" in said


def test_the_workflows_that_segments_name_are_read_before_anything_starts(
    ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = small_story("My Film", segments=3)
    story["segments"][1]["workflow"] = "rain.json"
    (tmp_path / "story.json").write_text(json.dumps(story))
    assert main(["run", "story.json", "--workflow", "workflow.json"]) == 2
    assert "segments[2].workflow: there is no workflow 'rain.json'" in capsys.readouterr().err
    (tmp_path / "rain.json").write_text(json.dumps(segment_graph("")))
    request = ask("story.json")
    assert {number: workflow.path.name for number, workflow in request.own.items()} == {2: "rain.json"}
    assert [(use.numbers, use.is_own) for use in request.uses] == [((1, 3), False), ((2,), True)]
