"""What would be written over is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from custom_nodes.videogen.media.backups import find_free_name, keep_previous


def test_what_is_there_is_kept_under_the_next_free_number(tmp_path: Path) -> None:
    path = tmp_path / "segment_07.mp4"
    for version in (b"first", b"second", b"third"):
        assert keep_previous(path) == path
        path.unlink(missing_ok=True)
        path.write_bytes(version)
    kept = {file.name: file.read_bytes() for file in (tmp_path / "previous").iterdir()}
    assert kept == {"segment_07_001.mp4": b"first", "segment_07_002.mp4": b"second"}
    assert path.read_bytes() == b"third"


def test_the_file_stays_in_place_while_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    keep_previous(path)
    assert path.read_bytes() == b"film"


def test_nothing_is_made_where_nothing_was(tmp_path: Path) -> None:
    keep_previous(tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_without_hard_links_the_file_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    path = tmp_path / "film.mp4"
    path.write_bytes(b"film")
    keep_previous(path)
    assert (tmp_path / "previous" / "film_001.mp4").read_bytes() == b"film"


def test_a_free_name_is_not_given_twice(tmp_path: Path) -> None:
    first = find_free_name(tmp_path / "previous", Path("journal.jsonl"))
    first.touch()
    assert (first.name, find_free_name(first.parent, Path("journal.jsonl")).name) == (
        "journal_001.jsonl",
        "journal_002.jsonl",
    )
