"""ComfyUI's HTTP API."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from custom_nodes.videogen.core.errors import VideoGenError

from .transport import PROXY_TROUBLE, TIMEOUT, HttpTransport, read_json

#: Seconds for a request while the runner is stopping.
SHORT_TIMEOUT = 3.0
#: Seconds for /object_info, which takes its time in a ComfyUI with hundreds of packs.
LONG_TIMEOUT = 300.0


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

    @property
    def websocket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws"

    def system_stats(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        """``/system_stats``, which tells a ComfyUI from another server.

        Raises:
            VideoGenError: `server-not-comfyui` or `server-unreachable`.
        """
        stats = self.http.request_json("GET", "/system_stats", timeout=timeout, expected="a ComfyUI")
        if not isinstance(stats, dict) or "comfyui_version" not in (stats.get("system") or {}):
            raise self.http.not_comfyui("it answers /system_stats, but not as ComfyUI does")
        return stats

    def object_info(self) -> dict[str, Any]:
        """The schema of every node that the server has."""
        info = self.http.request_json("GET", "/object_info", timeout=LONG_TIMEOUT, expected="a ComfyUI")
        if not isinstance(info, dict):
            raise self.http.not_comfyui("it answers /object_info, but not as ComfyUI does")
        return info

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
        response = self.http.request("POST", "/prompt", json=body, timeout=LONG_TIMEOUT)
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
            f"{self.url} refused the prompt (HTTP {response.status_code}):\n{reason or response.text[:300]}",
        )

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """The history entry of a prompt; None while it has not ended, and for an unknown one."""
        history = self.http.request_json("GET", f"/history/{prompt_id}")
        return history.get(prompt_id) if isinstance(history, dict) else None

    def queue(self) -> Queue:
        """The prompts that run and that wait, of all clients."""
        queue = self.http.request_json("GET", "/queue")
        try:
            return Queue(
                *(frozenset(str(item[1]) for item in queue[key]) for key in ("queue_running", "queue_pending"))
            )
        except (KeyError, TypeError, IndexError):
            raise VideoGenError("server-refused", f"{self.url}/queue does not answer as ComfyUI does") from None

    def cancel(self, prompt_id: str) -> None:
        """Remove a prompt from the queue, and interrupt it if it is running."""
        with contextlib.suppress(VideoGenError):
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
        if response.status_code != 200 or not isinstance(answer, dict) or "name" not in answer:
            raise VideoGenError("server-refused", f"{self.url} accepted no upload (HTTP {response.status_code})")
        return "/".join(part for part in (answer.get("subfolder"), answer["name"]) if part)

    def download(self, file: dict[str, Any], target: Path) -> int:
        """Stream one output file (filename, subfolder, type) to disk; see `HttpTransport.download`.

        Returns:
            Its size in bytes.
        """
        params = {key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")}
        return self.http.download("/view", params, target)

    def read_input_file(self, name: str) -> bytes | None:
        """The bytes of a file in the server's input folder, or None when it is not there."""
        subfolder, _, filename = name.replace("\\", "/").rpartition("/")
        response = self.http.request(
            "GET", "/view", params={"filename": filename, "subfolder": subfolder, "type": "input"}
        )
        return response.content if response.status_code == 200 else None

    def hash_input_file(self, name: str) -> str:
        """SHA-256 of a file in the server's input folder, or "" when it is not there."""
        data = self.read_input_file(name)
        return hashlib.sha256(data).hexdigest() if data is not None else ""

    def list_models(self, folder: str) -> list[str] | None:
        """Names of the files in a folder below the server's ``models``; None when it does not report them."""
        if not re.fullmatch(r"[\w.-]+", folder):
            return None
        response = self.http.request("GET", f"/models/{folder}")
        answer = read_json(response)
        if response.status_code == 404:
            return []  # a folder that the server does not have, so no file of it either
        return [str(name) for name in answer] if response.status_code == 200 and isinstance(answer, list) else None

    def telemetry(self) -> dict[str, Any] | None:
        """The latest telemetry of the pack on the server; None where it has none (older packs)."""
        response = self.http.request("GET", "/videogen/telemetry", params={"seconds": "0"}, timeout=SHORT_TIMEOUT)
        answer = read_json(response) if response.status_code == 200 else None
        return answer if isinstance(answer, dict) and "readings" in answer else None


def parse_headers(lines: Iterable[str]) -> dict[str, str]:
    """``Name: value`` lines as headers.

    Raises:
        VideoGenError: `option-invalid`; the value is not repeated, it is a secret.
    """
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if (
            not colon
            or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name.strip())
            or not value.strip().isprintable()
        ):
            raise VideoGenError("option-invalid", '--header cannot be read, expected "Name: value"')
        headers[name.strip()] = value.strip()
    return headers


def normalize_url(url: str) -> str:
    """``host:8188`` and ``http://host:8188/`` as ``http://host:8188``.

    Raises:
        VideoGenError: `option-invalid`.
    """
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        valid = (
            parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0 and not parts.username
        )
    except ValueError:
        valid = False
    if not valid:
        raise VideoGenError("option-invalid", f"--server is {url!r}, expected an address such as http://127.0.0.1:8188")
    # Without query and fragment, which a browser's address line may have after the path.
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def describe_node_errors(answer: Any, graph: dict[str, Any]) -> str:
    """ComfyUI's ``node_errors`` as lines: which node, which input, what is wrong. Empty when there are none."""
    errors = answer.get("node_errors") if isinstance(answer, dict) else None
    lines = []
    for node_id, entry in (errors or {}).items() if isinstance(errors, dict) else ():
        kind = entry.get("class_type") or graph.get(node_id, {}).get("class_type", "?")
        where = f"  - node {node_id} ({kind})"
        lines += [
            f"{where}: {error.get('message', 'invalid')}: {error.get('details', '')}".rstrip(": ")
            for error in entry.get("errors", [])
        ]
    # A sentence on the node as a whole comes once for each of its inputs.
    return "\n".join(dict.fromkeys(lines))
