"""Views of the segments for the page: a card each, or one line for neighbors that are not rendered."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.media.images.thumbnails import Thumbnail

from .formatting import format_size, relative_link
from .machine import describe_machine, list_pauses
from .strips import Strip

_KINDS = {"done": "done", "failed": "failed"}
_STATUS = {"done": "done", "failed": "failed", "pending": "not rendered"}


@dataclass(frozen=True)
class Fold:
    """Cards in their order: one segment, or neighbors of which nothing is known but the plan."""

    segments: tuple[dict[str, Any], ...]
    is_folded: bool

    @property
    def numbers(self) -> list[int]:
        return [segment["number"] for segment in self.segments]


def fold_segments(segments: Sequence[dict[str, Any]]) -> list[Fold]:
    """Put neighbors that were never begun together, whatever their count; all others stay by themselves.

    Args:
        segments: as `view_segment` returns them, in the film's order.
    """
    folds: list[Fold] = []
    for segment in segments:
        is_folded = segment["status"] == "pending" and not segment["tries"]
        if is_folded and folds and folds[-1].is_folded and folds[-1].numbers[-1] == segment["number"] - 1:
            folds[-1] = Fold((*folds[-1].segments, segment), True)
        else:
            folds.append(Fold((segment,), is_folded))
    return folds


def view_segment(segment: dict[str, Any], strip: Strip, present: set[str] | None) -> dict[str, Any]:
    """A segment of the report for the template.

    Args:
        present: files that exist, as the report names them; None for all.
    """
    number, status = segment["number"], segment["status"]
    gone = status == "done" and present is not None and segment.get("file") not in present
    planned, rendered, size = segment["planned_size"], segment.get("rendered_size"), segment.get("size")
    begun = "interrupted" if segment["interrupted"] else "under way"
    badges = [(_KINDS.get(status, "waiting"), _STATUS.get(status, begun))]
    if gone:
        badges.append(("failed", "file is missing"))
    if strip.problem:
        badges.append(("failed", strip.badge))
    if segment.get("degraded") and rendered:
        scaled = f", scaled up to {format_size(size)}" if size and size[0] > rendered[0] else ", scaled up"
        badges.append(("warning", f"rendered at {format_size(rendered)}{scaled}"))
    if status == "done" and segment["seed"] != segment["planned_seed"]:
        badges.append(("warning", "another seed"))
    if segment.get("adopted"):
        badges.append(("warning", "file of another origin"))
    if segment.get("stale"):
        badges.append(("warning", "older than the story"))
    continuity = segment.get("continuity") or {}
    if status == "done" and continuity.get("level") == "fail":
        badges.append(("warning", "continuity falls short"))
    seconds = segment.get("seconds") or {}
    worked = sum(value for phase, value in seconds.items() if phase != "queued")
    name = segment["description"] or (segment["id"] if segment["id"] != f"segment_{number:02d}" else "")
    return {
        **dict.fromkeys(("error", "file", "bytes", "size", "rendered_size", "frames", "server")),
        **segment,
        "name": name,
        "badges": badges,
        "kind": "failed" if gone or strip.problem else _KINDS.get(status, "waiting"),
        "attention": status != "done" or len(badges) > 1,
        "strip": [_view_image(image) for image in strip.images],
        "thumb": _view_image(strip.thumb) if strip.thumb else None,
        "portrait": planned[1] > planned[0],
        "problem": strip.problem,
        "gone": gone,
        "href": None if gone else relative_link(segment.get("file")),
        "phases": [
            (phase, value, value / worked if worked and phase != "queued" else 0) for phase, value in seconds.items()
        ],
        "repeats": [attempt for attempt in segment["tries"] if attempt["outcome"] == "failed"],
        "scores": _flatten_numbers(segment.get("scores")),
        "machine": describe_machine(segment.get("telemetry")),
        "pauses": list_pauses(segment.get("telemetry")),
    }


def _view_image(image: Thumbnail) -> dict[str, Any]:
    uri = f"data:image/jpeg;base64,{base64.b64encode(image.jpeg).decode()}"
    return {"uri": uri, "width": image.width, "height": image.height, "seconds": image.seconds}


def _flatten_numbers(scores: Any, prefix: str = "") -> list[tuple[str, float]]:
    """Every number in the scores, with its name."""
    if isinstance(scores, bool):
        return []
    if isinstance(scores, (int, float)):
        return [(prefix or "score", float(scores))]
    if not isinstance(scores, dict):
        return []
    return [pair for name, value in scores.items() for pair in _flatten_numbers(value, f"{prefix} {name}".strip())]
