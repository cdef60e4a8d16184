"""ComfyUI's websocket: progress, and hints that a prompt has ended; its history is the reliable source."""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import websocket

from .answers import EventMessage, MalformedAnswerError, parse_json, read_as
from .bounds import limits
from .bounds.websocket import BoundedWebSocket
from .transport import LOCAL_HOSTS

log = logging.getLogger(__name__)

#: Seconds between two attempts to connect: doubled each time, up to the last.
MIN_RECONNECT_INTERVAL, MAX_RECONNECT_INTERVAL = 0.2, 10.0
#: Seconds of silence after which the server is pinged, and after which the connection counts as dead. One that broke without
#: notice stays open for ever otherwise: ComfyUI sends nothing of its own accord.
PING_AFTER, DEAD_AFTER = 15.0, 30.0


class EventStream:
    """Reads events on a thread of its own, and reconnects for ever.

    Every connection has a client id of its own: ComfyUI unregisters a reconnected id when the old socket closes.
    """

    def __init__(self, websocket_url: str, headers: Mapping[str, str], ca_file: str | None = None) -> None:
        self._url = websocket_url
        # A redirect is not followed: it would get the headers, which are for this server alone.
        self._options: dict[str, Any] = {"redirect_limit": 0}
        if ca_file:
            self._options["sslopt"] = {"ca_certs": ca_file}
        host = urlsplit(websocket_url).hostname or ""
        if host in LOCAL_HOSTS:
            # Regardless of http_proxy and no_proxy. The library looks at this list only where a proxy is named.
            self._options |= {"http_no_proxy": [host], "http_proxy_host": host, "http_proxy_port": 1}
        self._headers = [f"{name}: {value}" for name, value in headers.items()]
        self._events: queue.Queue[tuple[str, dict[str, Any], int]] = queue.Queue(maxsize=10_000)
        #: Bytes of text that the waiting events were.
        self._waiting = 0
        self._count_lock = threading.Lock()
        self._was_told = False
        self._closing = threading.Event()
        self._connected = threading.Event()
        self._socket: websocket.WebSocket | None = None
        self.client_id = uuid.uuid4().hex
        self._thread = threading.Thread(target=self._read, name="comfyui-events", daemon=True)

    def open(self, timeout: float = 5.0) -> EventStream:
        """Start reading; wait `timeout` seconds at most for the first connection, and continue without it."""
        self._thread.start()
        self._connected.wait(timeout)
        return self

    def next(self, timeout: float) -> tuple[str, dict[str, Any]] | None:
        """The next event as (type, data), or None after `timeout` seconds of silence."""
        try:
            kind, data, size = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        self._count(-size)
        return kind, data

    def _count(self, size: int) -> bool:
        """Count the texts of events that wait; whether there is space for one more."""
        with self._count_lock:
            if size > 0 and self._waiting + size > limits.MAX_WAITING_EVENTS:
                return False
            self._waiting += size
            return True

    @property
    def connected(self) -> bool:
        return self._connected.is_set()

    def close(self) -> None:
        self._closing.set()
        connection = self._socket
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(Exception):
                # Not close(): that waits for an answer, which the reading thread would get.
                connection.send_close()
                connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5.0)

    def _read(self) -> None:
        wait = MIN_RECONNECT_INTERVAL
        while not self._closing.is_set():
            try:
                client_id = uuid.uuid4().hex
                connection = websocket.create_connection(
                    f"{self._url}?clientId={client_id}",
                    timeout=10.0,
                    header=self._headers,
                    class_=BoundedWebSocket,
                    **self._options,
                )
                connection.settimeout(1.0)
                self._socket, self.client_id = connection, client_id
                self._connected.set()
                wait = MIN_RECONNECT_INTERVAL
                self._receive(connection)
            except websocket.WebSocketPayloadException as error:
                self._tell(str(error))
            except Exception:
                pass
            finally:
                self._connected.clear()
                if self._socket is not None:
                    with contextlib.suppress(Exception):
                        self._socket.shutdown()
                    self._socket = None
            # With jitter, so that many runners do not come back in the same instant.
            self._closing.wait(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, MAX_RECONNECT_INTERVAL)

    def _tell(self, reason: str) -> None:
        """Once: what the socket says are hints, and the run goes on without it."""
        if not self._was_told:
            self._was_told = True
            log.warning("%s is disconnected for a while: it sends %s", self._url, reason)

    def _receive(self, connection: websocket.WebSocket) -> None:
        heard = time.monotonic()
        asked = False
        while not self._closing.is_set():
            try:
                kind, message = connection.recv_data(control_frame=True)
            except websocket.WebSocketTimeoutException:
                silence = time.monotonic() - heard
                if silence > DEAD_AFTER:
                    return
                if silence > PING_AFTER and not asked:
                    connection.ping()
                    asked = True
                continue
            heard, asked = time.monotonic(), False
            if kind == websocket.ABNF.OPCODE_CLOSE:
                return
            size = len(message)
            if kind == websocket.ABNF.OPCODE_TEXT and size <= limits.MAX_EVENT:  # binary ones are preview images
                # A hint that cannot be read, or that nobody has the time for, may be lost.
                with contextlib.suppress(MalformedAnswerError):
                    event = read_as(parse_json(message), EventMessage)
                    self._keep(event, size)

    def _keep(self, event: EventMessage, size: int) -> None:
        if self._count(size):
            try:
                self._events.put_nowait((event.type, event.data, size))
            except queue.Full:
                self._count(-size)
