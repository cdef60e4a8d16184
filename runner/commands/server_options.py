"""Options of the verbs that need a ComfyUI: the servers, and HTTP headers for them."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.redaction import HIDDEN, SECRETS, is_secret_name

from ..comfyui.client import ComfyClient
from ..comfyui.embedded import EmbeddedServer
from ..comfyui.installation import find_installation
from ..comfyui.transport import parse_headers


def add_server_arguments(parser: argparse.ArgumentParser, server_help: str) -> None:
    """Declare ``--server`` and ``--header``."""
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="URL",
        help=server_help,
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: V'",
        help="HTTP header for the servers, for authentication\n(also VIDEOGEN_HEADER)",
    )


def read_headers(arguments: argparse.Namespace) -> dict[str, str]:
    """Headers of ``--header``, and of the environment: a secret there is not in the shell's history.

    Raises:
        VideoGenError: `option-invalid`.
    """
    from_environment = [line for line in os.environ.get("VIDEOGEN_HEADER", "").splitlines() if line.strip()]
    headers = parse_headers([*from_environment, *arguments.header])
    for name, value in headers.items():
        if value == HIDDEN or value.endswith(f" {HIDDEN}"):
            raise VideoGenError(
                "option-invalid",
                f"--header {name} is {value!r}, which stands for the value in a report: it is stored nowhere",
                "Give the header as it was, or in the environment as VIDEOGEN_HEADER.",
            )
        # Others, such as the name of a team, are too short and common to be looked for in every text.
        if is_secret_name(name) or len(value) >= 12:
            SECRETS.add(value)
    return headers


@contextmanager
def open_server(arguments: argparse.Namespace) -> Iterator[ComfyClient]:
    """The first server of ``--server``, or an embedded one while the context lasts; starting it takes about 15 s.

    Raises:
        VideoGenError: why the server cannot be used.
    """
    if arguments.server:
        client = ComfyClient(arguments.server[0], read_headers(arguments))
        client.system_stats()
        yield client
        return
    with (
        tempfile.TemporaryDirectory(prefix="videogen-") as folder,
        EmbeddedServer(find_installation(), Path(folder)) as server,
    ):
        yield server.start()
