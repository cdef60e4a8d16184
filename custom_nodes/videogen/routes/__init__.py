"""HTTP endpoints of the pack, hung into ComfyUI's server when it loads the pack."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger(__name__)

#: Seconds of telemetry that are told, and the most that may be asked for.
USUAL_SECONDS, MAX_SECONDS = 300.0, 7200.0


def add_routes() -> bool:
    """Hang the endpoints into the running server; False where there is none (scripts that only list nodes)."""
    from ..comfyui.thermal.thermal_wait import find_server

    server = find_server()
    if server is None:
        return False
    for method, path, handler in ROUTES:
        getattr(server.routes, method)(path)(handler)
    return True


async def show_telemetry(request: Any) -> Any:
    """``GET /videogen/telemetry?seconds=300``: what was measured lately, see `Telemetry.describe`."""
    from aiohttp import web

    from ..comfyui.thermal.telemetry import TELEMETRY

    try:
        seconds = float(request.query.get("seconds", USUAL_SECONDS))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS:
        wanted = f"`seconds` is {request.query['seconds']!r}, expected a number from 0 to {MAX_SECONDS:.0f}"
        return web.json_response({"error": wanted}, status=400)
    return web.json_response(TELEMETRY.describe(seconds))


Handler = Callable[[Any], Awaitable[Any]]
ROUTES: list[tuple[str, str, Handler]] = [("get", "/videogen/telemetry", show_telemetry)]
