"""`videogen run`: a story's segments on a ComfyUI, into a run directory, and the film out of them."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import SEGMENTS_FAILED, VideoGenError
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.film.compile import FilmReport
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.story_file import LoadedStory

from .comfyui.client import ComfyClient
from .comfyui.embedded import EmbeddedServer
from .comfyui.installation import find_installation
from .comfyui.servers import OwnServer, RemoteServer, Server
from .comfyui.session import Session
from .references.resolve import CastImages
from .rendering.film import done_files, file_is_whole, update_film
from .rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from .rendering.renderer import Renderer
from .rendering.results import recover_takes, recover_verified
from .rendering.run_log import RunLog
from .rendering.takes.selector import asks_for_takes
from .rendering.worker import RenderSettings
from .reports.report import collect_versions, hide_secrets, report_run, write_report
from .setup.versions import COMFYUI_AT_LEAST
from .state.journal import SegmentState
from .state.progress import Display
from .state.run_directory import RunDirectory, check_space, read_run
from .workflows.image_inputs import find_unknown_references
from .workflows.validate import require_fit
from .workflows.workflow import (
    CONVERSION_FILE,
    SEGMENT_NODE,
    STORY_NODE,
    Graph,
    Workflow,
    convert_workflow,
    describe_conversion,
    load_conversion,
)

#: The first with the node schema that the pack is written in (comfy_api.latest).
OLDEST_COMFYUI = tuple(map(int, COMFYUI_AT_LEAST.split(".")))


@dataclass
class RunRequest:
    """Everything that a run needs to know.

    Attributes:
        story_data: the story as plain data that carries everything itself.
        story_folder: where images of the cast may lie beside the story, or None.
        selection: numbers of the segments to render, or None for all.
        servers: addresses of running ComfyUIs; without one a ComfyUI is started.
        headers: sent to every server; never written anywhere.
        retries: how often a segment is rendered again, with the next seed, after a node has failed.
        takes: how many takes a segment may have, where the workflow measures its continuity; the best one is kept.
        stall: seconds without progress after which a server counts as hung.
        patience: seconds to wait for a remote server that went away.
        strict: make no film when a segment is missing.
        references: draws the reference images that segments need and nobody has; None: they are not drawn.
    """

    story: Story
    story_data: dict[str, Any]
    workflow: Workflow
    out: Path
    story_folder: Path | None = None
    servers: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    selection: tuple[int, ...] | None = None
    bindings: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    quality: str | None = None
    retries: int = 2
    takes: int = 3
    fresh: bool = False
    film: bool = True
    strict: bool = False
    stall: float = 900.0
    patience: float = 600.0
    references: Workflow | None = None


@dataclass(frozen=True)
class RunResult:
    """How a run ended: rendered now, done before, failed, and the film if one was made."""

    directory: Path
    rendered: tuple[int, ...]
    kept: tuple[int, ...]
    failed: dict[int, VideoGenError]
    film: FilmReport | None

    @property
    def exit_status(self) -> int:
        return SEGMENTS_FAILED if self.failed else 0


def run_story(request: RunRequest, display: Display) -> RunResult:
    """Render what is missing and make the film; what is done already is not touched.

    Raises:
        VideoGenError: for everything that concerns the run as a whole. A segment that fails does not end the run.
    """
    with ExitStack() as stack:
        directory = stack.enter_context(RunDirectory(request.out, request.story.title, fresh=request.fresh))
        run = _Run(request, directory, display)
        stack.callback(run.close)
        return run.execute()


class _Run:
    def __init__(self, request: RunRequest, directory: RunDirectory, display: Display) -> None:
        self.request, self.directory, self.display = request, directory, display
        self.story, self.journal = request.story, directory.journal
        self.quality = QUALITIES[self.story.quality]
        self.wanted = request.selection or tuple(segment.number for segment in self.story.segments)
        self.servers: list[Server] = []
        self.embedded: EmbeddedServer | None = None
        self.loaded_story = LoadedStory(self.story, request.story_data, request.story_folder)
        self.log = RunLog(self.journal, display)
        self.cast = CastImages(self.loaded_story, directory, request.references)

    def execute(self) -> RunResult:
        began = time.monotonic()
        recover_takes(self.directory, self.request.takes)
        recover_verified(self.directory)
        self.directory.remove_leftovers()
        renderer = None
        todo = self._find_todo_offline()
        try:
            if todo or todo is None:
                renderer, todo = self._render()
            else:
                self.display.say(f"All {len(self.wanted)} segments are done already")
                # What does not touch a segment (a transition, say) may have changed all the same.
                self._write_run((read_run(self.directory.path) or {}).get("versions") or collect_versions())
        except BaseException:
            # However it ends, the report says how far it came.
            with contextlib.suppress(VideoGenError):
                self._write_report()
            raise
        kept = tuple(number for number in self.wanted if number not in todo)
        film = self._make_film() if self.request.film else None
        failed = renderer.failed if renderer else {}
        rendered = tuple(renderer.rendered) if renderer else ()
        result = RunResult(self.directory.path, rendered, kept, failed, film)
        self._event(
            "run-finished",
            rendered=len(rendered),
            kept=len(kept),
            failed=sorted(failed),
            seconds=round(time.monotonic() - began, 3),
            status=result.exit_status,
        )
        self._write_report()
        return result

    def _make_film(self) -> FilmReport | None:
        done = done_files(self.directory.path, self.journal.segments)
        untried = [n for n, state in self._states() if n not in done and state.state != "failed"]
        if untried:
            # Somebody who renders four segments of 33 does not wait for a film of slates.
            self.display.say(
                f"No film yet, segments {format_selection(untried)} are not rendered;"
                f" `videogen film {self.directory.path}` makes one with slates in their place"
            )
            return None
        if not done or (self.request.strict and len(done) < len(self.story.segments)):
            self.display.say("No film: segments are missing" + (" (--strict)" if done else ""))
            return None
        return update_film(self.directory, self.story, self.display)

    def _write_report(self) -> None:
        try:
            write_report(self.directory.path, report_run(self.directory.path, self.journal))
        except VideoGenError:
            raise
        except Exception as error:  # a mistake of ours in a page about the run must not take the run's result away
            self._event("runner-error", message=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
            self.display.say(f"The report could not be written: {type(error).__name__}: {error}")

    def _states(self) -> list[tuple[int, SegmentState]]:
        return [(segment.number, self.journal.segment(segment.number)) for segment in self.story.segments]

    def close(self) -> None:
        for server in self.servers:
            server.close()
        if self.embedded is not None:
            self.embedded.stop()
            # Everything that was wanted from there lies verified in segments/.
            self.embedded.discard_files()

    def _find_todo_offline(self) -> list[int] | None:
        """What is to be rendered, told without a server; None when only a server can tell.

        The graph of the last run is kept, so that a run with nothing to do need not start ComfyUI to find that out.
        """
        if self.request.servers:
            return None
        try:
            installation = find_installation()
        except VideoGenError:
            return None
        saved = load_conversion(self.directory.path, self.request.workflow, installation.version)
        if saved is None:
            return None
        graph, object_info = saved

        def hash_input(name: str) -> str:
            path = installation.comfyui / "input" / name
            return hash_file(path) if path.is_file() else ""

        return self._find_todo(self._make_jobs(graph, object_info, self.cast.look(hash_input)))

    def _render(self) -> tuple[Renderer, list[int]]:
        session = self._connect()
        graph = convert_workflow(self.request.workflow, session.object_info)
        if not asks_for_takes(graph):
            recover_takes(self.directory, 1)  # an earlier run was to render segments again, this one is not
        hash_input = self.cast.look(session.client.hash_input_file)
        maker = self._make_jobs(graph, session.object_info, hash_input)
        todo = self._find_todo(maker)
        missing = self.cast.find_missing(maker, todo, self.servers)
        if self.cast.share(missing, self.servers):
            maker = self._make_jobs(graph, session.object_info, hash_input)
        references = self.cast.plan(maker, missing, session, self.log, self.request.stall)
        require_fit(
            maker.make(self.wanted[0]).graph,
            session.object_info,
            self.request.workflow,
            session.client.url,
            session.client.list_models,
            references.problems if references else (),
        )
        version = str(session.stats["system"]["comfyui_version"])
        self.directory.write_json(
            CONVERSION_FILE, describe_conversion(self.request.workflow, version, graph, session.object_info)
        )
        self.cast.require(missing, references.names if references else ())
        for stranger in find_unknown_references(maker.graph, self.story):
            self.display.say(f"Note: {stranger}")
        if references:
            self._write_run(collect_versions(session.stats))  # a run that ends meanwhile is the same when it carries on
            self.cast.drawn |= references.draw(self.servers[0])
            maker = self._make_jobs(graph, session.object_info, hash_input)
            todo = self._find_todo(maker)
        self._begin(todo, session)
        renderer = Renderer(
            self.servers,
            maker,
            self.directory,
            self.display,
            RenderSettings(self.quality, self.request.retries, self.request.stall, self.request.takes),
        )
        try:
            renderer.render(todo)
        finally:
            self.display.end()
        return renderer, todo

    def _connect(self) -> Session:
        """Connect to all servers; gives the first one's session, whose nodes the workflow is checked against.

        Raises:
            VideoGenError: why none of them can be used; one that cannot beside others that can is left out.
        """
        if not self.request.servers:
            installation = find_installation()
            self.embedded = EmbeddedServer(installation, self.directory.server_folder)
            own = OwnServer(self.embedded)
            self.servers = [own]
            self.display.say(f"Starting ComfyUI {installation.version} …")
            started = time.monotonic()
            session = own.connect()
            self.display.say(f"ComfyUI answers at {session.client.url} after {time.monotonic() - started:.1f} s")
            return session
        first_error: VideoGenError | None = None
        for url in self.request.servers:
            server = RemoteServer(ComfyClient(url, self.request.headers), self.request.patience)
            try:
                require_pack(server.connect(), self.request.workflow)
                self.servers.append(server)
            except VideoGenError as error:
                server.close()
                first_error = first_error or error
                if len(self.request.servers) > 1:
                    self.display.say(f"{url} is left out: {error.message}")
        if not self.servers:
            assert first_error is not None
            raise first_error
        return self.servers[0].session

    def _make_jobs(self, graph: Graph, object_info: dict[str, Any], hash_input: Callable[[str], str]) -> JobMaker:
        return JobMaker(
            self.loaded_story,
            ConvertedWorkflow(graph, object_info, self.request.workflow.ui),
            WorkflowChoices(self.request.bindings, self.request.settings, self.request.quality),
            hash_input,
            self.cast.local_images(),
        )

    def _find_todo(self, maker: JobMaker) -> list[int]:
        todo: list[int] = []
        for number in self.wanted:
            state = self.journal.segment(number)
            before = self.journal.segment(number - 1)
            continues = maker.continues(number)
            # What begins from a segment that is rendered anew is rendered anew too.
            stale = continues and (number - 1 in todo or before.state != "done")
            begins_from = str(before.result.get("sha256", "")) if continues and not stale else ""
            is_done = not stale and state.state == "done" and state.key == maker.key(number, begins_from)
            if not is_done or not file_is_whole(self.directory.path, state):
                todo.append(number)
        return todo

    def _begin(self, todo: list[int], session: Session) -> None:
        kept = len(self.wanted) - len(todo)
        if todo:
            seconds = float(sum(self.story.segment(number).duration for number in todo) + self.story.duration)
            # Segments and film, and as much again at the server if it is ours.
            check_space(
                self.directory.path, int(seconds * self.quality.bitrate / 8 * (2 if self.embedded else 1)) + 50_000_000
            )
        self._write_run(collect_versions(session.stats))
        self._event("run-started", run_id=self.directory.run_id, server=session.client.url, todo=todo, kept=kept)
        if kept:
            self.display.say(f"{kept} of {len(self.wanted)} segments are done already")
        self.display.begin(len(self.wanted), kept)

    def _write_run(self, versions: dict[str, str]) -> None:
        record = {
            "format": 1,
            "run_id": self.directory.run_id,
            "title": self.story.title,
            "command": shlex.join(["videogen", *hide_secrets(sys.argv[1:])]),
            "folder": str(Path.cwd()),
            "story": self.request.story_data,
            "workflow": {
                "path": str(self.request.workflow.path),
                "graph": self.request.workflow.ui or self.request.workflow.api,
            },
            "settings": {
                "quality": self.story.quality,
                "set": self.request.settings,
                "bind": self.request.bindings,
                "retries": self.request.retries,
            },
            "versions": versions,
        }
        self.directory.write_json("run.json", record)

    def _event(self, event: str, **data: Any) -> None:
        self.log.note(event, **data)


def require_pack(session: Session, workflow: Workflow) -> None:
    """Refuse a server that is too old, or without our nodes if the workflow uses them.

    Raises:
        VideoGenError: `server-too-old`, `server-lacks-pack`.
    """
    version = str(session.stats["system"]["comfyui_version"])
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    # A version that cannot be read is somebody's own build: whether it has what is needed shows in its nodes.
    if numbers and tuple(map(int, numbers.groups())) < OLDEST_COMFYUI:
        raise VideoGenError(
            "server-too-old",
            f"the ComfyUI at {session.client.url} is version {version}, expected {'.'.join(map(str, OLDEST_COMFYUI))} or newer",
            "Update it there, or leave --server out to have one started.",
        )
    lacking = {STORY_NODE, SEGMENT_NODE} - set(session.object_info)
    text = json.dumps(workflow.ui or workflow.api)
    if any(name in text for name in lacking):
        raise VideoGenError(
            "server-lacks-pack",
            f"the ComfyUI at {session.client.url} does not have the videogen nodes",
            "On that machine, put custom_nodes/videogen into ComfyUI's custom_nodes folder and restart it"
            " (README: Inside an existing ComfyUI).",
        )


def with_quality(story: Story, data: dict[str, Any], quality: str | None) -> tuple[Story, dict[str, Any]]:
    """The same story in another quality."""
    return (replace(story, quality=quality), {**data, "quality": quality}) if quality else (story, data)
