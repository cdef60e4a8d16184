"""HTTP endpoints of the pack, added to ComfyUI's server when it loads the pack."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model_hashes import ModelHashes

log = logging.getLogger(__name__)

Handler = Callable[[Any], Awaitable[Any]]
#: Seconds of telemetry in a response: default and maximum.
DEFAULT_SECONDS, MAX_SECONDS = 300.0, 7200.0


def add_routes() -> bool:
    """Add the endpoints to the running server; False without one (scripts that only list nodes)."""
    from ..comfyui.thermal.thermal_wait import find_server

    server = find_server()
    if server is None:
        return False
    for method, path, handler in ROUTES:
        getattr(server.routes, method)(path)(_for_own_names(handler))
    return True


def _for_own_names(handler: Handler) -> Handler:
    """The handler, for requests by a name of this server; see `allowed_hosts`.

    ComfyUI compares ``Host`` with ``Origin``: with DNS rebinding both are the stranger's, and requests that only read have no
    ``Origin`` at all.
    """

    async def handle(request: Any) -> Any:
        from aiohttp import web
        from comfy.cli_args import args

        from .allowed_hosts import explain_foreign_host

        refusal = explain_foreign_host(request.headers.get("Host"), str(getattr(args, "listen", "") or ""))
        if refusal:
            _tell(refusal)
            return web.json_response({"error": refusal}, status=403)
        return await handler(request)

    return handle


@functools.lru_cache(maxsize=100)
def _tell(refusal: str) -> None:
    """Once: a page may ask every second."""
    log.warning("videogen: refused a request: %s", refusal)


async def show_telemetry(request: Any) -> Any:
    """``GET /videogen/telemetry?seconds=300``: the last measurements, see `Telemetry.describe`."""
    from aiohttp import web

    from ..comfyui.thermal.telemetry import TELEMETRY

    try:
        seconds = float(request.query.get("seconds", DEFAULT_SECONDS))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS:
        wanted = f"`seconds` is {request.query['seconds']!r}, expected a number from 0 to {MAX_SECONDS:.0f}"
        return web.json_response({"error": wanted}, status=400)
    return web.json_response(TELEMETRY.describe(seconds))


async def show_model_hash(request: Any) -> Any:
    """``GET /videogen/model-hash?folder=checkpoints&name=sd15.safetensors``: see `ModelHashes.ask`.

    Status 202 while a large file is being read: to be asked again.
    """
    from aiohttp import web

    from .model_hashes import find_files

    answer = await _model_hashes().ask(find_files(request.query.get("folder", ""), request.query.get("name", "")))
    return web.json_response(answer, status=200 if "sha256" in answer else 202)


@functools.cache
def _model_hashes() -> ModelHashes:
    import folder_paths

    from .model_hashes import ModelHashes

    return ModelHashes(Path(folder_paths.get_user_directory()) / "videogen" / "model_hashes.json")


async def adopt_workflow(request: Any) -> Any:
    """``POST /videogen/adopt``: see `adopt_open_workflow`. Status 400 with ``error`` for a workflow that cannot be adopted."""
    import asyncio

    from aiohttp import web

    from ..core.errors import VideoGenError
    from .adopt import MAX_BYTES, adopt_open_workflow

    if (request.content_length or 0) > MAX_BYTES:
        return web.json_response({"error": f"the request is larger than {MAX_BYTES:,} bytes"}, status=413)
    try:
        data = await request.json()
        answer = await asyncio.to_thread(adopt_open_workflow, data)
    except VideoGenError as error:
        return web.json_response({"error": str(error)}, status=400)
    except (ValueError, RecursionError):
        return web.json_response({"error": "the request is not JSON"}, status=400)
    return web.json_response(answer)


ROUTES: list[tuple[str, str, Handler]] = [
    ("get", "/videogen/telemetry", show_telemetry),
    ("get", "/videogen/model-hash", show_model_hash),
    ("post", "/videogen/adopt", adopt_workflow),
]
