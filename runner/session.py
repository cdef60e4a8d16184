"""One ComfyUI at work: submitting prompts and waiting for what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError

from .client import ComfyClient
from .embedded import EmbeddedServer
from .events import EventStream
from .outcome import Outcome, read_outcome
from .workflow import Graph

#: Seconds of silence on the socket after which history is asked; it is asked now and then in any case.
SILENCE, LONGEST = 2.0, 10.0
#: A job moves from the queue to history in between two requests: it is lost only after several looks without it.
LOOKS_BEFORE_LOST = 4

StepReport = Callable[[str, float], None]


class LostError(Exception):
    """A submitted prompt is neither queued nor in history: the server has forgotten it."""


class Session:
    """A connection to a server, and what it has."""

    def __init__(self, client: ComfyClient, embedded: EmbeddedServer | None = None) -> None:
        self.client = client
        self.embedded = embedded
        self.stats = client.system_stats()
        self.object_info = client.object_info()
        self.events = EventStream(client.websocket_url).open()

    def close(self) -> None:
        self.events.close()

    def submit(self, graph: Graph, prompt_id: str, workflow: dict[str, Any] | None) -> None:
        """Queue a prompt, unless the server has it already."""
        if self.client.history(prompt_id) is None and prompt_id not in self.client.queued():
            self.client.submit(graph, prompt_id, self.events.client_id, workflow)

    def wait(self, prompt_id: str, graph: Graph, on_start: Callable[[], None], on_step: StepReport) -> Outcome:
        """Wait until a prompt has ended.

        The socket says when to look, history says what happened: at ``execution_success`` history is often still empty,
        and a socket that broke says nothing.

        Raises:
            LostError: the server has forgotten the prompt.
            VideoGenError: `server-lost` or `server-unreachable`.
        """
        started = False
        misses = 0
        last_look = time.monotonic()
        while True:
            event = self.events.next(timeout=0.25 if misses else SILENCE)
            about_it = event is not None and event[1].get("prompt_id") == prompt_id
            if event and about_it:
                kind, data = event
                if not started and kind in ("execution_start", "execution_cached", "progress_state", "executing"):
                    started = True
                    on_start()
                self._report(kind, data, graph, on_step)
            ended = event is not None and about_it and (
                event[0] in ("execution_success", "execution_error", "execution_interrupted")
                or (event[0] == "executing" and event[1].get("node") is None)
            )  # fmt: skip
            now = time.monotonic()
            if not (ended or event is None or now - last_look > LONGEST):
                continue
            last_look = now
            if self.embedded is not None and not self.embedded.alive:
                raise VideoGenError(
                    "server-lost", f"ComfyUI ended while it was working; the end of its log {self.embedded.log}:"
                    f"\n{self.embedded.tail()}",
                )  # fmt: skip
            entry = self.client.history(prompt_id)
            if entry is not None:
                if not started:
                    on_start()
                return read_outcome(entry)
            # History is written just after the event that says so.
            misses = misses + 1 if prompt_id not in self.client.queued() else 0
            if misses >= LOOKS_BEFORE_LOST:
                raise LostError(prompt_id)

    @staticmethod
    def _report(kind: str, data: dict[str, Any], graph: Graph, on_step: StepReport) -> None:
        if kind != "progress_state":
            return
        for node_id, node in (data.get("nodes") or {}).items():
            if node.get("state") == "running" and node.get("max"):
                real_id = str(node.get("real_node_id") or node_id)
                label = str(graph.get(real_id, {}).get("class_type", real_id))
                on_step(label, float(node.get("value", 0)) / float(node["max"]))
