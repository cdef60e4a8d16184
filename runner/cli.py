"""The command line: ``videogen run``, ``film``, ``check``, ``convert``, ``report``, ``doctor``, ``bench``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.quality import QUALITIES

from . import commands

INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    parser = argparse.ArgumentParser(
        prog="videogen", description="Consistent multi-segment films with ComfyUI, headless.",
        epilog="Exit status: 0 all done, 1 some segments failed, 2 bad input, 3 no server, 130 interrupted.",
    )  # fmt: skip
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
    run.add_argument("--set", action="append", default=[], metavar="NODE.INPUT=V", dest="settings",
                     help="set an input of the workflow; NODE is an id or a class")  # fmt: skip
    run.add_argument("--bind", action="append", default=[], metavar="NAME=NODE.INPUT", dest="bindings",
                     help="for workflows without VideoGenSegment: where prompt,"
                          "\nnegative, seed, frames, fps, width, height go")  # fmt: skip
    run.add_argument("--quality", choices=list(QUALITIES), help="instead of the story's")
    run.add_argument(
        "--retries", type=_count, default=2, metavar="N", help="renderings after a node failed (default 2)"
    )
    run.add_argument("--fresh", action="store_true", help="render everything again; what is there is kept in previous/")
    run.add_argument("--stall", type=_seconds, default=900.0, metavar="S",
                     help="seconds without progress after which a server\ncounts as hung (default 900)")  # fmt: skip
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

    bench = verbs.add_parser("bench", help="measure what the runner itself costs, beside its peers")
    bench.add_argument("subject", choices=["runner"], metavar="runner")
    bench.add_argument("--jobs", type=int, default=200, help="jobs a round (default 200)")
    bench.add_argument("--rounds", type=int, default=5, help="rounds, in turns with the peer (default 5)")
    bench.add_argument("--long", type=int, default=10_000, help="jobs of the long run, 0 for none (default 10000)")
    bench.add_argument("--json", metavar="FILE", dest="output", help="write the result there too")
    bench.set_defaults(handler=commands.bench)

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


def _add_story(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("story", nargs="?", metavar="STORY", help="story file, JSON or YAML (default: the apple tree)")
    parser.add_argument("--workflow", metavar="W", help="workflow file, UI or API format, or the name of a shipped one")
    _add_server(parser)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", action="append", default=[], metavar="URL",
                        help="a running ComfyUI; several share the work (default: one is started)")  # fmt: skip
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: V'",
                        help="sent to the servers, for log-ins (also VIDEOGEN_HEADER)")  # fmt: skip


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected seconds from 1 to 86400")
    return seconds


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0 to 100")
    return int(text)
