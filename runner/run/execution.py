"""The course of a run: find the pending segments, render them, make the film, write the report."""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack

from custom_nodes.videogen.core.errors import INTERNAL_ERROR, VideoGenError
from custom_nodes.videogen.core.video.quality import QUALITIES

from ..comfyui.session import Session
from ..references.resolve import CastImages
from ..rendering.renderer import Renderer
from ..rendering.results import recover_takes, recover_verified
from ..rendering.run_log import RunLog
from ..rendering.takes.selector import asks_for_takes
from ..rendering.worker import RenderSettings
from ..state.events import RunFinished, RunStarted
from ..state.progress import Display
from ..state.run_directory import RunDirectory, check_space, read_run
from ..state.versions import collect_versions
from ..workflows.image_inputs import find_unknown_references
from ..workflows.validate import require_fit
from ..workflows.workflow import CONVERSION_FILE, convert_workflow, describe_conversion
from .pending_segments import find_pending, find_pending_offline, make_jobs
from .request import RunRequest, RunResult
from .run_outputs import make_film, write_record, write_run_report
from .server_connections import ServerConnections


def run_story(request: RunRequest, display: Display) -> RunResult:
    """Render what is missing and make the film; segments that are done already are kept.

    Raises:
        VideoGenError: for everything that concerns the run as a whole. A segment that fails does not end the run.
    """
    with ExitStack() as stack:
        directory = stack.enter_context(RunDirectory(request.out, request.loaded.story.title, fresh=request.fresh))
        run = _Run(request, directory, display)
        stack.callback(run.connections.close)
        return run.execute()


class _Run:
    def __init__(self, request: RunRequest, directory: RunDirectory, display: Display) -> None:
        self.request, self.directory, self.display = request, directory, display
        self.story, self.journal = request.loaded.story, directory.journal
        self.quality = QUALITIES[self.story.quality]
        self.connections = ServerConnections(request, directory.server_folder, display.say)
        self.log = RunLog(self.journal, display)
        self.cast = CastImages(request.loaded, directory, request.references)

    def execute(self) -> RunResult:
        began = time.monotonic()
        recover_takes(self.directory, self.request.takes)
        recover_verified(self.directory)
        self.directory.remove_leftovers()
        renderer = None
        installation = self.connections.find_own_installation()
        pending = find_pending_offline(self.request, self.directory, self.cast, installation) if installation else None
        try:
            if pending or pending is None:
                renderer, pending = self._render()
            else:
                self.display.say(f"All {len(self.request.wanted)} segments are done already")
                # Parts of the story that touch no segment (a transition, say) may have changed.
                self._write_record((read_run(self.directory.path) or {}).get("versions") or collect_versions())
        except BaseException:
            # However it ends, the report says how far it came.
            with contextlib.suppress(VideoGenError):
                write_run_report(self.directory, self.display)
            raise
        kept = tuple(number for number in self.request.wanted if number not in pending)
        failed = renderer.failed if renderer else {}
        rendered = tuple(renderer.rendered) if renderer else ()
        try:
            film = make_film(self.directory, self.request, self.display) if self.request.film else None
        except BaseException as error:
            # The segments are done, whatever became of the film (a full disk, say): the run has ended, and its report says so.
            status = error.exit_status if isinstance(error, VideoGenError) else INTERNAL_ERROR
            with contextlib.suppress(VideoGenError):
                self._finish(RunResult(self.directory.path, rendered, kept, failed, None), began, status)
            raise
        result = RunResult(self.directory.path, rendered, kept, failed, film)
        self._finish(result, began, result.exit_status)
        return result

    def _finish(self, result: RunResult, began: float, status: int) -> None:
        """Note that the run has ended, and write its report."""
        self.log.note(
            RunFinished(
                rendered=len(result.rendered),
                kept=len(result.kept),
                failed=sorted(result.failed),
                seconds=round(time.monotonic() - began, 3),
                status=status,
            )
        )
        write_run_report(self.directory, self.display)

    def _render(self) -> tuple[Renderer, list[int]]:
        session = self.connections.connect()
        servers = self.connections.servers
        graph = convert_workflow(self.request.workflow, session.object_info)
        if not asks_for_takes(graph):
            recover_takes(self.directory, 1)  # an earlier run was to render segments again, this one is not
        hash_input = self.cast.look(session.client.hash_input_file)
        maker = make_jobs(self.request, self.cast, graph, session.object_info, hash_input)
        pending = find_pending(self.request, self.directory, maker)
        missing = self.cast.find_missing(maker, pending, servers)
        if self.cast.share(missing, servers):
            maker = make_jobs(self.request, self.cast, graph, session.object_info, hash_input)
        references = self.cast.plan(maker, missing, session, self.log, self.request.stall)
        require_fit(
            maker.make(self.request.wanted[0]).graph,
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
        for unknown in find_unknown_references(maker.graph, self.story):
            self.display.say(f"Note: {unknown}")
        if references:
            # A run that ends while they are drawn is resumed as this one.
            self._write_record(collect_versions(session.stats))
            self.cast.drawn |= references.draw(servers[0])
            maker = make_jobs(self.request, self.cast, graph, session.object_info, hash_input)
            pending = find_pending(self.request, self.directory, maker)
        self._begin(pending, session)
        renderer = Renderer(
            servers,
            maker,
            self.directory,
            self.display,
            RenderSettings(self.quality, self.request.retries, self.request.stall, self.request.takes),
        )
        try:
            renderer.render(pending)
        finally:
            self.display.end()
        return renderer, pending

    def _begin(self, pending: list[int], session: Session) -> None:
        wanted = len(self.request.wanted)
        kept = wanted - len(pending)
        if pending:
            seconds = float(sum(self.story.segment(number).duration for number in pending) + self.story.duration)
            # Segments and film, and as much again at the server if it is ours.
            copies = 2 if self.connections.embedded else 1
            check_space(self.directory.path, int(seconds * self.quality.bitrate / 8 * copies) + 50_000_000)
        self._write_record(collect_versions(session.stats))
        self.log.note(RunStarted(run_id=self.directory.run_id, server=session.client.url, todo=pending, kept=kept))
        if kept:
            self.display.say(f"{kept} of {wanted} segments are done already")
        self.display.begin(wanted, kept)

    def _write_record(self, versions: dict[str, str]) -> None:
        write_record(self.directory, self.request, versions)
