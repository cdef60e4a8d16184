"""ComfyUI's HTTP API."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.os_errors import explain_os_error

TIMEOUT = 30.0
#: For what is done on the way out.
SHORT_TIMEOUT = 3.0
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
#: Name a file with certificates to trust, for a server with one of its own: the first that is set counts.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
#: How often a broken download is taken up before it counts as failed.
TRANSFERS = 5
#: /object_info of a ComfyUI with hundreds of packs takes its time.
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
        headers: sent with every request, to this server only; they are secrets and stand in no message.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = normalize_url(url)
        self.headers = dict(headers or {})
        self._session = requests.Session()
        self._session.headers.update(self.headers)
        self.ca_file = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), None)
        if self.ca_file:
            self._session.verify = self.ca_file
        # A proxy for the outside world must not swallow calls to this machine.
        if (urlsplit(self.url).hostname or "") in LOCAL_HOSTS:
            self._session.trust_env = False
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
        self.submitted.add(prompt_id)
        response = self._request("POST", "/prompt", json=body, timeout=LONG_TIMEOUT)
        if response.status_code in _PROXY_TROUBLE:
            raise VideoGenError("server-refused", f"{self.url}/prompt answers HTTP {response.status_code}")
        answer = self._body(response)
        if response.status_code == 413:
            raise VideoGenError(
                "submission-rejected",
                f"{self.url} takes no prompt of this size (HTTP 413)",
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
        """What became of a prompt, or None while it has not ended (or is not known)."""
        history = self._json("GET", f"/history/{prompt_id}")
        return history.get(prompt_id) if isinstance(history, dict) else None

    def queue(self) -> Queue:
        """What runs and what waits, of everybody."""
        queue = self._json("GET", "/queue")
        try:
            return Queue(
                *(frozenset(str(item[1]) for item in queue[key]) for key in ("queue_running", "queue_pending"))
            )
        except (KeyError, TypeError, IndexError):
            raise VideoGenError("server-refused", f"{self.url}/queue does not answer as ComfyUI does") from None

    def cancel(self, prompt_id: str) -> None:
        """Take a prompt out of the queue, and interrupt it if it is running."""
        with contextlib.suppress(VideoGenError):
            self._request("POST", "/queue", json={"delete": [prompt_id]}, timeout=SHORT_TIMEOUT)
            self._request("POST", "/interrupt", json={"prompt_id": prompt_id}, timeout=SHORT_TIMEOUT)

    def free(self) -> None:
        """Have the server unload its models and free its memory, before its next prompt."""
        with contextlib.suppress(VideoGenError):
            self._request("POST", "/free", json={"unload_models": True, "free_memory": True})

    def upload_image(self, name: str, png: bytes) -> str:
        """Put an image into the server's input folder; gives the name by which LoadImage finds it.

        Raises:
            VideoGenError: `server-refused`.
        """
        return self._upload(name, png, "videogen", overwrite=True)

    def upload_file(self, name: str, data: bytes) -> None:
        """Put a file into the server's input folder under this name, unless it is there with the same bytes.

        Args:
            name: one that stands for these bytes: whatever else has it is a file that broke off, and gives way.

        Raises:
            VideoGenError: `server-refused`.
        """
        subfolder, _, filename = name.rpartition("/")
        # Asked to spare what is there, ComfyUI compares the bytes and, where they differ, takes another name.
        if self._upload(filename, data, subfolder, overwrite=False) != name:
            self._upload(filename, data, subfolder, overwrite=True)

    def _upload(self, filename: str, data: bytes, subfolder: str, *, overwrite: bool) -> str:
        response = self._request(
            "POST",
            "/upload/image",
            files={"image": (filename, data, "application/octet-stream")},
            data={"subfolder": subfolder, "type": "input", "overwrite": str(overwrite).lower()},
        )
        answer = self._body(response)
        if response.status_code == 413:
            raise VideoGenError(
                "server-refused",
                f"{self.url} takes no file of {len(data):,} bytes, such as {filename} (HTTP 413)",
                "Make the picture smaller, or start ComfyUI with a larger --max-upload-size.",
            )
        if response.status_code != 200 or not isinstance(answer, dict) or "name" not in answer:
            raise VideoGenError("server-refused", f"{self.url} took no upload (HTTP {response.status_code})")
        return "/".join(part for part in (answer.get("subfolder"), answer["name"]) if part)

    def download(self, file: dict[str, Any], target: Path) -> int:
        """Stream one output file (filename, subfolder, type) to disk; gives its size in bytes.

        A transfer that breaks is taken up where it broke, a few times.

        Raises:
            VideoGenError: `output-missing` when the server does not have it, `server-unreachable`, `disk-full`.
        """
        try:
            with target.open("wb") as out:
                for attempt in range(TRANSFERS):
                    try:
                        self._transfer(file, out)
                        break
                    except (requests.RequestException, _BrokenTransferError) as error:
                        if attempt == TRANSFERS - 1:
                            raise self._unreachable(error) from None
                        time.sleep(0.2 * 2**attempt)
                out.flush()
                os.fsync(out.fileno())
                return out.tell()
        except OSError as error:
            raise explain_os_error(error, target) from None

    def _transfer(self, file: dict[str, Any], out: BinaryIO) -> None:
        params = {key: str(file.get(key, "")) for key in ("filename", "subfolder", "type")}
        had = out.tell()
        headers = {"Range": f"bytes={had}-"} if had else {}
        with self._session.get(
            f"{self.url}/view", params=params, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            if response.status_code in (401, 403, 407):
                raise self._wants_login(response)
            if response.status_code in (416, 500, *_PROXY_TROUBLE):
                if response.status_code == 416:  # the file is not what it was, or was there in full: from the beginning
                    out.seek(0)
                    out.truncate()
                raise _BrokenTransferError(f"{params['filename']} is answered with HTTP {response.status_code}")
            if response.status_code not in (200, 206):
                raise VideoGenError(
                    "output-missing",
                    f"{self.url} does not have {params['filename']} any more (HTTP {response.status_code})",
                )
            if had and response.status_code == 200:  # a server that does not take up: from the beginning
                out.seek(0)
                out.truncate()
                had = 0
            # Small blocks: of one that breaks off nothing is handed out, and all of it comes again.
            for block in response.iter_content(1 << 14):
                out.write(block)
            length = response.headers.get("Content-Length")
            if (
                length
                and response.headers.get("Content-Encoding") in (None, "identity")
                and out.tell() - had != int(length)
            ):
                raise _BrokenTransferError(f"{params['filename']} broke off after {out.tell()} bytes")

    def read_input_file(self, name: str) -> bytes | None:
        """The bytes of a file in the server's input folder, or None when it is not there."""
        subfolder, _, filename = name.replace("\\", "/").rpartition("/")
        response = self._request("GET", "/view", params={"filename": filename, "subfolder": subfolder, "type": "input"})
        return response.content if response.status_code == 200 else None

    def hash_input_file(self, name: str) -> str:
        """SHA-256 of a file in the server's input folder, or "" when it is not there."""
        data = self.read_input_file(name)
        return hashlib.sha256(data).hexdigest() if data is not None else ""

    def list_models(self, folder: str) -> list[str] | None:
        """Names of the files in a folder below the server's ``models``, or None when it does not tell."""
        if not re.fullmatch(r"[\w.-]+", folder):
            return None
        response = self._request("GET", f"/models/{folder}")
        answer = self._body(response)
        if response.status_code == 404:
            return []  # a folder that the server does not have, so no file of it either
        return [str(name) for name in answer] if response.status_code == 200 and isinstance(answer, list) else None

    def telemetry(self) -> dict[str, Any] | None:
        """What the pack on the server knows of its temperatures now; None where it does not tell (older packs)."""
        response = self._request("GET", "/videogen/telemetry", params={"seconds": "0"}, timeout=SHORT_TIMEOUT)
        answer = self._body(response) if response.status_code == 200 else None
        return answer if isinstance(answer, dict) and "readings" in answer else None

    def _request(self, method: str, path: str, **options: Any) -> requests.Response:
        options.setdefault("timeout", TIMEOUT)
        # Not followed: the headers are for this server alone, and a POST would become a GET on the way.
        request = partial(self._session.request, method, self.url + path, allow_redirects=False, **options)
        try:
            try:
                response = request()
            except requests.ConnectionError:
                if method != "GET":
                    raise
                response = request()  # a connection that was kept open has ended meanwhile: no server is gone for that
        except requests.RequestException as error:
            raise self._unreachable(error) from None
        if response.is_redirect:
            target = response.headers["Location"].partition("?")[0].removesuffix(path)
            raise VideoGenError(
                "server-refused", f"{self.url} sends on to {target}", "Name that address with --server."
            )
        if response.status_code in (401, 403, 407):
            raise self._wants_login(response)
        return response

    def _wants_login(self, response: requests.Response) -> VideoGenError:
        return VideoGenError(
            "server-refused",
            f"{self.url} wants a log-in, or does not take this one (HTTP {response.status_code})",
            'Give it with --header "Authorization: …", or in the environment as VIDEOGEN_HEADER.',
        )

    def _json(self, method: str, path: str, *, timeout: float = TIMEOUT, meant: str = "") -> Any:
        response = self._request(method, path, timeout=timeout)
        if response.status_code != 200:
            if meant and response.status_code < 500:
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
            "server-not-comfyui",
            f"{self.url} is not a ComfyUI: {what}",
            "ComfyUI's address is the one that its page opens at, such as http://127.0.0.1:8188.",
        )

    def _unreachable(self, error: Exception) -> VideoGenError:
        if isinstance(error, requests.exceptions.SSLError):
            reason = "the TLS certificate does not verify" if "CERTIFICATE" in str(error).upper() else "TLS failed"
        elif isinstance(error, requests.Timeout):
            reason = "it does not answer in time"
        elif "Name or service not known" in str(error) or "getaddrinfo" in str(error) or "resolve" in str(error):
            reason = "there is no host of that name"
        elif isinstance(error, _BrokenTransferError):
            reason = str(error)
        elif "refused" in str(error).lower():
            reason = "nothing listens there"
        else:
            reason = type(error).__name__
        return VideoGenError(
            "server-unreachable",
            f"{self.url} cannot be reached: {reason}",
            "Start ComfyUI there, or leave --server out to have one started.",
        )


#: What a reverse proxy answers while the server behind it is away.
_PROXY_TROUBLE = (502, 503, 504)


class _BrokenTransferError(Exception):
    """Fewer bytes came than were announced."""


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
    # Without what stands behind the path in a browser's address line.
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
