"""What each command does: read the arguments, call, say the result."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.documents import parse_document
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.core.story.selection import parse_selection
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.story_file import load_story_data, without_notes

from ..bench import runner_cost
from ..bench.in_comfyui import bench_in_comfyui
from ..check import check_on_server
from ..comfyui.client import ComfyClient, normalize_url, parse_headers
from ..comfyui.embedded import EmbeddedServer
from ..comfyui.installation import DEFAULT_STORY, DEFAULT_WORKFLOW, find_installation
from ..doctor import examine
from ..references.graph import DEFAULT_REFERENCES
from ..rendering.film import update_film
from ..reports.report import report_directory, report_run, write_report
from ..run import RunRequest, RunResult, run_story, with_quality
from ..state.progress import LineDisplay, choose_display
from ..state.run_directory import RunDirectory, read_run
from ..workflows.workflow import Workflow, convert_workflow, load_workflow


def run(arguments: argparse.Namespace) -> int:
    """`videogen run`."""
    workflow = load_workflow(Path(arguments.workflow) if arguments.workflow else DEFAULT_WORKFLOW)
    clip = _is_clip(arguments)
    story, data = _clip_story(arguments) if clip else _load_story(arguments.story, workflow, bool(arguments.workflow))
    story, data = with_quality(story, data, arguments.quality)
    for warning in story.warnings:
        print(f"Note: {warning}", file=sys.stderr)
    request = RunRequest(
        story=story,
        story_data=data,
        workflow=workflow,
        out=_run_folder(arguments, story, clip),
        story_folder=None
        if clip
        else _story_path(arguments.story, workflow, bool(arguments.workflow)).absolute().parent,
        servers=tuple(dict.fromkeys(map(normalize_url, arguments.server))),
        headers=_headers(arguments),
        selection=_selection(arguments.segments, story),
        bindings=arguments.bindings,
        settings=arguments.settings,
        quality=arguments.quality,
        retries=arguments.retries,
        takes=arguments.takes,
        fresh=arguments.fresh,
        film=not (arguments.no_film or clip),
        strict=arguments.strict,
        stall=arguments.stall,
        references=_references(arguments),
    )
    output = Path(arguments.output or "clip.mp4")
    if clip:
        _require_writable(output)
    result = run_story(request, choose_display(arguments.json))
    if clip and not result.failed:
        _deliver_clip(result, output)
        if not arguments.json:
            print(output)
    _say_result(result, arguments)
    return result.exit_status


def film(arguments: argparse.Namespace) -> int:
    """`videogen film`."""
    path = Path(arguments.directory)
    record = read_run(path)
    if record is None:
        raise VideoGenError("run-directory-invalid", f"{path} is not a run directory: it has no run.json")
    story = parse_story(record["story"], "run.json")
    with RunDirectory(path, story.title) as directory:
        update_film(directory, story, LineDisplay(), again=True)
        write_report(path, report_run(path, directory.journal))
    print(directory.film)
    return 0


def check(arguments: argparse.Namespace) -> int:
    """`videogen check`."""
    problems: list[str] = []
    workflow = None
    try:
        workflow = load_workflow(Path(arguments.workflow) if arguments.workflow else DEFAULT_WORKFLOW)
    except VideoGenError as error:
        problems.append(str(error))
    story = None
    try:
        story, _ = _load_story(arguments.story, workflow, bool(arguments.workflow))
        problems += [f"Note: {warning}" for warning in story.warnings]
    except VideoGenError as error:
        problems.append(str(error))
    notes = len(story.warnings) if story else 0
    if workflow is not None:
        folder = _story_path(arguments.story, workflow, bool(arguments.workflow)).absolute().parent
        with _server(arguments) as client:
            found, said = check_on_server(client, workflow, story, folder, _references(arguments))
        if not arguments.server and any("models/" in text for text in found):
            said.append(f"Note: models/ is {find_installation().comfyui / 'models'}")
        problems += [*said, *found]
        notes += len(said)
    print("\n".join(problems) if problems else "", end="\n" if problems else "")
    if len(problems) > notes:
        return 2
    assert story is not None
    assert workflow is not None
    length = f"{len(story.segments)} segments, {float(story.duration):.3f} s"
    print(f"{story.title}: {length}; {workflow.path.name} fits the server")
    return 0


def convert(arguments: argparse.Namespace) -> int:
    """`videogen convert`."""
    workflow = load_workflow(Path(arguments.workflow))
    with _server(arguments) as client:
        graph = convert_workflow(workflow, client.object_info())
    json.dump(graph, sys.stdout, ensure_ascii=False, indent=2)
    print()
    return 0


def report(arguments: argparse.Namespace) -> int:
    """`videogen report`."""
    path = Path(arguments.directory)
    data = report_directory(path)
    target = write_report(path, data)
    print(f"{data['done']} of {data['count']} segments are done; {target}")
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """`videogen doctor`."""
    return examine([ComfyClient(url, _headers(arguments)) for url in arguments.server])


def bench_runner(arguments: argparse.Namespace) -> int:
    """`videogen bench runner`."""
    output = Path(arguments.output) if arguments.output else None
    return runner_cost.bench_runner(arguments.jobs, arguments.long, arguments.rounds, output)


def bench_ipadapter(arguments: argparse.Namespace) -> int:
    """`videogen bench ipadapter`."""
    options = ["--device", arguments.device, "--frames", arguments.frames, "--rounds", str(arguments.rounds)]
    if arguments.output:
        options += ["--json", str(Path(arguments.output).absolute())]
    return bench_in_comfyui("ipadapter", options)


def bench_frames(arguments: argparse.Namespace) -> int:
    """`videogen bench frames`."""
    options = ["--device", arguments.device, "--rounds", str(arguments.rounds)]
    for name in ("parts", "workflows"):
        if getattr(arguments, name):
            options += [f"--{name}", getattr(arguments, name)]
    if arguments.output:
        options += ["--json", str(Path(arguments.output).absolute())]
    return bench_in_comfyui("frames", options)


def bench_thermal(arguments: argparse.Namespace) -> int:
    """`videogen bench thermal`."""
    options = ["--device", arguments.device, "--rounds", str(arguments.rounds), "--steps", str(arguments.steps)]
    if arguments.output:
        options += ["--json", str(Path(arguments.output).absolute())]
    return bench_in_comfyui("thermal", options)


def bench_continuity(arguments: argparse.Namespace) -> int:
    """`videogen bench continuity`."""
    options = ["--calibrate"] if arguments.calibrate else []
    for name, value in (("--embedding", arguments.embedding), ("--json", arguments.output)):
        if value:
            options += [name, str(Path(value).absolute())]
    return bench_in_comfyui("continuity", options)


def score(arguments: argparse.Namespace) -> int:
    """`videogen score`."""
    # OpenCV is only loaded for this.
    from ..score import score_files

    mask = Path(arguments.mask) if arguments.mask else None
    files, references = [Path(name) for name in arguments.files], [Path(name) for name in arguments.reference]
    faces = Path(arguments.faces) if arguments.faces else None
    return score_files(
        files, references, mask, arguments.threshold, arguments.fps, arguments.json, faces, arguments.tv_l1
    )


# ------------------------------------------------------------------ helpers


def _load_story(name: str | None, workflow: Workflow | None, chosen: bool) -> tuple[Story, dict[str, Any]]:
    """The story that is named; else the one in the workflow that is named; else the one that ships."""
    if name:
        return load_story_data(Path(name))
    text = workflow.story_text() if workflow and chosen else ""
    if workflow is None or not text:
        return load_story_data(DEFAULT_STORY)
    # Without .json: the text in the widget may be YAML all the same.
    source = f"the story in {workflow.path.stem}"
    story = parse_story_text(text, source)
    document = parse_document(text, source)
    data = {"segments": document} if isinstance(document, list) else dict(document)
    return story, {**without_notes(data), "title": story.title}


def _story_path(name: str | None, workflow: Workflow, chosen: bool) -> Path:
    """The file that `_load_story` reads the story from."""
    return Path(name) if name else workflow.path if chosen and workflow.story_text() else DEFAULT_STORY


def _references(arguments: argparse.Namespace) -> Workflow | None:
    """The workflow that draws missing reference images, or None when they shall not be drawn."""
    if arguments.references == "none":
        return None
    return load_workflow(Path(arguments.references) if arguments.references else DEFAULT_REFERENCES)


def _headers(arguments: argparse.Namespace) -> dict[str, str]:
    """Headers of --header, and of the environment for those who keep secrets out of their shell's history."""
    from_environment = [line for line in os.environ.get("VIDEOGEN_HEADER", "").splitlines() if line.strip()]
    return parse_headers([*from_environment, *arguments.header])


def _is_clip(arguments: argparse.Namespace) -> bool:
    only_clip = {name: getattr(arguments, name) for name in ("seed", "frames", "fps", "size", "output")}
    given = [f"--{name}" for name, value in only_clip.items() if value is not None]
    if arguments.prompt is None:
        if given:
            raise VideoGenError("option-invalid", f"{', '.join(given)} is for a single clip, and --prompt is missing")
        return False
    if arguments.story or arguments.segments:
        raise VideoGenError("option-invalid", "--prompt makes a single clip: it goes with neither STORY nor --segments")
    return True


def _clip_story(arguments: argparse.Namespace) -> tuple[Story, dict[str, Any]]:
    segment: dict[str, Any] = {"prompt": arguments.prompt}
    data: dict[str, Any] = {"title": "Clip", "segments": [segment]}
    for name, target in (("seed", segment), ("frames", data)):
        value = getattr(arguments, name)
        if value is not None:
            target[name] = int(value) if re.fullmatch(r"-?\d{1,30}", value) else value
    if arguments.fps is not None:
        data["fps"] = arguments.fps
    if arguments.size is not None:
        match = re.fullmatch(r"(\d{1,9})[x×](\d{1,9})", arguments.size)
        data["size"] = [int(match[1]), int(match[2])] if match else arguments.size
    return parse_story(data, "the command line"), data


def _run_folder(arguments: argparse.Namespace, story: Story, clip: bool) -> Path:
    if arguments.out:
        return Path(arguments.out)
    # Clips share a title: each gets a folder by its file's name.
    return Path("runs") / (f"clip_{Path(arguments.output or 'clip.mp4').stem}" if clip else story.slug)


def _selection(text: str | None, story: Story) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return parse_selection(text, len(story.segments))
    except ValueError as error:
        raise VideoGenError("selection-invalid", f"--segments {text}: {error}") from None


def _require_writable(output: Path) -> None:
    """Find out before the rendering, not after it, that a file cannot be written there."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise explain_os_error(error, output) from None


def _deliver_clip(result: RunResult, output: Path) -> None:
    source = next((result.directory / "segments").glob("segment_01.*"))
    try:
        partial = output.with_name(f".{output.name}.part")
        shutil.copyfile(source, partial)
        partial.replace(output)
    except OSError as error:
        raise explain_os_error(error, output) from None


def _say_result(result: RunResult, arguments: argparse.Namespace) -> None:
    if arguments.json:
        return
    for number, error in result.failed.items():
        print(f"Segment {number} failed: {error}", file=sys.stderr)
    if result.film is not None:
        print(result.film.path)
    print(
        f"{len(result.rendered)} segments rendered, {len(result.kept)} kept, {len(result.failed)} failed;"
        f" everything is in {result.directory}",
        file=sys.stderr,
    )


@contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[ComfyClient]:
    """The first running server that is named, or an embedded one for a moment."""
    if arguments.server:
        client = ComfyClient(arguments.server[0], _headers(arguments))
        client.system_stats()
        yield client
        return
    with (
        tempfile.TemporaryDirectory(prefix="videogen-") as folder,
        EmbeddedServer(find_installation(), Path(folder)) as server,
    ):
        yield server.start()
