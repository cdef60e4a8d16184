"""The film of a run directory, made of the segments' files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.core.timing import format_timecode
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.film.assemble import assemble_film
from custom_nodes.videogen.media.film.compile import FilmReport
from custom_nodes.videogen.media.probe import hash_file, verify_video

from ..state.journal import Journal, SegmentState
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from .run_log import RunLog

States = Mapping[int, SegmentState]


def update_film(directory: RunDirectory, story: Story, display: Display, *, again: bool = False) -> FilmReport | None:
    """Make the film of a run directory, unless it exists already and is made of the same files.

    Args:
        again: make it in any case.

    Raises:
        VideoGenError: `film-incomplete` when nothing is rendered, and those of `compile_film`.
    """
    journal = directory.journal
    inputs = film_inputs(story, journal.segments)
    if not again and _is_up_to_date(directory, journal, inputs):
        display.say(f"The film is up to date: {directory.film}")
        return None
    files = done_files(directory.path, journal.segments)
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
        story, files, directory.film, quality=QUALITIES[story.quality], metadata={"title": story.title}, reasons=reasons
    )
    verify_video(film.path, frames=film.frames, size=film.size, fps=film.fps, decode=False)
    display.say(
        f"Film {format_timecode(film.duration, tenths=True)}, {film.size[0]}×{film.size[1]},"
        f" {film.path.stat().st_size / 1e6:.1f} MB: {film.copied} frames copied, {film.encoded} encoded,"
        f" in {time.monotonic() - began:.1f} s"
    )
    RunLog(journal, display).note_film(film, inputs, missing)
    return film


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


def file_is_whole(directory: Path, state: SegmentState) -> bool:
    """Whether a segment's file is still the one that was verified, byte by byte."""
    path = directory / state.result.get("file", "-")
    if not path.is_file() or path.stat().st_size != state.result.get("bytes"):
        return False
    return hash_file(path) == state.result.get("sha256")


def _is_up_to_date(directory: RunDirectory, journal: Journal, inputs: list[Any]) -> bool:
    last = journal.latest.get("film-done")
    film = directory.film
    return last is not None and last["inputs"] == inputs and film.is_file() and film.stat().st_size == last["bytes"]
