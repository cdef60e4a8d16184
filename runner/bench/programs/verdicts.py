"""Whole verdicts on good and on spoiled segments: part of `videogen bench continuity --verdicts`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from custom_nodes.videogen.core.continuity.policy import FAIL, WARN, Thresholds, judge_segment
from custom_nodes.videogen.core.continuity.scores import SegmentScore
from custom_nodes.videogen.media.foreign.pictures import count_frames, open_picture
from custom_nodes.videogen.metrics.appearance import AppearanceModel
from custom_nodes.videogen.metrics.images import FLOW_SIDE, prepare_image, shrink_array
from custom_nodes.videogen.metrics.masks.mask_network import MaskNetwork
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, score_segment
from custom_nodes.videogen.metrics.subject_compare import compare_with_first
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest

from ..footage.ai_clips import half_of
from ..footage.character_clips import PEOPLE, REPLACED, clip_files
from .strangers import HALVES, area_under_curve

#: Frames of a clip: the first of them are the accepted segment, the rest is judged.
_ACCEPTED, _JUDGED = 18, 12
#: Kinds that the temporal score alone must find, and those that the character must.
TEMPORAL = ("noise", "flicker", "stutter", "shuffle", "morph")
IDENTITY = ("hue", "stranger")
GOOD = "good"

Frames = list[np.ndarray]


def spoil(frames: Frames, kind: str, other: Frames, masks: MaskNetwork, seed: int = 0) -> Frames:
    """Frames with something wrong in them.

    Args:
        kind: ``noise`` of 12/255, ``flicker`` of ±9 %, ``stutter`` (every frame twice), ``shuffle``, ``morph`` (into `other`), or
            ``hue`` (the character's colors turned by 60°).
    """
    random = np.random.default_rng(seed)
    numbers = range(len(frames))
    if kind == "noise":
        return [_bytes(frame + random.normal(0, 12, frame.shape)) for frame in frames]
    if kind == "flicker":
        return [_bytes(frames[number] * (1.09 if number % 2 else 0.91)) for number in numbers]
    if kind == "stutter":
        return [frames[number // 2 * 2] for number in numbers]
    if kind == "shuffle":
        return [frames[number] for number in random.permutation(len(frames))]
    if kind == "morph":
        shares = np.linspace(0, 1, len(frames))
        into = [cv2.resize(other[number % len(other)], frames[0].shape[1::-1]) for number in numbers]
        return [
            _bytes(frame * (1 - share) + new.astype(np.float32) * share)
            for frame, new, share in zip(frames, into, shares, strict=True)
        ]
    return [_turn_hue(frame, masks) for frame in frames]


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


def _turn_hue(frame: np.ndarray, masks: MaskNetwork) -> np.ndarray:
    image = prepare_image(frame, FLOW_SIDE)
    mask = None if image is None else masks.find(image)
    if mask is None:
        return frame
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 30) % 180
    turned = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    share = cv2.resize(mask, frame.shape[1::-1])[..., None]
    return _bytes(frame * (1 - share) + turned * share)


def judge_clips(masks: MaskNetwork, folder: Path | None, kinds: tuple[str, ...] = (*TEMPORAL, *IDENTITY)) -> list[Any]:
    """For each clip of one person and each kind: its half, temporal score, verdict and reasons.

    Args:
        folder: see `clip_files`.
    """
    found = []
    exchanged = {one: other for pair in REPLACED for one, other in (pair, pair[::-1])}
    with clip_files(folder) as files:
        names = [name for name in PEOPLE if name in files]
        for number, name in enumerate(names):
            frames = read_first(files[name], _ACCEPTED + _JUDGED)
            accepted, judged = frames[:_ACCEPTED], frames[_ACCEPTED:]
            known = _score(accepted, masks)
            for kind in (GOOD, *kinds):
                other = exchanged.get(name, "") if kind == "stranger" else names[(number + 7) % len(names)]
                if kind == "stranger" and other not in files:
                    continue
                shown = judged
                if kind == "stranger":
                    shown = read_first(files[other], _ACCEPTED + _JUDGED)[_ACCEPTED:]
                elif kind != GOOD:
                    more = read_first(files[other], _JUDGED) if kind == "morph" else []
                    shown = spoil(judged, kind, more, masks, number)
                found.append({"clip": name, "half": half_of(name), "kind": kind, **_judge(shown, known, masks)})
    return found


def _score(frames: Frames, masks: MaskNetwork) -> SegmentScore:
    request = SegmentRequest(len(frames), (SubjectRequest("character", "x", "character"),))
    return score_segment(frames, request, AppearanceModel(masks=masks))


def _judge(frames: Frames, known: SegmentScore, masks: MaskNetwork) -> dict[str, Any]:
    score = _score(frames, masks)
    score = replace(score, subjects=(compare_with_first(score.subjects[0], known.subjects[0], 1),))
    verdict = judge_segment(score, Thresholds())
    temporal = score.temporal.score if score.temporal is not None else None
    return {
        "temporal": None if temporal is None else round(temporal, 3),
        "character": score.subjects[0].mean,
        "level": verdict.level,
        "reasons": list(verdict.reasons),
    }


def read_first(path: Path, count: int) -> Frames:
    """The first frames of a clip, at most as large as they are measured."""
    frames = []
    with open_picture(path) as image:
        for number in range(min(count, count_frames(image))):
            image.seek(number)
            frames.append(shrink_array(np.asarray(image.convert("RGB")), FLOW_SIDE))
    return frames


def sum_up(found: list[Any]) -> dict[str, Any]:
    """For each half and kind: how many there are, which share reaches the temporal threshold, and which fails or warns."""
    halves: dict[str, Any] = {}
    for half in HALVES:
        rows: dict[str, Any] = {}
        of_half = [each for each in found if each["half"] == half]
        good = list(_temporal(of_half, GOOD))
        for kind in dict.fromkeys(each["kind"] for each in of_half):
            those = [each for each in of_half if each["kind"] == kind]
            scores = list(_temporal(of_half, kind))
            rows[kind] = {
                "count": len(those),
                "temporal_pass": round(float(np.mean([score >= Thresholds().temporal for score in scores])), 4),
                "temporal_auc": None if kind == GOOD else round(area_under_curve(good, scores), 4),
                "failed": round(float(np.mean([each["level"] == FAIL for each in those])), 4),
                "warned": round(float(np.mean([each["level"] == WARN for each in those])), 4),
            }
        halves[half] = rows
    return {
        "halves": halves,
        "good_that_fail": {each["clip"]: each["reasons"][0] for each in found if _is_wrong(each, GOOD, FAIL)},
    }


def _temporal(found: list[Any], kind: str) -> Iterator[float]:
    return (each["temporal"] for each in found if each["kind"] == kind and each["temporal"] is not None)


def _is_wrong(each: dict[str, Any], kind: str, level: str) -> bool:
    return bool(each["kind"] == kind and each["level"] == level)


def format_verdicts(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    titles = ("segments", "half", "count", "temporal ≥ 0.6", "temporal AUC", "failed", "warned")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    percent: Callable[[float], str] = "{:.0%}".format
    for half, rows in summary["halves"].items():
        for kind, row in rows.items():
            auc = "–" if row["temporal_auc"] is None else f"{row['temporal_auc']:.3f}"
            lines.append(
                f"| {kind} | {half} | {row['count']} | {percent(row['temporal_pass'])} | {auc} | {percent(row['failed'])}"
                f" | {percent(row['warned'])} |"
            )
    lines += ["", "Good segments that fail:", ""]
    lines += [f"- {name}: {reason}" for name, reason in summary["good_that_fail"].items()] or ["- none"]
    return "\n".join(lines)
