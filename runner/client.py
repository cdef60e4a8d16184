"""ComfyUI's HTTP API."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.disk import explain_os_error

TIMEOUT = 30.0
#: /object_info of a ComfyUI with hundreds of packs takes its time.
LONG_TIMEOUT = 300.0


class ComfyClient:
    """One ComfyUI at an address such as ``http://127.0.0.1:8188``."""

    def __init__(self, url: str) -> None:
        self.url = normalise_url(url)
        self._session = requests.Session()
        # A proxy for the outside world must not swallow calls to this machine.
        if (urlsplit(self.url).hostname or "") in ("127.0.0.1", "localhost", "::1"):
            self._session.trust_env = False

    @property
    def websocket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/ws"

    def system_stats(self, timeout: float = TIMEOUT) -> dict[str, Any]:
        """``/system_stats``, which tells a ComfyUI from another server.

        Raises:
            VideoGenError: `server-not-comfyui` or `server-unreachable`.
        """
        stats = self._json("GET", "/system_stats", timeout=timeout, meant="a ComfyUI")
        if not isinstance(stats, dict) or "comfyui_version" not in (stats.get("system") or {}):
            raise self._not_comfyui("it answers /system_stats, but not as ComfyUI does")
        return stats

    def object_info(self) -> dict[str, Any]:
        """The schema of every node that the server has."""
        info = self._json("GET", "/object_info", timeout=LONG_TIMEOUT, meant="a ComfyUI")
        if not isinstance(info, dict):
            raise self._not_comfyui("it answers /object_info, but not as ComfyUI does")
        return info

    def submit(self, graph: dict[str, Any], prompt_id: str, client_id: str, workflow: dict[str, Any] | None) -> None:
        """Queue a prompt in API format.

        Raises:
            VideoGenError: `submission-rejected`. ComfyUI answers 200 and drops outputs that do not validate as long as
                one is left; that is refused here all the same, and the prompt is taken out of the queue.
        """
        body: dict[str, Any] = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
        if workflow is not None:
            body["extra_data"] = {"extra_pnginfo": {"workflow": workflow}}
        response = self._request("POST", "/prompt", json=body, timeout=LONG_TIMEOUT)
        answer = self._body(response)
        if response.status_code == 413:
            raise VideoGenError(
                "submission-rejected", f"{self.url} takes no prompt of this size (HTTP 413)",
                "Start ComfyUI with a larger --max-upload-size.",
            )  # fmt: skip
        errors = describe_node_errors(answer, graph)
        if response.status_code == 200 and not errors:
            return
        if response.status_code == 200:
            self.cancel(prompt_id)
        reason = errors or (answer.get("error") or {}).get("message") if isinstance(answer, dict) else None
        raise VideoGenError(
            "submission-rejected",
            f"{self.url} refused the prompt (HTTP {response.status_code}):\n{reason or response.text[:300]}",
        )

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """What became of a prompt, or None while it has not ended (or is not known)."""
        history = self._json("GET", f"/history/{prompt_id}")
        return history.get(prompt_id) if isinstance(history, dict) else None

    def queued(self) -> set[str]:
        """Ids of the prompts that are running or wait."""
        queue = self._json("GET", "/queue")
        return {str(item[1]) for key in ("queue_running", "queue_pending") for item in queue.get(key, [])}

    def cancel(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, and interrupt it if it is running."""
        with contextlib.suppress(VideoGenError):
            self._request("POST", "/queue", json={"delete": [prompt_id]})
            self._request("POST", "/interrupt", json={"prompt_id": prompt_id})

    def download(self, file: dict[str, Any], target: Path) -> int:
        """Stream one output file (filename, subfolder, type) to disk; gives its size in bytes.

        Raises:
            VideoGenError: `output-missing` when the server does not have it, `server-unreachable`, `disk-full`.
        """
        written = 0
        try:
            with self._stream(file) as response, target.open("wb") as out:
                for block in response.iter_content(1 << 18):
                    out.write(block)
                    written += len(block)
                expected = response.headers.get("Content-Length")
                out.flush()
                os.fsync(out.fileno())
        except requests.RequestException as error:
            raise self._unreachable(error) from None
        except OSError as error:
            raise explain_os_error(error, target) from None
        if expected and int(expected) != written:
            raise VideoGenError(
                "server-unreachable", f"{file['filename']} broke off after {written} of {expected} bytes"
            )
        return written

    def read_input_file(self, name: str) -> bytes | None:
        """The bytes of a file in the server's input folder, or None when it is not there."""
        subfolder, _, filename = name.replace("\\", "/").rpartition("/")
        response = self._request("GET", "/view", params={"filename": filename, "subfolder": subfolder, "type": "input"})
        return response.content if response.status_code == 200 else None

    @contextlib.contextmanager
    def _stream(self, file: dict[str, Any]) -> Iterator[requests.Response]:
        params = {key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")}
        with self._session.get(f"{self.url}/view", params=params, stream=True, timeout=TIMEOUT) as response:
            if response.status_code != 200:
                raise VideoGenError(
                    "output-missing",
                    f"{self.url} does not have {params['filename']} any more (HTTP {response.status_code})",
                )
            yield response

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", TIMEOUT)
        try:
            return self._session.request(method, self.url + path, **options)
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def _json(self, method: str, path: str, *, timeout: float = TIMEOUT, meant: str = "") -> Any:
        response = self._request(method, path, timeout=timeout)
        if response.status_code in (401, 403):
            raise VideoGenError(
                "server-refused", f"{self.url} wants a log-in (HTTP {response.status_code})",
                "Name an address that can be reached without one.",
            )  # fmt: skip
        if response.status_code != 200:
            if meant:
                raise self._not_comfyui(f"{path} answers HTTP {response.status_code}")
            raise VideoGenError("server-refused", f"{self.url}{path} answers HTTP {response.status_code}")
        try:
            return response.json()
        except ValueError:
            if meant:
                raise self._not_comfyui(f"{path} does not answer with JSON") from None
            raise VideoGenError("server-refused", f"{self.url}{path} does not answer with JSON") from None

    @staticmethod
    def _body(response: requests.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            return {}

    def _not_comfyui(self, what: str) -> VideoGenError:
        return VideoGenError(
            "server-not-comfyui", f"{self.url} is not a ComfyUI: {what}",
            "ComfyUI's address is the one that its page opens at, such as http://127.0.0.1:8188.",
        )  # fmt: skip

    def _unreachable(self, error: Exception) -> VideoGenError:
        if isinstance(error, requests.exceptions.SSLError):
            reason = "the TLS certificate does not verify" if "CERTIFICATE" in str(error).upper() else "TLS failed"
        elif isinstance(error, requests.Timeout):
            reason = "it does not answer in time"
        elif "Name or service not known" in str(error) or "getaddrinfo" in str(error) or "resolve" in str(error):
            reason = "there is no host of that name"
        elif "refused" in str(error).lower():
            reason = "nothing listens there"
        else:
            reason = type(error).__name__
        return VideoGenError(
            "server-unreachable", f"{self.url} cannot be reached: {reason}",
            "Start ComfyUI there, or leave --server out to have one started.",
        )  # fmt: skip


def normalise_url(url: str) -> str:
    """``host:8188`` and ``http://host:8188/`` as ``http://host:8188``.

    Raises:
        VideoGenError: `option-invalid`.
    """
    text = url.strip().rstrip("/")
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid:
        raise VideoGenError("option-invalid", f"--server is {url!r}, expected an address such as http://127.0.0.1:8188")
    return text


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
    return "\n".join(lines)
