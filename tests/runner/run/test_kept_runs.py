"""Run directories of the version before the rooms (0.1.0, ComfyUI 0.3.75): they are resumed, and nothing is rendered again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import DiskFullError, VideoGenError
from runner.cli import main
from runner.comfyui.installation import Installation
from runner.rendering.attempts import Attempts
from runner.rendering.jobs import JobMaker
from runner.rendering.run_log import RunLog
from runner.run import execution
from runner.run.server_connections import ServerConnections
from runner.state.run_directory import RunDirectory
from tests.support.journal_events import submitted

KEPT_RUNS = Path(__file__).parents[1] / "state" / "kept_runs"
#: The story of each run, and what else was on its command line.
COMMANDS = {
    "finished": ("story.json", []),
    "killed": ("story.json", []),
    "takes": ("takes_story.json", ["--takes", "2"]),
}


@pytest.fixture
def pending(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[int] | None]:
    """What runs find to be rendered; no server is ever started."""
    installation = Installation(tmp_path / "comfyui", tmp_path / "python", (), "0.3.75")
    monkeypatch.setattr("runner.run.server_connections.find_installation", lambda: installation)

    def refuse(self: ServerConnections) -> Any:
        raise VideoGenError("not-installed", "a server was to be started")

    monkeypatch.setattr(ServerConnections, "connect", refuse)
    found: list[list[int] | None] = []
    find_pending_offline = execution.find_pending_offline

    def note(*arguments: Any) -> list[int] | None:
        found.append(find_pending_offline(*arguments))
        return found[-1]

    monkeypatch.setattr(execution, "find_pending_offline", note)
    return found


def resume(name: str, folder: Path) -> int:
    """Copy a kept run, and run its command again in the copy."""
    shutil.copytree(KEPT_RUNS, folder / "films")
    story, more = COMMANDS[name]
    directory = folder / "films" / name
    # The workflow as it was: that of today may have other nodes in it.
    workflow = folder / "workflow.json"
    workflow.write_text(json.dumps(json.loads((directory / "run.json").read_text("utf-8"))["workflow"]["graph"]))
    command = ["run", str(folder / "films" / story), "--workflow", str(workflow), "--out", str(directory)]
    return main([*command, *more])


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every video below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.mp4")
    }


@pytest.mark.parametrize("name", ["finished", "takes"])
def test_a_finished_run_has_nothing_to_render(
    name: str, pending: list[list[int] | None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resume(name, tmp_path) == 0
    assert pending == [[]]
    said = capsys.readouterr()
    assert "segments are done already" in said.err
    assert "The film is up to date" in said.err
    assert hashes(tmp_path / "films" / name) == hashes(KEPT_RUNS / name)
    report = json.loads((tmp_path / "films" / name / "report.json").read_text("utf-8"))
    assert report["done"] == report["count"]


def test_a_film_that_cannot_be_made_leaves_a_report_and_an_end(
    pending: list[list[int] | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise DiskFullError("no space is left for film.mp4")

    monkeypatch.setattr("runner.run.run_outputs.update_film", refuse)
    assert resume("finished", tmp_path) == 1
    directory = tmp_path / "films" / "finished"
    last = json.loads((directory / "journal.jsonl").read_text("utf-8").splitlines()[-1])
    assert (last["event"], last["kept"], last["status"]) == ("run-finished", 3, 1)
    assert json.loads((directory / "report.json").read_text("utf-8"))["last_run"]["status"] == 1


def test_a_killed_run_lacks_what_was_not_finished(pending: list[list[int] | None], tmp_path: Path) -> None:
    assert resume("killed", tmp_path) == 3, "it wants a server"
    assert pending == [[2, 3]]
    assert hashes(tmp_path / "films" / "killed") == hashes(KEPT_RUNS / "killed")


def test_a_changed_prompt_is_still_noticed(pending: list[list[int] | None], tmp_path: Path) -> None:
    shutil.copytree(KEPT_RUNS, tmp_path / "before")
    story = json.loads((tmp_path / "before" / "story.json").read_text("utf-8"))
    story["segments"][1]["prompt"] += " It rains."
    directory = tmp_path / "before" / "finished"
    workflow = tmp_path / "workflow.json"
    workflow.write_text(json.dumps(json.loads((directory / "run.json").read_text("utf-8"))["workflow"]["graph"]))
    (tmp_path / "before" / "story.json").write_text(json.dumps(story), "utf-8")
    command = ["run", str(tmp_path / "before" / "story.json"), "--workflow", str(workflow), "--out", str(directory)]
    assert main(command) == 3
    assert pending == [[2]]


def events_of(directory: Path, name: str) -> list[dict[str, Any]]:
    lines = map(json.loads, (directory / "journal.jsonl").read_text("utf-8").splitlines())
    return [line for line in lines if line["event"] == name]


def resume_again(name: str, folder: Path, graph: Any = None) -> int:
    """The same command once more, with another workflow perhaps."""
    if graph is not None:
        (folder / "workflow.json").write_text(json.dumps(graph))
    story, more = COMMANDS[name]
    directory = folder / "films" / name
    command = [
        "run",
        str(folder / "films" / story),
        "--workflow",
        str(folder / "workflow.json"),
        "--out",
        str(directory),
    ]
    return main([*command, *more])


def test_what_an_earlier_release_has_finished_gets_the_key_of_today_once(
    pending: list[list[int] | None], tmp_path: Path
) -> None:
    assert resume("finished", tmp_path) == 0
    directory = tmp_path / "films" / "finished"
    rekeyed = events_of(directory, "segment-rekeyed")
    assert [event["segment"] for event in rekeyed] == [1, 2, 3]
    assert resume_again("finished", tmp_path) == 0
    assert events_of(directory, "segment-rekeyed") == rekeyed
    assert pending == [[], []]


def test_a_prompt_of_an_earlier_release_is_found_under_its_id(pending: list[list[int] | None], tmp_path: Path) -> None:
    assert resume("killed", tmp_path) == 3, "it wants a server"
    directory = tmp_path / "films" / "killed"
    before = {event["segment"]: event["prompt_id"] for event in events_of(directory, "segment-submitted")}
    (rekeyed,) = [event for event in events_of(directory, "segment-rekeyed") if event["segment"] == 2]
    with RunDirectory(directory, json.loads((directory / "run.json").read_text("utf-8"))["title"]) as opened:
        maker = SimpleNamespace(source=lambda number: None, key=lambda number: rekeyed["key"])
        attempts = Attempts(cast(JobMaker, maker), opened, RunLog(opened.journal))
        task = attempts.make_task(2)
        assert task.may_be_on_server
        assert attempts.prompt_id(task) == before[2]
        assert task.key == rekeyed["key"] != rekeyed["former"]


def test_the_replaced_segment_comes_back_with_its_prompt(pending: list[list[int] | None], tmp_path: Path) -> None:
    """A film of an earlier release, one prompt changed and stopped, then changed back: nothing is left to render."""
    assert resume("finished", tmp_path) == 0
    directory = tmp_path / "films" / "finished"
    title = json.loads((directory / "run.json").read_text("utf-8"))["title"]
    with RunDirectory(directory, title) as opened:
        opened.journal.append(submitted(2, "the key of another prompt"))
    assert resume_again("finished", tmp_path) == 0
    assert pending == [[], []]
    assert len(events_of(directory, "segment-restored")) == 1
    assert hashes(directory) == hashes(KEPT_RUNS / "finished")
