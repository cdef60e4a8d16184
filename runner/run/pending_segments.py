"""Finds the segments of a run that are still to be rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from custom_nodes.videogen.core.file_names import explain_path_out
from custom_nodes.videogen.core.graph import Graph
from custom_nodes.videogen.media.probe import hash_file
from custom_nodes.videogen.media.profiles.library import load_profiles, profile_folders

from ..comfyui.installation import Installation
from ..references.resolve import CastImages
from ..rendering.jobs import ConvertedWorkflow, JobMaker, WorkflowChoices
from ..rendering.kept_results import settle_result
from ..rendering.run_log import RunLog
from ..state.record_files import read_json
from ..state.run_directory import RunDirectory
from ..workflows.bindings import parse_binding
from ..workflows.model_files import MODELS_FILE, FindHash, HashedModels, hash_on_this_machine
from ..workflows.workflow import load_conversion
from .request import RunRequest


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
) -> JobMaker:
    """The maker of a run's jobs.

    Args:
        graph: the whole workflow in API format.
        hash_input: SHA-256 of a file in the server's input folder, or "" when it is not there.
        hash_model: of the model files that the server loads.
        drawn, written: see `Conversion`.
    """

    profiles = load_profiles(profile_folders(request.workflow.path))

    def make(graph: Graph, written: bool, find_roles: bool = True) -> JobMaker:
        ui = request.workflow.ui
        return JobMaker(
            request.loaded,
            ConvertedWorkflow(graph, object_info, ui, written=written and ui is not None),
            WorkflowChoices(request.bindings, request.settings, request.quality, profiles, find_roles),
            hash_input,
            cast.local_images(),
            hash_model,
        )

    maker = make(graph, written)
    if drawn is not None and maker.dynamic_texts:
        maker.before = make(drawn, False)
    elif not maker.segment_nodes and any(parse_binding(text).input for text in request.bindings):
        # Earlier releases set nothing but what was bound.
        maker.before = make(graph, written, find_roles=False)
    return maker


def find_pending(request: RunRequest, directory: RunDirectory, maker: JobMaker, log: RunLog) -> list[int]:
    """Numbers of the wanted segments that are not done, or whose file or key has changed, in order.

    One that was rendered before for what is wanted now gets that file again, see `settle_result`.
    """
    pending: list[int] = []
    for number in request.wanted:
        before = directory.journal.segment(number - 1)
        continues = maker.continues(number)
        # A segment that begins from one that is rendered again is rendered again too.
        stale = continues and (number - 1 in pending or before.state != "done")
        begins_from = str(before.result.get("sha256", "")) if continues and not stale else ""
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
) -> JobMaker | None:
    """`make_jobs` without a server; None when the graph is not known.

    The graph of the last run is kept, so that a run with nothing to do need not start ComfyUI to find that out.
    """
    saved = load_conversion(directory.path, request.workflow)
    if saved is None or saved.comfyui != installation.version:
        return None

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
    return make_jobs(
        request,
        cast,
        saved.graph,
        saved.object_info,
        cast.look(hash_input, read_input),
        models,
        drawn=saved.drawn,
        written=saved.written,
    )


def open_models(directory: RunDirectory, find: FindHash) -> HashedModels:
    """The hashes of a run's model files, beginning with those of the last run in its directory."""
    try:
        known = read_json(directory.path / MODELS_FILE)
    except (OSError, ValueError):
        known = {}
    return HashedModels(find, known if isinstance(known, dict) else {})
