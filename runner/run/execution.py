"""The course of a run: find the pending segments, render them, make the film, write the report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from contextlib import ExitStack

from custom_nodes.videogen.core.errors import INTERNAL_ERROR, VideoGenError
from custom_nodes.videogen.core.video.quality import QUALITIES

from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..references.generate import ReferencesRun
from ..references.resolve import CastImages
from ..rendering.jobs import JobMaker
from ..rendering.kept_results import trim_results
from ..rendering.per_segment.job_makers import JobMakers
from ..rendering.renderer import Renderer
from ..rendering.replaced_files import adopt_replaced, name_replaced
from ..rendering.results import recover_takes, recover_verified
from ..rendering.run_log import RunLog
from ..rendering.takes.selector import asks_for_takes
from ..rendering.worker import RenderSettings
from ..reports.prompt_record import write_prompts
from ..state.events import RunFinished, RunStarted
from ..state.own_files import can_others_write
from ..state.progress import Display
from ..state.run_directory import RunDirectory, check_space, read_run
from ..state.versions import collect_versions
from ..workflows.image_inputs import find_unknown_references
from ..workflows.model_files import MODELS_FILE, find_differences, hash_on_server
from ..workflows.story_images import Missing
from ..workflows.validate import together
from ..workflows.workflow import CONVERSION_FILE, load_conversion
from .pending_segments import find_pending, find_pending_offline, make_jobs_offline
from .request import RunRequest, RunResult
from .run_outputs import make_film, write_record, write_run_report
from .run_workflows import RunWorkflows
from .server_connections import ServerConnections
from .stale_segments import find_stale_keys


def run_story(request: RunRequest, display: Display) -> RunResult:
    """Render what is missing and make the film; segments that are done already are kept.

    Raises:
        VideoGenError: for everything that concerns the run as a whole. A segment that fails does not end the run.
    """
    with ExitStack() as stack:
        directory = stack.enter_context(
            RunDirectory(
                request.out, request.loaded.story.title, fresh=request.fresh, keep_results=request.keep_results
            )
        )
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
        saved = load_conversion(directory.path, request.workflow)
        drawn = saved.drawn if saved and not request.fresh else None
        self.workflows = RunWorkflows(request, directory, self.cast, self.connections, drawn)

    def execute(self) -> RunResult:
        began = time.monotonic()
        if can_others_write(self.directory.path):
            path = self.directory.path
            self.display.say(f"Note: any user of this machine can change {path}; `chmod go= {path}` makes it yours")
        recover_takes(self.directory, self.request.takes)
        recover_verified(self.directory)
        self.directory.remove_leftovers()
        trim_results(self.directory)
        if self.request.adopt:
            adopt_replaced(self.directory, self.story, self.log)
        renderer = None
        installation = self.connections.find_own_installation()
        pending = (
            find_pending_offline(self.request, self.directory, self.cast, installation, self.log)
            if installation
            else None
        )
        try:
            if pending or pending is None:
                renderer, pending = self._render()
            else:
                self.display.say(f"All {len(self.request.wanted)} segments are done already")
                if installation and (
                    maker := make_jobs_offline(self.request, self.directory, self.cast, installation, self.log)
                ):
                    self._note_stale(maker)
                # Parts of the story that touch no segment (a transition, say) may have changed.
                record = read_run(self.directory.path) or {}
                versions = record.get("versions") or collect_versions()
                write_record(
                    self.directory,
                    self.request,
                    versions,
                    self.workflows.choices,
                    record.get("workflow"),
                    own=record.get("workflows"),
                )
        except BaseException:
            # However it ends, the report says how far it came.
            with contextlib.suppress(VideoGenError):
                write_run_report(self.directory, self.display)
            raise
        failed = renderer.failed if renderer else {}
        rendered = tuple(renderer.rendered) if renderer else ()
        kept = tuple(number for number in self.request.wanted if number not in rendered and number not in failed)
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
        self.connections.connect()
        workflows = self.workflows
        workflows.prepare()
        for note in workflows.list_notes():
            self.display.say(note)
        # For the servers that are left; what the graphs say of the choices is in the keys.
        maker = workflows.make(again=workflows.settle())
        servers = self.connections.servers
        session = servers[0].session
        if not self._asks_for_takes(maker):
            recover_takes(self.directory, 1)  # an earlier run was to render segments again, this one is not
        if any(one.image_inputs for one, _ in maker.workflows):
            self.cast.require_pictures()
        pending = find_pending(self.request, self.directory, maker, self.log)
        self.directory.write_json(MODELS_FILE, workflows.models)
        write_prompts(self.directory.path, self.story, maker.prompts())
        others = {server.name: hash_on_server(server.session.client, self.display.say) for server in servers[1:]}
        for difference in find_differences(workflows.models, others):
            self.display.say(f"Note: {difference}")
        missing = workflows.find_missing(pending)
        if self.cast.share(missing, servers):
            maker = workflows.make(again=True)
        references, artist = self._plan_references(workflows.main, missing, servers)
        with together(lambda: self.cast.require(missing, references.names if references else ())):
            workflows.require_fit(references.problems if references else ())
        self.directory.write_json(CONVERSION_FILE, workflows.describe_conversions())
        for unknown in dict.fromkeys(
            str(unknown) for one, _ in maker.workflows for unknown in find_unknown_references(one.graph, self.story)
        ):
            self.display.say(f"Note: {unknown}")
        if references:
            # A run that ends while they are drawn is resumed as this one.
            self._write_record(collect_versions(session.stats))
            self.cast.drawn |= references.draw_on_any([artist, *(one for one in servers if one is not artist)])
            maker = workflows.make(again=True)
            pending = find_pending(self.request, self.directory, maker, self.log)
        # Noted before and after: what continues a segment is older than it only once that one is rendered.
        self._note_stale(maker)
        self._begin(pending, session, maker)
        renderer = Renderer(
            servers,
            maker,
            self.directory,
            self.display,
            RenderSettings(
                self.quality,
                self.request.retries,
                self.request.stall,
                self.request.takes,
                one_graph=len(workflows.fits.needs) == 1,
            ),
            lacks=workflows.fits.lacks_of,
        )
        try:
            renderer.render(pending)
        finally:
            self.display.end()
        if self.request.selection:
            self._note_stale(maker)
        return renderer, pending

    def _asks_for_takes(self, maker: JobMakers) -> bool:
        wanted = set(self.request.wanted)
        return any(asks_for_takes(one.graph) for one, numbers in maker.workflows if wanted & set(numbers))

    def _plan_references(
        self, maker: JobMaker, missing: Sequence[Missing], servers: Sequence[Server]
    ) -> tuple[ReferencesRun | None, Server]:
        """The images to draw, and the first server that has what this takes; without one, the first server's problems count."""
        plans = (
            (self.cast.plan(maker, missing, server.session, self.log, self.request.stall), server) for server in servers
        )
        first = next(plans)
        if first[0] is None or not first[0].problems:
            return first
        return next((plan for plan in plans if plan[0] is not None and not plan[0].problems), first)

    def _begin(self, pending: list[int], session: Session, maker: JobMakers) -> None:
        wanted = len(self.request.wanted)
        kept = wanted - len(pending)
        if pending:
            seconds = float(sum(self.story.segment(number).duration for number in pending))
            # All takes stay. Segments and film, and as much again at the server if it is ours.
            takes = self.request.takes if self._asks_for_takes(maker) else 1
            copies = 2 if self.connections.embedded else 1
            needed = (seconds * takes + float(self.story.duration)) * self.quality.bitrate / 8 * copies
            check_space(self.directory.path, int(needed) + 50_000_000, takes)
        self._write_record(collect_versions(session.stats))
        self.log.note(RunStarted(run_id=self.directory.run_id, server=session.client.url, todo=pending, kept=kept))
        name_replaced(self.directory, pending, self.log)
        if kept:
            self.display.say(f"{kept} of {wanted} segments are done already")
        self.display.begin(wanted, kept, self.request.selection or ())

    def _note_stale(self, maker: JobMakers) -> None:
        self.log.note_stale(find_stale_keys(self.story, self.journal, maker))

    def _write_record(self, versions: dict[str, str]) -> None:
        workflows = self.workflows
        write_record(self.directory, self.request, versions, workflows.choices, own=workflows.describe_own())
