"""The course of a run: find the pending segments, render them, make the film, write the report."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from contextlib import ExitStack

from custom_nodes.videogen.core.errors import INTERNAL_ERROR, VideoGenError
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.core.video.quality import QUALITIES

from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..references.generate import ReferencesRun
from ..references.resolve import CastImages
from ..rendering.jobs import JobMaker
from ..rendering.kept_results import trim_results
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
from ..workflows.automatic_choices import kept_choices, settle_choices
from ..workflows.image_inputs import find_unknown_references
from ..workflows.model_files import MODELS_FILE, HashedModels, find_differences, hash_on_server, hash_on_this_machine
from ..workflows.story_images import HashInput, Missing
from ..workflows.validate import require_fit, together
from ..workflows.workflow import CONVERSION_FILE, convert_workflow, describe_conversion, load_conversion
from .pending_segments import find_pending, find_pending_offline, make_jobs, make_jobs_offline, open_models
from .request import RunRequest, RunResult
from .run_outputs import make_film, write_record, write_run_report
from .server_connections import ServerConnections
from .server_fit import Requirement, choose_first, leave_out_unfit
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
        self.choices = {} if request.fresh else kept_choices(read_run(directory.path))
        saved = load_conversion(directory.path, request.workflow)
        self.said: set[str] = set()
        self.drawn = saved.drawn if saved and not request.fresh else None

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
                write_record(self.directory, self.request, versions, self.choices, record.get("workflow"))
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
        graph, hash_input, models, maker = choose_first(self.connections, self._prepare)
        servers = self.connections.servers
        session = servers[0].session
        for note in maker.roles.notes:
            self.display.say(f"{self.request.workflow.path.name}: {note}")
        first = self.request.wanted[0]
        brought = maker.brought_for(first)
        leave_out_unfit(self.connections, Requirement(maker.make(first).graph, self.request.workflow, brought))
        # For those that are left; what the graph says of the choices is in the keys.
        settled = self._settle(graph)
        if settled is not graph:
            graph = settled
            maker = self._make_jobs(graph, session, hash_input, models)
        if not asks_for_takes(graph):
            recover_takes(self.directory, 1)  # an earlier run was to render segments again, this one is not
        if maker.image_inputs:
            self.cast.require_pictures()
        pending = find_pending(self.request, self.directory, maker, self.log)
        self.directory.write_json(MODELS_FILE, models.found)
        write_prompts(self.directory.path, self.request.loaded.story, maker.roles.prompts)
        others = {server.name: hash_on_server(server.session.client, self.display.say) for server in servers[1:]}
        for difference in find_differences(models.found, others):
            self.display.say(f"Note: {difference}")
        missing = self.cast.find_missing(maker, pending, servers)
        if self.cast.share(missing, servers):
            maker = self._make_jobs(graph, session, hash_input, models)
        references, artist = self._plan_references(maker, missing, servers)
        with together(lambda: self.cast.require(missing, references.names if references else ())):
            require_fit(
                maker.make(first).graph,
                session.object_info,
                self.request.workflow,
                session.client.url,
                session.client.list_models,
                (*(references.problems if references else ()), *maker.find_output_problems()),
                maker.brought_for(first),
                session.client.has_input_file,
            )
        version = str(session.stats["system"]["comfyui_version"])
        conversion = describe_conversion(self.request.workflow, version, graph, session.object_info, self.drawn)
        self.directory.write_json(CONVERSION_FILE, conversion)
        for unknown in find_unknown_references(maker.graph, self.story):
            self.display.say(f"Note: {unknown}")
        if references:
            # A run that ends while they are drawn is resumed as this one.
            self._write_record(collect_versions(session.stats))
            self.cast.drawn |= references.draw_on_any([artist, *(one for one in servers if one is not artist)])
            maker = self._make_jobs(graph, session, hash_input, models)
            pending = find_pending(self.request, self.directory, maker, self.log)
        # Noted before and after: what continues a segment is older than it only once that one is rendered.
        self._note_stale(maker)
        self._begin(pending, session, graph)
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
        if self.request.selection:
            self._note_stale(maker)
        return renderer, pending

    def _make_jobs(self, graph: Graph, session: Session, hash_input: HashInput, models: HashedModels) -> JobMaker:
        return make_jobs(self.request, self.cast, graph, session.object_info, hash_input, models, drawn=self.drawn)

    def _prepare(self, server: Server) -> tuple[Graph, HashInput, HashedModels, JobMaker]:
        """The workflow for a server; of several servers one that it does not fit is no use."""
        session = server.session
        graph = convert_workflow(self.request.workflow, session.object_info, seed=None, warn=self._say_once)
        hash_input = self.cast.look(session.client.hash_input_file, session.client.read_input_file)
        own, say = self.connections.find_own_installation(), self.display.say
        models = open_models(
            self.directory, hash_on_this_machine(own, say) if own else hash_on_server(session.client, say)
        )
        maker = self._make_jobs(graph, session, hash_input, models)
        if len(self.connections.servers) > 1:
            first = self.request.wanted[0]
            require_fit(
                maker.make(first).graph,
                session.object_info,
                self.request.workflow,
                server.name,
                session.client.list_models,
                brought=maker.brought_for(first),
                has_file=session.client.has_input_file,
            )
        return graph, hash_input, models, maker

    def _say_once(self, text: str) -> None:
        """Say what the conversion for one server notes, and that for another one too."""
        if text not in self.said:
            self.said.add(text)
            self.display.say(f"{self.request.workflow.path.name}: {text}")

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

    def _begin(self, pending: list[int], session: Session, graph: Graph) -> None:
        wanted = len(self.request.wanted)
        kept = wanted - len(pending)
        if pending:
            seconds = float(sum(self.story.segment(number).duration for number in pending))
            # All takes stay. Segments and film, and as much again at the server if it is ours.
            takes = self.request.takes if asks_for_takes(graph) else 1
            copies = 2 if self.connections.embedded else 1
            needed = (seconds * takes + float(self.story.duration)) * self.quality.bitrate / 8 * copies
            check_space(self.directory.path, int(needed) + 50_000_000, takes)
        self._write_record(collect_versions(session.stats))
        self.log.note(RunStarted(run_id=self.directory.run_id, server=session.client.url, todo=pending, kept=kept))
        name_replaced(self.directory, pending, self.log)
        if kept:
            self.display.say(f"{kept} of {wanted} segments are done already")
        self.display.begin(wanted, kept, self.request.selection or ())

    def _settle(self, graph: Graph) -> Graph:
        """The graph with the choices that nodes would make from what their server has; those of an earlier run are kept."""
        infos = {server.name: server.session.object_info for server in self.connections.servers}
        settled = settle_choices(graph, infos, self.choices, self.request.settings)
        self.choices = settled.choices
        for note in settled.notes:
            self.display.say(note)
        return settled.graph

    def _note_stale(self, maker: JobMaker) -> None:
        self.log.note_stale(find_stale_keys(self.story, self.journal, maker))

    def _write_record(self, versions: dict[str, str]) -> None:
        write_record(self.directory, self.request, versions, self.choices)
