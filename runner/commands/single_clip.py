"""Options of `videogen run` for a single clip: a story of one segment, made from the command line."""

from __future__ import annotations

import argparse
import errno
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.openers import no_follow
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.partial_file import partial_path
from custom_nodes.videogen.media.story_file import LoadedStory

from ..state.journal import Journal


def add_clip_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--prompt`` and the other options of a clip."""
    clip = parser.add_argument_group("a single clip instead of a story")
    clip.add_argument("--prompt", metavar="TEXT", help="what the clip shows")
    clip.add_argument("--seed", metavar="N", help="(default 1001)")
    clip.add_argument("--frames", metavar="N", help="(default 24)")
    clip.add_argument("--fps", metavar="N", help="(default 3)")
    clip.add_argument("--size", metavar="WxH", help="(default 1920x1080)")
    clip.add_argument("--output", metavar="FILE", help="the clip's file (default clip.mp4)")


def is_clip(arguments: argparse.Namespace) -> bool:
    """Whether a single clip is wanted.

    Raises:
        VideoGenError: `option-invalid`, when its options are mixed with a story's.
    """
    only_clip = {name: getattr(arguments, name) for name in ("seed", "frames", "fps", "size", "output")}
    given = [f"--{name}" for name, value in only_clip.items() if value is not None]
    if arguments.prompt is None:
        if given:
            raise VideoGenError("option-invalid", f"{', '.join(given)} is for a single clip, and --prompt is missing")
        return False
    if arguments.story or arguments.segments:
        raise VideoGenError("option-invalid", "--prompt makes a single clip: it goes with neither STORY nor --segments")
    return True


def make_clip_story(arguments: argparse.Namespace) -> LoadedStory:
    """A story of one segment.

    Raises:
        VideoGenError: `story-invalid`, with all options that have a wrong value.
    """
    segment: dict[str, Any] = {"prompt": arguments.prompt}
    data: dict[str, Any] = {"title": "Clip", "segments": [segment]}
    for name, target in (("seed", segment), ("frames", data)):
        value = getattr(arguments, name)
        if value is not None:
            target[name] = int(value) if re.fullmatch(r"-?\d{1,30}", value) else value
    if arguments.fps is not None:
        data["fps"] = arguments.fps
    if arguments.size is not None:
        match = re.fullmatch(r"(\d{1,9})[x×](\d{1,9})", arguments.size)
        data["size"] = [int(match[1]), int(match[2])] if match else arguments.size
    return LoadedStory(parse_story(data, "the command line"), data)


def clip_file(arguments: argparse.Namespace) -> Path:
    """The file of ``--output``."""
    return Path(arguments.output or "clip.mp4")


def require_writable(output: Path) -> None:
    """Refuse a file that cannot be written, before the rendering and not after it.

    Raises:
        VideoGenError: `path-invalid`, `disk-full`.
    """
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise explain_os_error(error, output) from None


def deliver_clip(run_directory: Path, output: Path) -> None:
    """Copy the one segment of a run to its file, whole or not at all.

    Raises:
        VideoGenError: `path-invalid`, `disk-full`.
    """
    # By its record: an earlier run may have left a segment_01 of another container next to it.
    source = run_directory / Journal(run_directory / "journal.jsonl", read_only=True).segment(1).result["file"]
    try:
        partial = partial_path(output)
        with source.open("rb") as video, open(partial, "xb", opener=no_follow) as copy:
            shutil.copyfileobj(video, copy, 1 << 20)
        partial.replace(output)
    except OSError as error:
        raise explain_os_error(error, output) from None
