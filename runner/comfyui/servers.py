"""Servers that fail and recover: a running one at an address, and an embedded one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from custom_nodes.videogen.core.errors import VideoGenError

from .client import ComfyClient
from .embedded import EmbeddedServer
from .session import Session

#: An embedded server that ends this often within this many seconds, without finishing a segment, will not recover by itself.
MAX_CRASHES, CRASH_SECONDS = 4, 300.0
#: Seconds between polls of a remote server that went away: the next one of the list each time, then the last.
REMOTE_POLL_INTERVALS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)

Sleep = Callable[[float], bool]
Say = Callable[[str], None]


class Server(Protocol):
    """A ComfyUI that renders.

    Attributes:
        name: for messages and the journal.
        session: the connection, once `connect` was called.
    """

    name: str
    session: Session

    def connect(self) -> Session:
        """Connect for the first time.

        Raises:
            VideoGenError: why that failed.
        """
        ...

    def check(self) -> None:
        """Raise `server-lost` if it is known to have ended."""
        ...

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Connect again after it went away, or start it again.

        Returns:
            False when the run ended meanwhile.

        Raises:
            VideoGenError: when it will not come back.
        """
        ...

    def note_success(self) -> None:
        """It has finished a segment."""

    def close(self) -> None:
        """Disconnect, and stop an embedded one."""
        ...


class RemoteServer:
    """A ComfyUI that runs at an address, and that the runner neither starts nor stops."""

    session: Session

    def __init__(self, client: ComfyClient, patience: float) -> None:
        self.client = client
        self.name = client.url
        self.patience = patience

    def connect(self) -> Session:
        """See `Server.connect`."""
        self.session = Session(self.client)
        return self.session

    def check(self) -> None:
        """Do nothing: only its answers tell whether it still runs."""

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Poll it for `patience` seconds at most."""
        say(f"{self.name} is temporarily removed: {reason.message}")
        gone_at = time.monotonic()
        polls = 0
        while not sleep(REMOTE_POLL_INTERVALS[min(polls, len(REMOTE_POLL_INTERVALS) - 1)]):
            polls += 1
            try:
                fresh = Session(self.client)
            except VideoGenError as error:
                if time.monotonic() - gone_at > self.patience:
                    raise VideoGenError(
                        "server-lost",
                        f"{error.message}, for {self.patience:.0f} s now",
                        "What is done is kept; run the same command again to resume.",
                    ) from None
                continue
            self.close()
            self.session = fresh
            say(f"{self.name} is back")
            return True
        return False

    def note_success(self) -> None:
        """See `Server.note_success`."""

    def close(self) -> None:
        """See `Server.close`."""
        if hasattr(self, "session"):
            self.session.close()


class OwnServer:
    """The embedded ComfyUI: restarted when it ends or hangs, until it ends too often."""

    session: Session

    def __init__(self, embedded: EmbeddedServer) -> None:
        self.embedded = embedded
        self.name = "embedded"
        self._crashes: deque[float] = deque(maxlen=MAX_CRASHES)

    def connect(self) -> Session:
        """See `Server.connect`."""
        self.session = Session(self.embedded.start())
        return self.session

    def check(self) -> None:
        """See `Server.check`."""
        if not self.embedded.alive:
            raise VideoGenError(
                "server-lost",
                f"ComfyUI ended while it was rendering; the end of its log {self.embedded.log}:\n{self.embedded.tail()}",
            )

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Stop the rest of it and start it again."""
        for _ in range(MAX_CRASHES):
            if sleep(0):
                return False
            self._note_crash()
            say(f"Restarting ComfyUI: {reason.message.splitlines()[0]}")
            self.close()
            try:
                self.session = Session(self.embedded.start(stopped=lambda: sleep(0)))
                return True
            except VideoGenError as error:
                reason = error  # a start that fails counts as another crash
        raise reason

    def _note_crash(self) -> None:
        self._crashes.append(time.monotonic())
        if len(self._crashes) == MAX_CRASHES and self._crashes[-1] - self._crashes[0] < CRASH_SECONDS:
            raise VideoGenError(
                "server-lost",
                f"ComfyUI ended or hung {MAX_CRASHES} times within {CRASH_SECONDS / 60:.0f} minutes; the end of its log"
                f" {self.embedded.log}:\n{self.embedded.tail()}",
                "What is done is kept. `videogen doctor` shows what this machine has.",
            )

    def note_success(self) -> None:
        """See `Server.note_success`."""
        self._crashes.clear()

    def close(self) -> None:
        """See `Server.close`."""
        if hasattr(self, "session"):
            self.session.close()
        self.embedded.stop()
