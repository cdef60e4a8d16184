"""The gate: takes of a segment are judged, the best one is kept, and none of them is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.continuity_policy import (
    FAIL,
    PASS,
    Verdict,
    choose_take,
    judge_segment,
    score_of_take,
    wants_another_take,
)
from custom_nodes.videogen.core.continuity_scores import SegmentScore
from custom_nodes.videogen.core.plan import plan_segment
from custom_nodes.videogen.core.story import Story
from custom_nodes.videogen.media.disk import explain_os_error
from custom_nodes.videogen.media.keep import keep_previous
from custom_nodes.videogen.metrics.appearance import Appearance

from .collect import Checked
from .continuity import Measured, compare_cut, compare_with_first, read_appearance, subjects_of, summarise
from .journal import SegmentState
from .run_directory import RunDirectory, write_json_whole

#: In a run directory: takes that were not good enough at once, and what was measured of every take.
TAKES_FOLDER, SCORES_FOLDER = "takes", "scores"
#: What of a take stands in reports.
_LISTED = ("take", "seed", "score", "min", "temporal", "level", "reasons", "backend", "file")

Note = Callable[..., Any]


class TakeGate:
    """Judges takes.

    Args:
        most: how many takes a segment may have; with 1 nothing is rendered again.
    """

    def __init__(self, directory: RunDirectory, story: Story, most: int) -> None:
        self._directory, self._journal, self._story, self._most = directory, directory.journal, story, most

    def judge(self, number: int, measured: Measured) -> tuple[SegmentScore, Verdict]:
        """A take's scores, completed by what only the runner knows: the segments that are accepted already."""
        first: dict[str, Appearance] = {}
        numbers: dict[str, int] = {}
        for key in subjects_of(measured.score):
            found = self._first_accepted(number, key)
            if found is not None:
                numbers[key], first[key] = found
        score = compare_with_first(measured.score, first, numbers)
        before = load_score(self._directory.path, self._journal.segments.get(number - 1))
        if before is not None:
            plans = plan_segment(self._story, number - 1), plan_segment(self._story, number)
            score = replace(score, boundary=compare_cut(before, score, plans, is_dissolved(self._story, number - 1)))
        return score, judge_segment(score, measured.thresholds)

    def keep(
        self, note: Note, number: int, attempt: int, seed_offset: int, measured: Measured, checked: Checked,
        result: Mapping[str, Any],
    ) -> bool:  # fmt: skip
        """Write a judged take down; whether there is to be another one.

        A take that is not good enough gets its place in ``takes/`` before the journal tells of it. Killed in between, the next
        runner fetches it from the server once more.
        """
        score, verdict = self.judge(number, measured)
        takes = self._journal.segment(number).takes
        count = len(takes) + 1
        levels = [take["level"] for take in takes] + [verdict.level]
        limits = replace(measured.thresholds, extra_takes=self._most - 1)
        another = measured.gated and wants_another_take(levels, limits)
        name = f"{checked.target.stem}_take_{count}"
        path = self._directory.path / SCORES_FOLDER / f"{name}.json"
        try:
            path.parent.mkdir(exist_ok=True)
            write_json_whole(
                path,
                {"format": 1, "segment": number, "take": count, "scores": score.to_dict(), "notes": measured.notes},
            )
            part = checked.path.name
            if verdict.level == FAIL and (another or takes):
                kept = self._directory.path / TAKES_FOLDER / f"{name}{checked.target.suffix}"
                kept.parent.mkdir(exist_ok=True)
                keep_previous(kept)
                checked.path.replace(kept)
                part = f"../{TAKES_FOLDER}/{kept.name}"
        except OSError as error:
            raise explain_os_error(error, self._directory.path) from None
        note(
            "segment-take", segment=number, attempt=attempt, seed_offset=seed_offset, take=count, seed=result["seed"],
            **summarise(score), level=verdict.level, reasons=list(verdict.reasons), rank=round(score_of_take(score), 5),
            backend=next((subject.backend for subject in score.subjects), ""), scores_file=f"{SCORES_FOLDER}/{path.name}",
            scores=_numbers_of(score), subjects=list(subjects_of(score)), another=another, part=part, result=dict(result),
        )  # fmt: skip
        return another

    def _first_accepted(self, number: int, key: str) -> tuple[int, Appearance] | None:
        """The first segment that is done and shows somebody, and what he looks like there."""
        for other in sorted(self._journal.segments):
            state = self._journal.segments[other]
            if other == number or key not in (state.result.get("continuity") or {}).get("subjects", ()):
                continue
            score = load_score(self._directory.path, state)
            subject = subjects_of(score).get(key) if score is not None else None
            appearance = read_appearance(subject) if subject is not None else None
            if appearance is not None:
                return other, appearance
        return None


def place_best(directory: RunDirectory, number: int, note: Note) -> dict[str, Any]:
    """Make the best take of a segment its file; gives the take.

    As for any other file: said first, then it gets its name, then the segment is done.
    """
    takes = directory.journal.segment(number).takes
    best = takes[choose_take([take["level"] for take in takes], [take["rank"] for take in takes])]
    result = best["result"] | {
        "scores": best["scores"],
        "continuity": {
            "take": best["take"], "level": best["level"], "reasons": best["reasons"], "backend": best["backend"],
            "subjects": best["subjects"], "file": best["scores_file"],
        },
        "takes": list_takes(takes, best),
    }  # fmt: skip
    note("segment-verified", segment=number, part=best["part"], **result)
    target = directory.path / result["file"]
    try:
        keep_previous(target)
        (directory.segments / best["part"]).replace(target)
    except OSError as error:
        raise explain_os_error(error, target) from None
    note("segment-done", segment=number, **result)
    return best


def recover_takes(directory: RunDirectory) -> None:
    """Finish segments whose last take an earlier runner had judged, but not yet placed.

    Before anything half-written is removed: the take may still have its temporary name.
    """
    for number, state in list(directory.journal.segments.items()):
        judged = state.takes and not state.takes[-1]["another"] and state.state not in ("verified", "done", "failed")
        if judged and all((directory.segments / take["part"]).is_file() for take in state.takes):
            place_best(directory, number, directory.journal.append)


def list_takes(takes: Sequence[Mapping[str, Any]], best: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """All takes as reports show them; `kept` is the one whose file is the segment's."""
    listed = []
    for take in takes:
        kept = best is not None and take["take"] == best["take"]
        file = take["result"]["file"] if kept else f"{TAKES_FOLDER}/{Path(take['part']).name}"
        listed.append({name: ({**take, "file": file}).get(name) for name in _LISTED} | {"kept": kept})
    return listed


def load_score(folder: Path, state: SegmentState | None) -> SegmentScore | None:
    """What was measured of the take that is a segment's file; None when nothing was, or its file is gone."""
    file = ((state.result if state is not None and state.state == "done" else {}).get("continuity") or {}).get("file")
    if not file:
        return None
    try:
        return SegmentScore.from_dict(json.loads((folder / file).read_text(encoding="utf-8"))["scores"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_dissolved(story: Story, after: int) -> bool:
    """Whether there is a transition behind a segment."""
    return any(transition.after == after for transition in story.transitions)


def describe_shortfall(best: Mapping[str, Any], count: int) -> str:
    """What is said of a segment that is done: "" when its first take passed."""
    if count == 1 and best["level"] != FAIL:
        return ""
    which = f"take {best['take']} of {count}"
    return which if best["level"] in (PASS, "warn") else f"{which}, below the threshold: {best['reasons'][0]}"


def _numbers_of(score: SegmentScore) -> dict[str, float]:
    """Name → score of everybody and everything that was compared, and the temporal one."""
    found = {subject.label: round(subject.mean, 4) for subject in score.subjects if subject.mean is not None}
    if score.temporal is not None and score.temporal.score is not None:
        found["temporal"] = round(score.temporal.score, 4)
    return found
