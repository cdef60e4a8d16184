"""Hashes of large files: a file is read once, and again when it has changed in any way that shows."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from custom_nodes.videogen.media.file_hashes import FileHashes, find_model_files, hash_model_files


def write(path: Path, data: bytes, age: float = 60.0) -> Path:
    """A file that was written a while ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


class Reads:
    """Counts the files that are read."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, done: int, size: int) -> None:
        self.count += done == size


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose inode was changed just now is not believed: tests do not wait for it to be old."""
    monkeypatch.setattr("custom_nodes.videogen.media.file_hashes._TOO_FRESH", -1)


def test_a_file_is_read_once_and_remembered(tmp_path: Path) -> None:
    path, reads = write(tmp_path / "a.safetensors", b"weights"), Reads()
    store = tmp_path / "cache" / "hashes.json"
    for hashes in (FileHashes(store), FileHashes(store)):
        for _ in range(2):
            assert hashes.hash(path, reads) == hashlib.sha256(b"weights").hexdigest()
    assert reads.count == 1
    assert list(store.parent.iterdir()) == [store]


@pytest.mark.parametrize("way", ["written", "renamed over", "written with its old time"])
def test_another_file_under_an_old_name_is_noticed(tmp_path: Path, way: str) -> None:
    path = write(tmp_path / "a.safetensors", b"old weights")
    store = tmp_path / "hashes.json"
    hashes = FileHashes(store)
    before, stat = hashes.hash(path), path.stat()
    if way == "renamed over":
        write(tmp_path / "b", b"new weights").replace(path)
    else:
        path.write_bytes(b"new weights")
    if way != "written":
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert hashes.hash(path) == FileHashes(store).hash(path) == hashlib.sha256(b"new weights").hexdigest() != before


def test_a_file_that_was_written_just_now_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_nodes.videogen.media.file_hashes._TOO_FRESH", 10**12)
    path, reads, hashes = write(tmp_path / "a.safetensors", b"weights"), Reads(), FileHashes(tmp_path / "hashes.json")
    hashes.hash(path, reads)
    hashes.hash(path, reads)
    assert reads.count == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"x": 1}'])
def test_a_store_that_cannot_be_used_is_made_anew(tmp_path: Path, content: bytes) -> None:
    path, store = write(tmp_path / "a.pt", b"weights"), write(tmp_path / "hashes.json", content)
    assert FileHashes(store).hash(path) == hashlib.sha256(b"weights").hexdigest()
    assert str(path) in json.loads(store.read_text())


def test_without_a_place_to_write_it_works_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pt", b"weights")
    (tmp_path / "file").write_bytes(b"")
    assert FileHashes(tmp_path / "file" / "hashes.json").hash(path) == hashlib.sha256(b"weights").hexdigest()


def test_a_name_means_the_file_of_its_folder_else_of_any(tmp_path: Path) -> None:
    vae, checkpoint = write(tmp_path / "vae" / "m.pt", b"1"), write(tmp_path / "ckpt" / "m.pt", b"2")
    inside = write(tmp_path / "vae" / "sub" / "n.pt", b"3")
    places = [("vae", tmp_path / "vae"), ("checkpoints", tmp_path / "ckpt")]
    assert find_model_files(places, "vae", "m.pt") == [vae]
    assert find_model_files(places, "", "m.pt") == [vae, checkpoint]
    assert find_model_files(places, "loras", "sub\\n.pt") == [inside]
    assert find_model_files(places, "vae", "absent.pt") == []


@pytest.mark.parametrize("name", ["../secret.pt", "/etc/passwd", "sub/../../secret.pt", "", ".", "C:\\secret.pt"])
def test_a_name_never_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    write(tmp_path / "secret.pt", b"1")
    write(tmp_path / "vae" / "sub" / "n.pt", b"3")
    assert find_model_files([("vae", tmp_path / "vae")], "vae", name) == []


def test_of_several_files_each_counts(tmp_path: Path) -> None:
    hashes = FileHashes()
    one, two = write(tmp_path / "1", b"1"), write(tmp_path / "2", b"2")
    assert hash_model_files(hashes, []) == ""
    assert hash_model_files(hashes, [one, one]) == hashes.hash(one)
    assert hash_model_files(hashes, [one, two]) == hash_model_files(hashes, [two, one])
    assert hash_model_files(hashes, [one, two]) not in ("", hashes.hash(one), hashes.hash(two))
