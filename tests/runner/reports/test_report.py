"""report.json: what is told about a run, and what is not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from custom_nodes.videogen.core.redaction import HIDDEN, SECRETS, hide_in_arguments
from custom_nodes.videogen.core.story.parser import parse_story
from runner.rendering.film import film_inputs
from runner.reports.report import build_report, report_directory, write_report
from runner.run.run_outputs import write_run_report
from runner.state.event import Event
from runner.state.events import RunInterrupted, SegmentFailed
from runner.state.journal import Journal, read_history
from runner.state.progress import Display
from runner.state.run_directory import RunDirectory
from tests.support import journal_events
from tests.support.journal_events import attempt_failed, film_done, run_finished, run_started, submitted
from tests.support.stories import small_story

STORY = small_story("A Tree", segments=4)
SERVERS = ("http://one:8188", "http://two:8188")


def submit(
    journal: Journal, number: int, attempt: int = 0, *, key: str = "", server: str = SERVERS[0], **more: Any
) -> None:
    journal.append(submitted(number, key or f"key {number}", attempt, server=server, **more))


def fail(journal: Journal, number: int, failure: str, remedy: str, message: str = "it broke", attempt: int = 0) -> None:
    key = journal.segment(number).key or f"key {number}"
    journal.append(attempt_failed(number, failure, remedy, message, attempt=attempt, key=key))


def finish(journal: Journal, number: int, *, executed: float = 10.0, server: str = SERVERS[0], **more: Any) -> None:
    result = {
        "key": f"key {number}",
        "file": f"segments/segment_{number:02d}.mp4",
        "bytes": 1000,
        "sha256": f"{number:064d}",
        "frames": 12,
        "fps": "24",
        "size": [320, 180],
        "seed": 100 + number,
        "rendered_size": [320, 180],
        "degraded": False,
        "server": server,
        "encoder": "libx264",
        "seconds": {"queued": 1.0, "executed": executed, "transferred": 0.5, "verified": 0.25},
        **more,
    }
    journal_events.finish(journal, number, **result)


def give_up(journal: Journal, number: int, message: str = "it broke") -> None:
    failure = {"key": f"key {number}", "code": "render-failed", "message": message, "hint": "Look."}
    journal.append(SegmentFailed(segment=number, **failure))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.jsonl")
    yield opened
    opened.close()


def report_of(journal: Journal, **run: Any) -> dict[str, Any]:
    return build_report({"story": STORY, **run}, journal, parse_story(STORY, "test"))


def test_every_attempt_is_told_with_its_seed_its_size_and_what_was_done_about_it(journal: Journal) -> None:
    submit(journal, 2)
    fail(journal, 2, "out of memory", "one step down in resolution")
    submit(journal, 2, 1, size=[160, 88])
    fail(journal, 2, "node error", "again with the next seed", attempt=1)
    submit(journal, 2, 2, seed_offset=1, size=[160, 88])
    finish(journal, 2, seed=103, rendered_size=[160, 88], degraded=True)

    segment = report_of(journal)["segments"][1]

    told = [(t["outcome"], t["failure"], t["remedy"], t["seed"], t["size"]) for t in segment["tries"]]
    assert told == [
        ("failed", "out of memory", "one step down in resolution", 102, [320, 180]),
        ("failed", "node error", "again with the next seed", 102, [160, 88]),
        ("done", None, None, 103, [160, 88]),
    ]
    assert segment["attempts"] == 3
    assert (segment["seed"], segment["planned_seed"]) == (103, 102)


def test_a_prompt_that_a_new_runner_takes_up_again_is_one_attempt(journal: Journal) -> None:
    submit(journal, 1)
    submit(journal, 1)
    finish(journal, 1)
    (attempt,) = report_of(journal)["segments"][0]["tries"]
    assert (attempt["outcome"], attempt["resumed"]) == ("done", 1)


def test_the_same_prompt_after_its_server_was_gone_is_a_second_attempt(journal: Journal) -> None:
    submit(journal, 1)
    fail(journal, 1, "server gone", "back into the queue, and the server is looked after")
    submit(journal, 1, server=SERVERS[1])
    finish(journal, 1, server=SERVERS[1])
    tries = report_of(journal)["segments"][0]["tries"]
    assert [(t["outcome"], t["server"]) for t in tries] == [("failed", SERVERS[0]), ("done", SERVERS[1])]


def test_what_failed_before_it_was_submitted_is_told_too(journal: Journal) -> None:
    fail(journal, 3, "fatal", "given up", "it continues segment 2, which is not rendered")
    give_up(journal, 3)
    (attempt,) = report_of(journal)["segments"][2]["tries"]
    assert (attempt["server"], attempt["seed"], attempt["failure"]) == (None, None, "fatal")


def test_attempts_at_a_prompt_that_was_changed_since_are_forgotten(journal: Journal) -> None:
    submit(journal, 1, key="before")
    fail(journal, 1, "node error", "given up")
    submit(journal, 1, key="key 1")
    finish(journal, 1)
    assert [t["outcome"] for t in report_of(journal)["segments"][0]["tries"]] == ["done"]


def test_totals_tell_compromises_and_what_is_missing(journal: Journal) -> None:
    submit(journal, 1)
    finish(journal, 1, executed=2.0)
    submit(journal, 2)
    finish(journal, 2, executed=3.0, server=SERVERS[1], degraded=True, seed=999)
    submit(journal, 3)
    give_up(journal, 3)
    report = report_of(journal)
    totals = report["totals"]
    assert (totals["failed"], totals["missing"]) == ([3], [4])
    assert (totals["degraded"], totals["other_seed"]) == ([2], [2])
    assert (totals["executed"], totals["transferred"], totals["bytes"]) == (5.0, 1.0, 2000)
    assert report["servers"] == [
        {"name": SERVERS[0], "segments": 1, "executed": 2.0},
        {"name": SERVERS[1], "segments": 1, "executed": 3.0},
    ]


def test_scores_and_telemetry_are_taken_over_where_they_are(journal: Journal) -> None:
    finish(journal, 1, scores={"subject": 0.9}, vram={"peak": 7e9}, temperature=71)
    finish(journal, 2)
    first, second, *_ = report_of(journal)["segments"]
    assert (first["scores"], first["vram"], first["temperature"]) == ({"subject": 0.9}, {"peak": 7e9}, 71)
    assert not {"scores", "vram", "temperature"} & set(second)


@pytest.mark.parametrize(
    ("events", "ends"),
    [
        ([run_started(), run_finished()], ["finished"]),
        ([run_started(), RunInterrupted()], ["interrupted"]),
        ([run_started(), run_started(), run_finished()], ["stopped", "finished"]),
        ([run_started()], [None]),
        ([run_started(), run_finished(), run_finished()], ["finished"]),
    ],
)
def test_how_runs_ended(journal: Journal, events: list[Event], ends: list[str | None]) -> None:
    """A run that has nothing to do only says that it finished, and is not told."""
    for event in events:
        journal.append(event)
    assert [run["end"] for run in read_history(journal.path).runs] == ends


def test_a_film_that_was_made_of_other_files_is_not_current(journal: Journal) -> None:
    story = parse_story(STORY, "test")
    finish(journal, 1)
    journal.append(film_done(film_inputs(story, journal.segments)))
    assert report_of(journal)["film"]["current"]
    finish(journal, 2)
    assert not report_of(journal)["film"]["current"]


def test_a_line_that_is_just_being_written_is_left_out(journal: Journal) -> None:
    submit(journal, 1)
    with journal.path.open("ab") as file:
        file.write(b'{"event":"segment-do')
    assert len(read_history(journal.path).tries[1]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--header", "Authorization: Bearer s3cret"],
        ["--header=Authorization: Bearer s3cret"],
        ["--head", "X-Key:s3cret"],
        ["--header", "s3cret"],
        ["--set", "5.api_key=s3cret"],
        ["--set", "Uploader.token=s3cret and more"],
        ["--set=5.password=s3cret"],
    ],
)
def test_secrets_are_hidden_in_the_command(arguments: list[str]) -> None:
    hidden = hide_in_arguments(["run", *arguments, "--out", "x"])
    assert "s3cret" not in " ".join(hidden)
    assert HIDDEN in " ".join(hidden)
    assert (hidden[0], hidden[-2:]) == ("run", ["--out", "x"])


def test_what_gives_access_in_a_servers_address_of_an_older_journal_is_hidden(tmp_path: Path) -> None:
    secret = "b7C1x9Zq44kdW0"
    server = f"https://host/{secret}/comfy"
    report = {"runs": [{"server": server}], "segments": [{"attempts": [{"server": server, "message": f"of {server}"}]}]}
    with contextlib.suppress(KeyError):  # the page wants more of a report; the data are written first
        write_report(tmp_path, report)
    SECRETS.clear()
    written = (tmp_path / "report.json").read_text()
    assert secret not in written
    assert written.count("https://host/***/comfy") == 3


def test_everything_else_in_the_command_stays() -> None:
    arguments = [
        "run",
        "story.json",
        "--prompt",
        "token=abc",
        "--set",
        "3.max_tokens=4",
        "--set",
        "7.keyframe=2",
        "--he",
        "x",
    ]
    assert hide_in_arguments(arguments) == arguments


def test_a_header_that_an_older_run_wrote_down_is_not_told(journal: Journal) -> None:
    report = report_of(
        journal, command="videogen run --header 'Authorization: Bearer s3cret'", settings={"set": ["5.api_key=s3cret"]}
    )
    assert "s3cret" not in json.dumps(report)
    assert report["command"].startswith("videogen run --header 'Authorization: ")


def test_a_directory_is_reported_without_its_lock(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"story": STORY, "title": "A Tree"}))
    Journal(tmp_path / "journal.jsonl").close()
    (tmp_path / "runner.lock").write_text("{}")
    assert report_directory(tmp_path)["count"] == 4


def test_a_mistake_in_the_report_does_not_take_the_run_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with RunDirectory(tmp_path / "run", "A Tree") as directory:
        display = SimpleNamespace(say=said.append, event=lambda record: None)

        def fail(path: Path, journal: Journal) -> None:
            raise ZeroDivisionError("no segments")

        monkeypatch.setattr("runner.run.run_outputs.report_run", fail)
        write_run_report(directory, cast(Display, display))
        assert directory.journal.latest["runner-error"]["message"] == "ZeroDivisionError: no segments"
    assert said == ["The report could not be written: ZeroDivisionError: no segments"]
