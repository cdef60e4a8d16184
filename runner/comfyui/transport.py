"""HTTP requests to one server, whose failures become errors that a user can act on."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.redaction import HIDDEN, SECRETS
from custom_nodes.videogen.core.server_address import find_path_secrets, hide_in_server
from custom_nodes.videogen.media.os_errors import disk_full, explain_os_error

from .answers import MalformedAnswerError, parse_json, shorten
from .bounds import limits
from .bounds.http import BoundedAdapter, LimitExceededError, allowing, read_blocks, read_body
from .bounds.limits import Limit

TIMEOUT = 30.0
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
#: Environment variables with a file of certificates to trust, for a server with one of its own: the first that is set counts.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
#: How often an interrupted download is tried before it counts as failed.
MAX_TRANSFERS = 5
#: What a reverse proxy answers while its server is away.
PROXY_TROUBLE = (502, 503, 504)
_LOGIN_NEEDED = (401, 403, 407)
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: What requests raises, and what gets past it from the layers below when a server answers with nonsense: a header or a chunk that
#: is no HTTP, a compressed body that is none, an address in a redirect that cannot be read.
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, UnicodeError)
#: A connection that ended before its answer was whole: at its beginning, or in the middle of the body.
_BROKEN_OFF = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.ProtocolError,
    http.client.IncompleteRead,
)


#: Bytes of a file between two looks at the space on the disk.
_DISK_STEP = 8_000_000


@dataclass(frozen=True)
class Answer:
    """What a server has answered, as a whole."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class HttpTransport:
    """Sends requests to a server.

    Args:
        url: its address, such as ``http://127.0.0.1:8188``, without a slash at the end.
        headers: sent with every request, to this server only; they are secrets and appear in no message.

    Attributes:
        address: where requests go.
        url: the server's name in messages and records: the address without what gives access in its path.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.address, self.url = url, hide_in_server(url)
        for secret in find_path_secrets(url):
            SECRETS.add(secret)
        self.headers = dict(headers or {})
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, BoundedAdapter())
        # Packed answers save nothing on a line that carries videos, and unpack to anything.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.headers.update(self.headers)
        self._session.auth = no_netrc
        self.ca_file = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), None)
        if self.ca_file:
            self._session.verify = self.ca_file
        # A proxy for the outside world must not swallow calls to this machine.
        if (urlsplit(self.url).hostname or "") in LOCAL_HOSTS:
            self._session.trust_env = False

    def request(self, method: str, path: str, *, limit: Limit = limits.SMALL, **options: Any) -> Answer:
        """Send a request; a GET whose answer breaks off is sent once more.

        Raises:
            VideoGenError: `server-unreachable`, `server-refused` for a redirect, where authentication is missing, or for an
                answer beyond its limit.
        """
        return self._exchange(method, path, limit, lambda response: read_body(response, limit), options)

    def _exchange(
        self,
        method: str,
        path: str,
        limit: Limit,
        read: Callable[[requests.Response], bytes],
        options: Mapping[str, Any],
    ) -> Answer:
        """`request`, with what to do with the body of a success."""

        def once() -> Answer:
            # Not followed: the headers are for this server alone, and a POST would become a GET on the way.
            send = partial(self._session.request, method, self.address + path, allow_redirects=False, stream=True)
            with allowing(limit), send(**{"timeout": TIMEOUT, **options}) as response:
                if response.is_redirect:
                    target = response.headers["Location"].partition("?")[0].removesuffix(path)
                    raise VideoGenError(
                        "server-refused",
                        f"{self.url} redirects to {shorten(target, limits.MAX_NAME)}",
                        "Name that address with --server.",
                    )
                is_other = response.status_code not in (200, 206)
                body = read_body(response, limits.SMALL) if is_other else read(response)
                return Answer(response.status_code, response.headers, body)

        try:
            try:
                answer = once()
            except _BROKEN_OFF:
                if method != "GET":
                    raise
                answer = once()  # a connection that was kept open has ended meanwhile: no server is gone for that
        except LimitExceededError as error:
            raise self._exceeded(path, error) from None
        except _FAILURES as error:
            raise self._unreachable(error) from None
        if answer.status_code in _LOGIN_NEEDED:
            raise self._unauthorized(answer)
        return answer

    def request_json(
        self,
        method: str,
        path: str,
        *,
        limit: Limit = limits.SMALL,
        timeout: float = TIMEOUT,
        expected: str = "",
        parse: Callable[[bytes], Any] | None = None,
    ) -> Any:
        """Send a request whose answer is JSON.

        Args:
            expected: what kind of server has to answer, such as ``a ComfyUI``: others are `server-not-comfyui`.
            parse: makes values of it, in place of `parse_json`.
        """
        response = self.request(method, path, limit=limit, timeout=timeout)
        if response.status_code != 200:
            if expected and response.status_code < 500:
                raise self.not_comfyui(f"{path} answers HTTP {response.status_code}")
            raise VideoGenError("server-refused", f"{self.url}{path} answers HTTP {response.status_code}")
        try:
            return parse(response.content) if parse is not None else parse_json(response.content, limit)
        except MalformedAnswerError as error:
            if expected:
                raise self.not_comfyui(f"{path} does not answer with JSON that can be read: {error}") from None
            raise self.malformed(path, error) from None

    def hash(self, path: str, params: Mapping[str, str], update: Callable[[bytes], None]) -> bool:
        """Pass the body of an answer on in blocks, without keeping it; whether there was one."""

        def read(response: requests.Response) -> bytes:
            for block in read_blocks(response, limits.HASHED_FILE):
                update(block)
            return b""

        return self._exchange("GET", path, limits.HASHED_FILE, read, {"params": params}).status_code == 200

    def download(self, path: str, params: Mapping[str, str], target: Path, most: int = limits.MAX_SEGMENT) -> int:
        """Stream an answer to disk; an interrupted transfer is resumed, `MAX_TRANSFERS` times at most.

        Args:
            params: of the query; ``filename`` is named in messages.
            most: bytes that it may have.

        Returns:
            The size in bytes.

        Raises:
            VideoGenError: `output-missing` when the server does not have it, `media-broken` when it is larger or comes slower
                than it may, `server-unreachable`, `disk-full`.
        """
        name = shorten(params["filename"], limits.MAX_NAME)
        limit = limits.limit_for_file(most)
        try:
            with target.open("wb") as out:
                for attempt in range(MAX_TRANSFERS):
                    try:
                        with allowing(limit):
                            self._transfer(path, params, out, limit)
                        break
                    except LimitExceededError as error:
                        raise VideoGenError("media-broken", f"{self.url} {error}, asked for {name}") from None
                    except (*_FAILURES, _BrokenTransferError) as error:
                        if attempt == MAX_TRANSFERS - 1:
                            raise self._unreachable(error) from None
                        time.sleep(0.2 * 2**attempt)
                out.flush()
                os.fsync(out.fileno())
                return out.tell()
        except OSError as error:
            raise explain_os_error(error, target) from None

    def _transfer(self, path: str, params: Mapping[str, str], out: BinaryIO, limit: Limit) -> None:
        name = shorten(params["filename"], limits.MAX_NAME)
        had = out.tell()
        headers = {"Range": f"bytes={had}-"} if had else {}
        with self._session.get(
            f"{self.address}{path}", params=params, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            status = response.status_code
            if status in _LOGIN_NEEDED:
                raise self._unauthorized(Answer(status, response.headers, read_body(response, limits.SMALL)))
            if status in (416, 500, *PROXY_TROUBLE):
                if status == 416:  # the file has changed, or was there in full: from the beginning
                    _clear(out)
                raise _BrokenTransferError(f"{name} is answered with HTTP {status}")
            if status not in (200, 206):
                raise VideoGenError("output-missing", f"{self.url} no longer has {name} (HTTP {status})")
            if had and status == 200:  # a server that does not resume: from the beginning
                _clear(out)
                had = 0
            length = response.headers.get("Content-Length", "")
            expected = int(length) if length.isdecimal() and len(length) < 20 else None
            if had + (expected or 0) > limit.bytes:
                raise LimitExceededError(f"announces {had + (expected or 0):,} bytes, at most {limit.bytes:,} are read")
            _require_space(out, expected or 0)
            seen = had
            # Small blocks: of one that breaks off nothing is handed out, and all of it comes again.
            for block in read_blocks(response, limit):
                if out.tell() + len(block) > limit.bytes:
                    raise LimitExceededError(f"answers with more than {limit.bytes:,} bytes")
                out.write(block)
                if out.tell() - seen > _DISK_STEP:
                    seen = out.tell()
                    _require_space(out, 0)
            encoded = response.headers.get("Content-Encoding") not in (None, "identity")
            if expected is not None and not encoded and out.tell() - had != expected:
                raise _BrokenTransferError(f"{name} broke off after {out.tell()} bytes")

    def malformed(self, path: str, error: MalformedAnswerError) -> VideoGenError:
        """The error for an answer that is not what ComfyUI sends."""
        return VideoGenError("server-refused", f"{self.url}{path} does not answer as ComfyUI does: {error}")

    def not_comfyui(self, reason: str) -> VideoGenError:
        return VideoGenError(
            "server-not-comfyui",
            f"{self.url} is not a ComfyUI: {reason}",
            "ComfyUI's address is the one that its page opens at, such as http://127.0.0.1:8188.",
        )

    def _exceeded(self, path: str, error: LimitExceededError) -> VideoGenError:
        return VideoGenError("server-refused", f"{self.url}{path} {error}")

    def _unauthorized(self, response: Answer) -> VideoGenError:
        answer = read_json(response)
        if isinstance(answer, dict) and isinstance(
            answer.get("error"), str
        ):  # the pack's own endpoints say what is wrong
            return VideoGenError("server-refused", f"{self.url} refused the request: {answer['error'][:500]}")
        return VideoGenError(
            "server-refused",
            f"{self.url} requires authentication, or rejected these credentials (HTTP {response.status_code})",
            'Give them with --header "Authorization: …", or in the environment as VIDEOGEN_HEADER.',
        )

    def _unreachable(self, error: Exception) -> VideoGenError:
        hint = "Start ComfyUI there, or leave --server out to have one started."
        # requests wraps the causes below in one type, so that only their words tell them apart.
        if isinstance(error, requests.exceptions.SSLError):
            reason = "the TLS certificate does not verify" if "CERTIFICATE" in str(error).upper() else "TLS failed"
            hint = f"If it has a certificate authority of its own, name the authority's file in {CA_VARIABLES[0]}."
        elif isinstance(error, requests.exceptions.ProxyError):
            reason = "the proxy that the environment names does not connect to it"
            hint = f"Name the server in no_proxy if it needs none: no_proxy={urlsplit(self.url).hostname}."
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
            hint,
        )


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
    """``host:8188`` and ``HTTP://Host:8188/`` as ``http://host:8188``: one server has one name, however it is written.

    Raises:
        VideoGenError: `option-invalid`.
    """
    text = url.strip()
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if valid and (parts.username is not None or parts.password is not None):
        raise VideoGenError(
            "option-invalid",
            f"--server has a name or password in front of {parts.hostname}, expected an address without",
            'Give them with --header "Authorization: …", or in the environment as VIDEOGEN_HEADER.',
        )
    if valid and HIDDEN in parts.path:
        raise VideoGenError(
            "option-invalid",
            f"--server is {url!r}, in which {HIDDEN} stands for a part that gives access: it is stored nowhere",
            "Give the address as it was.",
        )
    if not valid:
        raise VideoGenError("option-invalid", f"--server is {url!r}, expected an address such as http://127.0.0.1:8188")
    host = parts.hostname or ""
    place = f"[{host}]" if ":" in host else host
    if parts.port not in (None, _DEFAULT_PORTS[parts.scheme]):
        place += f":{parts.port}"
    # Without query and fragment, which a browser's address line may have after the path.
    return f"{parts.scheme}://{place}{parts.path.rstrip('/')}"


def no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """An authentication that adds none.

    Without one, requests looks into ``~/.netrc``: its entry for the host replaces an ``Authorization`` header that the user has
    given, and its ``default`` entry would go to any server.
    """
    return request


class _BrokenTransferError(Exception):
    """Fewer bytes came than were announced."""


def _clear(out: BinaryIO) -> None:
    out.seek(0)
    out.truncate()


def _require_space(out: BinaryIO, size: int) -> None:
    """Leave some of the disk to others.

    Raises:
        DiskFullError
    """
    path = Path(out.name)
    if shutil.disk_usage(path.parent).free - size < limits.MIN_FREE_DISK:
        raise disk_full(path)


def read_json(response: Answer) -> Any:
    """The JSON of a response, or {} when it has none."""
    try:
        return parse_json(response.content)
    except MalformedAnswerError:
        return {}
