"""The film of a run directory, made of the segments' files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.core.timing import format_timecode
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.film.assemble import assemble_film
from custom_nodes.videogen.media.film.compile import FilmReport
from custom_nodes.videogen.media.film.sound import has_sound
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.probe import hash_file, verify_video

from ..state.journal import Journal, SegmentState
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from .replaced_files import find_replaced, require_verified
from .run_log import RunLog

States = Mapping[int, SegmentState]
#: What to do about a film of segments that do not belong together.
HOW_TO_RENDER_STALE = "`videogen run` without --segments renders them again."


def update_film(
    directory: RunDirectory, story: Story, display: Display, *, again: bool = False, strict: bool = False
) -> FilmReport | None:
    """Make the film of a run directory, unless it exists already and is made of the same files.

    Args:
        again: make it in any case.
        strict: refuse a film with slates or with segments that are older than the story.

    Raises:
        VideoGenError: `film-incomplete` when nothing is rendered, or not all where it is `strict`; `film-stale`;
            `segment-replaced` when a file is not the one that was verified; and those of `compile_film`.
    """
    journal = directory.journal
    stale = find_stale(journal)
    if stale and strict:
        raise VideoGenError("film-stale", f"no film: {describe_stale(stale)} (--strict)", HOW_TO_RENDER_STALE)
    if stale:
        display.say(f"Note: {describe_stale(stale)}. {HOW_TO_RENDER_STALE}")
    inputs = film_inputs(story, journal.segments)
    sounds = done_sounds(directory.path, journal.segments)
    if not again and _is_up_to_date(directory, journal, inputs):
        display.say(f"The film is up to date: {directory.film}")
        return None
    # Before and after: what the film is recorded as made of is what was read for it.
    files = done_files(directory.path, journal.segments)
    signatures = {number: _sign(path) for number, path in files.items()}
    require_verified(find_replaced(directory.path, journal.segments))
    missing = [segment.number for segment in story.segments if segment.number not in files]
    if missing and files:
        display.say(f"The film shows a slate for the missing segments: {format_selection(missing)}")
    reasons = {
        n: str(s.error.get("message", "")).splitlines()[0]
        for n, s in journal.segments.items()
        if s.error.get("message")
    }
    began = time.monotonic()
    film = assemble_film(
        story,
        files,
        directory.film,
        quality=QUALITIES[story.quality],
        sounds=sounds,
        slates=not strict,
        metadata={"title": story.title},
        reasons=reasons,
    )
    require_verified(
        {n: str(journal.segment(n).result["file"]) for n, path in files.items() if _sign(path) != signatures[n]}
    )
    verify_video(film.path, frames=film.frames, size=film.size, fps=film.fps, decode=False)
    display.say(
        f"Film {format_timecode(film.duration, tenths=True)}, {film.size[0]}×{film.size[1]},"
        f" {film.path.stat().st_size / 1e6:.1f} MB: {film.copied} frames copied, {film.encoded} encoded,"
        f" in {time.monotonic() - began:.1f} s{', with the sound of its segments' if film.sound else ''}"
    )
    for note in film.notes:
        display.say(f"Note: {note}")
    RunLog(journal, display).note_film(film, inputs, missing, stale)
    return film


def find_stale(journal: Journal) -> list[int]:
    """Numbers of the segments whose files are older than the story, as the last run has found it."""
    keys = journal.latest.get("segments-stale", {}).get("keys") or {}
    return [
        number
        for number, state in sorted(journal.segments.items())
        if state.state == "done" and state.key and keys.get(str(number)) == state.key
    ]


def describe_stale(numbers: Sequence[int]) -> str:
    """The sentence on segments that are older than the story."""
    one = len(numbers) == 1
    return (
        f"segment{'' if one else 's'} {format_selection(list(numbers))} {'is' if one else 'are'} older than the story: what"
        f" {'it is' if one else 'they are'} made of has changed since {'it was' if one else 'they were'} rendered"
    )


def film_inputs(story: Story, states: States) -> list[Any]:
    """Everything that determines the film, to tell whether it has to be made again."""
    done = {number: state.result.get("sha256", "") for number, state in states.items() if state.state == "done"}
    return [
        story.quality,
        list(story.size),
        [[t.after, t.type, str(t.seconds)] for t in story.transitions],
        [[str(segment.duration), done.get(segment.number, "")] for segment in story.segments],
    ]


def done_files(directory: Path, states: States) -> dict[int, Path]:
    """Files of the segments that are done, by number."""
    return {
        number: directory / state.result["file"]
        for number, state in states.items()
        if state.state == "done" and (directory / state.result["file"]).is_file()
    }


def done_sounds(directory: Path, states: States) -> dict[int, Path]:
    """The sound files that the segments' workflows have saved beside their videos or pictures, the first of each, by number."""
    return {
        number: path
        for number, state in states.items()
        if state.state == "done" and (saved := state.result.get("sounds"))
        if (path := directory / saved[0]["file"]).is_file()
    }


def _is_up_to_date(directory: RunDirectory, journal: Journal, inputs: list[Any]) -> bool:
    last = journal.latest.get("film-done")
    film = directory.film
    if last is None or last["inputs"] != inputs or not film.is_file() or film.stat().st_size != last["bytes"]:
        return False
    # Those of earlier releases were silent.
    if last.get("sound") is None and _has_sound(directory, journal.segments):
        return False
    # Earlier releases did not write the hash.
    return not last.get("sha256") or hash_file(film) == last["sha256"]


def _has_sound(directory: RunDirectory, states: States) -> bool:
    files = done_files(directory.path, states)
    return bool(done_sounds(directory.path, states)) or any(map(has_sound, files.values()))


def _sign(path: Path) -> tuple[int, ...]:
    """What changes with a file, even where its name, size and time of modification stay."""
    try:
        found = path.stat()
    except OSError as error:
        raise explain_os_error(error, path) from None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
