"""Proof that it is our own server that answers on a port of this machine.

A port that was free a moment ago is free for every user: who takes it first gets the prompts, and its video would become the
segment. So we take it ourselves and hand the socket on; where that cannot be done, we look whose process listens there.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from typing import Any

import psutil

HOST = "127.0.0.1"
#: The environment variable that tells ``exit_with_parent.py`` which inherited descriptor is the socket.
VARIABLE = "VIDEOGEN_LISTENER"
#: Windows has no descriptors to inherit.
CAN_HAND_ON = os.name == "posix"
_BIND_ATTEMPTS = 20


class OwnListener:
    """A port on which nobody else can listen, from now until `close`.

    Where the socket can be inherited it is bound here, before the server's process exists, and stays bound here while that
    process dies and is replaced: in between connections are refused, and nobody else can bind it.

    Attributes:
        port: the port.
        options: of `subprocess.Popen`, for the process that is to listen there.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        # Its output is a file: what nodes print there (emoji, names of files) must not depend on this terminal's encoding.
        environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
        self.options: dict[str, Any] = {"env": environment}
        if CAN_HAND_ON:
            self._socket, self.port = _bind()
            descriptor = self._socket.fileno()
            self.options = {"pass_fds": (descriptor,), "env": {**environment, VARIABLE: str(descriptor)}}
        else:
            self.port = find_free_port()

    def refuse_after(self, process: subprocess.Popen[bytes]) -> None:
        """Have connections refused as soon as the process has ended: without it they would wait for an answer."""
        if self._socket is not None:
            threading.Thread(target=self._wait_and_refuse, args=(process, self._socket), daemon=True).start()

    @staticmethod
    def _wait_and_refuse(process: subprocess.Popen[bytes], listener: socket.socket) -> None:
        process.wait()
        try:
            # It no longer listens, and is still bound.
            listener.shutdown(socket.SHUT_RDWR)
        except OSError:  # not so on this system: whoever connects must not wait
            listener.close()

    def belongs_to(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the process, or one that it has started, is what listens on the port."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            # The Python of a virtual environment on Windows is a starter of the real one.
            return any(self._listens(member) for member in [parent, *parent.children(recursive=True)])
        return False

    def _listens(self, process: psutil.Process) -> bool:
        try:
            connections = process.net_connections("tcp")
        except psutil.AccessDenied:
            # A hardened system hides even our own processes: where the socket is ours, nobody else can have it.
            return self._socket is not None
        except psutil.NoSuchProcess:
            return False
        return any(one.status == psutil.CONN_LISTEN and one.laddr[1] == self.port for one in connections)

    def is_taken(self) -> bool:
        """Whether another process listens on the port, where it could not be kept from that."""
        if self._socket is not None:
            return False
        with socket.socket() as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


def _bind() -> tuple[socket.socket, int]:
    """A socket bound to a port that it keeps.

    By its number: from a port that the system has chosen, Linux parts as soon as the socket no longer listens.

    Raises:
        OSError: there is no port to be had.
    """
    for attempt in range(_BIND_ATTEMPTS):
        port = find_free_port()
        listener = socket.socket()
        try:
            listener.bind((HOST, port))
            return listener, port
        except OSError:  # someone was faster
            listener.close()
            if attempt == _BIND_ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def find_free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])
