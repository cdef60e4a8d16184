"""Results by key: what is replaced is kept in ``results/``, and comes back when its key is wanted again.

A journal tells which key a file belongs to; here are the files themselves, up to a size that the user sets.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from custom_nodes.videogen.media.backups import PREVIOUS_FOLDER, keep_previous
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.probe import has_hash

from ..state.run_directory import RESULTS_FOLDER, RunDirectory
from ..state.segment_state import SegmentState
from .run_log import RunLog


class Keys(Protocol):
    """Says what key a segment has, and which ones it had in earlier releases; see `JobMaker`."""

    def key(self, number: int, begins_from: str = "") -> str: ...

    def former_keys(self, number: int, begins_from: str = "") -> Iterator[str]: ...


def settle_result(directory: RunDirectory, keys: Keys, number: int, begins_from: str, log: RunLog) -> bool:
    """Whether a segment's file is there and is what the story and the workflow ask for now.

    A result that was replaced since becomes the segment's file again, and one that has a former key gets its present one.

    Args:
        begins_from: SHA-256 of the file that the segment continues.
    """
    journal = directory.journal
    key = keys.key(number, begins_from)
    known = {journal.segment(number).key, *journal.shelved(number)} - {""}
    if known and key not in known:
        former = next((one for one in keys.former_keys(number, begins_from) if one in known), None)
        if former is not None:
            log.note_rekeyed(number, key, former)
    state = journal.segment(number)
    if state.key == key and state.state == "done":
        return file_is_whole(directory.path, state)
    shelved = journal.shelved(number).get(key)
    return shelved is not None and shelved.state == "done" and _restore(directory, number, shelved.result, log)


def place_file(
    directory: RunDirectory, number: int, part: str, result: Mapping[str, Any], log: RunLog, *, restored: bool = False
) -> None:
    """Give a verified file its name: written to the journal first, then renamed, then the segment is done.

    Args:
        part: where the file is now, relative to ``segments/``.
        restored: it is an earlier result.
    """
    with directory.results_lock:
        (log.note_restored if restored else log.note_verified)(number, part, result)
        move_to_name(directory, number, directory.segments / part, directory.path / result["file"])
        bring_back_sounds(directory, result)
        log.note_done(number, result)
        trim_results(directory)


def move_to_name(directory: RunDirectory, number: int, part: Path, target: Path) -> None:
    """Rename a verified file; what has its name is kept.

    Raises:
        VideoGenError: `path-invalid`, `disk-full`.
    """
    try:
        if part != target:
            _keep_replaced(directory, number, target)
            part.replace(target)
    except OSError as error:
        raise explain_os_error(error, target) from None


def bring_back_sounds(directory: RunDirectory, result: Mapping[str, Any]) -> None:
    """Give a result's sound files their names again, where a later prompt has saved others in their place.

    Raises:
        VideoGenError: `path-invalid`, `disk-full`.
    """
    for sound in result.get("sounds") or ():
        target = directory.path / str(sound["file"])
        if _is_result(target, sound):
            continue
        former = (target.parent / PREVIOUS_FOLDER).glob(f"{target.stem}_*{target.suffix}")
        kept = next((path for path in former if _is_result(path, sound)), None)
        if kept is not None:  # else somebody has removed it; the images are worth having without it
            try:
                keep_previous(target)
                copy = target.with_name(f".{target.name}.part")
                shutil.copy2(kept, copy)
                copy.replace(target)
            except OSError as error:
                raise explain_os_error(error, target) from None


def trim_results(directory: RunDirectory) -> None:
    """Remove the results that were replaced longest ago, until the rest is not larger than the user allows."""
    with directory.results_lock:
        kept = sorted(list_results(directory.path), key=lambda file: file.stat().st_mtime_ns)
        size = sum(file.stat().st_size for file in kept)
        for file in kept:
            if size <= directory.keep_results:
                break
            size -= file.stat().st_size
            with contextlib.suppress(OSError):
                file.unlink()


def list_results(path: Path) -> list[Path]:
    """Files of the replaced results of a run directory."""
    return [file for file in (path / RESULTS_FOLDER).glob("segment_*") if file.is_file()]


def file_is_whole(directory: Path, state: SegmentState) -> bool:
    """Whether a segment's file is still the one that was verified, byte by byte."""
    return _is_result(directory / state.result.get("file", "-"), state.result)


def _is_result(path: Path, result: Mapping[str, Any]) -> bool:
    try:
        return has_hash(path, result.get("sha256"), result.get("bytes"))
    except OSError:
        return False


def _restore(directory: RunDirectory, number: int, result: Mapping[str, Any], log: RunLog) -> bool:
    """Make an earlier result the segment's file again; False when its file is gone."""
    target = directory.path / result["file"]
    with directory.results_lock:
        # Where nothing was rendered in its place yet, it still has its name.
        for path in (target, _place_of(directory, target, str(result["key"]))):
            if _is_result(path, result):
                clean = {name: value for name, value in result.items() if name not in ("part", "time")}
                part = Path(os.path.relpath(path, directory.segments)).as_posix()
                place_file(directory, number, part, clean, log, restored=True)
                log.say(f"Segment {number}: rendered before for this text, its file is used again")
                return True
    return False


def _keep_replaced(directory: RunDirectory, number: int, target: Path) -> None:
    """Move the file of a name to the results, if it is one; any other is backed up: somebody has put it there."""
    if not target.exists():
        return
    for key, state in directory.journal.shelved(number).items():
        if (
            state.state == "done"
            and directory.path / state.result["file"] == target
            and _is_result(target, state.result)
        ):
            place = _place_of(directory, target, key)
            place.parent.mkdir(exist_ok=True)
            target.replace(place)
            os.utime(place)  # from now on it is not used
            return
    keep_previous(target)


def _place_of(directory: RunDirectory, target: Path, key: str) -> Path:
    return directory.path / RESULTS_FOLDER / f"{target.stem}-{key[:16]}{target.suffix}"
