"""A model of a ComfyUI server behind real HTTP and a real websocket: it does what ComfyUI does, and fails as a test says.

Nothing happens by itself: time passes with the requests for `/history` and `/queue`, so that no outcome depends on a clock.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection
from typing import Any

from tests.support.servers.fake_server import HANG_UP, STATS, Answer, FakeServer, Request
from tests.support.servers.model.chronicle import Chronicle
from tests.support.servers.model.graphs import CHECKPOINT, LORA, name_content, read_graph
from tests.support.servers.model.prompts import Prompt, PromptRunner


class ModelServer(PromptRunner):
    """One ComfyUI.

    Args:
        object_info: the schemas of its nodes, with the checkpoint.

    Attributes:
        has_model: it has that checkpoint.
        lacking: classes of nodes that it does not have.
        loras: names of the files in its folder.
        unreachable: how many requests it does not answer before it is there again.
        has_jobs: it has the jobs API.
        hot: how many readings of its card's temperature are above its guard's limit, before it has cooled down.
    """

    def __init__(
        self,
        name: str,
        front: FakeServer,
        object_info: dict[str, Any],
        chronicle: Chronicle,
        tick: Callable[[float], None] = lambda seconds: None,
        score: Callable[[int, int], dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(name, front, chronicle, tick, score)
        self._object_info = object_info
        self.has_model = True
        self.lacking: set[str] = set()
        self.loras: list[str] = []
        self.has_jobs = False
        self.unreachable: float = 0
        self.hot = 0
        front.routes = {"*": self._answer}
        front.greeting = front.speech = None  # of a model that had this front before

    # ------------------------------------------------------------------ what a test does to it

    @property
    def url(self) -> str:
        return self.front.url

    @property
    def healthy(self) -> bool:
        """Whether it renders whatever it is asked for."""
        return self.has_model and not (self.hung or self.dead_context or self.unreachable)

    def begin_run(self, *, own: bool = False) -> None:
        """From now on trouble counts.

        Args:
            own: the run will start it.
        """
        self.trouble = [] if self.healthy or (own and self.has_model) else [self.describe()]
        self.struck = []

    def describe(self) -> str:
        words = {
            "hung": self.hung,
            "dead context": self.dead_context,
            "unreachable": self.unreachable,
            "lacks the model": not self.has_model,
        }
        return ", ".join(word for word, true in words.items() if true) or "well"

    def restart(self, unreachable: float = 0) -> None:
        """Killed and started again: queue, history and cache are gone, the files are still there."""
        self.say(f"restarts{f', and is away for {unreachable} requests' if unreachable else ''}")
        self.trouble.append("restarted")
        self.forget()
        self.unreachable = unreachable

    def crash(self) -> None:
        """Its process ends."""
        self.restart(math.inf)

    def stop(self) -> None:
        """Stopped by the runner that has started it."""
        if self.unreachable != math.inf:
            self.say("is stopped")
            self.forget()
            self.unreachable = math.inf

    def start(self) -> None:
        """Started by a runner."""
        self.say("is started")
        self.forget()
        self.unreachable = 0

    def vanish(self, requests: float) -> None:
        """Out of reach, and going on by itself."""
        self.say(f"is out of reach for {requests} requests")
        self.trouble.append("unreachable")
        self.unreachable = requests
        self.disconnect()

    def appear(self) -> None:
        self.unreachable = 0

    # ------------------------------------------------------------------ HTTP

    def _answer(self, request: Request) -> Any:
        with self.chronicle.lock:
            if request.path.startswith("/control/"):
                return self._control(request.path.rpartition("/")[2])
            if self.unreachable:
                self.unreachable -= 1
                return HANG_UP
            route = f"{request.method} /{request.path.split('/')[1]}"
            handler = {
                "GET /system_stats": lambda _: STATS,
                "GET /object_info": lambda _: self._schemas(),
                "GET /queue": self._show_queue,
                "GET /history": self._show_history,
                "GET /videogen": self._show_telemetry,
                "GET /view": self._show_file,
                "GET /models": lambda _: [CHECKPOINT] if self.has_model else [],
                "GET /api": self._show_jobs,
                "POST /api": self._cancel_job,
                "POST /prompt": self._submit,
                "POST /queue": self._delete,
                "POST /interrupt": self._interrupt,
                "POST /free": self._free,
                "POST /upload": self._upload,
            }.get(route)
            if handler is None:
                return Answer(404, b"no such page")
            if len(request.body) < int(request.headers.get("Content-Length") or 0):
                return HANG_UP  # the client was killed while it was sending
            return handler(request)

    def _control(self, action: str) -> Any:
        """What a process has besides its HTTP: it can be started, stopped, and asked whether it lives."""
        if action == "start":
            self.start()
        elif action == "stop":
            self.stop()
        return {"alive": self.unreachable != math.inf}

    def _schemas(self) -> dict[str, Any]:
        schemas = copy.deepcopy(self._object_info)
        schemas["CheckpointLoaderSimple"]["input"]["required"]["ckpt_name"][0] = [CHECKPOINT] if self.has_model else []
        if LORA in schemas:
            schemas[LORA]["input"]["required"]["lora_name"][0] = list(self.loras)
        return {kind: schema for kind, schema in schemas.items() if kind not in self.lacking}

    def _show_queue(self, request: Request) -> Any:
        def line(prompt: Prompt) -> list[Any]:
            return [0, prompt.id, {}, {}, []]

        shown = {
            "queue_running": [line(self.running)] if self.running else [],
            "queue_pending": [line(prompt) for prompt in self.pending],
        }
        self.advance()
        return shown

    def _show_history(self, request: Request) -> Any:
        prompt_id = request.path.rpartition("/")[2]
        shown = {prompt_id: self.history[prompt_id]} if prompt_id in self.history else {}
        self.advance()
        return shown

    def _show_jobs(self, request: Request) -> Any:
        if not self.has_jobs:
            return Answer(404, b"404: Not Found")
        waiting = [{"id": prompt.id, "status": "pending"} for prompt in self.pending]
        jobs = [*([{"id": self.running.id, "status": "in_progress"}] if self.running else []), *waiting]
        ended = [{"id": name, "status": _job_status(entry)} for name, entry in self.history.items()]
        self.advance()
        wanted = request.path.removeprefix("/api/jobs").removeprefix("/")
        if not wanted:
            shown = request.query.get("status", "").split(",")
            return {"jobs": [job for job in [*jobs, *ended] if job["status"] in shown]}
        # History first, as there: a prompt that was submitted again under its id has ended before.
        found = next((job for job in [*ended, *jobs] if job["id"] == wanted), None)
        return found or Answer(404, {"error": "Job not found"})

    def _cancel_job(self, request: Request) -> Any:
        if not self.has_jobs:
            return Answer(404, b"404: Not Found")
        wanted = request.path.split("/")[3]
        known = wanted in {prompt.id for prompt in self.prompts}
        if known and not self._remove({wanted}):
            self._interrupt_running(wanted)
        return {"cancelled": known}

    def _show_telemetry(self, request: Request) -> Any:
        """Heat that a guard waits for; without any, no guard is there."""
        if not self.hot or not request.path.endswith("/telemetry"):
            return Answer(404, b"no guard")
        self.hot -= 1
        self.say("is too hot" if self.hot else "has cooled down")
        card = {"device": "gpu 0", "name": "card", "kind": "gpu", "temperature": 90.0 if self.hot else 60.0}
        return {"running": True, "readings": [card], "age": 0.0, "period": 1.0, "policy": {"interval": 0.1}}

    def _show_file(self, request: Request) -> Any:
        query = request.query
        if query.get("type") == "input":
            data = self.inputs.get("/".join(part for part in (query.get("subfolder"), query["filename"]) if part))
        else:
            data = self.files.get((query.get("subfolder", ""), query["filename"]))
        if data is None:
            return Answer(404, b"not found")
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        rest, status = data[start:], 206 if start else 200
        if self.cut_downloads and query.get("type") == "output":
            self.cut_downloads -= 1
            return Answer(status, rest[: len(rest) // 2], announce=len(rest))
        return Answer(status, rest)

    def _submit(self, request: Request) -> Any:
        body = request.json()
        graph, prompt_id = body["prompt"], body["prompt_id"]
        content = read_graph(graph, self.inputs)
        if not self.has_model:
            self.say(f"refuses {name_content(content)}: it lacks the model")
            self.trouble.append("lacks the model")
            error = {"message": "Value not in list", "details": f"ckpt_name: '{CHECKPOINT}' not in []"}
            node = {"errors": [error], "class_type": "CheckpointLoaderSimple", "dependent_outputs": ["4"]}
            return Answer(400, {"error": {"message": "Prompt outputs failed validation"}, "node_errors": {"6": node}})
        if refusal := self._refuse_nodes(graph):
            self.say(f"refuses {name_content(content)}: it lacks a node or a LoRA")
            return refusal
        take = str(graph["4"]["inputs"].get("take", ""))
        execution = self.chronicle.submitted(self.name, prompt_id, content, take)
        prompt = Prompt(prompt_id, graph, body.get("client_id", ""), execution)
        self.say(f"gets {name_content(content)} as {prompt_id[:6]}")
        self.pending.append(prompt)
        if self.running is None:
            self.start_next()
        if prompt.fault is not None and prompt.fault.loses_answer:
            self.trouble.append(prompt.fault.name)
            return HANG_UP
        return {"prompt_id": prompt_id, "number": 1, "node_errors": {}}

    def _refuse_nodes(self, graph: dict[str, Any]) -> Answer | None:
        for node_id, node in graph.items():
            kind = node["class_type"]
            if kind in self.lacking:
                error = {
                    "type": "missing_node_type",
                    "message": f"Node '{kind}' not found.",
                    "details": f"Node ID '#{node_id}'",
                }
                return Answer(400, {"error": error, "node_errors": {}})
            name = node["inputs"].get("lora_name", "")
            if kind == LORA and name not in self.loras:
                errors = [{"message": "Value not in list", "details": f"lora_name: {name!r} not in {self.loras}"}]
                wrong = {node_id: {"errors": errors, "class_type": kind, "dependent_outputs": ["4"]}}
                return Answer(400, {"error": {"message": "Prompt outputs failed validation"}, "node_errors": wrong})
        return None

    def _delete(self, request: Request) -> Any:
        self._remove(request.json()["delete"])
        return {}

    def _remove(self, ids: Collection[str]) -> bool:
        found = [prompt for prompt in self.pending if prompt.id in ids]
        for prompt in found:
            self.say(f"removes {name_content(prompt.execution.content)} ({prompt.id[:6]}) from its queue")
            prompt.execution.lost_at = len(self.chronicle.executions)
            self.pending.remove(prompt)
        return bool(found)

    def _interrupt(self, request: Request) -> Any:
        self._interrupt_running(request.json().get("prompt_id"))
        return {}

    def _interrupt_running(self, wanted: str | None) -> None:
        prompt = self.running
        self.chronicle.cancel(self.name, wanted or (prompt.id if prompt else ""))
        if prompt is None or (wanted and wanted != prompt.id):
            return
        if self.hung or not self.habits.interrupts or prompt.said_success:
            self.say(f"does not mind the interrupt of {prompt.id[:6]}")
        else:
            self.end(prompt, "interrupted", {})

    def _free(self, request: Request) -> Any:
        self.say("frees its memory")
        self.clear_cache()
        return {}

    def _upload(self, request: Request) -> Any:
        boundary = request.headers["Content-Type"].partition("boundary=")[2].encode()
        fields: dict[str, bytes] = {}
        filename = ""
        for part in request.body.split(b"--" + boundary)[1:-1]:
            head, _, data = part.partition(b"\r\n\r\n")
            words = head.decode()
            fields[words.partition('name="')[2].partition('"')[0]] = data[:-2]
            filename = words.partition('filename="')[2].partition('"')[0] or filename
        subfolder = fields["subfolder"].decode()
        self.inputs["/".join(part for part in (subfolder, filename) if part)] = fields["image"]
        return {"name": filename, "subfolder": subfolder, "type": "input"}


def _job_status(entry: dict[str, Any]) -> str:
    """What the jobs API calls the state of a prompt that history has."""
    status = entry["status"]
    if status["status_str"] == "success":
        return "completed"
    return "cancelled" if "execution_interrupted" in dict(status["messages"]) else "failed"
