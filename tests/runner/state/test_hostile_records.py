"""Files of a run directory from somebody else: too large, too deep, with numbers that are none. Reported, or said why not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.cli import main
from runner.reports.report import MAX_NOTES, MAX_RUNS, MAX_TRIES
from runner.state.record_files import MAX_JOURNAL, MAX_LINE, MAX_RECORD, parse_json, read_json

KEPT = sorted(Path(__file__).with_name("kept_runs").rglob("journal.jsonl"))[0].parent
RUN = {"event": "run-started", "time": 1.0, "run_id": "a", "server": "s", "todo": [1], "kept": 0}
NOTE = {"event": "server-left", "time": 1.0, "server": "s", "message": "m" * 10_000}
FAILED = {"event": "attempt-failed", "time": 1.0, "segment": 1, "key": "k", "attempt": 0, "failure": "node-error"}
DEEP = "[" * 100_000

Change = Callable[[Path], Any]


def append(*lines: str | dict[str, Any]) -> Change:
    def change(folder: Path) -> None:
        with (folder / "journal.jsonl").open("a") as journal:
            journal.writelines((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)

    return change


def write(name: str, text: str) -> Change:
    return lambda folder: (folder / name).write_text(text)


def grow(name: str, size: int) -> Change:
    """A file of zeros that takes no space on the disk."""

    def change(folder: Path) -> None:
        (folder / name).touch()
        os.truncate(folder / name, size)

    return change


REFUSED: dict[str, tuple[Change, str]] = {
    "a journal of 5 GB": (grow("journal.jsonl", 5_000_000_000), f"at most {MAX_JOURNAL:,} are read"),
    "a record of 5 GB": (grow("run.json", 5_000_000_000), f"more than {MAX_RECORD:,} bytes"),
    "a line of 9 MB": (append(json.dumps({"event": "x", "a": "b" * 9_000_000})), f"more than {MAX_LINE:,} bytes"),
    "a deep record": (write("run.json", DEEP), "nested too deeply"),
    "a deep line": (append('{"event":"x","a":' + DEEP), "is not an event"),
    "a time that is far away": (append({**RUN, "time": 1e300}), "expected seconds since 1970"),
    "a time before all times": (append({**RUN, "time": -1e15}), "expected seconds since 1970"),
    "a time of many digits": (append('{"event":"x","time":' + "9" * 5_000 + "}"), "is not an event"),
}
REPORTED: dict[str, Change] = {
    "no time": append(json.dumps({**RUN, "time": float("nan")})),
    "an endless time": append('{"event":"run-started","time":1e999,"todo":[1],"kept":0}'),
    "deep thumbnails": write("thumbnails.json", DEEP),
    "deep references": write("references.json", DEEP),
    "thumbnails of 5 GB": grow("thumbnails.json", 5_000_000_000),
    "references of 5 GB": grow("references.json", 5_000_000_000),
    "many runs": append(*[RUN] * 5_000),
    "many notes": append(*[NOTE] * 3_000),
    "many attempts": append(*[{**FAILED, "remedy": "again", "message": "m" * 10_000}] * 3_000),
    "a segment of 50 GB": grow("segments/segment_01.mp4", 50_000_000_000),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(KEPT, tmp_path / "run")
    (tmp_path / "run" / "segments").mkdir(exist_ok=True)
    return tmp_path / "run"


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, said = REFUSED[name]
    change(folder)
    assert main(["report", str(folder)]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", REPORTED)
def test_a_report_is_made_of_the_rest_and_stays_small(name: str, folder: Path) -> None:
    REPORTED[name](folder)
    assert main(["report", str(folder)]) == 0
    report = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    assert len(report["runs"]) <= MAX_RUNS
    assert len(report["notes"]) <= MAX_NOTES
    assert all(len(segment[part]) <= MAX_TRIES for segment in report["segments"] for part in ("tries", "failures"))
    assert sum((folder / file).stat().st_size for file in ("report.json", "report.html")) < 10_000_000


def test_numbers_that_are_none_are_none() -> None:
    assert parse_json(b'[NaN, -Infinity, 1e999, 1.5, 7, "NaN"]') == [None, None, None, 1.5, 7, "NaN"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    (tmp_path / "run.json").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic"):
        read_json(tmp_path / "run.json")
