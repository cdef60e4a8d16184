"""Segments whose file is not the one that was verified: somebody has put another one there, or it is damaged.

Nothing is made of such a file unless the user wants it: what is recorded of a segment is true of the verified bytes only.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.timing import count_frames
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.probe import hash_file, verify_video

from ..state.journal import SegmentState
from ..state.run_directory import RunDirectory
from .kept_results import file_is_whole
from .run_log import RunLog

#: What to do about them.
HOW_TO_RENDER_REPLACED = (
    "`videogen run` without --segments renders it again and keeps that file in segments/previous/;"
    " --adopt takes it as it is."
)
#: Of a result, what stays true of another file in its place.
_KEPT = ("key", "file")

Replaced = Mapping[int, str]


def find_replaced(directory: Path, states: Mapping[int, SegmentState]) -> dict[int, str]:
    """Segments that are done and whose file is another one: number → its name in the run directory.

    A file that is missing is no such file: its segment shows as missing.
    """
    return {
        number: str(state.result["file"])
        for number, state in sorted(states.items())
        if state.state == "done"
        and (directory / state.result["file"]).is_file()
        and not file_is_whole(directory, state)
    }


def describe_replaced(replaced: Replaced) -> str:
    """The sentence on such files."""
    names = ", ".join(replaced.values())
    one = len(replaced) == 1
    return (
        f"{names} {'is not the file that was' if one else 'are not the files that were'} rendered and verified:"
        f" {'it was' if one else 'they were'} replaced or damaged since"
    )


def require_verified(replaced: Replaced) -> None:
    """Refuse to make something of files that are not the verified ones.

    Raises:
        VideoGenError: `segment-replaced`.
    """
    if replaced:
        raise VideoGenError("segment-replaced", describe_replaced(replaced), HOW_TO_RENDER_REPLACED)


def name_replaced(directory: RunDirectory, numbers: Collection[int], log: RunLog) -> None:
    """Say which of the segments that are about to be rendered have another file in their place."""
    found = find_replaced(directory.path, directory.journal.segments)
    for number in sorted(found.keys() & set(numbers)):
        log.say(
            f"Segment {number}: {describe_replaced({number: found[number]})}; it is rendered again, and that file is kept in"
            " segments/previous/ (--adopt takes such a file)"
        )


def adopt_replaced(directory: RunDirectory, story: Story, log: RunLog) -> list[int]:
    """Take the files that somebody has put in the place of verified ones, as if they had been rendered.

    A segment that continues such a one begins from another image than before, and is rendered again.

    Returns:
        Numbers of the segments that have another file from now on.

    Raises:
        VideoGenError: `media-broken`, for one that does not decode; `path-invalid`.
    """
    states = directory.journal.segments
    replaced = find_replaced(directory.path, states)
    # All are read before the first is taken.
    results = {number: _describe(directory.path, states[number]) for number in replaced}
    for number, result in results.items():
        log.note_adopted(number, str(states[number].result.get("sha256", "")), result)
        frames = count_frames(story.segment(number).duration, Fraction(QUALITIES[story.quality].fps))
        seconds = Fraction(result["frames"]) / Fraction(result["fps"])
        shown = round(seconds * QUALITIES[story.quality].fps)
        length = "" if shown == frames else f"; it lasts {float(seconds):g} s, the film cuts it or holds its last frame"
        log.say(f"Segment {number}: {replaced[number]} is taken as it is{length}")
    return sorted(results)


def _describe(directory: Path, state: SegmentState) -> dict[str, Any]:
    path = directory / state.result["file"]
    try:
        before = hash_file(path)
        info = verify_video(path)
        if hash_file(path) != before:
            raise VideoGenError("segment-replaced", f"{path} changes while it is read", "Try again once it is written.")
        size = path.stat().st_size
    except OSError as error:
        raise explain_os_error(error, path) from None
    return {
        **{name: state.result[name] for name in _KEPT if name in state.result},
        "bytes": size,
        "sha256": before,
        "frames": info.frames,
        "fps": str(info.fps),
        "size": [info.width, info.height],
        "adopted": True,
    }
