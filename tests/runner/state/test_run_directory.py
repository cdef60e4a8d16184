"""Run directories: nothing in them is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.state.run_directory import RunDirectory, check_space, read_run
from tests.support.disks import mount_small_disk
from tests.support.journal_events import finish


def begin_run(path: Path, title: str = "Tiny") -> RunDirectory:
    """A run directory as a run leaves it: two segments and a film."""
    with RunDirectory(path, title) as directory:
        directory.write_json("run.json", {"title": title, "run_id": directory.run_id, "story": {}})
        for number in (1, 2):
            (directory.segments / f"segment_{number:02d}.mp4").write_bytes(b"segment %d" % number)
            finish(directory.journal, number, file=f"segments/segment_{number:02d}.mp4")
        directory.film.write_bytes(b"film")
    return directory


def error_of(path: Path, title: str = "Tiny", **options: Any) -> VideoGenError:
    with pytest.raises(VideoGenError) as caught, RunDirectory(path, title, **options):
        pass
    return caught.value


# ------------------------------------------------------------------ the same run again


def test_the_same_run_has_the_same_id_and_finds_what_is_done(tmp_path: Path) -> None:
    first = begin_run(tmp_path / "run")
    with RunDirectory(tmp_path / "run", "Tiny") as again:
        assert again.run_id == first.run_id
        assert [again.journal.segment(number).state for number in (1, 2, 3)] == ["done", "done", "pending"]


def test_folders_are_made(tmp_path: Path) -> None:
    with RunDirectory(tmp_path / "a" / "b" / "run", "Tiny") as directory:
        assert directory.segments.is_dir()


def test_another_story_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    begin_run(tmp_path)
    error = error_of(tmp_path, "Another")
    assert error.code == "run-directory-invalid"
    assert "'Tiny'" in error.message
    assert "'Another'" in error.message
    assert (tmp_path / "film.mp4").read_bytes() == b"film"
    assert not (tmp_path / "runner.lock").exists()


def test_half_written_files_are_cleared_away_and_whole_ones_are_not(tmp_path: Path) -> None:
    begin_run(tmp_path)
    for name in (".run.json.part", "segments/.segment_03-00000.mp4.part"):
        (tmp_path / name).write_bytes(b"half")
    with RunDirectory(tmp_path, "Tiny") as directory:
        directory.remove_leftovers()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["film.mp4", "journal.jsonl", "run.json", "segments/segment_01.mp4", "segments/segment_02.mp4"]


# ------------------------------------------------------------------ --fresh


def test_fresh_keeps_what_was_rendered_in_previous(tmp_path: Path) -> None:
    first = begin_run(tmp_path)
    with RunDirectory(tmp_path, "Tiny", fresh=True) as directory:
        assert directory.journal.segment(1).state == "pending"
        assert directory.run_id != first.run_id
        assert not directory.film.exists()
    assert (tmp_path / "previous" / "film_001.mp4").read_bytes() == b"film"
    assert (tmp_path / "segments" / "previous" / "segment_02_001.mp4").read_bytes() == b"segment 2"
    assert "segment-done" in (tmp_path / "previous" / "journal_001.jsonl").read_text()


def test_fresh_twice_keeps_both(tmp_path: Path) -> None:
    for _ in range(2):
        begin_run(tmp_path)
        with RunDirectory(tmp_path, "Tiny", fresh=True):
            pass
    kept = sorted(path.name for path in (tmp_path / "previous").iterdir())
    assert kept == ["film_001.mp4", "film_002.mp4", "journal_001.jsonl", "journal_002.jsonl"]


def test_fresh_takes_a_folder_over_for_another_story(tmp_path: Path) -> None:
    begin_run(tmp_path)
    with RunDirectory(tmp_path, "Another", fresh=True) as directory:
        assert directory.journal.segment(1).state == "pending"


@pytest.mark.parametrize("name", ["run.json", "journal.jsonl"])
def test_fresh_helps_where_a_file_cannot_be_read_any_more(tmp_path: Path, name: str) -> None:
    begin_run(tmp_path)
    (tmp_path / name).write_text("{ garbage\n")
    assert error_of(tmp_path).code == "run-directory-invalid"
    with RunDirectory(tmp_path, "Tiny", fresh=True) as directory:
        assert directory.journal.segment(1).state == "pending"


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_of_other_things_is_refused_and_left_as_it_was(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    (tmp_path / "download.iso.part").write_text("mine too")
    error = error_of(tmp_path, fresh=fresh)
    assert error.code == "run-directory-invalid"
    assert "not empty" in error.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["download.iso.part", "thesis.doc"]


# ------------------------------------------------------------------ files


def test_a_json_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with RunDirectory(tmp_path, "Tiny") as directory:
        directory.write_json("report.json", {"title": "Äpfel"})
        with pytest.raises(TypeError):
            directory.write_json("report.json", {"title": object()})
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == {"title": "Äpfel"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"story": []}', "{"])
def test_a_record_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(VideoGenError, match=r"run\.json") as caught:
        read_run(tmp_path)
    assert caught.value.code == "run-directory-invalid"


def test_no_record_is_none(tmp_path: Path) -> None:
    assert read_run(tmp_path) is None
    assert read_run(tmp_path / "gone") is None


@pytest.mark.parametrize("place", ["file/run", "file"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("in the way")
    error = error_of(tmp_path / place)
    assert error.code == "path-invalid"
    assert str(tmp_path / "file") in error.message


def test_a_run_is_not_begun_on_a_disk_that_will_not_hold_it(tmp_path: Path) -> None:
    check_space(tmp_path, 1)
    with (
        mount_small_disk(tmp_path / "disk", 1000) as disk,
        pytest.raises(VideoGenError, match="has 1 MB free, this run needs about 5 MB") as caught,
    ):
        check_space(disk, 5_000_000)
    assert caught.value.code == "disk-full"


def test_takes_that_are_counted_are_named(tmp_path: Path) -> None:
    with mount_small_disk(tmp_path / "disk", 1000) as disk, pytest.raises(VideoGenError) as caught:
        check_space(disk, 5_000_000, takes=3)
    assert "about 5 MB, with up to 3 takes of each segment" in caught.value.message
    assert "fewer --takes" in caught.value.hint
