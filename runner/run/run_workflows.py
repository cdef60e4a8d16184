"""The workflows of a run: each converted for the first server that can render it, and what all of them need of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from custom_nodes.videogen.core.errors import Problem, VideoGenError
from custom_nodes.videogen.core.graph import Graph

from ..comfyui.servers import Server
from ..references.resolve import CastImages
from ..rendering.jobs import JobMaker
from ..rendering.per_segment.job_makers import JobMakers, group_by_loras
from ..rendering.per_segment.loras import LORA_LOADER, MODEL_LORA_LOADER
from ..state.run_directory import RunDirectory, read_run
from ..workflows.automatic_choices import kept_choices, settle_choices
from ..workflows.model_catalog import LORA_FOLDER
from ..workflows.model_files import FindHash, HashedModels, hash_on_any, hash_on_server, hash_on_this_machine
from ..workflows.own_workflows import WorkflowUse, name_segments
from ..workflows.story_images import HashInput, Missing
from ..workflows.validate import require_fit
from ..workflows.workflow import OTHERS, convert_workflow, describe_conversion
from .pending_segments import make_jobs, open_models
from .request import RunRequest
from .server_connections import ServerConnections
from .server_fit import Need, Requirement, ServerFits, join_errors, labeled, prepare_on_first


@dataclass
class _Prepared:
    """A workflow, converted for a server.

    Attributes:
        server: the first one that it fits.
        choices: what nodes' *auto* stands for in it, see `settle_choices`.
    """

    use: WorkflowUse
    server: Server
    graph: Graph
    hash_input: HashInput
    models: HashedModels
    maker: JobMaker
    choices: dict[str, str]


class RunWorkflows:
    """The workflows that a run's segments are rendered with.

    Args:
        drawn: the graph of the run's own workflow that an earlier release has rendered, see `Conversion`.

    Attributes:
        fits: which server can render which segments; empty until `prepare`.
    """

    def __init__(
        self,
        request: RunRequest,
        directory: RunDirectory,
        cast: CastImages,
        connections: ServerConnections,
        drawn: Graph | None,
    ) -> None:
        self.request, self.directory, self.cast = request, directory, cast
        self.connections, self.drawn = connections, drawn
        self.fits = ServerFits(())
        self._prepared: list[_Prepared] = []
        self._said: set[str] = set()
        self._inputs: dict[str, HashInput] = {}
        self._models: HashedModels | None = None
        self._kept = _read_kept_choices(directory, request)

    # ------------------------------------------------------------------ preparing

    def prepare(self) -> None:
        """Convert each workflow for the first server that it fits, and leave out servers that can render nothing of the run.

        A workflow of segments that this run does not render may fail: only their age is not known then.

        Raises:
            VideoGenError: what is wrong with the workflows of wanted segments.
        """
        errors: list[VideoGenError] = []
        for use in self.request.uses:
            wanted = self._wanted(use)
            try:
                self._prepared.append(
                    prepare_on_first(self.connections.servers, lambda server, use=use: self._prepare(server, use))  # type: ignore[misc]
                )
            except VideoGenError as error:
                if wanted:
                    errors.append(labeled(error, self._label(wanted)))
        if errors:
            raise join_errors(errors)
        self.fits = ServerFits(list(self._find_needs()))
        self.fits.leave_out_unfit(self.connections)

    def _prepare(self, server: Server, use: WorkflowUse) -> _Prepared:
        session, name = server.session, use.workflow.path.name
        graph = convert_workflow(
            use.workflow, session.object_info, seed=None, warn=lambda text: self._say_once(f"{name}: {text}")
        )
        if server.name not in self._inputs:
            # What was drawn before counts by the server of the first workflow.
            look = self.cast.hide_stale if self._prepared else self.cast.look
            self._inputs[server.name] = look(session.client.hash_input_file, session.client.read_input_file)
        hash_input, models = self._inputs[server.name], self._open_models(server)
        prepared = _Prepared(use, server, graph, hash_input, models, self._make(use, graph, server, models), {})
        if len(self.connections.servers) > 1:
            first = (self._wanted(use) or use.numbers)[0]
            require_fit(
                prepared.maker.make(first).graph,
                session.object_info,
                use.workflow,
                server.name,
                session.client.list_models,
                brought=prepared.maker.brought_for(first),
                has_file=session.client.has_input_file,
            )
        return prepared

    def _make(self, use: WorkflowUse, graph: Graph, server: Server, models: HashedModels) -> JobMaker:
        return make_jobs(
            self.request,
            self.cast,
            graph,
            server.session.object_info,
            self._inputs[server.name],
            models,
            drawn=None if use.is_own else self.drawn,
            use=use,
        )

    def _open_models(self, server: Server) -> HashedModels:
        own, say = self.connections.find_own_installation(), self.connections.say
        others = (one for one in self.connections.servers if one is not server)
        find: FindHash = (
            hash_on_this_machine(own, say)
            if own
            # It has all models of its workflow, and perhaps not the LoRAs of every segment.
            else hash_on_any([hash_on_server(one.session.client, say) for one in (server, *others)], LORA_FOLDER)
        )
        if self._models is None:
            self._models = open_models(self.directory, find)
        return self._models.asked_by(find)

    def _find_needs(self) -> Iterable[Need]:
        for one in self._prepared:
            for numbers in group_by_loras(self.request.loaded.story, self._wanted(one.use)).values():
                graph, brought = one.maker.make(numbers[0]).graph, one.maker.brought_for(numbers[0])
                yield Need(tuple(numbers), Requirement(graph, one.use.workflow, brought), self._label(numbers))

    def settle(self) -> bool:
        """Settle the choices that nodes would make from what their server has; those of an earlier run are kept.

        Returns:
            Whether there were any: then the jobs are others.
        """
        changed = False
        for one in self._prepared:
            infos = {
                server.name: server.session.object_info
                for server in self.connections.servers
                if self.fits.can_render(server.name, one.use.numbers)
            }
            settings = () if one.use.is_own else self.request.settings
            settled = settle_choices(one.graph, infos, self._kept.get(_key(one.use), {}), settings)
            one.choices = settled.choices
            for note in settled.notes:
                self.connections.say(note)
            if settled.graph is not one.graph:
                one.graph, changed = settled.graph, True
        return changed

    def make(self, *, again: bool = False) -> JobMakers:
        """What makes the jobs of all segments.

        Args:
            again: images were shared or drawn, or choices settled, since they were made.
        """
        makers: dict[int, JobMaker] = {}
        for one in self._prepared:
            if again:
                one.maker = self._make(one.use, one.graph, one.server, one.models)
            makers |= dict.fromkeys(one.use.numbers, one.maker)
        return JobMakers(self.request.loaded.story, makers)

    # ------------------------------------------------------------------ checking

    def find_missing(self, pending: Sequence[int]) -> list[Missing]:
        """Images that segments cannot do without and that some or all of their servers lack."""
        missing: dict[tuple[object, str], Missing] = {}
        for one in self._prepared:
            todo = sorted({*one.use.numbers} & {*pending})
            if not todo:
                continue
            # That of the workflow was asked already.
            servers = [one.server, *(server for server in self._servers_of(one.use) if server is not one.server)]
            for found in self.cast.find_missing(one.maker, todo, servers):
                place = (found.entity, found.name)
                missing[place] = _merge(missing[place], found) if place in missing else found
        return list(missing.values())

    def require_fit(self, more: Iterable[Problem]) -> None:
        """Check the graphs of all wanted segments on a server that can render them, with everything that is wrong in one message.

        Args:
            more: further problems.

        Raises:
            VideoGenError: `workflow-invalid`.
        """
        errors: list[VideoGenError] = []
        unsaid = list(more)
        for one in self._prepared:
            problems, unsaid = [*unsaid, *one.maker.find_output_problems()], []
            for numbers in group_by_loras(self.request.loaded.story, self._wanted(one.use)).values():
                servers = [server for server in self._servers_of(one.use) if self.fits.can_render(server.name, numbers)]
                session = (servers or [one.server])[0].session
                try:
                    require_fit(
                        one.maker.make(numbers[0]).graph,
                        session.object_info,
                        one.use.workflow,
                        session.client.url,
                        session.client.list_models,
                        problems,
                        one.maker.brought_for(numbers[0]),
                        session.client.has_input_file,
                    )
                except VideoGenError as error:
                    errors.append(labeled(error, self._label(numbers)))
                problems = []
        if errors:
            raise join_errors(errors)

    def _servers_of(self, use: WorkflowUse) -> list[Server]:
        return [one for one in self.connections.servers if self.fits.can_render(one.name, use.numbers)]

    # ------------------------------------------------------------------ what is written down

    @property
    def models(self) -> Mapping[str, str]:
        """The hashes of all model files that were asked for; see `HashedModels.found`."""
        return self._models.found if self._models is not None else {}

    @property
    def choices(self) -> dict[str, str]:
        """What nodes' *auto* stands for in the run's own workflow."""
        first = next((one for one in self._prepared if not one.use.is_own), None)
        return first.choices if first is not None else self._kept.get("", {})

    def describe_own(self) -> list[dict[str, Any]]:
        """The workflows that segments have of their own, for the run's record."""
        choices = {_key(one.use): one.choices for one in self._prepared}
        return [describe_use(use, choices.get(_key(use), {})) for use in self.request.uses if use.is_own]

    def describe_conversions(self) -> dict[str, Any]:
        """The record of all conversions, see `describe_conversion`."""
        has_loras = any(segment.loras for segment in self.request.loaded.story.segments)
        added = (LORA_LOADER, MODEL_LORA_LOADER) if has_loras else ()
        first, *others = (
            describe_conversion(
                one.use.workflow,
                str(one.server.session.stats["system"]["comfyui_version"]),
                one.graph,
                one.server.session.object_info,
                None if one.use.is_own else self.drawn,
                added,
            )
            for one in self._prepared
        )
        return {**first, **({OTHERS: others} if others else {})}

    @property
    def main(self) -> JobMaker:
        """Makes jobs with the run's own workflow; with another one where no segment is rendered with that."""
        return self._prepared[0].maker

    def list_notes(self) -> list[str]:
        """What a user should know of what was found in the workflows."""
        return [f"{one.use.workflow.path.name}: {note}" for one in self._prepared for note in one.maker.roles.notes]

    def _say_once(self, text: str) -> None:
        """Say what the conversion for one server notes, and that for another one too."""
        if text not in self._said:
            self._said.add(text)
            self.connections.say(text)

    def _wanted(self, use: WorkflowUse) -> list[int]:
        wanted = set(self.request.wanted)
        return [number for number in use.numbers if number in wanted]

    def _label(self, numbers: Sequence[int]) -> str:
        """What messages call some segments; "" where all segments of the story have graphs of one kind."""
        story = self.request.loaded.story
        if len(self.request.uses) == 1 and not any(segment.loras for segment in story.segments):
            return ""
        return name_segments(numbers)


def describe_use(use: WorkflowUse, choices: Mapping[str, str]) -> dict[str, Any]:
    """A workflow that segments have of their own, for the run's record."""
    return {
        "graph": use.workflow.ui or use.workflow.api,
        "path": str(use.workflow.path),
        "segments": list(use.numbers),
        **({"choices": dict(choices)} if choices else {}),
    }


def _key(use: WorkflowUse) -> str:
    """What a workflow's choices are kept under."""
    return str(use.workflow.path) if use.is_own else ""


def _read_kept_choices(directory: RunDirectory, request: RunRequest) -> dict[str, dict[str, str]]:
    """The choices of an earlier run, by the workflows' `_key`."""
    record = {} if request.fresh else read_run(directory.path) or {}
    own = record.get("workflows")
    kept = {"": kept_choices(record)}
    for one in own if isinstance(own, list) else ():
        if isinstance(one, dict):
            kept[str(one.get("path"))] = kept_choices(one)
    return kept


def _merge(first: Missing, second: Missing) -> Missing:
    """One image that segments of two workflows need."""
    return replace(
        first,
        segments=tuple(sorted({*first.segments, *second.segments})),
        lacking=tuple(dict.fromkeys((*first.lacking, *second.lacking))),
        servers=tuple(dict.fromkeys((*first.servers, *second.servers))),
        remedies=tuple(dict.fromkeys((*first.remedies, *second.remedies))),
    )
