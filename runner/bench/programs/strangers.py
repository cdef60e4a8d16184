"""How well a character is told from a stranger in the same place: part of `videogen bench continuity`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from custom_nodes.videogen.core.continuity.calibration import SAME_SUBJECT
from custom_nodes.videogen.core.continuity.own_likeness import margin_of
from custom_nodes.videogen.core.continuity.policy import Thresholds
from custom_nodes.videogen.core.continuity.scores import FIRST_SEGMENT
from custom_nodes.videogen.metrics.appearance import Appearance, AppearanceModel
from custom_nodes.videogen.metrics.images import FLOW_SIDE, MEASURE_SIDE, PreparedImage, prepare_image
from custom_nodes.videogen.metrics.masks.mask_network import MaskNetwork
from custom_nodes.videogen.metrics.masks.subject_weight import SubjectWeight, weigh_subject
from custom_nodes.videogen.metrics.subject_compare import compare_samples, keep_located, own_likeness_of

from ..footage.ai_clips import half_of
from ..footage.character_clips import (
    MOVED,
    PEOPLE,
    REPLACED,
    SAMPLES,
    SHOTS,
    Clips,
    all_names,
    are_alike,
    clip_files,
    draw_figures,
    read_places,
    read_samples,
)

#: The reference is the first half of a clip's samples, and the other half is judged.
_HALF = SAMPLES // 2
#: At most this many pairs of one kind, drawn at random.
_MAX_PAIRS = 400
#: Kinds of pairs → what the table calls them.
KINDS = {
    "true": "true pairs",
    "same_place": "stranger, same place",
    "other_place": "stranger, other place",
    "shots": "other shots",
    "moved": "other place, same character",
}
HALVES = ("calibration", "test")


@dataclass(frozen=True)
class Pair:
    """A clip whose first half is the reference, and a clip whose second half is judged."""

    reference: str
    judged: str


def pair_clips(clips: Clips) -> dict[str, list[Pair]]:
    """The pairs of real clips, by kind."""
    people = [name for name in PEOPLE if name in clips]

    def both_ways(pairs: Sequence[tuple[str, str]]) -> list[Pair]:
        there = [pair for pair in pairs if pair[0] in clips and pair[1] in clips]
        return [Pair(*pair) for one, other in there for pair in ((one, other), (other, one))]

    strangers = [Pair(one, other) for one in people for other in people if not are_alike(one, other)]
    return {
        "true": [Pair(name, name) for name in people],
        "same_place": both_ways(REPLACED),
        "other_place": _draw(strangers),
        "shots": [Pair(name, name) for name in SHOTS if name in clips],
        "moved": both_ways(MOVED),
    }


def pair_figures(shown: dict[str, tuple[str, str]]) -> dict[str, list[Pair]]:
    """The pairs of drawn figures, by kind."""
    pairs: dict[str, list[Pair]] = {kind: [] for kind in KINDS}
    for one, (who, place) in shown.items():
        for other, (somebody, elsewhere) in shown.items():
            if who == somebody:
                kind = "true" if place == elsewhere else "moved"
            else:
                kind = "same_place" if place == elsewhere else "other_place"
            pairs[kind].append(Pair(one, other))
    return {kind: _draw(found) for kind, found in pairs.items()}


def _draw(pairs: list[Pair]) -> list[Pair]:
    """The same ones each time."""
    chosen = np.random.default_rng(0).permutation(len(pairs))[:_MAX_PAIRS]
    return [pairs[index] for index in sorted(chosen)]


def measure_clips(clips: Clips, network: MaskNetwork | None) -> dict[str, dict[int, Appearance]]:
    """Name → sample → the character's appearance, located by a network or by colors."""
    model = AppearanceModel()

    def weigh(image: PreparedImage) -> SubjectWeight:
        return weigh_subject(image.shrink(MEASURE_SIDE), found=None if network is None else network.find(image))

    measured = {}
    for name, frames in clips.items():
        images = [image for image in (prepare_image(frame, FLOW_SIDE) for frame in frames) if image is not None]
        measured[name] = dict(enumerate(model.measure([(image, weigh(image)) for image in images])))
    return measured


def judge_pairs(
    pairs: Sequence[Pair], looks: dict[str, dict[int, Appearance]], relative: bool
) -> list[tuple[list[float], bool]]:
    """For each pair the scores of the judged frames, and whether the character was located in both clips.

    Args:
        relative: by the reference's own likeness, as segments are compared; else by the calibrated score alone.
    """
    judged = []
    for pair in pairs:
        known = keep_located({number: each for number, each in looks[pair.reference].items() if number < _HALF})
        seen = keep_located({number: each for number, each in looks[pair.judged].items() if number >= _HALF})
        frames = list(known.values())
        samples, _ = compare_samples(seen, FIRST_SEGMENT, frames, own_likeness_of(frames) if relative else None)
        located = all(each.weights != "ratio" for each in (*frames, *seen.values()))
        judged.append(([sample.score for sample in samples], located))
    return judged


def fails(scores: Sequence[float]) -> bool:
    """Whether a segment with these scores of frames is rendered again (policy.py)."""
    limits = Thresholds()
    clearly = margin_of(float(np.mean(scores))) <= margin_of(limits.character) - 0.03
    return clearly or min(scores) < limits.character_minimum


def area_under_curve(high: Sequence[float], low: Sequence[float]) -> float:
    """The probability that one of `high` is above one of `low` (ties count half)."""
    difference = np.subtract.outer(np.array(high), np.array(low))
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def describe(judged: Sequence[tuple[list[float], bool]]) -> dict[str, Any]:
    """Figures of one kind of pairs: shares of frames that pass, and of segments that pass, fail, or are guesses."""
    frames = [score for scores, _ in judged for score in scores]
    return {
        "pairs": len(judged),
        "frames_pass": round(float(np.mean(np.array(frames) >= SAME_SUBJECT)), 4),
        "segments_pass": round(float(np.mean([np.mean(scores) >= SAME_SUBJECT for scores, _ in judged])), 4),
        "segments_fail": round(float(np.mean([located and fails(scores) for scores, located in judged])), 4),
        "guessed": round(float(np.mean([not located for _, located in judged])), 4),
    }


def compare_decisions(network: MaskNetwork | None, folder: Path | None) -> dict[str, Any]:
    """The table: for each decision, half and kind of pairs the figures; for drawn figures too, which need no clips.

    Args:
        network: finds people; without it the rows that need it are left out.
        folder: see `clip_files`.
    """
    with clip_files(folder) as files:
        clips = read_samples(files, all_names())
        places = read_places(files)
    figures, shown = draw_figures(places)
    sets: dict[str, tuple[Clips, dict[str, list[Pair]]]] = {"drawn figures": (figures, pair_figures(shown))}
    if clips:
        sets = {"AI clips": (clips, pair_clips(clips)), **sets}
    sources: dict[str, MaskNetwork | None] = {"ratio mask": None}
    if network is not None:
        sources[network.name] = network
    result: dict[str, Any] = {"clips": len(clips), "places": len(places), "sets": {}}
    for name, (footage, pairs) in sets.items():
        rows = []
        for source, finder in sources.items():
            began = time.process_time()
            looks = measure_clips(footage, finder)
            milliseconds = 1000 * (time.process_time() - began) / sum(map(len, footage.values()))
            for relative in (False, True):
                for half in HALVES:
                    judged = {
                        kind: judge_pairs([pair for pair in found if half_of(pair.reference) == half], looks, relative)
                        for kind, found in pairs.items()
                    }
                    rows.append(
                        {
                            "where": source,
                            "decision": "u − 0.75 w" if relative else "calibrated ≥ 0.85",
                            "half": half,
                            **{kind: describe(each) for kind, each in judged.items() if each},
                            "auc_same_place": _auc(judged),
                            "ms_a_frame": round(milliseconds, 1),
                        }
                    )
        result["sets"][name] = rows
    return result


def _auc(judged: dict[str, list[tuple[list[float], bool]]]) -> float | None:
    def frames(kind: str) -> list[float]:
        return [score for scores, _ in judged[kind] for score in scores]

    true, strangers = frames("true"), frames("same_place")
    return round(area_under_curve(true, strangers), 4) if true and strangers else None


def format_decisions(result: dict[str, Any]) -> str:
    """The table as Markdown: percent of judged frames that pass, and of segments that fail."""
    lines = []
    shown: tuple[tuple[str, Callable[[dict[str, Any]], float]], ...] = (
        ("frames that pass", lambda figures: figures["frames_pass"]),
        ("segments that are rendered again", lambda figures: figures["segments_fail"]),
    )
    for name, rows in result["sets"].items():
        for what, value in shown:
            lines += ["", f"{name}, percent of {what}:", ""]
            titles = ["where", "decision", "half", *KINDS.values(), "AUC", "ms a frame"]
            lines += [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
            for row in rows:
                cells = [
                    f"{value(row[kind]):.0%} of {row[kind]['pairs']}".replace("%", "") if kind in row else "–"
                    for kind in KINDS
                ]
                auc = "–" if row["auc_same_place"] is None else f"{row['auc_same_place']:.3f}"
                lines.append(
                    f"| {row['where']} | {row['decision']} | {row['half']} | {' | '.join(cells)} | {auc} | {row['ms_a_frame']} |"
                )
    return "\n".join(lines[1:])
