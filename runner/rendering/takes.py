"""The gate: takes of a segment are judged, the best one is kept, and none of them is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.continuity.policy import (
    FAIL,
    ONLY_REPORT,
    PASS,
    Thresholds,
    Verdict,
    choose_take,
    judge_segment,
    score_of_take,
    wants_another_take,
)
from custom_nodes.videogen.core.continuity.scores import SegmentScore, SubjectScore, to_plain
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.references import cast_of
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.media.backups import keep_previous
from custom_nodes.videogen.media.os_errors import explain_os_error

from ..comfyui.graph import CONTINUITY_NODE, Graph
from ..state.journal import SegmentState
from ..state.run_directory import RunDirectory, write_json_whole
from .collect import VerifiedFile
from .continuity import TakeMeasurement, compare_cut, compare_with_accepted, subjects_of, summarize

#: In a run directory: takes that were not good enough at once, and what was measured of every take.
TAKES_FOLDER, SCORES_FOLDER = "takes", "scores"
#: What of a take stands in reports.
_LISTED = ("take", "seed", "score", "min", "temporal", "level", "reasons", "backend", "file")

Note = Callable[..., Any]


class TakeSelector:
    """Judges takes.

    Args:
        most: how many takes a segment may have; with 1 nothing is rendered again.
    """

    def __init__(self, directory: RunDirectory, story: Story, most: int) -> None:
        self._directory, self._journal, self._story, self._most = directory, directory.journal, story, most

    def judge(self, number: int, measured: TakeMeasurement) -> tuple[SegmentScore, Verdict]:
        """A take's scores, completed by what only the runner knows: the segments that are accepted already."""
        first = {
            key: found
            for key in subjects_of(measured.score)
            if (found := self._first_accepted(number, key)) is not None
        }
        plan = plan_segment(self._story, number)
        descriptions = {f"{entity.kind} {entity.name}": entity.description for entity in cast_of(plan)}
        score = compare_with_accepted(measured.score, first, descriptions)
        before = load_score(self._directory.path, self._journal.segments.get(number - 1))
        if before is not None:
            plans = plan_segment(self._story, number - 1), plan
            score = replace(score, boundary=compare_cut(before, score, plans, is_dissolved(self._story, number - 1)))
        return score, judge_segment(score, measured.thresholds)

    def keep(
        self,
        note: Note,
        number: int,
        attempt: int,
        seed_offset: int,
        measured: TakeMeasurement,
        checked: VerifiedFile,
        result: Mapping[str, Any],
    ) -> bool:
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
                {
                    "format": 1,
                    "segment": number,
                    "take": count,
                    "scores": score.to_dict(),
                    "notes": measured.notes,
                    "thresholds": to_plain(measured.thresholds),
                },
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
            "segment-take",
            segment=number,
            attempt=attempt,
            seed_offset=seed_offset,
            take=count,
            seed=result["seed"],
            **summarize(score),
            level=verdict.level,
            reasons=list(verdict.reasons),
            rank=round(score_of_take(score), 5),
            backend=next((subject.backend for subject in score.subjects), ""),
            scores_file=f"{SCORES_FOLDER}/{path.name}",
            scores=_numbers_of(score),
            subjects=list(subjects_of(score)),
            another=another,
            part=part,
            result=dict(result),
        )
        return another

    def _first_accepted(self, number: int, key: str) -> tuple[int, SubjectScore] | None:
        """The first segment that is done and shows somebody, and how; one that fell short only where none has passed."""
        fallen: tuple[int, SubjectScore] | None = None
        for other in sorted(self._journal.segments):
            state = self._journal.segments[other]
            said = state.result.get("continuity") or {}
            if other == number or key not in said.get("subjects", ()) or (fallen and said.get("level") == FAIL):
                continue
            score = load_score(self._directory.path, state)
            subject = subjects_of(score).get(key) if score is not None else None
            if subject is None or not subject.looks:
                continue
            if said.get("level") != FAIL:
                return other, subject
            fallen = other, subject
        return fallen


def place_best(directory: RunDirectory, number: int, note: Note) -> dict[str, Any]:
    """Make the best take of a segment its file; gives the take.

    As for any other file: said first, then it gets its name, then the segment is done.
    """
    takes = directory.journal.segment(number).takes
    best = takes[choose_take([take["level"] for take in takes], [take["rank"] for take in takes])]
    result = best["result"] | {
        "scores": best["scores"],
        "continuity": {
            "take": best["take"],
            "level": best["level"],
            "reasons": best["reasons"],
            "backend": best["backend"],
            "subjects": best["subjects"],
            "file": best["scores_file"],
        },
        "takes": list_takes(takes, best),
    }
    note("segment-verified", segment=number, part=best["part"], **result)
    target = directory.path / result["file"]
    try:
        keep_previous(target)
        (directory.segments / best["part"]).replace(target)
    except OSError as error:
        raise explain_os_error(error, target) from None
    note("segment-done", segment=number, **result)
    return best


def recover_takes(directory: RunDirectory, most: int) -> None:
    """Finish segments whose last take an earlier runner had judged, but not yet placed.

    Before anything half-written is removed: the take may still have its temporary name.

    Args:
        most: how many takes a segment may have now; the earlier runner may have wanted more.
    """
    for number, state in list(directory.journal.segments.items()):
        wanted = state.takes and state.takes[-1]["another"] and len(state.takes) < most
        judged = state.takes and not wanted and state.state not in ("verified", "done", "failed")
        if judged and all((directory.segments / take["part"]).is_file() for take in state.takes):
            place_best(directory, number, directory.journal.append)


def asks_for_takes(graph: Graph) -> bool:
    """Whether a Continuity node of the workflow has segments rendered again that fall short."""
    nodes = [node for node in graph.values() if node["class_type"] == CONTINUITY_NODE]
    return any(node["inputs"].get("when_below") != ONLY_REPORT for node in nodes)


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
    found = load_judged(folder, state)
    return None if found is None else found[0]


def load_judged(folder: Path, state: SegmentState | None) -> tuple[SegmentScore, Thresholds] | None:
    """The same, with what it had to reach."""
    file = ((state.result if state is not None and state.state == "done" else {}).get("continuity") or {}).get("file")
    if not file:
        return None
    try:
        data = json.loads((folder / file).read_text(encoding="utf-8"))
        return SegmentScore.from_dict(data["scores"]), Thresholds.from_dict(data.get("thresholds") or {})
    except (OSError, ValueError, TypeError, KeyError, VideoGenError):
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
