"""Scores videos on disk, without a server or a story: how consistent a character is, and how steadily they move."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from custom_nodes.videogen.core.continuity.calibration import CLASSICAL
from custom_nodes.videogen.core.continuity.mask_files import FOLDER, HINT
from custom_nodes.videogen.core.continuity.policy import FAIL, Thresholds, Verdict, judge_segment
from custom_nodes.videogen.core.continuity.scores import SegmentScore
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.images.frame_reader import (
    FrameSource,
    count_holds,
    list_images,
    list_videos,
    open_source,
    read_frames,
    read_image,
    slow_down,
)
from custom_nodes.videogen.media.images.image_files import read_mask
from custom_nodes.videogen.metrics.appearance import Appearance, AppearanceModel
from custom_nodes.videogen.metrics.faces import FaceFinder
from custom_nodes.videogen.metrics.masks.mask_network import MaskNetwork, open_mask_network
from custom_nodes.videogen.metrics.masks.subject_weight import FOUND_BY_COLOR
from custom_nodes.videogen.metrics.segment_meter import SegmentRequest, appearances_of, score_segment
from custom_nodes.videogen.metrics.subject_compare import NOTHING_YET
from custom_nodes.videogen.metrics.subject_meter import SubjectRequest
from custom_nodes.videogen.metrics.temporal import tv_l1_variance

from .comfyui.installation import find_installation
from .terminal.console import PlainConsole
from .terminal.json_output import print_json

#: Notes on a file that is compared with nothing.
FIRST_OF_ALL = "the other files are compared with this one"
NOTHING_ELSE = "compared with nothing: give --reference PICTURE, or a second file"
#: Name of a video's one subject in the result.
SUBJECT = "subject"


def score_files(
    files: Sequence[Path],
    references: Sequence[Path],
    mask: Path | None,
    threshold: float | None,
    fps: Fraction | None,
    as_json: bool,
    faces: Path | None = None,
    tv_l1: bool = False,
) -> int:
    """Score each file and print a table, or JSON.

    Args:
        files: videos, animated images, images, or folders of images.
        references: images of the character; without one, each file is compared with the first of `files`.
        mask: where the character is in all frames, white on black.
        threshold: lowest mean score of the character that passes, 0 to 1.
        fps: frames per second to measure; None: each image once.
        faces: folder with OpenCV's face models; None: faces are not compared.
        tv_l1: also print 1 / (1 + variance of the Dual TV-L1 flow), which others call temporal consistency.

    Returns:
        The exit status: 1 when a file falls short, 0 otherwise.

    Raises:
        VideoGenError: for a file that cannot be read, before any result is printed.
    """
    thresholds = Thresholds.from_dict({} if threshold is None else {"character": threshold})
    network, why_not = _find_mask_network()
    backend = AppearanceModel(faces=None if faces is None else FaceFinder(faces), masks=network)
    looks = tuple(_measure_reference(backend, path) for path in references)
    # Missing files are reported before minutes are spent.
    sources = [_open(path, fps) for path in _find_files(files)]
    area = None if mask is None else _read_mask(mask, sources[0])
    results: list[dict[str, Any]] = []
    first: tuple[Appearance, ...] = ()
    for number, source in enumerate(sources, 1):
        if sys.stderr.isatty():
            print(f"measuring {source.path.name}, {number} of {len(sources)}", file=sys.stderr)
        request = SubjectRequest("character", SUBJECT, "character", mask=area, references=looks, first=first)
        try:
            hold = count_holds(source)
            source = slow_down(source, hold) if hold > 1 else source
            score = score_segment(read_frames(source), SegmentRequest(source.count, (request,)), backend)
            if tv_l1 and score.temporal is not None:
                variance = tv_l1_variance(read_frames(source))
                score = replace(score, temporal=replace(score.temporal, tv_l1_variance=variance))
        except VideoGenError as error:
            named = _of_file(error, source.path)
            # As for one that does not even open, in `_open`.
            raise (
                VideoGenError("path-invalid", named.message, named.hint) if error.code == "media-broken" else named
            ) from None
        results.append(_result(source, hold, score, judge_segment(score, thresholds), len(sources) > 1))
        if score.subjects[0].weights in FOUND_BY_COLOR:
            results[-1]["notes"] += why_not
        if not looks:
            first = first or appearances_of(score, SUBJECT)
    if as_json:
        print_json(results, indent=2)
    else:
        _print_table(results)
    return 1 if any(result["verdict"]["level"] == FAIL for result in results) else 0


def _find_mask_network() -> tuple[MaskNetwork | None, list[str]]:
    """The network that finds people, where install.py or the user has put it for the ComfyUI that is set up."""
    try:
        return open_mask_network(find_installation().comfyui / "models" / FOLDER)
    except VideoGenError:
        return None, [f"characters are found by their colors: no ComfyUI is set up. {HINT}"]


def _find_files(paths: Sequence[Path]) -> list[Path]:
    """Files and folders of images as they are; for a folder with videos, its videos. A run directory has its segments."""
    found: list[Path] = []
    for path in paths:
        videos = list_videos(path) if path.is_dir() and not list_images(path) else []
        found += videos or [path]
    return found


def _open(path: Path, fps: Fraction | None) -> FrameSource:
    try:
        return open_source(path, fps)
    except VideoGenError as error:  # an unreadable file is bad input, whatever is wrong with it
        raise VideoGenError("path-invalid", error.message, error.hint) from None


def _read_mask(path: Path, source: FrameSource) -> np.ndarray:
    """A mask image, as the story's masks are read, for frames of the first file's shape."""
    height, width = next(read_frames(source)).shape[:2]
    return read_mask(path, str(path), (width, height))


def _measure_reference(backend: AppearanceModel, path: Path) -> Appearance:
    try:
        return backend.measure_reference(read_image(path))
    except VideoGenError as error:
        named = _of_file(error, path)
        raise VideoGenError("path-invalid", named.message, named.hint) from None


def _of_file(error: VideoGenError, path: Path) -> VideoGenError:
    """The same error, with the file's name in it."""
    return error if str(path) in error.message else VideoGenError(error.code, f"{path}: {error.message}", error.hint)


def _result(source: FrameSource, hold: int, score: SegmentScore, verdict: Verdict, several: bool) -> dict[str, Any]:
    said = list(verdict.reasons)
    for subject in score.subjects:
        said += [drift.sentence for drift in subject.drift[:2]]
        said += [(FIRST_OF_ALL if several else NOTHING_ELSE) if note == NOTHING_YET else note for note in subject.notes]
    if score.temporal is not None and score.temporal.note:
        said.append(score.temporal.note)
    if score.temporal is not None and score.temporal.tv_l1_variance is not None:
        said.append(f"TV-L1 recipe {score.temporal.tv_l1_variance:.2f}")
    if hold > 1:
        said.append(f"every picture is shown {hold} times and counted once")
    measured = any(subject.mean is not None for subject in score.subjects) or (
        score.temporal is not None and score.temporal.score is not None
    )
    level = verdict.level if measured or verdict.level == FAIL else "not measured"
    scores = score.to_dict()
    # Vectors that only serve to compare a film's segments are left out.
    del scores["ends"]
    for plain in scores["subjects"]:
        del plain["looks"], plain["parts"]
    notes = [text for place, text in enumerate(said) if not any(text in other for other in said[:place])]
    return {
        "file": str(source.path),
        "held": hold,
        "verdict": {**verdict.to_dict(), "level": level},
        "notes": notes,
        "scores": scores,
    }


def _print_table(results: Sequence[dict[str, Any]]) -> None:
    console = PlainConsole(width=None if sys.stdout.isatty() else 160)
    table = Table("file", "character", "lowest", "temporal", "motion", "", "what", box=None, pad_edge=False)
    for result in results:
        subject, temporal = result["scores"]["subjects"][0], result["scores"]["temporal"]
        flow = "–" if temporal["mean_flow"] is None else f"{temporal['mean_flow']:.1f} px"
        table.add_row(
            Path(result["file"]).name,
            _number(subject["mean"]),
            _number(subject["minimum"]),
            _number(temporal["score"]),
            flow + (" static" if temporal["static"] else ""),
            result["verdict"]["level"],
            "; ".join(result["notes"]),
        )
    console.print(table)
    if results:
        subject = results[0]["scores"]["subjects"][0]
        how = "colors and textures, without a model" if subject["backend"] == CLASSICAL else subject["backend"]
        console.print(f"measured by {how} ({subject['calibration']})", style="dim")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
