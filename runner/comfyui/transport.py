"""HTTP requests to one server, whose failures become errors that a user can act on."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import requests

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.os_errors import explain_os_error

TIMEOUT = 30.0
LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")
#: Environment variables with a file of certificates to trust, for a server with one of its own: the first that is set counts.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
#: How often an interrupted download is tried before it counts as failed.
MAX_TRANSFERS = 5
#: What a reverse proxy answers while its server is away.
PROXY_TROUBLE = (502, 503, 504)
_LOGIN_NEEDED = (401, 403, 407)


class HttpTransport:
    """Sends requests to a server.

    Args:
        url: its address, such as ``http://127.0.0.1:8188``, without a slash at the end.
        headers: sent with every request, to this server only; they are secrets and appear in no message.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.headers = dict(headers or {})
        self._session = requests.Session()
        self._session.headers.update(self.headers)
        self._session.auth = no_netrc
        self.ca_file = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), None)
        if self.ca_file:
            self._session.verify = self.ca_file
        # A proxy for the outside world must not swallow calls to this machine.
        if (urlsplit(self.url).hostname or "") in LOCAL_HOSTS:
            self._session.trust_env = False

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request.

        Raises:
            VideoGenError: `server-unreachable`, `server-refused` for a redirect or where authentication is missing.
        """
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
                "server-refused", f"{self.url} redirects to {target}", "Name that address with --server."
            )
        if response.status_code in _LOGIN_NEEDED:
            raise self._unauthorized(response)
        return response

    def request_json(self, method: str, path: str, *, timeout: float = TIMEOUT, expected: str = "") -> Any:
        """Send a request whose answer is JSON.

        Args:
            expected: what kind of server has to answer, such as ``a ComfyUI``: others are `server-not-comfyui`.
        """
        response = self.request(method, path, timeout=timeout)
        if response.status_code != 200:
            if expected and response.status_code < 500:
                raise self.not_comfyui(f"{path} answers HTTP {response.status_code}")
            raise VideoGenError("server-refused", f"{self.url}{path} answers HTTP {response.status_code}")
        try:
            return response.json()
        except ValueError:
            if expected:
                raise self.not_comfyui(f"{path} does not answer with JSON") from None
            raise VideoGenError("server-refused", f"{self.url}{path} does not answer with JSON") from None

    def download(self, path: str, params: Mapping[str, str], target: Path) -> int:
        """Stream an answer to disk; an interrupted transfer is resumed, `MAX_TRANSFERS` times at most.

        Args:
            params: of the query; ``filename`` is named in messages.

        Returns:
            The size in bytes.

        Raises:
            VideoGenError: `output-missing` when the server does not have it, `server-unreachable`, `disk-full`.
        """
        try:
            with target.open("wb") as out:
                for attempt in range(MAX_TRANSFERS):
                    try:
                        self._transfer(path, params, out)
                        break
                    except (requests.RequestException, _BrokenTransferError) as error:
                        if attempt == MAX_TRANSFERS - 1:
                            raise self._unreachable(error) from None
                        time.sleep(0.2 * 2**attempt)
                out.flush()
                os.fsync(out.fileno())
                return out.tell()
        except OSError as error:
            raise explain_os_error(error, target) from None

    def _transfer(self, path: str, params: Mapping[str, str], out: BinaryIO) -> None:
        had = out.tell()
        headers = {"Range": f"bytes={had}-"} if had else {}
        with self._session.get(
            f"{self.url}{path}", params=params, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            if response.status_code in _LOGIN_NEEDED:
                raise self._unauthorized(response)
            if response.status_code in (416, 500, *PROXY_TROUBLE):
                if response.status_code == 416:  # the file has changed, or was there in full: from the beginning
                    _clear(out)
                raise _BrokenTransferError(f"{params['filename']} is answered with HTTP {response.status_code}")
            if response.status_code not in (200, 206):
                raise VideoGenError(
                    "output-missing",
                    f"{self.url} no longer has {params['filename']} (HTTP {response.status_code})",
                )
            if had and response.status_code == 200:  # a server that does not resume: from the beginning
                _clear(out)
                had = 0
            # Small blocks: of one that breaks off nothing is handed out, and all of it comes again.
            for block in response.iter_content(1 << 14):
                out.write(block)
            length = response.headers.get("Content-Length")
            encoded = response.headers.get("Content-Encoding") not in (None, "identity")
            if length and not encoded and out.tell() - had != int(length):
                raise _BrokenTransferError(f"{params['filename']} broke off after {out.tell()} bytes")

    def not_comfyui(self, reason: str) -> VideoGenError:
        return VideoGenError(
            "server-not-comfyui",
            f"{self.url} is not a ComfyUI: {reason}",
            "ComfyUI's address is the one that its page opens at, such as http://127.0.0.1:8188.",
        )

    def _unauthorized(self, response: requests.Response) -> VideoGenError:
        return VideoGenError(
            "server-refused",
            f"{self.url} requires authentication, or rejected these credentials (HTTP {response.status_code})",
            'Give them with --header "Authorization: …", or in the environment as VIDEOGEN_HEADER.',
        )

    def _unreachable(self, error: Exception) -> VideoGenError:
        # requests wraps the causes below in one type, so that only their words tell them apart.
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


def read_json(response: requests.Response) -> Any:
    """The JSON of a response, or {} when it has none."""
    try:
        return response.json()
    except ValueError:
        return {}
