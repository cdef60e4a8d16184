"""Makes a story's film from the files of its segments."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from ...core.errors import VideoGenError
from ...core.segment.plan import plan_segment
from ...core.story.model import Story
from ...core.story.selection import format_selection
from ...core.timing import count_frames
from ...core.video.quality import Quality, fit_format
from ...core.video.timeline import Blend, count_blend_frames
from ..storyboard import draw_slate
from .compile import FilmReport, FilmSegment, Progress, compile_film


def find_segments(story: Story, folder: Path) -> dict[int, Path]:
    """The segment files in a folder, by number: ``segment_07.mp4``, or the newest of several takes."""
    found: dict[int, Path] = {}
    for segment in story.segments:
        stem = plan_segment(story, segment.number).file_stem
        files = [folder / f"{stem}.mp4"] if (folder / f"{stem}.mp4").is_file() else list(folder.glob(f"{stem}_*.mp4"))
        if files:
            found[segment.number] = max(files, key=lambda path: path.stat().st_mtime_ns)
    return found


def assemble_film(
    story: Story,
    files: Mapping[int, Path],
    output: Path,
    *,
    quality: Quality,
    sounds: Mapping[int, Path] | None = None,
    slates: bool = True,
    reasons: Mapping[int, str] | None = None,
    metadata: dict[str, str] | None = None,
    progress: Progress | None = None,
) -> FilmReport:
    """Make the film; a segment without a file is shown as a slate of the same duration.

    Args:
        files: the video of each segment, by its number.
        sounds: segment number → a file with its sound, for videos that have none.
        slates: with False a missing segment is an error.
        reasons: segment number → why it is missing, for its slate.

    Raises:
        VideoGenError: `film-incomplete`, and those of `compile_film`.
    """
    missing = [segment.number for segment in story.segments if segment.number not in files]
    if missing and (not slates or len(missing) == len(story.segments)):
        where = f" (looked in {output.parent})" if len(missing) == len(story.segments) else ""
        raise VideoGenError(
            "film-incomplete",
            f"segment{'s' if len(missing) > 1 else ''} {format_selection(missing)} of {len(story.segments)}"
            f" {'are' if len(missing) > 1 else 'is'} not rendered{where}",
            "Render the missing segments, then compile again.",
        )
    segments = []
    for segment in story.segments:
        frames = count_frames(segment.duration, Fraction(quality.fps))
        path = files.get(segment.number)
        slate = None
        if path is None:
            reason = (reasons or {}).get(segment.number, "It has not been rendered yet.")
            slate = draw_slate(plan_segment(story, segment.number), reason)
        goes_on = segment.continues_from == segment.number - 1 and segment.number - 1 in files
        segments.append(FilmSegment(path, frames, slate, (sounds or {}).get(segment.number), goes_on))
    blends = []
    for transition in story.transitions:
        # A transition belongs to a cut, and a slate is cut hard: it must not look like part of the film.
        if transition.after in files and transition.after + 1 in files:
            frames = count_blend_frames(transition.seconds, quality.fps)
            blends.append(Blend(transition.after - 1, transition.type, frames))
    return compile_film(segments, blends, output, fit_format(story.size, quality), metadata=metadata, progress=progress)
