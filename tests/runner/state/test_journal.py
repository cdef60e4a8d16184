"""The journal: append-only, and its replay is the state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.state.event import Event
from runner.state.events import FilmDone, RunFinished, RunnerError, ServerLeft
from runner.state.journal import Journal
from runner.state.run_directory import write_json_whole
from tests.support.disks import fill, mount_small_disk
from tests.support.journal_events import RESULT, done, failed, fetched, finish, running, submitted, verified

FINISHED = RunFinished(rendered=0, kept=0, failed=[], seconds=1.0, status=0)


def replay(path: Path, *events: Event) -> Journal:
    """Write events, and open the journal again."""
    journal = Journal(path)
    for event in events:
        journal.append(event)
    journal.close()
    return Journal(path, read_only=True)


def film_done(frames: int) -> FilmDone:
    return FilmDone(
        inputs=[],
        file="film.mp4",
        bytes=1,
        seconds=1.0,
        frames=frames,
        fps=24,
        size=[16, 16],
        copied=0,
        encoded=frames,
        encoder="libx264",
        missing=[],
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_an_event_is_one_line_with_its_time(path: Path) -> None:
    journal = Journal(path)
    record = journal.append(RunnerError(message="Äpfel\nund Birnen\r\n\u2028", trace=""))
    journal.close()
    assert record["time"] > 1e9
    (line,) = path.read_bytes().splitlines()
    assert json.loads(line) == record


def test_an_event_is_in_the_file_before_it_is_acted_on(path: Path) -> None:
    journal = Journal(path)
    journal.append(submitted(1))
    assert json.loads(path.read_text())["event"] == "segment-submitted"
    journal.close()


def test_nothing_has_happened_to_a_segment_that_is_not_in_it(path: Path) -> None:
    state = replay(path).segment(7)
    assert (state.state, state.key, state.attempts, state.result, state.error) == ("pending", "", 0, {}, {})


WAY = [submitted(1), running(1), fetched(1), verified(1), done(1)]


@pytest.mark.parametrize(
    ("events", "state"),
    [
        (WAY[:1], "submitted"),
        (WAY[:2], "running"),
        (WAY[:3], "fetched"),
        (WAY[:4], "verified"),
        (WAY, "done"),
        ([failed(1)], "failed"),
    ],
)
def test_the_last_event_says_where_a_segment_stands(path: Path, events: list[Event], state: str) -> None:
    journal = replay(path, *events)
    assert journal.segment(1).state == state
    assert journal.segment(2).state == "pending"


def test_an_event_of_another_version_changes_nothing(path: Path) -> None:
    replay(path, *WAY)
    with path.open("ab") as file:
        file.write(b'{"event":"segment-of-another-version","segment":1}\n')
    assert Journal(path, read_only=True).segment(1).state == "done"


def test_a_finished_segment_has_its_file(path: Path) -> None:
    state = replay(path, *WAY).segment(1)
    assert state.key == "k"
    assert {name: state.result[name] for name in RESULT} == RESULT


def test_submissions_of_one_key_are_counted_and_another_key_begins_anew(path: Path) -> None:
    state = replay(path, submitted(1, "a", 0), submitted(1, "a", 1)).segment(1)
    assert (state.attempts, state.attempt, state.submitted["attempt"]) == (2, 1, 1)
    state = replay(path, submitted(1, "b", 0)).segment(1)
    assert (state.key, state.attempts, state.attempt) == ("b", 1, 0)


def test_a_failed_segment_has_its_reason_until_it_is_done(path: Path) -> None:
    state = replay(path, failed(1)).segment(1)
    assert (state.state, state.error) == ("failed", {"code": "render-failed", "message": "node 3: oh", "hint": ""})
    assert replay(path, *WAY).segment(1).error == {}


def test_the_last_event_of_each_kind_is_at_hand(path: Path) -> None:
    journal = replay(path, film_done(1), film_done(2), FINISHED)
    assert journal.latest["film-done"]["frames"] == 2
    assert "run-started" not in journal.latest


# ------------------------------------------------------------------ journals after a crash


def test_a_last_line_that_a_crash_cut_off_is_forgotten(path: Path) -> None:
    replay(path, *WAY)
    with path.open("ab") as file:
        file.write(b'{"event":"segment-done","segment":2,"ke')
    assert Journal(path, read_only=True).segment(2).state == "pending"
    journal = replay(path, submitted(3), fetched(3), verified(3), done(3))
    assert [journal.segment(number).state for number in (1, 2, 3)] == ["done", "pending", "done"]


def test_reading_only_changes_nothing(path: Path) -> None:
    path.write_bytes(b'{"event":"run-started"}\n{"event":"to')
    before = path.read_bytes()
    Journal(path, read_only=True)
    assert path.read_bytes() == before


def test_reading_makes_no_journal(path: Path) -> None:
    assert Journal(path, read_only=True).latest == {}
    assert not path.exists()


@pytest.mark.parametrize("line", [b"garbage", b"[]", b"5", b"{}", b'{"event": 5}', b"\xff\xfe", b""])
def test_a_line_that_is_no_event_is_named_and_nothing_is_thrown_away(path: Path, line: bytes) -> None:
    path.write_bytes(b'{"event":"run-started"}\n' + line + b'\n{"event":"run-finished"}\n')
    before = path.read_bytes()
    with pytest.raises(VideoGenError, match=r"line 2 of .*journal\.jsonl is not an event") as caught:
        Journal(path)
    assert caught.value.code == "run-directory-invalid"
    assert "--fresh" in caught.value.hint
    assert path.read_bytes() == before


def test_a_folder_in_its_place_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(VideoGenError, match=r"journal\.jsonl") as caught:
        Journal(path)
    assert caught.value.code == "path-invalid"


def finish_many(journal: Journal) -> None:
    for number in range(2, 100):
        finish(journal, number, "k" * 200)


def test_a_full_disk_leaves_a_journal_that_can_be_read(tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "disk", 200) as disk:
        path = disk / "journal.jsonl"
        journal = Journal(path)
        finish(journal, 1)
        ballast = fill(disk)
        with pytest.raises(VideoGenError) as caught:
            finish_many(journal)
        assert caught.value.code == "disk-full"
        ballast.unlink()
        finish(journal, 1000)
        journal.close()
        again = Journal(path, read_only=True)
        assert [again.segment(number).state for number in (1, 1000)] == ["done", "done"]
        assert again.segments == journal.segments


def test_text_that_no_file_can_hold_is_written_all_the_same(tmp_path: Path) -> None:
    """A file's name whose bytes are no UTF-8 comes along in a message; whatever it is about must not be lost for that."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(ServerLeft(server="http://one:8188", message="\udce4.mp4 cannot be written"))
    journal.close()
    assert (
        Journal(tmp_path / "journal.jsonl", read_only=True).latest["server-left"]["message"]
        == "?.mp4 cannot be written"
    )
    path = write_json_whole(tmp_path / "x.json", {"name": "\udce4"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "?"}
