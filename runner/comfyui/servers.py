"""Servers that fail and recover: a running one at an address, and an embedded one."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from custom_nodes.videogen.core.errors import StartFailedError, VideoGenError

from .client import ComfyClient
from .embedded import EmbeddedServer
from .session import Session

#: An embedded server that ends this often within this many seconds, without finishing a segment, will not recover by itself.
MAX_CRASHES, CRASH_SECONDS = 4, 300.0
#: The same, however much time lies in between.
MAX_FUTILE_STARTS = 20
#: Seconds between polls of a remote server that went away: the next one of the list each time, then the last.
REMOTE_POLL_INTERVALS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)

#: A remote server that answers and fails more often than this in a row, for longer than the patience, will not recover.
MAX_SETBACKS = 2
#: What is wrong with a server that answers: it lacks something that the workflow needs.
UNFIT = frozenset({"server-unfit", "server-lacks-pack", "server-too-old"})
_GONE = frozenset({"server-unreachable", "server-lost", "server-refused", "server-not-comfyui"})

Sleep = Callable[[float], bool]
Say = Callable[[str], None]
#: Raises an error of `UNFIT` for a server that lacks something.
Require = Callable[[Session], None]


def require_nothing(session: Session) -> None:
    """For servers of which nothing is known to be needed."""


class Server(Protocol):
    """A ComfyUI that renders.

    Attributes:
        name: for messages and the journal.
        session: the connection, once `connect` was called.
        restarts: it is ours: `recover` makes a new process of it.
        require: what it must have when it comes back; set by the run.
    """

    name: str
    session: Session
    restarts: bool
    require: Require

    def connect(self) -> Session:
        """Connect for the first time.

        Raises:
            VideoGenError: why that failed.
        """
        ...

    def check(self) -> None:
        """Raise `server-lost` if it is known to have ended."""
        ...

    def look_again(self) -> None:
        """Read its nodes again, after it has refused a graph.

        Raises:
            VideoGenError: what it lacks by now, or that it cannot be asked.
        """
        ...

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Connect again after it went away or failed, or start it again; it must still have what is required.

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


class _ConnectedServer:
    """What both kinds of servers share."""

    session: Session
    require: Require = staticmethod(require_nothing)

    def look_again(self) -> None:
        """See `Server.look_again`."""
        self.session.object_info = self.session.client.object_info()
        self.require(self.session)

    def _close_session(self) -> None:
        if hasattr(self, "session"):
            self.session.close()


class RemoteServer(_ConnectedServer):
    """A ComfyUI that runs at an address, and that the runner neither starts nor stops."""

    restarts = False

    def __init__(self, client: ComfyClient, patience: float) -> None:
        self.client = client
        self.name = client.url
        self.patience = patience
        #: How often it has failed in a row although it answers, and since when.
        self._setbacks, self._failing_since = 0, 0.0

    def connect(self) -> Session:
        """See `Server.connect`."""
        self.session = Session(self.client)
        return self.session

    def check(self) -> None:
        """Do nothing: only its answers tell whether it still runs."""

    def recover(self, reason: VideoGenError, sleep: Sleep, say: Say) -> bool:
        """Poll it for `patience` seconds at most; one that answers and fails again and again, less and less often."""
        say(f"{self.name} is temporarily removed: {reason.message}")
        gone_at = time.monotonic()
        polls = 0
        if reason.code not in _GONE:
            self._note_setback(reason)
            polls = self._setbacks - 1
        told = ""
        while not sleep(REMOTE_POLL_INTERVALS[min(polls, len(REMOTE_POLL_INTERVALS) - 1)]):
            polls += 1
            try:
                fresh = self._reconnect()
            except VideoGenError as error:
                unfit = error.code in UNFIT
                if unfit and error.message != told:
                    say(f"{self.name} cannot be used: {error.message}")
                    told = error.message
                if time.monotonic() - gone_at > self.patience:
                    raise VideoGenError(
                        error.code if unfit else "server-lost",
                        f"{error.message}, for {self.patience:.0f} s now",
                        "What is done is kept; run the same command again to resume.",
                    ) from None
                continue
            self.close()
            self.session = fresh
            say(f"{self.name} is back")
            return True
        return False

    def _reconnect(self) -> Session:
        fresh = Session(self.client)
        try:
            self.require(fresh)
        except VideoGenError:
            fresh.close()
            raise
        return fresh

    def _note_setback(self, reason: VideoGenError) -> None:
        now = time.monotonic()
        self._failing_since = self._failing_since if self._setbacks else now
        self._setbacks += 1
        if self._setbacks > MAX_SETBACKS and now - self._failing_since > self.patience:
            raise VideoGenError(
                "server-lost",
                f"{self.name} answers, but has failed {self._setbacks} times in a row: {reason.message}",
                "Restart it there. What is done is kept; run the same command again to resume.",
            )

    def note_success(self) -> None:
        """See `Server.note_success`."""
        self._setbacks = 0

    def close(self) -> None:
        """See `Server.close`."""
        self._close_session()


class OwnServer(_ConnectedServer):
    """The embedded ComfyUI: restarted when it ends, hangs or fails, until it does so too often.

    Args:
        say: shows that it is started again while the run has not begun yet.
    """

    restarts = True

    def __init__(self, embedded: EmbeddedServer, say: Say = lambda message: None) -> None:
        self.embedded, self._say = embedded, say
        self.name = "embedded"
        self._crashes: deque[float] = deque(maxlen=MAX_CRASHES)
        self._futile = 0

    def connect(self) -> Session:
        """See `Server.connect`; one that is killed while it starts is started again."""
        self._start(None, lambda seconds: False, self._say)
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
        return self._start(reason, sleep, say)

    def _start(self, reason: VideoGenError | None, sleep: Sleep, say: Say) -> bool:
        """Start it; `reason` is why it is started again."""
        for _ in range(MAX_CRASHES):
            if sleep(0):
                return False
            if reason is not None:
                self._note_crash(reason)
                say(f"Restarting ComfyUI: {reason.message.splitlines()[0]}")
                self.close()
            try:
                self.session = Session(self.embedded.start(stopped=lambda: sleep(0)))
                self.require(self.session)
                return True
            except VideoGenError as error:
                # Started again, it would fail in the same way.
                if error.code in UNFIT or (isinstance(error, StartFailedError) and error.hopeless):
                    raise
                reason = error  # a start that fails counts as another crash
        assert reason is not None
        raise reason

    def _note_crash(self, reason: VideoGenError) -> None:
        self._crashes.append(time.monotonic())
        self._futile += 1
        often = len(self._crashes) == MAX_CRASHES and self._crashes[-1] - self._crashes[0] < CRASH_SECONDS
        if often or self._futile > MAX_FUTILE_STARTS:
            times = (
                f"{MAX_CRASHES} times within {CRASH_SECONDS / 60:.0f} minutes"
                if often
                else f"{self._futile} times without finishing a segment"
            )
            raise VideoGenError(
                "server-lost",
                f"ComfyUI ended, hung or failed {times}, the last time with: {reason.message.splitlines()[0]}\nThe end of its"
                f" log {self.embedded.log}:\n{self.embedded.tail()}",
                "What is done is kept. `videogen doctor` shows what this machine has.",
            )

    def note_success(self) -> None:
        """See `Server.note_success`."""
        self._crashes.clear()
        self._futile = 0

    def close(self) -> None:
        """See `Server.close`."""
        self._close_session()
        self.embedded.stop()
