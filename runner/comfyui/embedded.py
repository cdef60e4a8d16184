"""The embedded ComfyUI: started on a free port, logged into the run directory, never left running."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil

from custom_nodes.videogen.core.errors import VideoGenError

from .client import ComfyClient
from .installation import Installation

START_SECONDS = 300.0
_WATCHER = Path(__file__).with_name("exit_with_parent.py")


class EmbeddedServer:
    """Starts ComfyUI and stops it; a context manager.

    Args:
        installation: which ComfyUI.
        folder: for its log, outputs and temporary files.
    """

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        self.folder = folder
        self.log = folder / "comfyui.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, stopped: Callable[[], bool] = lambda: False) -> ComfyClient:
        """Start it and wait until it answers.

        Args:
            stopped: whether it is no longer wanted.

        Raises:
            VideoGenError: `server-start-failed`, with the last lines of its log.
        """
        for name in ("output", "temp", "user"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            str(self.installation.python),
            str(_WATCHER),
            str(self.installation.comfyui / "main.py"),
            "--listen",
            "127.0.0.1",
            "--port",
            str(port),
            "--disable-auto-launch",
            "--output-directory",
            str(self.folder / "output"),
            "--temp-directory",
            str(self.folder / "temp"),
            "--user-directory",
            str(self.folder / "user"),
            "--database-url",
            f"sqlite:///{(self.folder / 'user' / 'comfyui.db').as_posix()}",
            *self.installation.arguments,
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.installation.comfyui,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own group: Ctrl-C goes to the runner, which then stops the server in order.
                start_new_session=True,
            )
        client = ComfyClient(self.url)
        began = time.monotonic()
        deadline = began + START_SECONDS
        process = self._process
        while time.monotonic() < deadline and not stopped():
            if process.poll() is not None:
                raise self._explain(f"ComfyUI ended with status {process.returncode} while it was starting")
            with contextlib.suppress(VideoGenError):
                client.system_stats(timeout=2.0)
                return client
            time.sleep(0.2)
        self.stop()
        raise self._explain(f"ComfyUI did not answer within {time.monotonic() - began:.0f} s")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def tail(self, lines: int = 12) -> str:
        """The last lines of its log."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def stop(self) -> None:
        """Stop it and every process that it has started."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(process.pid)
            family = [parent, *parent.children(recursive=True)]
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.terminate()
            for member in psutil.wait_procs(family, timeout=10)[1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
        if process.stdin:
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # killed, but stuck in a driver: it will end eventually
            process.wait(timeout=10)

    def discard_files(self) -> None:
        """Remove its outputs (the segments were fetched); its log stays."""
        for name in ("output", "temp", "user"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _explain(self, failure: str) -> VideoGenError:
        return VideoGenError(
            "server-start-failed",
            f"{failure}; the end of its log {self.log}:\n{self.tail()}",
            "`videogen doctor` shows what this machine has; `python3 install.py` repairs an installation.",
        )

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
