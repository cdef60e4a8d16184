"""Finds the segments of a run that are still to be rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from custom_nodes.videogen.media.probe import hash_file

from ..comfyui.graph import Graph
from ..comfyui.installation import Installation
from ..references.resolve import CastImages
from ..rendering.film import file_is_whole
from ..rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from ..state.run_directory import RunDirectory
from ..workflows.workflow import load_conversion
from .request import RunRequest


def make_jobs(
    request: RunRequest,
    cast: CastImages,
    graph: Graph,
    object_info: dict[str, Any],
    hash_input: Callable[[str], str],
) -> JobMaker:
    """The maker of a run's jobs.

    Args:
        graph: the whole workflow in API format.
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
    """
    return JobMaker(
        request.loaded,
        ConvertedWorkflow(graph, object_info, request.workflow.ui),
        WorkflowChoices(request.bindings, request.settings, request.quality),
        hash_input,
        cast.local_images(),
    )


def find_pending(request: RunRequest, directory: RunDirectory, maker: JobMaker) -> list[int]:
    """Numbers of the wanted segments that are not done, or whose file or key has changed, in order."""
    pending: list[int] = []
    for number in request.wanted:
        state = directory.journal.segment(number)
        before = directory.journal.segment(number - 1)
        continues = maker.continues(number)
        # A segment that begins from one that is rendered again is rendered again too.
        stale = continues and (number - 1 in pending or before.state != "done")
        begins_from = str(before.result.get("sha256", "")) if continues and not stale else ""
        is_done = not stale and state.state == "done" and state.key == maker.key(number, begins_from)
        if not is_done or not file_is_whole(directory.path, state):
            pending.append(number)
    return pending


def find_pending_offline(
    request: RunRequest, directory: RunDirectory, cast: CastImages, installation: Installation
) -> list[int] | None:
    """`find_pending` without a server; None when only a server can tell.

    The graph of the last run is kept, so that a run with nothing to do need not start ComfyUI to find that out.
    """
    saved = load_conversion(directory.path, request.workflow, installation.version)
    if saved is None:
        return None
    graph, object_info = saved

    def hash_input(name: str) -> str:
        path = installation.comfyui / "input" / name
        return hash_file(path) if path.is_file() else ""

    return find_pending(request, directory, make_jobs(request, cast, graph, object_info, cast.look(hash_input)))
