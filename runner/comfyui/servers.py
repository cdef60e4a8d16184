"""Servers that go away and come back: one that others run, and one of our own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from custom_nodes.videogen.core.errors import VideoGenError

from .client import ComfyClient
from .embedded import EmbeddedServer
from .session import Session

#: A server of our own that ends this often within this many seconds, and no segment comes out of it, will not get better
#: by itself.
CRASHES, CRASH_SECONDS = 4, 300.0
#: Seconds between looks at a remote server that went away: the next one of the list each time, then the last.
REMOTE_POLL_INTERVALS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)

Sleep = Callable[[float], bool]
Say = Callable[[str], None]


class Server(Protocol):
    """A place to render.

    Attributes:
        name: its address, for people and the journal.
        session: the connection, once `connect` was called.
    """

    name: str
    session: Session

    def connect(self) -> Session:
        """Connect for the first time.

        Raises:
            VideoGenError: why that does not go.
        """
        ...

    def check(self) -> None:
        """Raise `server-lost`, if it is known to be gone."""
        ...

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Get it back after it went away; False when the run ended meanwhile.

        Raises:
            VideoGenError: when it will not come back.
        """
        ...

    def note_success(self) -> None:
        """A segment came out of it."""

    def close(self) -> None:
        """Leave it, and stop it if it is ours."""
        ...


class RemoteServer:
    """A ComfyUI that somebody else runs."""

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
        """Nothing is known of it but what its answers say."""

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Look again and again, for `patience` seconds at most."""
        say(f"{self.name} is taken out: {reason.message}")
        gone_at = time.monotonic()
        look = 0
        while not sleep(REMOTE_POLL_INTERVALS[min(look, len(REMOTE_POLL_INTERVALS) - 1)]):
            look += 1
            try:
                fresh = Session(self.client)
            except VideoGenError as error:
                if time.monotonic() - gone_at > self.patience:
                    raise VideoGenError(
                        "server-lost",
                        f"{error.message}, for {self.patience:.0f} s now",
                        "What is done is kept; the same command again carries on.",
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
    """The embedded ComfyUI: started again when it ends or hangs, until it ends too often."""

    session: Session

    def __init__(self, embedded: EmbeddedServer) -> None:
        self.embedded = embedded
        self.name = "embedded"
        self._crashes: deque[float] = deque(maxlen=CRASHES)

    def connect(self) -> Session:
        """See `Server.connect`."""
        self.session = Session(self.embedded.start())
        return self.session

    def check(self) -> None:
        """See `Server.check`."""
        if not self.embedded.alive:
            raise VideoGenError(
                "server-lost",
                f"ComfyUI ended while it was working; the end of its log {self.embedded.log}:\n{self.embedded.tail()}",
            )

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Stop what is left of it and start it again."""
        for _ in range(CRASHES):
            if sleep(0):
                return False
            self._note_crash()
            say(f"ComfyUI is started again: {reason.message.splitlines()[0]}")
            self.close()
            try:
                self.session = Session(self.embedded.start(stopped=lambda: sleep(0)))
                return True
            except VideoGenError as error:
                reason = error  # a start that fails counts as another crash
        raise reason

    def _note_crash(self) -> None:
        self._crashes.append(time.monotonic())
        if len(self._crashes) == CRASHES and self._crashes[-1] - self._crashes[0] < CRASH_SECONDS:
            raise VideoGenError(
                "server-lost",
                f"ComfyUI ended {CRASHES} times within {CRASH_SECONDS / 60:.0f} minutes; the end of its log"
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
