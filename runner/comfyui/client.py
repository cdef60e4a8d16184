"""ComfyUI's HTTP API."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec

from custom_nodes.videogen.core.errors import VideoGenError

from .answers import (
    JOB_STATES,
    CancelAnswer,
    JobAnswer,
    JobList,
    MalformedAnswerError,
    MissingJob,
    NodeProblem,
    NodeProblems,
    SavedFile,
    SystemStats,
    Telemetry,
    UploadAnswer,
    parse_json,
    read_as,
    read_part,
    read_queue,
    shorten,
)
from .bounds import limits
from .bounds.limits import Limit
from .node_schemas import read_object_info
from .transport import PROXY_TROUBLE, TIMEOUT, Answer, HttpTransport, normalize_url, read_json

log = logging.getLogger(__name__)

Value = TypeVar("Value")

#: Seconds for a request while the runner is stopping.
SHORT_TIMEOUT = 3.0
#: Seconds for /object_info, which takes its time in a ComfyUI with hundreds of packs.
LONG_TIMEOUT = 300.0
#: A file that nodes load from another folder than the input folder, as the editor writes it.
_FOLDER = re.compile(r"(.*\S)\s*\[(input|output|temp)\]", re.DOTALL)


@dataclass(frozen=True)
class Queue:
    """Ids of the prompts that run and that wait."""

    running: frozenset[str]
    pending: frozenset[str]

    @property
    def ids(self) -> frozenset[str]:
        return self.running | self.pending


class ComfyClient:
    """One ComfyUI at an address such as ``http://127.0.0.1:8188``, or below a path of a reverse proxy.

    Args:
        headers: sent with every request, to this server only; they are secrets and appear in no message.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.http = HttpTransport(normalize_url(url), headers)
        self.url = self.http.url
        #: Ids of all prompts that were submitted from here.
        self.submitted: set[str] = set()
        self._jobs = JobsApi(self.http)
        self._was_told = False

    @property
    def websocket_url(self) -> str:
        return f"ws{self.http.address.removeprefix('http')}/ws"

    def system_stats(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        """``/system_stats``, which tells a ComfyUI from another server.

        Raises:
            VideoGenError: `server-not-comfyui` or `server-unreachable`.
        """
        stats = self.http.request_json("GET", "/system_stats", timeout=timeout, expected="a ComfyUI")
        try:
            read_as(stats, SystemStats)
        except MalformedAnswerError as error:
            raise self.http.not_comfyui(f"it answers /system_stats, but not as ComfyUI does: {error}") from None
        return cast(dict[str, Any], stats)

    def object_info(self) -> dict[str, Any]:
        """The schema of every node that the server has."""
        info = self.http.request_json(
            "GET", "/object_info", limit=limits.OBJECT_INFO, timeout=LONG_TIMEOUT, expected="a ComfyUI"
        )
        try:
            return read_object_info(info)
        except MalformedAnswerError as error:
            raise self.http.not_comfyui(f"it answers /object_info, but not as ComfyUI does: {error}") from None

    def submit(self, graph: dict[str, Any], prompt_id: str, client_id: str, workflow: dict[str, Any] | None) -> None:
        """Queue a prompt in API format.

        Raises:
            VideoGenError: `submission-rejected`, also where ComfyUI answers 200 and drops outputs that do not validate, which
                it does as long as one is left: the prompt is then removed from the queue.
        """
        body: dict[str, Any] = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
        if workflow is not None:
            body["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
        self.submitted.add(prompt_id)
        response = self.http.request("POST", "/prompt", limit=limits.PROMPT, json=body, timeout=LONG_TIMEOUT)
        if response.status_code in PROXY_TROUBLE:
            raise VideoGenError("server-refused", f"{self.url}/prompt answers HTTP {response.status_code}")
        answer = read_json(response)
        if response.status_code == 413:
            raise VideoGenError(
                "submission-rejected",
                f"{self.url} does not accept a prompt of this size (HTTP 413)",
                "Start ComfyUI with a larger --max-upload-size.",
            )
        errors = describe_node_errors(answer, graph)
        if response.status_code == 200 and not errors:
            return
        if response.status_code == 200:
            self.cancel(prompt_id)
        error = answer.get("error") if isinstance(answer, dict) else None
        reason = errors or (error.get("message") if isinstance(error, dict) else error)
        raise VideoGenError(
            "submission-rejected",
            f"{self.url} refused the prompt (HTTP {response.status_code}):\n"
            f"{shorten(str(reason)) if reason else response.content[:300].decode('utf-8', 'replace')}",
        )

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """The history entry of a prompt; None while it has not ended, and for an unknown one."""
        path = f"/history/{prompt_id}"
        try:
            return read_as(self.http.request_json("GET", path, limit=limits.HISTORY), dict[str, dict[str, Any]]).get(
                prompt_id
            )
        except MalformedAnswerError as error:
            raise self.http.malformed(path, error) from None

    def find(self, prompt_id: str) -> str | None:
        """See `JobsApi.find`."""
        return self._jobs.find(prompt_id)

    def queue(self) -> Queue:
        """The prompts that run and that wait, of all clients."""
        if (found := self._jobs.queue()) is not None:
            return found
        return Queue(*self.http.request_json("GET", "/queue", limit=limits.QUEUE, parse=read_queue))

    def cancel(self, prompt_id: str) -> None:
        """Remove a prompt from the queue, and interrupt it if it is running."""
        with contextlib.suppress(VideoGenError):
            if self._jobs.cancel(prompt_id, SHORT_TIMEOUT):
                return
            self.http.request("POST", "/queue", json={"delete": [prompt_id]}, timeout=SHORT_TIMEOUT)
            self.http.request("POST", "/interrupt", json={"prompt_id": prompt_id}, timeout=SHORT_TIMEOUT)

    def free(self) -> None:
        """Have the server unload its models and free its memory, before its next prompt."""
        with contextlib.suppress(VideoGenError):
            self.http.request("POST", "/free", json={"unload_models": True, "free_memory": True})

    def upload_image(self, name: str, png: bytes) -> str:
        """Put an image into the server's input folder.

        Returns:
            The name by which LoadImage finds it.

        Raises:
            VideoGenError: `server-refused`.
        """
        return self._upload(name, png, "videogen", overwrite=True)

    def upload_file(self, name: str, data: bytes) -> None:
        """Put a file into the server's input folder under this name, unless it is there with the same bytes.

        Args:
            name: one that identifies these bytes: another file of that name is an interrupted upload, and is overwritten.

        Raises:
            VideoGenError: `server-refused`.
        """
        subfolder, _, filename = name.rpartition("/")
        # Asked not to overwrite, ComfyUI compares the bytes and, where they differ, takes another name.
        if self._upload(filename, data, subfolder, overwrite=False) != name:
            self._upload(filename, data, subfolder, overwrite=True)

    def _upload(self, filename: str, data: bytes, subfolder: str, *, overwrite: bool) -> str:
        response = self.http.request(
            "POST",
            "/upload/image",
            files={"image": (filename, data, "application/octet-stream")},
            data={"subfolder": subfolder, "type": "input", "overwrite": str(overwrite).lower()},
        )
        answer = read_json(response)
        if response.status_code == 413:
            raise VideoGenError(
                "server-refused",
                f"{self.url} does not accept a file of {len(data):,} bytes, such as {filename} (HTTP 413)",
                "Make the picture smaller, or start ComfyUI with a larger --max-upload-size.",
            )
        uploaded = read_part(answer, UploadAnswer)
        if response.status_code != 200 or uploaded is None:
            raise VideoGenError("server-refused", f"{self.url} accepted no upload (HTTP {response.status_code})")
        return "/".join(part for part in (uploaded.subfolder, uploaded.name) if part)

    def download(self, file: SavedFile, target: Path, most: int = limits.MAX_SEGMENT) -> int:
        """Stream one output file to disk; see `HttpTransport.download`.

        Returns:
            Its size in bytes.
        """
        return self.http.download("/view", cast(dict[str, str], msgspec.to_builtins(file)), target, most)

    def has_input_file(self, name: str) -> bool:
        """Whether there is a file that nodes load under this name: in the server's input folder, or as ``frame.png [output]``."""
        return self.http.request("HEAD", "/view", params=_name_input(name)).status_code == 200

    def read_input_file(self, name: str) -> bytes | None:
        """The bytes of a file in the server's input folder, or None when it is not there."""
        response = self.http.request("GET", "/view", limit=limits.INPUT_FILE, params=_name_input(name))
        return response.content if response.status_code == 200 else None

    def hash_input_file(self, name: str) -> str:
        """SHA-256 of a file in the server's input folder, or "" when it is not there."""
        hasher = hashlib.sha256()
        return hasher.hexdigest() if self.http.hash("/view", _name_input(name), hasher.update) else ""

    def list_models(self, folder: str) -> list[str] | None:
        """Names of the files in a folder below the server's ``models``; None when it does not report them."""
        if not re.fullmatch(r"[\w.-]+", folder):
            return None
        response = self.http.request("GET", f"/models/{folder}")
        answer = read_json(response)
        if response.status_code == 404:
            return []  # a folder that the server does not have, so no file of it either
        return [str(name) for name in answer] if response.status_code == 200 and isinstance(answer, list) else None

    def model_hash(self, folder: str, name: str) -> dict[str, Any] | None:
        """What the pack on the server knows of a model file: its ``sha256``, "" when it has no such file, or ``hashed`` and
        ``size`` in bytes while it is reading it. None where the pack cannot tell (older packs)."""
        answer = self._ask_pack("model-hash", {"folder": folder, "name": name}, TIMEOUT)
        return answer if isinstance(answer, dict) and ("sha256" in answer or "hashed" in answer) else None

    def telemetry(self) -> dict[str, Any] | None:
        """The latest telemetry of the pack on the server; None where it has none (older packs)."""
        answer = self._ask_pack("telemetry", {"seconds": "0"}, SHORT_TIMEOUT)
        return cast(dict[str, Any], answer) if read_part(answer, Telemetry) is not None else None

    def server_id(self) -> str:
        """What the pack calls its server's process, the same at each of its addresses; "" where it does not say."""
        answer = self._ask_pack("telemetry", {"seconds": "0"}, SHORT_TIMEOUT)
        told = read_part(answer, Telemetry)
        return told.server if told is not None else ""

    def _ask_pack(self, endpoint: str, params: dict[str, str], timeout: float) -> Any:
        """The answer of one of the pack's endpoints; None where the server does not have it, or refuses it.

        It refuses a name that it does not know. Nothing fails for that, but without a word its heat would be overlooked.
        """
        try:
            response = self.http.request("GET", f"/videogen/{endpoint}", params=params, timeout=timeout)
        except VideoGenError as error:
            if error.code != "server-refused":
                raise
            if not self._was_told:
                self._was_told = True
                log.warning("%s does not tell its temperature: %s", self.url, error.message)
            return None
        return read_json(response) if response.status_code in (200, 202) else None


class JobsApi:
    """The jobs API of newer ComfyUIs.

    Each of its requests came with another release. What a server does not have is asked for once; it is then asked as older ones
    are, by ``/history``, ``/queue`` and ``/interrupt``.
    """

    def __init__(self, http: HttpTransport) -> None:
        self._http = http
        self._lacks: set[str] = set()
        self._has: set[str] = set()

    def find(self, prompt_id: str) -> str | None:
        """The state of a prompt in the words of `Session.find`, "" for an unknown one; None where the server cannot be asked.

        One answer: nothing can be missed between the queue and history.

        Raises:
            VideoGenError: `server-unreachable`; `server-refused`, from one that has answered before.
        """

        def read(answer: Answer) -> str:
            told = parse_json(answer.content, limits.HISTORY)
            if answer.status_code == 404:
                read_as(told, MissingJob)
                return ""
            job = read_as(told, JobAnswer)
            if job.id != prompt_id:
                raise MalformedAnswerError("it tells of another prompt")
            return JOB_STATES[job.status]

        path = f"/api/jobs/{quote(prompt_id, safe='')}"
        return self._ask("job", "GET", path, read, limits.HISTORY)

    def queue(self) -> Queue | None:
        """The prompts that run and that wait, of all clients; ``/queue`` sends their graphs, too. None as in `find`.

        Raises:
            VideoGenError: as `find`.
        """

        def read(answer: Answer) -> Queue:
            jobs = read_as(parse_json(answer.content, limits.JOBS), JobList).jobs
            running = frozenset(job.id for job in jobs if job.status == "in_progress")
            return Queue(running, frozenset(job.id for job in jobs if job.status == "pending"))

        return self._ask("jobs", "GET", "/api/jobs?status=in_progress,pending", read, limits.JOBS)

    def cancel(self, prompt_id: str, timeout: float) -> bool:
        """Remove a prompt from the queue, or interrupt it if it is the one that runs; whether the server can be asked for that.

        Of ``/queue`` and ``/interrupt``, one after the other, a prompt that begins in between hears neither.

        Raises:
            VideoGenError: as `find`.
        """
        path = f"/api/jobs/{quote(prompt_id, safe='')}/cancel"

        def read(answer: Answer) -> bool:
            return read_as(parse_json(answer.content), CancelAnswer).cancelled

        return self._ask("cancel", "POST", path, read, timeout=timeout) is not None

    def _ask(
        self,
        kind: str,
        method: str,
        path: str,
        read: Callable[[Answer], Value],
        limit: Limit = limits.SMALL,
        timeout: float = TIMEOUT,
    ) -> Value | None:
        """An answer, as `read` reads it; None where the server does not have this request."""
        if kind in self._lacks:
            return None
        try:
            answer = self._http.request(method, path, limit=limit, timeout=timeout)
            if answer.status_code not in (200, 404):
                raise VideoGenError("server-refused", f"{self._http.url}{path} answers HTTP {answer.status_code}")
            found = read(answer)
        except (MalformedAnswerError, VideoGenError) as error:
            problem = error if isinstance(error, VideoGenError) else self._http.malformed(path, error)
            # What has never answered is not there, whatever is said in its place.
            if problem.code != "server-refused" or kind in self._has:
                raise problem from None
            self._lacks.add(kind)
            return None
        self._has.add(kind)
        return found


def _name_input(name: str) -> dict[str, str]:
    """The query for a file that nodes load: of the input folder, or of the one that its name ends in (``frame.png [output]``)."""
    annotated = _FOLDER.fullmatch(name)
    path, folder = annotated.groups() if annotated else (name, "input")
    subfolder, _, filename = path.replace("\\", "/").rpartition("/")
    return {"filename": filename, "subfolder": subfolder, "type": folder}


def describe_node_errors(answer: Any, graph: dict[str, Any]) -> str:
    """ComfyUI's ``node_errors`` as lines: which node, which input, what is wrong. Empty when there are none."""
    errors = answer.get("node_errors") if isinstance(answer, dict) else None
    lines = []
    for node_id, entry in errors.items() if isinstance(errors, dict) else ():
        node = read_part(entry, NodeProblems) or NodeProblems()
        kind = node.class_type or graph.get(node_id, {}).get("class_type", "?")
        where = f"  - node {node_id} ({kind})"
        # A node that is named has an error, also where it cannot be read.
        lines += [f"{where}: {one.message}: {one.details}".rstrip(": ") for one in node.errors or [NodeProblem()]]
    # A sentence on the node as a whole comes once for each of its inputs.
    return "\n".join(dict.fromkeys(lines))
