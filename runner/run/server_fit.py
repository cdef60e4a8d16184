"""Which servers of a run have what its workflow needs: checked when they are connected, and whenever they come back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph

from ..comfyui.servers import UNFIT, Server
from ..comfyui.session import Session
from ..workflows.validate import check_graph
from ..workflows.workflow import Workflow
from .server_connections import ServerConnections, require_pack

#: Problems that are named; one line tells why a server is not used.
_MAX_NAMED = 3

T = TypeVar("T")


class Requirement:
    """What a server must have to render a workflow's graph.

    Args:
        graph: of one of the segments to render.
        brought: names of the files that are uploaded before it is submitted.
    """

    def __init__(self, graph: Graph, workflow: Workflow, brought: Collection[str] = ()) -> None:
        self._graph, self._workflow, self._brought = graph, workflow, brought

    def __call__(self, session: Session) -> None:
        """Check a server.

        Raises:
            VideoGenError: `server-unfit`, `server-lacks-pack`, `server-too-old`; or that it cannot be asked.
        """
        require_pack(session, self._workflow)
        problems = check_graph(
            self._graph,
            session.object_info,
            self._workflow,
            session.client.list_models,
            brought=self._brought,
            has_file=session.client.has_input_file,
        )
        if problems:
            more = f"; and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
            raise VideoGenError(
                "server-unfit",
                f"{self._workflow.path.name} does not fit the ComfyUI at {session.client.url}:"
                f" {'; '.join(map(str, problems[:_MAX_NAMED]))}{more}",
                "`videogen check --server` lists everything that a server lacks.",
            )


@dataclass(frozen=True)
class Need:
    """What some segments of a run need of a server: they have graphs with the same nodes.

    Attributes:
        numbers: of the segments.
        label: what messages call them; "" where they are all segments of the run.
    """

    numbers: tuple[int, ...]
    requirement: Requirement
    label: str = ""

    def check(self, session: Session) -> None:
        """Check a server.

        Raises:
            VideoGenError: as `Requirement`, with the segments that it is about.
        """
        try:
            self.requirement(session)
        except VideoGenError as error:
            raise labeled(error, self.label) from None


class ServerFits:
    """Which segments each server of a run can render: checked when it is connected, and whenever it comes back."""

    def __init__(self, needs: Sequence[Need]) -> None:
        self.needs = needs
        self._lacks: dict[str, dict[int, str]] = {}

    def lacks_of(self, server: str) -> Mapping[int, str]:
        """The segments that a server lacks something for, as far as it was checked, and what that is."""
        return self._lacks.get(server, {})

    def can_render(self, server: str, numbers: Iterable[int]) -> bool:
        """Whether a server lacks nothing for one of these segments at least."""
        lacks = self.lacks_of(server)
        return any(number not in lacks for number in numbers)

    def check(self, server: str, session: Session) -> None:
        """Find out what a server can render.

        Raises:
            VideoGenError: why it can render nothing of the run, or that it cannot be asked.
        """
        lacks: dict[int, str] = {}
        errors: list[VideoGenError] = []
        for need in self.needs:
            try:
                need.check(session)
            except VideoGenError as error:
                if error.code not in UNFIT:
                    raise
                errors.append(error)
                lacks |= dict.fromkeys(need.numbers, error.message)
        # In one step: the threads of other servers read it.
        self._lacks[server] = lacks
        if len(errors) == len(self.needs):
            raise join_errors(errors)

    def leave_out_unfit(self, connections: ServerConnections) -> None:
        """Leave out servers that can render nothing of the run, where there are several; all are checked again when they come
        back. The reasons of those that can render a part are said.

        Raises:
            VideoGenError: `workflow-invalid`, when some segments could be rendered on none of them.
        """
        several = len(connections.servers) > 1
        reasons: dict[str, VideoGenError] = {}
        for server in list(connections.servers) if several else ():
            try:
                self.check(server.name, server.session)
            except VideoGenError as error:
                reasons[server.name] = error
        if several and len(reasons) == len(connections.servers):
            raise join_refusals(reasons)
        for name, reason in reasons.items():
            connections.leave_out(name, reason)
        for server in connections.servers:
            server.require = partial(self.check, server.name)
        self._require_each(connections)

    def _require_each(self, connections: ServerConnections) -> None:
        for need in self.needs:
            lacking = {server.name: self.lacks_of(server.name).get(need.numbers[0]) for server in connections.servers}
            if all(lacking.values()):
                text = "\n".join(dict.fromkeys(str(reason) for reason in lacking.values()))
                raise VideoGenError("workflow-invalid", text, "Nothing was submitted.")
        for server in connections.servers:
            for reason in dict.fromkeys(self.lacks_of(server.name).values()):
                connections.say(f"{server.name} renders other segments: {reason}")


def prepare_on_first(servers: Sequence[Server], prepare: Callable[[Server], T]) -> T:
    """Prepare a workflow with the first server that it fits.

    Args:
        prepare: raises the error of a server that the workflow does not fit.

    Raises:
        VideoGenError: what `prepare` says of the only server, or the reasons of each.
    """
    refusals: dict[str, VideoGenError] = {}
    for server in servers:
        try:
            return prepare(server)
        except VideoGenError as error:
            refusals[server.name] = error
    raise join_refusals(refusals)


def join_refusals(refusals: Mapping[str, VideoGenError]) -> VideoGenError:
    """One error for all servers; that of the user's own mistake, which all have found, is said once."""
    return join_errors(list(refusals.values()))


def join_errors(errors: Sequence[VideoGenError]) -> VideoGenError:
    """One error with the code of the first one, and the messages of all, each once."""
    messages = dict.fromkeys(error.message for error in errors)
    return errors[0] if len(messages) == 1 else VideoGenError(errors[0].code, "\n".join(messages), errors[0].hint)


def labeled(error: VideoGenError, label: str) -> VideoGenError:
    """The error with the segments that it is about in front of its message; itself without a label."""
    return VideoGenError(error.code, f"{label}: {error.message}", error.hint) if label else error
