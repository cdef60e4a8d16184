"""The queue of a model server: prompts wait, run, and end in history; time passes with each look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.digest import digest
from tests.support.servers.fake_server import FakeServer
from tests.support.servers.model.chronicle import Chronicle, Execution
from tests.support.servers.model.graphs import IMPOSSIBLE, Graph, digest_frames, name_content, render_graph
from tests.support.servers.model.prompt_faults import PromptFault

#: Virtual seconds that pass with each look at a server that hangs.
HANGING_SECONDS = 200.0


@dataclass
class Prompt:
    """A prompt in the queue.

    Attributes:
        looks: at history or queue, until it is finished.
    """

    id: str
    graph: Graph
    client: str
    execution: Execution
    looks: int = 0
    fault: PromptFault | None = None
    said_success: bool = False


@dataclass
class Habits:
    """How a healthy server behaves; no fault.

    Attributes:
        looks: that each prompt takes; 0 renders at once.
        late: history follows its ``execution_success`` at the next look.
        quiet: no socket event arrives.
        interrupts: an interrupt stops the prompt, or comes too late, as between two checkpoints.
    """

    looks: int = 0
    late: bool = False
    quiet: bool = False
    interrupts: bool = True


class PromptRunner:
    """Runs prompts as ComfyUI does, and as the faults say that are armed.

    Args:
        front: the HTTP side, which may outlive the model.
        tick: moves the server's own clock, which it shares with the processes that use it.
        score: continuity of a rendered segment, from its number and seed.

    Attributes:
        faults: of the next prompts, one each.
        trouble: what has happened to it that a runner can blame on the server, since `begin_run`.
        struck: names of the faults that its prompts have met since then.
        files: by subfolder and name, in the output folder.
        inputs: by name, in the input folder.
    """

    def __init__(
        self,
        name: str,
        front: FakeServer,
        chronicle: Chronicle,
        tick: Callable[[float], None],
        score: Callable[[int, int], dict[str, Any]] | None,
    ) -> None:
        self.name, self.front, self.chronicle = name, front, chronicle
        self._tick, self._score = tick, score
        self.habits = Habits()
        self.hung = self.dead_context = False
        self.faults: list[PromptFault] = []
        self.trouble: list[str] = []
        self.struck: list[str] = []
        self.running: Prompt | None = None
        self.pending: list[Prompt] = []
        self.history: dict[str, Any] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.inputs: dict[str, bytes] = {}
        #: What the last prompt has left: its frames, and what was saved.
        self._frames, self._cached = "", ("", {})  # type: str, tuple[str, dict[str, Any]]
        self.cut_downloads = 0
        self.disconnect()

    @property
    def prompts(self) -> list[Prompt]:
        return [*([self.running] if self.running else []), *self.pending]

    def say(self, text: str) -> None:
        self.chronicle.add(self.name, text)

    def work(self) -> None:
        """Everything in the queue is rendered, while nobody looks."""
        with self.chronicle.lock:
            for _ in range(1000):
                if self.hung or not self.prompts:
                    return
                self.advance()

    def clear_cache(self) -> None:
        self._frames, self._cached = "", ("", {})

    def disconnect(self) -> None:
        """All sockets break."""
        with self.front.connected:
            for socket in self.front.sockets:
                socket.put(None)
            self.front.sockets.clear()
            self.front.client_ids.clear()

    def forget(self) -> None:
        self.chronicle.forget(self.name)
        self.running, self.pending, self.history = None, [], {}
        self.clear_cache()
        self.hung = self.dead_context = False
        self.disconnect()

    def advance(self) -> None:
        """A moment passes."""
        if self.hung:
            self._tick(HANGING_SECONDS)
            return
        if self.running is None:
            self.start_next()
            return
        self.running.looks -= 1
        if self.running.looks <= 0:
            self._finish(self.running)

    def start_next(self) -> None:
        while self.running is None and self.pending and not self.hung:
            prompt = self.running = self.pending.pop(0)
            prompt.looks = self.habits.looks
            prompt.fault = self.faults.pop(0) if self.faults else None
            self._send(prompt, "execution_start")
            if prompt.fault is not None:
                self.say(f"runs {name_content(prompt.execution.content)} ({prompt.id[:6]}) with: {prompt.fault.name}")
                self.struck.append(prompt.fault.name)
                prompt.fault.begin(self, prompt)
            if self.running is prompt and prompt.looks <= 0 and not self.hung:
                self._finish(prompt)

    def _finish(self, prompt: Prompt) -> None:
        """The prompt comes to its end: at once, or history follows at the next look."""
        if self.dead_context:
            self.trouble.append("dead context")
            error = "CUDA error: an illegal memory access was encountered"
            self.end(prompt, "error", {}, kind="torch.AcceleratorError", message=error)
            return
        if prompt.execution.content["prompt"] == IMPOSSIBLE:
            self.end(prompt, "error", {}, kind="ValueError", message="this cannot be rendered")
            return
        if prompt.fault is not None and prompt.fault.error is not None:
            kind, message = prompt.fault.error
            self.end(prompt, "error", {}, kind=kind, message=message)
            return
        if self.habits.late and not prompt.said_success:
            prompt.said_success = True
            prompt.looks = 1
            self._send(prompt, "execution_success")
            return
        self.end(prompt, "success", self._execute(prompt))

    def _execute(self, prompt: Prompt) -> dict[str, Any]:
        signature = digest(prompt.graph)
        if self._cached[0] == signature:
            self.say(f"answers {name_content(prompt.execution.content)} ({prompt.id[:6]}) from its cache")
            prompt.execution.cached = True
            return self._cached[1]
        content = prompt.execution.content
        frames = digest_frames(prompt.graph)
        if frames == self._frames:
            self.say(f"saves the frames of {name_content(content)} ({prompt.id[:6]}) once more")
            prompt.execution.cached = True
        self._frames = frames
        name, data, outputs = render_graph(prompt.graph, content)
        self.files["videogen", name] = data
        if prompt.fault is not None and prompt.fault.spoil is not None:
            prompt.execution.spoiled = True
            prompt.fault.spoil(self, outputs)
        if self._score is not None and "5" in prompt.graph:
            outputs["5"] = {"videogen": [{"continuity": self._score(content["number"], content["seed"])}]}
        self._cached = (signature, outputs)
        return outputs

    def end(self, prompt: Prompt, status: str, outputs: dict[str, Any], kind: str = "", message: str = "") -> None:
        """A prompt has ended."""
        prompt.execution.ended, prompt.execution.ended_in = status, self.chronicle.run
        self.say(
            f"ends {name_content(prompt.execution.content)} ({prompt.id[:6]}): {status}{f', {message}' if message else ''}"
        )
        if status == "error":
            self.clear_cache()
        name = f"execution_{status}"
        said = {"prompt_id": prompt.id, "node_id": "3", "node_type": "VideoGenStoryboardFrames", "timestamp": 1000}
        if kind:
            said |= {"exception_type": kind, "exception_message": message}
        self.history[prompt.id] = {
            "prompt": [0, prompt.id, {}, {}, []],
            "outputs": outputs,
            "status": {
                "status_str": "success" if status == "success" else "error",
                "completed": status == "success",
                "messages": [["execution_start", {"prompt_id": prompt.id, "timestamp": 900}], [name, said]],
            },
        }
        self.running = None
        if not prompt.said_success:
            self._send(prompt, name)
        self._send(prompt, "executing", node=None)
        self.start_next()

    def _send(self, prompt: Prompt, kind: str, **data: Any) -> None:
        if self.habits.quiet or (prompt.fault is not None and prompt.fault.quiet):
            return
        message = json.dumps({"type": kind, "data": {"prompt_id": prompt.id, **data}})
        with self.front.connected:
            for client, socket in zip(self.front.client_ids, self.front.sockets, strict=True):
                if client == prompt.client:
                    socket.put(message)

    def restart(self, unreachable: float = 0) -> None:
        raise NotImplementedError

    def vanish(self, requests: float) -> None:
        raise NotImplementedError

    def crash(self) -> None:
        raise NotImplementedError
