"""continuity.json: every segment's scores and takes, every character over the whole film, and every cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.continuity_calibration import SAME_SUBJECT
from custom_nodes.videogen.core.continuity_drift import find_drift_start, name_drift
from custom_nodes.videogen.core.continuity_policy import Thresholds, judge_light
from custom_nodes.videogen.core.continuity_scores import FrameCheck, SegmentScore, SubjectScore, to_plain
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.plan import plan_segment
from custom_nodes.videogen.core.selection import format_selection
from custom_nodes.videogen.core.story import Story
from custom_nodes.videogen.metrics.appearance import Appearance, compare_appearances

from .continuity import compare_cut, read_appearance
from .journal import Journal
from .takes import is_dissolved, load_score

#: More segments of one character than this are not held against each other: that is 80,000 comparisons.
MOST_COMPARED = 400


def build_continuity(path: Path, journal: Journal, story: Story) -> dict[str, Any] | None:
    """What is known of a run's continuity; None when no segment was measured.

    The segments' scores are read one after the other; what stays in memory is how each character looks in each segment.
    """
    segments: list[dict[str, Any]] = []
    looks: dict[tuple[str, str], dict[int, Appearance]] = {}
    cuts: list[dict[str, Any]] = []
    before: SegmentScore | None = None
    for segment in story.segments:
        state = journal.segments.get(segment.number)
        score = load_score(path, state)
        if score is not None and state is not None:
            segments.append(_describe(segment.number, segment.id, score, state.result))
            for subject in score.subjects:
                appearance = read_appearance(subject) if subject.kind == "character" else None
                if appearance is not None:
                    looks.setdefault((subject.name, subject.label), {})[segment.number] = appearance
        if score is not None and before is not None:
            cut = _look_at_cut(story, segment.number - 1, before, score)
            if cut is not None:
                cuts.append(cut)
        before = score
    if not segments:
        return None
    descriptions = {entity.name: entity.description for entity in story.characters}
    return {
        "format": 1,
        "backends": sorted({segment["backend"] for segment in segments if segment["backend"]}),
        "segments": segments,
        "characters": {
            name: compare_segments(label, found, descriptions.get(name, "")) for (name, label), found in looks.items()
        },
        "cuts": cuts,
    }


def compare_segments(label: str, looks: Mapping[int, Appearance], description: str = "") -> dict[str, Any]:
    """One character over the film: how alike each segment is to each, and which one starts a drift.

    Args:
        looks: number of a segment → what the character looks like in it.
    """
    numbers = sorted(looks)[:MOST_COMPARED]
    matrix: list[list[float | None]] = [[None] * len(numbers) for _ in numbers]
    for row, one in enumerate(numbers):
        for column in range(row + 1):
            matrix[row][column] = matrix[column][row] = _compare(looks[one], looks[numbers[column]])
    start = find_drift_start(matrix, SAME_SUBJECT)
    found: dict[str, Any] = {"label": label, "segments": numbers, "matrix": matrix, "drift_start": None, "sentence": ""}
    if start is not None:
        found["drift_start"] = numbers[start]
        found["sentence"] = _tell_drift(label, numbers, matrix, start, looks, description)
    elif len(looks) > 1:
        lowest = min(value for row in matrix for value in row if value is not None)
        found["sentence"] = f"{label} does not drift; the two segments that are least alike reach {lowest:.2f}."
    return found


def _compare(one: Appearance, other: Appearance) -> float | None:
    if one is other:
        return 1.0
    try:
        return round(compare_appearances(one, other).score, 4)
    except VideoGenError:  # of another backend: there is no number for that
        return None


def _tell_drift(
    label: str, numbers: Sequence[int], matrix: Sequence[Sequence[float | None]], start: int,
    looks: Mapping[int, Appearance], description: str,
) -> str:  # fmt: skip
    across = [value for row in matrix[start:] for value in row[:start] if value is not None]
    inside = [
        v
        for r, row in enumerate(matrix)
        for c, v in enumerate(row)
        if v is not None and c < r and (c < start) == (r < start)
    ]
    known = [(number, looks[number].parts) for number in numbers]
    changed = name_drift(known[0][1], known[start:], description)
    what = (
        f": {changed[0].part} {changed[0].quantity} {changed[0].change:+.0f}{'°' if changed[0].quantity == 'hue' else ''}"
        if changed
        else ""
    )
    alike = f", among themselves {sum(inside) / len(inside):.2f}" if inside else ""
    return (
        f"{label} drifts from segment {numbers[start]} on{what}. Likeness of segments {_list(numbers[:start])} to"
        f" {_list(numbers[start:])}: {sum(across) / len(across):.2f}{alike}."
    )


def _list(numbers: Sequence[int]) -> str:
    return format_selection(list(numbers)).replace(",", ", ").replace("-", "–")


def _describe(number: int, name: str, score: SegmentScore, result: Mapping[str, Any]) -> dict[str, Any]:
    said = result["continuity"]
    takes = result.get("takes") or []
    kept: dict[str, Any] = next((take for take in takes if take["kept"]), {})
    return {
        "number": number, "id": name, "level": said["level"], "reasons": said["reasons"], "backend": said["backend"],
        "score": kept.get("score"), "min": kept.get("min"), "take": said["take"], "takes": takes,
        "subjects": [_describe_subject(subject) for subject in score.subjects],
        "temporal": to_plain(score.temporal) if score.temporal is not None else None,
        "light": to_plain(score.light) if score.light is not None else None, "frames": to_plain(score.frames),
    }  # fmt: skip


def _describe_subject(subject: SubjectScore) -> dict[str, Any]:
    """Without its appearance, which is for machines."""
    described: dict[str, Any] = to_plain(subject)
    described.pop("appearance")
    described["drift"] = [drift.sentence for drift in subject.drift]
    return described


def _look_at_cut(story: Story, after: int, before: SegmentScore, score: SegmentScore) -> dict[str, Any] | None:
    plans = plan_segment(story, after), plan_segment(story, after + 1)
    boundary = compare_cut(before, score, plans, is_dissolved(story, after))
    if boundary is None:
        return None
    found = judge_light(SegmentScore((), None, FrameCheck(0, None), boundary=boundary), Thresholds())
    described: dict[str, Any] = to_plain(boundary)
    return {
        "after": after,
        **described,
        "level": found[0][0] if found else "pass",
        "reasons": [text for _, text in found],
    }
