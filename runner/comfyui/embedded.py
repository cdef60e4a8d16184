"""The embedded ComfyUI: started on a free port, logged into the run directory, never left running."""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import psutil

from custom_nodes.videogen.core.errors import StartFailedError, VideoGenError
from custom_nodes.videogen.media.openers import private
from custom_nodes.videogen.media.private_files import mask_secrets

from .client import ComfyClient
from .installation import Installation
from .own_listener import HOST, OwnListener

START_SECONDS = 300.0
#: Beyond it an exit status is 128 plus the number of a signal, as shells have it.
_LAST_EXIT_STATUS = 128
#: Ports that are tried where others can take one before ComfyUI does.
MAX_PORTS = 5
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
        self._listener: OwnListener | None = None

    def start(self, stopped: Callable[[], bool] = lambda: False) -> ComfyClient:
        """Start it and wait until it answers, and nobody else in its place.

        Args:
            stopped: whether it is no longer wanted.

        Raises:
            StartFailedError: with the last lines of its log.
        """
        for name in ("output", "temp", "user"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for _ in range(MAX_PORTS):
            client = self._start_on(OwnListener(), stopped)
            if client is not None:
                return client
        raise self._explain(
            f"another process of this machine has taken the port of ComfyUI before it could, {MAX_PORTS} times"
        )

    def _start_on(self, listener: OwnListener, stopped: Callable[[], bool]) -> ComfyClient | None:
        """Start it on a port; None when another process listens there, which was asked nothing."""
        self.stop()
        self._listener = listener
        self.url = f"http://{HOST}:{listener.port}"
        command = [
            str(self.installation.python),
            str(_WATCHER),
            str(self.installation.comfyui / "main.py"),
            # Before ours: none of them can open it to other machines.
            *self.installation.arguments,
            "--listen",
            HOST,
            "--port",
            str(listener.port),
            "--disable-auto-launch",
            "--output-directory",
            str(self.folder / "output"),
            "--temp-directory",
            str(self.folder / "temp"),
            "--user-directory",
            str(self.folder / "user"),
            "--database-url",
            f"sqlite:///{(self.folder / 'user' / 'comfyui.db').as_posix()}",
        ]
        with open(self.log, "ab", opener=private) as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.installation.comfyui,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own group: Ctrl-C goes to the runner, which then stops the server in order.
                start_new_session=True,
                **listener.options,
            )
        process = self._process
        listener.refuse_after(process)
        client = ComfyClient(self.url)
        began = time.monotonic()
        deadline = began + START_SECONDS
        while time.monotonic() < deadline and not stopped():
            if process.poll() is not None:
                self.stop()
                if listener.is_taken():
                    return None
                ended = describe_end(process.returncode)
                raise self._explain(
                    f"ComfyUI {ended} while it was starting", hopeless=not was_killed(process.returncode)
                )
            if listener.belongs_to(process):
                with contextlib.suppress(VideoGenError):
                    client.system_stats(timeout=2.0)
                    return client
            elif listener.is_taken():
                self.stop()
                return None
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
        listener, self._listener = self._listener, None
        if process is not None:
            self._end(process)
            mask_secrets(self.log)
        if listener is not None:
            listener.close()

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
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

    def _explain(self, failure: str, *, hopeless: bool = False) -> StartFailedError:
        return StartFailedError(
            f"{failure}; the end of its log {self.log}:\n{self.tail()}",
            "`videogen doctor` shows what this machine has; `python3 install.py` repairs an installation.",
            hopeless=hopeless,
        )

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def was_killed(status: int) -> bool:
    """Whether a process was ended by a signal, or by a fault that Windows reports as a large number."""
    return status < 0 or status > _LAST_EXIT_STATUS


def describe_end(status: int) -> str:
    """How a process ended, as the end of a sentence about it."""
    number = -status if status < 0 else status - _LAST_EXIT_STATUS
    if was_killed(status) and number in set(signal.Signals):
        return f"was killed by signal {number} ({signal.Signals(number).name})"
    return f"ended with status {status}"
