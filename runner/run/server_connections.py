"""The servers of a run: those that are named, or one that is started."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.graph import SEGMENT_NODE, STORY_NODE

from ..comfyui.client import ComfyClient
from ..comfyui.embedded import EmbeddedServer
from ..comfyui.installation import Installation, find_installation
from ..comfyui.servers import OwnServer, RemoteServer, Server
from ..comfyui.session import Session
from ..setup.versions import COMFYUI_AT_LEAST
from ..workflows.workflow import Workflow
from .request import RunRequest

#: The pack is not tested with older ones.
OLDEST_COMFYUI = tuple(map(int, COMFYUI_AT_LEAST.split(".")))


class ServerConnections:
    """Connects to the servers of a run, and closes what it has opened.

    Args:
        folder: for the log and the files of a server that is started.
        say: shows a line to the user.

    Attributes:
        servers: those that can be used, once `connect` was called.
        embedded: the server that was started, or None.
    """

    def __init__(self, request: RunRequest, folder: Path, say: Callable[[str], None]) -> None:
        self.request, self.folder, self.say = request, folder, say
        self.servers: list[Server] = []
        self.embedded: EmbeddedServer | None = None

    def find_own_installation(self) -> Installation | None:
        """The ComfyUI that `connect` will start; None when servers are named, or none is set up."""
        if self.request.servers:
            return None
        try:
            return find_installation()
        except VideoGenError:
            return None

    def connect(self) -> Session:
        """Connect to all servers; one that cannot be used is left out while another can.

        Returns:
            The first server's session, whose nodes the workflow is checked against.

        Raises:
            VideoGenError: why none of them can be used.
        """
        return self._connect_to_named() if self.request.servers else self._start_own()

    def leave_out(self, name: str, reason: VideoGenError) -> None:
        """Use a server no more that was connected."""
        self.say(f"{name} is left out: {reason.message}")
        for server in [server for server in self.servers if server.name == name]:
            self.servers.remove(server)
            server.close()

    def close(self) -> None:
        """Close all connections; stop the server that was started."""
        for server in self.servers:
            server.close()
        if self.embedded is not None:
            self.embedded.stop()
            # Everything that was wanted from there is verified in segments/.
            self.embedded.discard_files()

    def _start_own(self) -> Session:
        installation = find_installation()
        self.embedded = EmbeddedServer(installation, self.folder)
        own = OwnServer(self.embedded, self.say)
        self.servers = [own]
        # What a runner that was killed has left, or what somebody else has put there: links that a node would write through.
        self.embedded.discard_files()
        self.say(f"Starting ComfyUI {installation.version} …")
        started = time.monotonic()
        session = own.connect()
        self.say(f"ComfyUI answers at {session.client.url} after {time.monotonic() - started:.1f} s")
        return session

    def _connect_to_named(self) -> Session:
        first_error: VideoGenError | None = None
        known: dict[str, str] = {}
        for url in self.request.servers:
            server = RemoteServer(ComfyClient(url, self.request.headers), self.request.patience)
            try:
                require_pack_for_any(server.connect(), [use.workflow for use in self.request.uses])
                # By another name or address it would get two prompts at once, and count twice where servers are compared.
                identity = server.session.client.server_id() if len(self.request.servers) > 1 else ""
                if identity and known.setdefault(identity, server.name) != server.name:
                    self.say(f"{server.name} is the same server as {known[identity]}, which is used once")
                    server.close()
                    continue
                self.servers.append(server)
            except VideoGenError as error:
                server.close()
                first_error = first_error or error
                if len(self.request.servers) > 1:
                    self.say(f"{server.name} is left out: {error.message}")
        if not self.servers:
            assert first_error is not None
            raise first_error
        return self.servers[0].session


def require_pack_for_any(session: Session, workflows: Sequence[Workflow]) -> None:
    """Refuse a server that is too old, or that lacks our nodes if every workflow uses them.

    Raises:
        VideoGenError: as `require_pack`.
    """
    errors: list[VideoGenError] = []
    for workflow in workflows:
        try:
            require_pack(session, workflow)
        except VideoGenError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


def require_pack(session: Session, workflow: Workflow) -> None:
    """Refuse a server that is too old, or that lacks our nodes if the workflow uses them.

    Raises:
        VideoGenError: `server-too-old`, `server-lacks-pack`.
    """
    version = str(session.stats["system"]["comfyui_version"])
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    # A version that cannot be read is a custom build: whether it has what is needed shows in its nodes.
    if numbers and tuple(map(int, numbers.groups())) < OLDEST_COMFYUI:
        raise VideoGenError(
            "server-too-old",
            f"the ComfyUI at {session.client.url} is version {version}, expected {'.'.join(map(str, OLDEST_COMFYUI))} or newer",
            "Update it there, or leave --server out to have one started.",
        )
    lacking = {STORY_NODE, SEGMENT_NODE} - set(session.object_info)
    text = json.dumps(workflow.ui or workflow.api)
    if any(name in text for name in lacking):
        raise VideoGenError(
            "server-lacks-pack",
            f"the ComfyUI at {session.client.url} does not have the videogen nodes",
            "On that machine, put custom_nodes/videogen into ComfyUI's custom_nodes folder and restart it"
            " (README: Inside an existing ComfyUI).",
        )
