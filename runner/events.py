"""ComfyUI's websocket: progress, and a hint that something has ended. The truth is in its history."""

from __future__ import annotations

import contextlib
import json
import queue
import random
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import websocket

#: Seconds between two attempts to connect: doubled each time, up to the last.
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0


class EventStream:
    """Reads events on a thread of its own, and reconnects for ever.

    Every connection has a client id of its own: ComfyUI unregisters a reconnected id when the old socket closes.
    """

    def __init__(self, websocket_url: str, headers: Mapping[str, str]) -> None:
        self._url = websocket_url
        self._headers = [f"{name}: {value}" for name, value in headers.items()]
        self._events: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue(maxsize=10_000)
        self._closing = threading.Event()
        self._connected = threading.Event()
        self._socket: websocket.WebSocket | None = None
        self.client_id = uuid.uuid4().hex
        self._thread = threading.Thread(target=self._read, name="comfyui-events", daemon=True)

    def open(self, timeout: float = 5.0) -> EventStream:
        """Start reading; waits a moment for the first connection, and goes on without it."""
        self._thread.start()
        self._connected.wait(timeout)
        return self

    def next(self, timeout: float) -> tuple[str, dict[str, Any]] | None:
        """The next event as (type, data), or None after `timeout` seconds of silence."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._closing.set()
        if self._socket is not None:
            with contextlib.suppress(Exception):
                self._socket.close()
        self._thread.join(timeout=5.0)

    def _read(self) -> None:
        wait = FIRST_WAIT
        while not self._closing.is_set():
            try:
                client_id = uuid.uuid4().hex
                connection = websocket.create_connection(
                    f"{self._url}?clientId={client_id}", timeout=10.0, header=self._headers
                )
                connection.settimeout(1.0)
                self._socket, self.client_id = connection, client_id
                self._connected.set()
                wait = FIRST_WAIT
                self._receive(connection)
            except (OSError, websocket.WebSocketException, ValueError):
                pass
            finally:
                self._connected.clear()
                if self._socket is not None:
                    with contextlib.suppress(Exception):
                        self._socket.close()
            # With jitter, so that many runners do not come back in the same instant.
            self._closing.wait(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, LONGEST_WAIT)

    def _receive(self, connection: websocket.WebSocket) -> None:
        while not self._closing.is_set():
            try:
                message = connection.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if not message:
                return
            if isinstance(message, str):  # bytes are preview pictures
                event = json.loads(message)
                with contextlib.suppress(queue.Full):  # a hint may be lost
                    self._events.put_nowait((str(event.get("type")), event.get("data") or {}))
