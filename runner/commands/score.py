"""`videogen score`: how consistent a character is in videos, and how steadily they move."""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

from ..score import score_files
from ..state.own_files import require_own_files


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the videos, what they are compared with, and how."""
    parser.epilog = "Exit status: 0 all pass, 1 a file falls short, 2 a file cannot be read."
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="videos, animated pictures, folders of videos or of pictures, or a run directory",
    )
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="R",
        help="picture of the character; may be repeated (default: the first file)",
    )
    parser.add_argument("--mask", metavar="M", help="where the character is in all frames, white on black")
    parser.add_argument(
        "--threshold", type=_parse_share, metavar="X", help="lowest mean character score that passes (default 0.85)"
    )
    parser.add_argument(
        "--faces",
        metavar="FOLDER",
        help="compare faces too, with OpenCV's YuNet and SFace models (.onnx) in this folder",
    )
    parser.add_argument(
        "--fps", type=_parse_rate, metavar="N", help="frames to measure per second (default: each picture once)"
    )
    parser.add_argument(
        "--tv-l1",
        action="store_true",
        help="for comparison: 1 / (1 + variance of the Dual TV-L1 flow); slow, needs scikit-image",
    )
    parser.add_argument("--json", action="store_true", help="print all measurements as JSON")


def execute(arguments: argparse.Namespace) -> int:
    """Score the files; see `score_files`."""
    for name in arguments.files:
        if (Path(name) / "run.json").is_file():
            require_own_files(Path(name))  # it may be somebody else's
    return score_files(
        [Path(name) for name in arguments.files],
        [Path(name) for name in arguments.reference],
        Path(arguments.mask) if arguments.mask else None,
        arguments.threshold,
        arguments.fps,
        arguments.json,
        Path(arguments.faces) if arguments.faces else None,
        arguments.tv_l1,
    )


def _parse_share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number from 0 to 1")
    return share


def _parse_rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected frames a second above 0, such as 3 or 30000/1001")
    return rate
