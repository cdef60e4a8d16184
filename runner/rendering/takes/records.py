"""Records of takes in a run directory, and how reports list them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.continuity.policy import FAIL, PASS, Thresholds
from custom_nodes.videogen.core.continuity.scores import SegmentScore
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.model import Story

from ...state.journal import SegmentState
from ...state.record_files import read_json

#: Folders in a run directory: takes that fell short, and the scores of every take.
TAKES_FOLDER, SCORES_FOLDER = "takes", "scores"
#: Fields of a take that reports show.
_LISTED = ("take", "seed", "score", "min", "temporal", "level", "reasons", "backend", "file")


def list_takes(takes: Sequence[Mapping[str, Any]], best: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """All takes as reports show them; `kept` marks the one whose file is the segment's."""
    listed = []
    for take in takes:
        kept = best is not None and take["take"] == best["take"]
        file = take["result"]["file"] if kept else f"{TAKES_FOLDER}/{Path(take['part']).name}"
        listed.append({name: ({**take, "file": file}).get(name) for name in _LISTED} | {"kept": kept})
    return listed


def load_score(folder: Path, state: SegmentState | None) -> SegmentScore | None:
    """Scores of the take that is a segment's file; None when it was not measured, or the scores' file is missing or another."""
    found = load_judged(folder, state)
    return None if found is None else found[0]


def load_judged(folder: Path, state: SegmentState | None) -> tuple[SegmentScore, Thresholds] | None:
    """The same, with the thresholds that it was judged by."""
    judged = (state.result if state is not None and state.state == "done" else {}).get("continuity") or {}
    if not judged.get("file"):
        return None
    try:
        path = folder / judged["file"]
        data = read_json(path)
        # Earlier releases did not write the hash.
        if judged.get("sha256") and hashlib.sha256(path.read_bytes()).hexdigest() != judged["sha256"]:
            return None
        return SegmentScore.from_dict(data["scores"]), Thresholds.from_dict(data.get("thresholds") or {})
    except (OSError, ValueError, TypeError, KeyError, VideoGenError):
        return None


def is_dissolved(story: Story, after: int) -> bool:
    """Whether a transition follows a segment."""
    return any(transition.after == after for transition in story.transitions)


def describe_shortfall(best: Mapping[str, Any], count: int) -> str:
    """Which take a finished segment is, and what it fell short of; "" when its first take passed."""
    if count == 1 and best["level"] != FAIL:
        return ""
    which = f"take {best['take']} of {count}"
    return which if best["level"] in (PASS, "warn") else f"{which}, below the threshold: {best['reasons'][0]}"
