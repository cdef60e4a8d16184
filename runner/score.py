"""`videogen score`: how well videos on the disk keep a character, and how steadily they move. No server, no story."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from custom_nodes.videogen.core.continuity_policy import FAIL, Thresholds, Verdict, judge_segment
from custom_nodes.videogen.core.continuity_scores import SegmentScore
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.frame_reader import open_source, read_frames, read_picture
from custom_nodes.videogen.metrics.appearance import Appearance, Backend
from custom_nodes.videogen.metrics.faces import FaceFinder
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, looks_of, score_segment
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from custom_nodes.videogen.metrics.temporal import tv_l1_variance

#: What the one subject of a video is called in the result.
SUBJECT = "subject"


def score_files(
    files: Sequence[Path], references: Sequence[Path], mask: Path | None, threshold: float | None, fps: Fraction | None,
    as_json: bool, faces: Path | None = None, tv_l1: bool = False,
) -> int:  # fmt: skip
    """Score each file, print a table (or JSON), and give the exit status: 1 when one of them falls short, 0 otherwise.

    Args:
        files: videos, animated pictures, pictures, or folders of pictures.
        references: pictures of the character. Without one, each file is compared with the first of them.
        mask: where the character is in all frames, white on black.
        threshold: of the character's mean score.
        fps: frames a second that are looked at.
        faces: folder with OpenCV's models for faces, which are looked at then.
        tv_l1: tell 1 / (1 + variance of the Dual TV-L1 flow) too, which others call temporal consistency.

    Raises:
        VideoGenError: for a file that cannot be read, before anything is printed as a result of it.
    """
    thresholds = Thresholds.from_dict({} if threshold is None else {"character": threshold})
    backend = Backend(faces=None if faces is None else FaceFinder(faces))
    area = None if mask is None else read_picture(mask)[..., :3].mean(axis=2) / 255
    looks = tuple(_measure_reference(backend, path) for path in references)
    sources = [open_source(path, fps) for path in files]  # what is missing is said before minutes are spent
    results: list[dict[str, Any]] = []
    first: tuple[Appearance, ...] = ()
    for path, source in zip(files, sources, strict=True):
        request = SubjectRequest(
            "character", SUBJECT, path.name, mask=area, references=looks, first=() if looks else first
        )
        try:
            score = score_segment(read_frames(source), SegmentRequest(source.count, (request,)), backend)
            if tv_l1 and score.temporal is not None:
                variance = tv_l1_variance(read_frames(source))
                score = replace(score, temporal=replace(score.temporal, tv_l1_variance=variance))
        except VideoGenError as error:
            raise VideoGenError(error.code, f"{path}: {error.message}", error.hint) from None
        first = first or looks_of(score, SUBJECT)
        results.append(_result(path, score, judge_segment(score, thresholds)))
    if as_json:
        print(json.dumps(results, ensure_ascii=False, indent=2))
    else:
        _print_table(results)
    return 1 if any(result["verdict"]["level"] == FAIL for result in results) else 0


def _measure_reference(backend: Backend, path: Path) -> Appearance:
    try:
        return backend.measure_reference(read_picture(path))
    except VideoGenError as error:
        raise VideoGenError(error.code, f"{path}: {error.message}", error.hint) from None


def _result(path: Path, score: SegmentScore, verdict: Verdict) -> dict[str, Any]:
    said = list(verdict.reasons)
    for subject in score.subjects:
        said += [drift.sentence for drift in subject.drift[:2] if not any(drift.sentence in reason for reason in said)]
        said += subject.notes
    if score.temporal is not None and score.temporal.note:
        said.append(score.temporal.note)
    if score.temporal is not None and score.temporal.tv_l1_variance is not None:
        said.append(f"TV-L1 recipe {score.temporal.tv_l1_variance:.2f}")
    if _is_held(score):
        said.append(f"every picture is shown {_held(score)} times: `--fps` takes each of them once")
    scores = score.to_dict()
    # What is only good for comparing segments of a film stays out.
    del scores["ends"]
    for plain in scores["subjects"]:
        del plain["looks"], plain["parts"]
    return {"file": str(path), "verdict": verdict.to_dict(), "notes": said, "scores": scores}


def _held(score: SegmentScore) -> int:
    """How often a picture is shown before the next one comes, when that is regular; otherwise 1."""
    frozen = next((problem.frames for problem in score.frames.problems if problem.kind == "frozen"), ())
    moving = sorted(set(range(score.frames.count)) - set(frozen))
    gaps = {after - before for before, after in pairwise(moving)}
    return gaps.pop() if len(gaps) == 1 else 1


def _is_held(score: SegmentScore) -> bool:
    return _held(score) > 1


def _print_table(results: Sequence[dict[str, Any]]) -> None:
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160)
    table = Table("file", "character", "lowest", "temporal", "motion", "", "what", box=None, pad_edge=False)
    for result in results:
        subject, temporal = result["scores"]["subjects"][0], result["scores"]["temporal"]
        flow = "–" if temporal["mean_flow"] is None else f"{temporal['mean_flow']:.1f} px"
        table.add_row(
            Path(result["file"]).name, _number(subject["mean"]), _number(subject["minimum"]), _number(temporal["score"]),
            flow + (" static" if temporal["static"] else ""), result["verdict"]["level"], "; ".join(result["notes"]),
        )  # fmt: skip
    console.print(table)
    if results:
        subject = results[0]["scores"]["subjects"][0]
        console.print(f"measured by {subject['backend']} ({subject['calibration']})", style="dim", highlight=False)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
