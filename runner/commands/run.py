"""`videogen run`: a story's segments and its film, or a single clip."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.selection import parse_selection
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.story_file import LoadedStory

from ..comfyui.transport import normalize_url
from ..run.execution import run_story
from ..run.request import RunRequest, RunResult
from ..state.default_directory import find_default_directory
from ..state.progress import choose_display
from ..state.run_directory import KEEP_RESULTS
from ..workflows.bindings import parse_binding, parse_setting
from ..workflows.own_workflows import load_own_workflows
from ..workflows.workflow import Workflow
from .server_options import add_server_arguments, read_headers
from .single_clip import add_clip_arguments, clip_file, deliver_clip, is_clip, make_clip_story, require_writable
from .story_options import (
    add_bind_argument,
    add_story_arguments,
    find_story,
    load_film_workflow,
    load_references_workflow,
)

_UNITS = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a run."""
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.epilog = (
        "Press Ctrl-C once to stop cleanly, twice to abort. The same command resumes the run:\n"
        "segments that are done are kept."
    )
    add_story_arguments(parser)
    add_server_arguments(parser, "a running ComfyUI; repeat it to share the work\n(default: one is started)")
    parser.add_argument("--out", metavar="DIR", help="run directory; a run in it is resumed\n(default: runs/<title>)")
    parser.add_argument("--segments", metavar="LIST", help="only these segments, such as 1,4,8-11")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NODE.INPUT=V",
        dest="settings",
        help="set an input of the workflow; NODE is an id or a class.\nNot of workflows that segments of the story name",
    )
    add_bind_argument(
        parser,
        "for workflows without VideoGenSegment, where this is\nnot clear: which input is the prompt, negative, seed,"
        "\nframes, …; NAME=keep: it stays as it is;\noutput=NODE: the node whose file is the segment",
    )
    parser.add_argument("--quality", choices=list(QUALITIES), help="quality preset (default: the story's)")
    parser.add_argument(
        "--retries", type=_parse_count, default=2, metavar="N", help="retries after a node failed (default 2)"
    )
    parser.add_argument(
        "--takes",
        type=_parse_takes,
        default=3,
        metavar="N",
        help="most takes of a segment whose continuity falls short;\nthe best one is kept (default 3; 1: no second take)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="render everything again; earlier files are kept in\nprevious/"
    )
    parser.add_argument(
        "--adopt",
        action="store_true",
        help="take segment files that somebody has replaced, instead of\nrendering them again",
    )
    parser.add_argument(
        "--keep-results",
        type=_parse_size,
        default=KEEP_RESULTS,
        metavar="SIZE",
        help="how much is kept of what another text has replaced,\n"
        "such as 500MB; going back to it renders nothing\n(default 2GB; 0: nothing)",
    )
    parser.add_argument(
        "--stall",
        type=_parse_seconds,
        default=900.0,
        metavar="S",
        help="seconds without progress after which a server\ncounts as hung (default 900)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="make no film when a segment is missing, or older\nthan the story"
    )
    parser.add_argument("--no-film", action="store_true", help="render the segments only")
    parser.add_argument("--json", action="store_true", help="print one JSON event per line on standard output")
    add_clip_arguments(parser)


def execute(arguments: argparse.Namespace) -> int:
    """Render, and say how it ended.

    Everything that can be wrong without a server is found before one is started or asked: the workflow, the story, and the
    value of every option.

    Raises:
        VideoGenError: for everything that concerns the run as a whole.
    """
    workflow = load_film_workflow(arguments)
    clip = is_clip(arguments)
    loaded = make_clip_story(arguments) if clip else find_story(arguments, workflow)
    for warning in loaded.story.warnings:
        print(f"Note: {warning}", file=sys.stderr)
    request = _make_request(arguments, workflow, loaded.with_quality(arguments.quality), clip)
    output = clip_file(arguments)
    if clip:
        require_writable(output)
    result = run_story(request, choose_display(arguments.json))
    if clip and not result.failed:
        deliver_clip(result.directory, output)
        if not arguments.json:
            print(output)
    if not arguments.json:
        _print_result(result)
    return result.exit_status


def _make_request(arguments: argparse.Namespace, workflow: Workflow, loaded: LoadedStory, clip: bool) -> RunRequest:
    for text in arguments.bindings:
        parse_binding(text)
    for text in arguments.settings:
        parse_setting(text)
    return RunRequest(
        loaded=loaded,
        workflow=workflow,
        out=_choose_directory(arguments, loaded.story, clip),
        servers=tuple(dict.fromkeys(map(normalize_url, arguments.server))),
        headers=read_headers(arguments),
        selection=_parse_selection(arguments.segments, loaded.story),
        bindings=arguments.bindings,
        settings=arguments.settings,
        quality=arguments.quality,
        retries=arguments.retries,
        takes=arguments.takes,
        fresh=arguments.fresh,
        keep_results=arguments.keep_results,
        film=not (arguments.no_film or clip),
        strict=arguments.strict,
        stall=arguments.stall,
        adopt=arguments.adopt,
        references=load_references_workflow(arguments),
        own=load_own_workflows(loaded, workflow),
    )


def _choose_directory(arguments: argparse.Namespace, story: Story, clip: bool) -> Path:
    if arguments.out:
        return Path(arguments.out)
    # Clips share a title: each has a folder with its file's name.
    runs = Path("runs")
    return runs / f"clip_{clip_file(arguments).stem}" if clip else find_default_directory(runs, story.title)


def _print_result(result: RunResult) -> None:
    for number, error in result.failed.items():
        print(f"Segment {number} failed: {error}", file=sys.stderr)
    if result.film is not None:
        print(result.film.path)
    print(
        f"{len(result.rendered)} segments rendered, {len(result.kept)} kept, {len(result.failed)} failed;"
        f" everything is in {result.directory}",
        file=sys.stderr,
    )


# ------------------------------------------------------------------ values of options


def _parse_selection(text: str | None, story: Story) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return parse_selection(text, len(story.segments))
    except ValueError as error:
        raise VideoGenError("selection-invalid", f"--segments {text}: {error}") from None


def _parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected seconds from 1 to 86400")
    return seconds


def _parse_size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB|B)?", text.strip(), re.IGNORECASE)
    if not match or (not match[2] and float(match[1])):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a size such as 2GB, 500MB or 0")
    return int(float(match[1]) * _UNITS[(match[2] or "B").upper()])


def _parse_takes(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 6:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 1 to 6")
    return int(text)


def _parse_count(text: str) -> int:
    if not text.isdigit() or int(text) > 100:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0 to 100")
    return int(text)
