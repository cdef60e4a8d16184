"""Finds the segments of a run that are still to be rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.file_names import explain_path_out
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.profiles.library import load_profiles, profile_folders

from ..comfyui.installation import Installation
from ..references.resolve import CastImages
from ..rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from ..rendering.kept_results import settle_result
from ..rendering.per_segment.job_makers import JobMakers, SegmentJobs
from ..rendering.run_log import RunLog
from ..state.record_files import read_json
from ..state.run_directory import RunDirectory
from ..workflows.bindings import parse_binding
from ..workflows.model_files import MODELS_FILE, FindHash, HashedModels, hash_on_this_machine
from ..workflows.own_workflows import WorkflowUse
from ..workflows.workflow import load_conversion
from .request import RunRequest

#: What a user can do whose options do not reach a workflow.
_HINT_FOR_OWN = (
    "--bind and --set name nodes of --workflow only. `videogen roles` shows what was found in this one: link inputs that belong"
    " together to one node, or build it with the Segment node."
)


def make_jobs(
    request: RunRequest,
    cast: CastImages,
    graph: Graph,
    object_info: dict[str, Any],
    hash_input: Callable[[str], str],
    hash_model: HashedModels,
    *,
    drawn: Graph | None = None,
    written: bool = True,
    use: WorkflowUse | None = None,
) -> JobMaker:
    """The maker of the jobs of one of a run's workflows.

    Args:
        graph: the whole workflow in API format.
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
        hash_model: of the model files that the server loads.
        drawn, written: see `Conversion`.
        use: the workflow and its segments; None for that of ``--workflow``, with which all are rendered.
    """
    use = use or WorkflowUse(request.workflow, tuple(segment.number for segment in request.loaded.story.segments))
    # What a user has written for a workflow names its nodes, and profiles are a user's own: a story brings none.
    bindings, settings = ([], []) if use.is_own else (request.bindings, request.settings)
    profiles = load_profiles(profile_folders(request.workflow.path))

    def make(graph: Graph, written: bool, find_roles: bool = True, drop_shared: bool = True) -> JobMaker:
        ui = use.workflow.ui
        return JobMaker(
            request.loaded,
            ConvertedWorkflow(graph, object_info, ui, written=written and ui is not None),
            WorkflowChoices(bindings, settings, request.quality, profiles, find_roles, drop_shared),
            hash_input,
            cast.local_images(),
            hash_model,
            use.numbers,
        )

    try:
        maker = make(graph, written)
    except VideoGenError as error:
        if use.is_own and error.code == "binding-invalid":
            where = f"segments[{use.numbers[0]}].workflow ({use.workflow.path.name})"
            raise VideoGenError(error.code, f"{where}: {error.message}", _HINT_FOR_OWN) from None
        raise
    if drawn is not None and maker.dynamic_texts:
        maker.before = make(drawn, False, drop_shared=False)
    elif not maker.segment_nodes and any(parse_binding(text).input for text in bindings):
        # Earlier releases set nothing but what was bound.
        maker.before = make(graph, written, find_roles=False)
    if any(map(maker.shares_frames, use.numbers)):
        with_shared = make(graph, written, drop_shared=False)
        with_shared.before, maker.before = maker.before, with_shared
    return maker


def find_pending(request: RunRequest, directory: RunDirectory, maker: SegmentJobs, log: RunLog) -> list[int]:
    """Numbers of the wanted segments that are not done, or whose file or key has changed, in order.

    One that was rendered before for what is wanted now gets that file again, see `settle_result`.
    """
    pending: list[int] = []
    for number in request.wanted:
        source = maker.source(number)
        before = directory.journal.segment(source or 0)
        # A segment that begins from one that is rendered again is rendered again too.
        stale = source is not None and (source in pending or before.state != "done")
        begins_from = str(before.result.get("sha256", "")) if source is not None and not stale else ""
        if stale or not settle_result(directory, maker, number, begins_from, log):
            pending.append(number)
    return pending


def find_pending_offline(
    request: RunRequest, directory: RunDirectory, cast: CastImages, installation: Installation, log: RunLog
) -> list[int] | None:
    """`find_pending` without a server; None when only a server can tell."""
    maker = make_jobs_offline(request, directory, cast, installation, log)
    return find_pending(request, directory, maker, log) if maker else None


def make_jobs_offline(
    request: RunRequest, directory: RunDirectory, cast: CastImages, installation: Installation, log: RunLog
) -> JobMakers | None:
    """The makers of a run's jobs without a server; None when the graph of a wanted segment is not known.

    The graphs of the last run are kept, so that a run with nothing to do need not start ComfyUI to find that out.
    """

    def hash_input(name: str) -> str:
        # A workflow's name: on Windows only to look at \\host\share is to log in there.
        if explain_path_out(name):
            return ""
        path = installation.comfyui / "input" / name
        return hash_file(path) if path.is_file() else ""

    def read_input(name: str) -> bytes | None:
        path = installation.comfyui / "input" / name
        return path.read_bytes() if path.is_file() else None

    models = open_models(directory, hash_on_this_machine(installation, log.say))
    looked = cast.look(hash_input, read_input)
    makers: dict[int, JobMaker] = {}
    for use in request.uses:
        saved = load_conversion(directory.path, use.workflow)
        if saved is None or saved.comfyui != installation.version:
            if set(use.numbers) & set(request.wanted):
                return None
            continue
        drawn = None if use.is_own else saved.drawn
        maker = make_jobs(
            request, cast, saved.graph, saved.object_info, looked, models, drawn=drawn, written=saved.written, use=use
        )
        makers |= dict.fromkeys(use.numbers, maker)
    return JobMakers(request.loaded.story, makers)


def open_models(directory: RunDirectory, find: FindHash) -> HashedModels:
    """The hashes of a run's model files, beginning with those of the last run in its directory."""
    try:
        known = read_json(directory.path / MODELS_FILE)
    except (OSError, ValueError):
        known = {}
    return HashedModels(find, known if isinstance(known, dict) else {})
