"""Judges takes against thresholds and accepted segments, and decides whether another take is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from custom_nodes.videogen.core.continuity.policy import (
    FAIL,
    ONLY_REPORT,
    Verdict,
    judge_segment,
    score_of_take,
    wants_another_take,
)
from custom_nodes.videogen.core.continuity.scores import SegmentScore, SubjectScore, to_plain
from custom_nodes.videogen.core.graph import CONTINUITY_NODE, Graph
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.prompts import entities_in
from custom_nodes.videogen.core.segment.references import cast_of
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.media.backups import keep_previous
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.probe import hash_file

from ...state.run_directory import RunDirectory, write_json_whole
from ..collect import VerifiedFile
from ..run_log import RunLog
from .measurement import TakeMeasurement, compare_cut, compare_with_accepted, subjects_of, summarize
from .records import SCORES_FOLDER, TAKES_FOLDER, is_dissolved, load_score


@dataclass(frozen=True)
class NewTake:
    """A take that was just rendered.

    Attributes:
        number: of the segment.
        attempt: that rendered it.
        seed_offset: added to the segment's seed.
        file: verified, under its temporary name.
        result: what the segment's result is if this take is kept.
    """

    number: int
    attempt: int
    seed_offset: int
    measurement: TakeMeasurement
    file: VerifiedFile
    result: Mapping[str, Any]


class TakeSelector:
    """Judges takes.

    Args:
        max_takes: how many takes a segment may have; with 1 nothing is rendered again.
    """

    def __init__(self, directory: RunDirectory, story: Story, max_takes: int) -> None:
        self._directory, self._journal, self._story = directory, directory.journal, story
        self._max_takes = max_takes

    def judge(self, number: int, measurement: TakeMeasurement) -> tuple[SegmentScore, Verdict]:
        """A take's scores with the comparisons that only the runner can make: with the segments accepted already."""
        rules = measurement.score.rules
        first = {
            key: found
            for key in subjects_of(measurement.score)
            if (found := self._first_accepted(number, key, rules)) is not None
        }
        plan = plan_segment(self._story, number)
        descriptions = {f"{entity.kind} {entity.name}": entity.description for entity in cast_of(plan)}
        elsewhere = {key for key, (other, _) in first.items() if self._location(other) != self._location(number)}
        score = compare_with_accepted(measurement.score, first, descriptions, elsewhere)
        before = load_score(self._directory.path, self._journal.segments.get(number - 1))
        if before is not None and before.rules == rules:
            plans = plan_segment(self._story, number - 1), plan
            score = replace(score, boundary=compare_cut(before, score, plans, is_dissolved(self._story, number - 1)))
        return score, judge_segment(score, measurement.thresholds)

    def add(self, take: NewTake, log: RunLog) -> bool:
        """Judge a take and write it down.

        A take that falls short gets its place in ``takes/`` before the journal tells of it. Killed in between, the next runner
        fetches it from the server once more.

        Returns:
            Whether another take is wanted.
        """
        measurement, number = take.measurement, take.number
        score, verdict = self.judge(number, measurement)
        takes = self._journal.segment(number).takes
        count = len(takes) + 1
        levels = [earlier["level"] for earlier in takes] + [verdict.level]
        limits = replace(measurement.thresholds, extra_takes=self._max_takes - 1)
        another = measurement.retakes and wants_another_take(levels, limits)
        name = f"{take.file.target.stem}_take_{count}"
        if self._journal.shelved(number):
            # Takes for another text have these names, and count again when that text is wanted again.
            name += f"_{take.result['key'][:8]}"
        scores_path = self._directory.path / SCORES_FOLDER / f"{name}.json"
        try:
            scores_path.parent.mkdir(exist_ok=True)
            write_json_whole(
                scores_path,
                {
                    "format": 1,
                    "segment": number,
                    "take": count,
                    "scores": score.to_dict(),
                    "notes": measurement.notes,
                    "thresholds": to_plain(measurement.thresholds),
                },
            )
            part = take.file.path.name
            if verdict.level == FAIL and (another or takes):
                kept = self._directory.path / TAKES_FOLDER / f"{name}{take.file.target.suffix}"
                kept.parent.mkdir(exist_ok=True)
                keep_previous(kept)
                take.file.path.replace(kept)
                part = f"../{TAKES_FOLDER}/{kept.name}"
        except OSError as error:
            raise explain_os_error(error, self._directory.path) from None
        log.note_take(
            number,
            attempt=take.attempt,
            seed_offset=take.seed_offset,
            take=count,
            seed=take.result["seed"],
            **summarize(score),
            level=verdict.level,
            reasons=list(verdict.reasons),
            rank=round(score_of_take(score), 5),
            backend=next((subject.backend for subject in score.subjects), ""),
            scores_file=f"{SCORES_FOLDER}/{scores_path.name}",
            scores_sha256=hash_file(scores_path),
            scores=_numbers_of(score),
            subjects=list(subjects_of(score)),
            another=another,
            part=part,
            result=dict(take.result),
        )
        return another

    def _first_accepted(self, number: int, key: str, rules: int) -> tuple[int, SubjectScore] | None:
        """The first finished segment that shows a subject, and how; one that fell short only where none has passed.

        One in the same location comes before the others: how alike two segments are there says more about who is in them.

        Args:
            rules: those that the segment was measured by: scores of other ones are not compared.
        """
        fallen: tuple[int, SubjectScore] | None = None
        here = self._location(number)
        for other in sorted(self._journal.segments, key=lambda one: (self._location(one) != here, one)):
            state = self._journal.segments[other]
            verdict = state.result.get("continuity") or {}
            if other == number or key not in verdict.get("subjects", ()) or (fallen and verdict.get("level") == FAIL):
                continue
            score = load_score(self._directory.path, state)
            subject = subjects_of(score).get(key) if score is not None and score.rules == rules else None
            if subject is None or not subject.looks:
                continue
            if verdict.get("level") != FAIL:
                return other, subject
            fallen = other, subject
        return fallen

    def _location(self, number: int) -> str:
        """The location of a segment, by its name; "" for one without."""
        locations = entities_in(self._story.locations, number)
        return locations[0].name if locations else ""


def asks_for_takes(graph: Graph) -> bool:
    """Whether a Continuity node of the workflow has segments rendered again that fall short."""
    nodes = [node for node in graph.values() if node["class_type"] == CONTINUITY_NODE]
    return any(node["inputs"].get("when_below") != ONLY_REPORT for node in nodes)


def _numbers_of(score: SegmentScore) -> dict[str, float]:
    """Name → score of every subject that was compared, and the temporal one."""
    found = {subject.label: round(subject.mean, 4) for subject in score.subjects if subject.mean is not None}
    if score.temporal is not None and score.temporal.score is not None:
        found["temporal"] = round(score.temporal.score, 4)
    return found
