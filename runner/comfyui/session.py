"""A connection to one ComfyUI: submits prompts and waits for their outcome."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import Graph

from .answers import NodeProgress, read_part
from .client import ComfyClient
from .events import EventStream
from .outcome import Outcome, read_outcome

#: Seconds of silence on the socket after which history is polled, and seconds after which it is polled in any case.
SILENCE, MAX_POLL_INTERVAL = 2.0, 10.0
#: A job moves from the queue to history in between two requests: it is lost only after several polls without it.
MAX_MISSED_POLLS = 4
#: Seconds between these polls.
MISSED_POLL_INTERVAL = 0.25
#: Factor of the patience where the socket tells nothing of our prompt: it broke after the prompt was submitted, or an earlier
#: runner had submitted it.
UNHEARD_FACTOR = 4.0
#: The same, while a prompt of another client runs before ours; of that we are never told.
FOREIGN_FACTOR = 20.0

#: Gets the node that a prompt runs and its progress (0 to 1), or None while it waits for something.
StepReport = Callable[[str, float | None], None]


class Session:
    """A connection to a running server, with its statistics and node schemas.

    Raises:
        VideoGenError: `server-unreachable`, `server-not-comfyui`, `server-refused`.
    """

    def __init__(self, client: ComfyClient) -> None:
        self.client = client
        self.stats = client.system_stats()
        self.object_info = client.object_info()
        self.events = EventStream(client.websocket_url, client.http.headers, client.http.ca_file).open()
        self._submitted = ("", "")

    def close(self) -> None:
        self.events.close()

    def find(self, prompt_id: str) -> str:
        """The state of a prompt on the server: ``queued`` (it waits or runs), an `Outcome.status`, or "" for an unknown one."""
        if (found := self.client.find(prompt_id)) is not None:
            return found
        # In this order: a prompt goes from the queue to history, and must not be missed in between the two requests.
        if prompt_id in self.client.queue().ids:
            return "queued"
        outcome = self.find_outcome(prompt_id)
        return outcome.status if outcome is not None else ""

    def find_outcome(self, prompt_id: str) -> Outcome | None:
        """The outcome of a prompt, if the server knows that it has ended."""
        entry = self.client.history(prompt_id)
        return read_outcome(entry) if entry is not None else None

    def submit(self, graph: Graph, prompt_id: str, workflow: dict[str, Any] | None) -> None:
        """Queue a prompt."""
        self._submitted = (prompt_id, self.events.client_id)
        self.client.submit(graph, prompt_id, self.events.client_id, workflow)

    def _hears(self, prompt_id: str) -> bool:
        """Whether the server reports a prompt's events to us: it does to the connection that submitted it."""
        return self.events.connected and self._submitted == (prompt_id, self.events.client_id)

    def wait(
        self,
        prompt_id: str,
        graph: Graph,
        *,
        stall: float,
        on_start: Callable[[], None],
        on_step: StepReport,
        check: Callable[[], None],
    ) -> Outcome:
        """Wait until a prompt has ended.

        The socket tells when to poll, history tells what happened: at ``execution_success`` history is often still empty,
        and a broken socket tells nothing.

        Args:
            stall: seconds without any sign of progress after which the server counts as hung: its HTTP side answers, its
                worker is dead. Where no signs can come the time is longer, see `UNHEARD_FACTOR` and `FOREIGN_FACTOR`.
            check: called at least every `SILENCE` seconds; what it raises ends the waiting.

        Raises:
            VideoGenError: `prompt-lost`, `server-stalled`, or what the client raises.
        """
        progress = _ProgressWatch()
        started = False
        misses = 0
        heard = last_poll = time.monotonic()
        while True:
            event = self.events.next(timeout=MISSED_POLL_INTERVAL if misses else SILENCE)
            check()
            about_it = event is not None and event[1].get("prompt_id") == prompt_id
            if event and about_it:
                kind, data = event
                if not started and kind in ("execution_start", "execution_cached", "progress_state", "executing"):
                    started = True
                    on_start()
                progress.advance()
                _report(kind, data, graph, on_step)
            now = time.monotonic()
            if about_it:
                heard = now
            # Events of other prompts must not keep us from polling: after a broken connection there are no others.
            quiet = event is None or now - max(heard, last_poll) > SILENCE
            if not (quiet or (event and about_it and _says_ended(event)) or now - last_poll > MAX_POLL_INTERVAL):
                continue
            last_poll = now
            entry = self.client.history(prompt_id)
            if entry is not None:
                if not started:
                    on_start()
                return read_outcome(entry)
            queue = self.client.queue()
            # History is written just after the event that says so.
            misses = misses + 1 if prompt_id not in queue.ids else 0
            if misses >= MAX_MISSED_POLLS:
                raise VideoGenError(
                    "prompt-lost", f"{self.client.url} has forgotten a prompt: it restarted, or was cleared"
                )
            progress.look(queue.running)
            foreign = prompt_id not in queue.running and bool(queue.running - self.client.submitted)
            limit = stall * (FOREIGN_FACTOR if foreign else 1 if self._hears(prompt_id) else UNHEARD_FACTOR)
            if progress.silence > limit:
                raise VideoGenError(
                    "server-stalled",
                    f"{self.client.url} answers, but its prompt has made no progress for {progress.silence:.0f} s"
                    " (allow more with --stall)",
                )


class _ProgressWatch:
    """Measures how long nothing has happened."""

    def __init__(self) -> None:
        self._moved = time.monotonic()
        self._running: frozenset[str] = frozenset()

    def advance(self) -> None:
        self._moved = time.monotonic()

    def look(self, running: frozenset[str]) -> None:
        if running != self._running:
            self.advance()
        self._running = running

    @property
    def silence(self) -> float:
        """Seconds without any sign of progress."""
        return time.monotonic() - self._moved


def _says_ended(event: tuple[str, dict[str, Any]]) -> bool:
    kind, data = event
    return kind in ("execution_success", "execution_error", "execution_interrupted") or (
        kind == "executing" and data.get("node") is None
    )


def _report(kind: str, data: dict[str, Any], graph: Graph, on_step: StepReport) -> None:
    if kind == "videogen.thermal" and data.get("state") == "waiting":
        on_step(str(data.get("text", "")), None)
    nodes = data.get("nodes")
    if kind != "progress_state" or not isinstance(nodes, dict):
        return
    for node_id, entry in nodes.items():
        node = read_part(entry, NodeProgress)
        if node is not None and node.state == "running" and node.max > 0:
            real_id = node.real_node_id or node_id
            label = str(graph.get(real_id, {}).get("class_type", real_id))
            on_step(label, min(1.0, max(0.0, node.value / node.max)))
