"""The threads of a server: what goes wrong in one of them ends the run, it does not leave it hanging."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from runner.comfyui.outcome import Outcome
from runner.rendering.failures import Failure
from runner.rendering.results import SegmentResults
from runner.rendering.run_log import RunLog
from runner.rendering.scheduler import Scheduler, Task
from runner.rendering.takes.selector import TakeSelector
from runner.rendering.worker import Worker
from runner.state.run_directory import RunDirectory
from runner.state.segment_state import InvalidTransitionError
from tests.support.journal_events import done, fetched, running, submitted, take, verified
from tests.support.stories import small_story


class Log:
    """A run log that only keeps internal errors; the file of every prompt cannot be fetched."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.crashes: list[Exception] = []

    def note_fetched(self, task: Task, size: int) -> None:
        raise VideoGenError("output-missing", "it is not there any more")

    def note_failure(self, *arguments: Any) -> None:
        if self.error is not None:
            raise self.error

    def note_crash(self, error: Exception) -> None:
        self.crashes.append(error)


def collect(folder: Path, log: Log, accept_best_take: Callable[[Task], bool]) -> tuple[Scheduler, Task]:
    """What a server's second thread does with the outputs of a prompt that has failed too often."""
    scheduler = Scheduler([Task(1, "k")], [])
    scheduler.add_server("one")
    task = scheduler.take("one")
    assert task is not None
    task.failures[Failure.OUTPUT_BROKEN] = 5
    attempts = SimpleNamespace(segments_folder=folder, prompt_id=lambda task: "an id")
    server = SimpleNamespace(name="one", session=SimpleNamespace(client=None))
    results = SimpleNamespace(rendered=[1], accept_best_take=accept_best_take)
    job = SimpleNamespace(plan=SimpleNamespace(file_stem="segment_01", size=(320, 180), frames=8), output_node="")
    parts: list[Any] = [server, scheduler, attempts, results, log, SimpleNamespace(retries=0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runner.rendering.worker.fetch_outputs", lambda *_: SimpleNamespace(bytes=5))
        patch.setattr("runner.rendering.worker.require_all_pictures", lambda *_: None)
        Worker(*parts)._collect(task, cast(Any, job), Outcome("success"), {})
    return scheduler, task


def test_an_internal_error_after_a_failed_download_stops_the_run(tmp_path: Path) -> None:
    log = Log(InvalidTransitionError("attempt-failed cannot follow"))
    collect(tmp_path, log, lambda task: False)
    assert log.crashes == [log.error]


def test_a_take_that_cannot_be_placed_stops_the_run(tmp_path: Path) -> None:
    def fail(task: Task) -> bool:
        raise VideoGenError("path-invalid", "it cannot be written")

    log = Log()
    scheduler, task = collect(tmp_path, log, fail)
    assert log.crashes == []
    assert scheduler.error is not None
    assert scheduler.error.code == "path-invalid"
    assert scheduler.is_waiting(task)


@pytest.mark.parametrize("way", [["verified"], ["verified", "done"]], ids=["verified", "done"])
def test_takes_of_a_file_that_was_lost_do_not_count(tmp_path: Path, way: list[str]) -> None:
    """Not even while its segment was not submitted again, because its server cannot be reached."""
    story = parse_story(small_story("A Tree"), "test")
    with RunDirectory(tmp_path, story.title) as directory:
        journal = directory.journal
        for event in (submitted(1), running(1), fetched(1), take(1), verified(1), done(1))[: 4 + len(way)]:
            journal.append(event)
        log = RunLog(journal)
        results = SegmentResults(directory, log, TakeSelector(directory, story, 3))
        assert not results.accept_best_take(Task(1, "k"))
        assert journal.segment(1).state == way[-1]
        results.give_up(Task(1, "k"), VideoGenError("server-unreachable", "it is gone"))
        assert journal.segment(1).state == "failed"
