"""continuity.json: scores and takes of every segment, every character over the whole film, and every cut."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.continuity.calibration import SAME_SUBJECT
from custom_nodes.videogen.core.continuity.drift import average_parts, find_drift_start, name_drift
from custom_nodes.videogen.core.continuity.policy import WARN, Thresholds, judge_light
from custom_nodes.videogen.core.continuity.scores import FrameCheck, SegmentScore, SubjectScore, to_plain
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.metrics.appearance import Appearance, compare_appearances
from custom_nodes.videogen.metrics.subject_compare import read_appearances

from ..rendering.takes.measurement import compare_cut
from ..rendering.takes.records import is_dissolved, load_judged
from ..state.journal import Journal

#: At most this many segments of one character are compared with each other: that is 60,000 comparisons, and 30 MB.
MAX_COMPARED = 200
#: Frames of a segment that are compared with those of another: first with first, middle with middle, last with last.
_FRAMES = 3


def build_continuity(path: Path, journal: Journal, story: Story) -> dict[str, Any] | None:
    """Collect a run's continuity scores; None when no segment was measured.

    The segments' scores are read one after the other; only the appearance of each character in three frames of
    each of the first `MAX_COMPARED` segments stays in memory.
    """
    segments: list[dict[str, Any]] = []
    rules: dict[int, int] = {}
    looks: dict[tuple[str, str], dict[int, tuple[Appearance, ...]]] = {}
    cuts: list[dict[str, Any]] = []
    before: SegmentScore | None = None
    for segment in story.segments:
        state = journal.segments.get(segment.number)
        judged = load_judged(path, state)
        score, thresholds = judged or (None, Thresholds())
        if score is not None and state is not None:
            segments.append(_describe(segment.number, segment.id, score, thresholds, state.result))
            rules[segment.number] = score.rules
            for subject in score.subjects:
                if subject.kind == "character" and subject.looks:
                    found = looks.setdefault((subject.name, subject.label), {})
                    found[segment.number] = _pick(read_appearances(subject)) if len(found) < MAX_COMPARED else ()
        if score is not None and before is not None and score.rules == before.rules:
            cut = _look_at_cut(story, segment.number - 1, before, score, thresholds)
            if cut is not None:
                cuts.append(cut)
        before = score
    if not segments:
        return None
    # A film that an earlier version began has segments of two kinds; the newer ones can be compared with each other.
    newest = max(rules.values())
    former = sorted(number for number in rules if rules[number] != newest)
    compared = {
        character: {number: seen for number, seen in found.items() if number not in former}
        for character, found in looks.items()
    }
    descriptions = {entity.name: entity.description for entity in story.characters}
    return {
        "format": 2,
        "rules": newest,
        "former_rules": former,
        "backends": sorted({segment["backend"] for segment in segments if segment["backend"]}),
        "calibrations": sorted(
            {s["calibration"] for segment in segments for s in segment["subjects"] if s["calibration"]}
        ),
        "segments": segments,
        "characters": {
            name: compare_segments(label, found, descriptions.get(name, ""))
            for (name, label), found in compared.items()
            if found
        },
        "cuts": cuts,
    }


def compare_segments(label: str, looks: Mapping[int, Sequence[Appearance]], description: str = "") -> dict[str, Any]:
    """Compare one character over the film: the similarity of each segment to each, and the segment that starts a drift.

    Args:
        looks: number of a segment → the character's appearance in some of its frames; empty: not compared.
    """
    numbers = sorted(number for number in looks if looks[number])
    matrix: list[list[float | None]] = [[None] * len(numbers) for _ in numbers]
    for row, one in enumerate(numbers):
        for column in range(row + 1):
            matrix[row][column] = matrix[column][row] = _compare(looks[one], looks[numbers[column]])
    start = find_drift_start(matrix, SAME_SUBJECT)
    found: dict[str, Any] = {"label": label, "segments": numbers, "matrix": matrix, "drift_start": None, "sentence": ""}
    if start is not None:
        found["drift_start"] = numbers[start]
        found["sentence"] = _tell_drift(label, numbers, matrix, start, looks, description)
    elif len(numbers) > 1:
        pairs = [value for row, values in enumerate(matrix) for value in values[:row] if value is not None]
        found["sentence"] = (
            f"{label} does not drift; the two segments that are least alike reach {min(pairs):.2f}."
            if pairs
            else f"{label} cannot be compared from segment to segment: they were measured in different ways."
        )
    if len(numbers) < len(looks):
        found["sentence"] += f" Only the first {len(numbers)} of {len(looks)} segments are compared."
    return found


def _pick(looks: Mapping[int, Appearance]) -> tuple[Appearance, ...]:
    """The first, the middle and the last one."""
    frames = sorted(looks)
    if len(frames) <= _FRAMES:
        return tuple(looks[number] for number in frames)
    return looks[frames[0]], looks[frames[len(frames) // 2]], looks[frames[-1]]


def _compare(some: Sequence[Appearance], others: Sequence[Appearance]) -> float | None:
    """The median of a few pairs: the calibration is that of pairs, and averages of frames would be more alike."""
    if some is others:
        return 1.0
    try:
        pairs = zip(some, others, strict=False)
        return round(statistics.median(compare_appearances(one, other).score for one, other in pairs), 4)
    except VideoGenError:  # of another backend: there is no number for that
        return None


def _tell_drift(
    label: str,
    numbers: Sequence[int],
    matrix: Sequence[Sequence[float | None]],
    start: int,
    looks: Mapping[int, Sequence[Appearance]],
    description: str,
) -> str:
    across = [value for row in matrix[start:] for value in row[:start] if value is not None]
    inside = [
        v
        for r, row in enumerate(matrix)
        for c, v in enumerate(row)
        if v is not None and c < r and (c < start) == (r < start)
    ]
    known = [(number, average_parts([look.parts for look in looks[number]])) for number in numbers]
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


def _describe(
    number: int, name: str, score: SegmentScore, thresholds: Thresholds, result: Mapping[str, Any]
) -> dict[str, Any]:
    said = result["continuity"]
    takes = result.get("takes") or []
    kept: dict[str, Any] = next((take for take in takes if take["kept"]), {})
    return {
        "number": number,
        "id": name,
        "level": said["level"],
        "reasons": said["reasons"],
        "backend": said["backend"],
        "score": kept.get("score"),
        "min": kept.get("min"),
        "take": said["take"],
        "takes": takes,
        "thresholds": to_plain(thresholds),
        "rules": score.rules,
        "subjects": [_describe_subject(subject) for subject in score.subjects],
        "temporal": to_plain(score.temporal) if score.temporal is not None else None,
        "light": to_plain(score.light) if score.light is not None else None,
        "frames": to_plain(score.frames),
    }


def _describe_subject(subject: SubjectScore) -> dict[str, Any]:
    """A subject without the fields that only programs need."""
    described: dict[str, Any] = to_plain(subject)
    del described["looks"], described["parts"]
    described["drift"] = [drift.sentence for drift in subject.drift]
    return described


def _look_at_cut(
    story: Story, after: int, before: SegmentScore, score: SegmentScore, thresholds: Thresholds
) -> dict[str, Any] | None:
    plans = plan_segment(story, after), plan_segment(story, after + 1)
    boundary = compare_cut(before, score, plans, is_dissolved(story, after))
    if boundary is None:
        return None
    found = judge_light(SegmentScore((), None, FrameCheck(0, None), boundary=boundary), thresholds)
    low = thresholds.character_minimum
    found += [(WARN, f"{name} {value:.2f} across the cut") for name, value in boundary.subjects.items() if value < low]
    described: dict[str, Any] = to_plain(boundary)
    return {
        "after": after,
        **described,
        "level": found[0][0] if found else "pass",
        "reasons": [text for _, text in found],
    }
