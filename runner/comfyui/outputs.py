"""Which of the files that a prompt has saved are the segment: those of one node, never a mixture.

In this order:

1. the node that ``--bind output=NODE`` names;
2. VideoGenSaveSegment, which records the file that it has written;
3. the one node with the best files: a video before an animation, that before pictures, saved files before previews.

Several nodes with equally good files are an error: which of them is the segment only the user knows. `workflows/output_node`
tells that before anything is rendered, where the graph shows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.roles.savers import ANIMATION, PICTURES, VIDEO
from custom_nodes.videogen.media.file_types import SAVED_VIDEO_SUFFIXES

from .answers import SavedFile, SegmentRecord, SegmentTelemetry, is_small, read_part, read_parts
from .outcome import Outcome

_SOUND_SUFFIXES = (".flac", ".mp3", ".opus", ".wav", ".ogg", ".m4a", ".aac")
_ANIMATION_SUFFIXES = (".webp", ".gif")


@dataclass(frozen=True)
class ClipFiles:
    """The files of a prompt that are its segment.

    Attributes:
        node: id of the node that has saved them.
        rank: their kind: `PICTURES`, `ANIMATION` or `VIDEO`.
        files: one video, or pictures and animations in order.
        sounds: files with sound only, of any node.
        record: what VideoGenSaveSegment says of its file; None for other nodes.
        telemetry: the machine's, as VideoGenSaveSegment passes it on.
    """

    node: str
    rank: int
    files: tuple[SavedFile, ...]
    sounds: tuple[SavedFile, ...] = ()
    record: SegmentRecord | None = None
    telemetry: dict[str, Any] | None = None


@dataclass(frozen=True)
class _NodeFiles:
    """The files of one node that have images, best kind only."""

    node: str
    rank: int
    saved: bool
    files: tuple[SavedFile, ...]
    record: SegmentRecord | None
    telemetry: dict[str, Any] | None


def choose_clip(outcome: Outcome, output_node: str = "") -> ClipFiles:
    """The files of a prompt that are its segment.

    Args:
        output_node: id of the node whose files they are; "" where none was named.

    Raises:
        VideoGenError: `output-missing`; `workflow-invalid` where several nodes or files are equally good; `media-broken` when the
            record of VideoGenSaveSegment cannot be read.
    """
    found = [one for name, result in outcome.outputs.items() if (one := _read_node(name, result)) is not None]
    sounds = tuple(
        file
        for result in outcome.outputs.values()
        for file in _files_of(result)
        if is_sound(file.filename) and file.type == "output"
    )
    if output_node:
        candidates = _best([one for one in found if output_node in (one.node, outcome.shown_as.get(one.node))])
        if not candidates:
            raise _nothing_saved(outcome, f"node {output_node}, which --bind output names,", found, sounds)
    else:
        if not found:
            raise _nothing_saved(outcome, "the prompt succeeded but", found, sounds)
        candidates = [one for one in found if one.record is not None] or _best(found)
    if len(candidates) > 1:
        raise ambiguous([one.node for one in candidates])
    chosen = candidates[0]
    if chosen.rank == VIDEO and len(chosen.files) > 1:
        raise VideoGenError(
            "workflow-invalid",
            f"node {chosen.node} has saved {len(chosen.files)} videos for one segment, expected one:"
            f" {', '.join(file.filename for file in chosen.files[:4])}",
            "Join them in the workflow before they are saved.",
        )
    return ClipFiles(chosen.node, chosen.rank, chosen.files, sounds, chosen.record, chosen.telemetry)


def ambiguous(nodes: Sequence[str]) -> VideoGenError:
    """The error for several nodes that save equally good files."""
    return VideoGenError(
        "workflow-invalid",
        f"nodes {', '.join(nodes)} of the workflow save the same kind of files, and one of them is the segment",
        f"Name it with --bind output=NODE, such as --bind output={nodes[-1]}, or remove the others.",
    )


def is_sound(name: str) -> bool:
    """Whether a file contains sound and no images, by its name."""
    return name.lower().endswith(_SOUND_SUFFIXES)


def suffix_of(name: str) -> str:
    """The suffix of a server's file name, if it is a plain one; else "". Nothing else of such a name is used on this machine."""
    match = re.search(r"\.[a-z0-9]{1,5}\Z", name.lower())
    return match[0] if match else ""


def _best(found: Sequence[_NodeFiles]) -> list[_NodeFiles]:
    best = max(((one.saved, one.rank) for one in found), default=None)
    return [one for one in found if (one.saved, one.rank) == best]


def _read_node(node: str, result: dict[str, Any]) -> _NodeFiles | None:
    """What one node has saved; None for a node without images."""
    files = [file for file in _files_of(result) if not is_sound(file.filename)]
    saved = [file for file in files if file.type == "output"]
    files = saved or [file for file in files if file.type == "temp"]
    if not files:
        return None
    record, telemetry = _read_record(node, result.get("videogen"))
    animated = result.get("animated")
    ranked = [(_rank(file.filename, isinstance(animated, list) and True in animated), file) for file in files]
    best = max(rank for rank, _ in ranked)
    kept = tuple(file for rank, file in ranked if rank == best)
    return _NodeFiles(node, best, bool(saved), kept, record, telemetry)


def _rank(name: str, animated: bool) -> int:
    lower = name.lower()
    if lower.endswith(SAVED_VIDEO_SUFFIXES):
        return VIDEO
    return ANIMATION if animated or lower.endswith(_ANIMATION_SUFFIXES) else PICTURES


def _files_of(result: dict[str, Any]) -> list[SavedFile]:
    """All files in a node's ui result, whatever the list is called: ``images``, ``gifs``, ``audio``, ``video`` …"""
    return [
        file
        for value in result.values()
        for file in read_parts(value, SavedFile)
        if file.filename and "\0" not in file.filename
    ]


def _read_record(node: str, value: Any) -> tuple[SegmentRecord | None, dict[str, Any] | None]:
    first = value[0] if isinstance(value, list) and value else None
    # Save Reference has a record too, with a name that was written.
    if not isinstance(first, dict) or "sha256" not in first or "written" in first:
        return None, None
    record = read_part(first, SegmentRecord)
    if record is None:
        raise VideoGenError("media-broken", f"the record of node {node} about its file cannot be read")
    telemetry = first.get("telemetry")
    fits = read_part(telemetry, SegmentTelemetry) is not None and is_small(telemetry)
    return record, telemetry if fits else None


def _nothing_saved(
    outcome: Outcome, subject: str, found: Sequence[_NodeFiles], sounds: Sequence[SavedFile]
) -> VideoGenError:
    others = ", ".join(one.node for one in found)
    what = "only sound" if sounds and not found else "no file"
    said = f"; nodes {others} have" if others else f"; its outputs are {json.dumps(outcome.outputs)[:200]}"
    return VideoGenError(
        "output-missing",
        f"{subject} saved {what}{said}",
        "The workflow needs a node that saves a video or pictures, such as VideoGenSaveSegment.",
    )
