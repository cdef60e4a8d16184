"""Which servers of a run have what its workflow needs: checked when they are connected, and whenever they come back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph

from ..comfyui.servers import Server
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


def choose_first(connections: ServerConnections, prepare: Callable[[Server], T]) -> T:
    """Prepare a run with the first server that it fits, and leave out those before it.

    Args:
        prepare: raises the error of a server that the workflow does not fit.

    Raises:
        VideoGenError: what `prepare` says of the only server, or the reasons of each.
    """
    refusals: dict[str, VideoGenError] = {}
    for server in list(connections.servers):
        try:
            prepared = prepare(server)
        except VideoGenError as error:
            refusals[server.name] = error
            continue
        for name, reason in refusals.items():
            connections.leave_out(name, reason)
        return prepared
    raise _join_refusals(refusals)


def leave_out_unfit(connections: ServerConnections, require: Requirement) -> None:
    """Leave out servers that lack something; the first one was checked already. All are checked again when they come back."""
    for server in connections.servers[1:]:
        try:
            require(server.session)
        except VideoGenError as error:
            connections.leave_out(server.name, error)
    for server in connections.servers:
        server.require = require


def _join_refusals(refusals: Mapping[str, VideoGenError]) -> VideoGenError:
    """One error for all servers; that of the user's own mistake, which all have found, is said once."""
    errors = list(refusals.values())
    if len({error.message for error in errors}) == 1:
        return errors[0]
    return VideoGenError(errors[0].code, "\n".join(error.message for error in errors), errors[0].hint)
