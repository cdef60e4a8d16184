"""HTTP endpoints of the pack, added to ComfyUI's server when it loads the pack."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

log = logging.getLogger(__name__)

#: Seconds of telemetry in a response: default and maximum.
DEFAULT_SECONDS, MAX_SECONDS = 300.0, 7200.0


def add_routes() -> bool:
    """Add the endpoints to the running server; False without one (scripts that only list nodes)."""
    from ..comfyui.thermal.thermal_wait import find_server

    server = find_server()
    if server is None:
        return False
    for method, path, handler in ROUTES:
        getattr(server.routes, method)(path)(handler)
    return True


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


Handler = Callable[[Any], Awaitable[Any]]
ROUTES: list[tuple[str, str, Handler]] = [("get", "/videogen/telemetry", show_telemetry)]
