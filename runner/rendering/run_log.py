"""The run log: every event of a run goes into the journal first, then to the display."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import Decision, format_wait
from custom_nodes.videogen.media.film.compile import FilmReport
from custom_nodes.videogen.media.probe import hash_file

from ..state.event import Event
from ..state.events import (
    AttemptFailed,
    FilmDone,
    ReferenceCancelled,
    ReferenceFailed,
    ReferenceSubmitted,
    RunInterrupted,
    RunnerError,
    SegmentAdopted,
    SegmentCancelled,
    SegmentDone,
    SegmentFailed,
    SegmentFetched,
    SegmentFound,
    SegmentRekeyed,
    SegmentRestored,
    SegmentRunning,
    SegmentsStale,
    SegmentSubmitted,
    SegmentTake,
    SegmentVerified,
    ServerCooled,
    ServerHot,
    ServerLeft,
    ServerRecovered,
    ServerSetAside,
)
from ..state.journal import Journal
from ..state.progress import Display
from .failures import Failure
from .retries import Remedy
from .scheduler import Task

#: Characters that are kept of the reason why a server was set aside: a refusal has a line for each node.
_REASON_LENGTH = 400

Stop = Callable[[VideoGenError], None]


class RunLog:
    """Writes events into the journal and shows them; all methods may be called from any thread.

    Args:
        display: None shows nothing.
        count: number of segments in the story.
        stop: ends the run, with an event that could not be written or an internal error.
    """

    def __init__(
        self, journal: Journal, display: Display | None = None, count: int = 0, stop: Stop = lambda error: None
    ) -> None:
        self.journal, self.display, self.count = journal, display, count
        self._stop = stop
        self._lock = threading.RLock()
        self._finished_at = time.monotonic()

    def note(self, event: Event) -> None:
        """Write an event into the journal, and show it.

        Raises:
            VideoGenError: when it cannot be written, which also stops the run: only what is in the journal is done.
        """
        with self._lock:
            try:
                record = self.journal.append(event)
            except VideoGenError as error:
                self._stop(error)
                raise
            if self.display is not None:
                with _ignore_closed_output():
                    self.display.event(record)

    def say(self, message: str) -> None:
        if self.display is not None:
            with self._lock, _ignore_closed_output():
                self.display.say(message)

    def say_of(self, task: Task, message: str) -> None:
        """Say something about a segment."""
        if self.display is not None:
            self.say(f"Segment {self.display.place(task.number, self.count)}: {message}")

    def show_step(self, task: Task, label: str, fraction: float | None) -> None:
        if self.display is not None:
            with _ignore_closed_output():
                self.display.step(task.number, self.count, label, fraction)

    def start_clock(self) -> None:
        """Measure the time of the next segment from now on."""
        self._finished_at = time.monotonic()

    def show_finished(self, task: Task, note: str) -> None:
        """Show that a segment has ended.

        Args:
            note: how, or "" when its first attempt succeeded.
        """
        with self._lock:
            now = time.monotonic()
            # With several servers segments end at the same time: the pace of all of them tells the time that is left.
            if self.display is not None:
                with _ignore_closed_output():
                    self.display.finish_segment(task.number, self.count, now - self._finished_at, note)
            self._finished_at = now

    # ------------------------------------------------------------------ attempts

    def note_submitted(self, task: Task, prompt_id: str, server: str) -> None:
        variant = task.variant
        self.note(
            SegmentSubmitted(
                segment=task.number,
                key=task.key,
                attempt=task.attempt,
                prompt_id=prompt_id,
                server=server,
                seed_offset=variant.seed_offset,
                size=list(variant.size) if variant.size else None,
            )
        )

    def note_found(self, task: Task, prompt_id: str, server: str) -> None:
        self.note(SegmentFound(segment=task.number, attempt=task.attempt, prompt_id=prompt_id, server=server))

    def note_cancelled(self, number: int, attempt: int, *, hung: bool = False) -> None:
        self.note(SegmentCancelled(segment=number, attempt=attempt, hung=hung))

    def note_running(self, task: Task) -> None:
        self.note(SegmentRunning(segment=task.number, attempt=task.attempt))

    def note_fetched(self, task: Task, size: int) -> None:
        self.note(SegmentFetched(segment=task.number, attempt=task.attempt, bytes=size))

    def note_failure(self, task: Task, failure: Failure, remedy: Remedy, error: VideoGenError, ended: str = "") -> None:
        """An attempt failed.

        Args:
            ended: see `fleet.triage.Incident`.
        """
        self.note(
            AttemptFailed(
                segment=task.number,
                key=task.key,
                attempt=task.attempt,
                failure=failure.value,
                remedy=remedy.value,
                message=error.message,
                ended=ended,
            )
        )
        if remedy not in (Remedy.GIVE_UP, Remedy.STOP):
            self.say_of(task, f"{failure.value}, {error.message.splitlines()[0]} → {remedy.value}")

    # ------------------------------------------------------------------ files of segments

    def note_take(self, number: int, **take: Any) -> None:
        self.note(SegmentTake(segment=number, **take))

    def note_verified(self, number: int, part: str, result: Mapping[str, Any]) -> None:
        """A segment's file is whole; `part` is its temporary name below ``segments/``."""
        self.note(SegmentVerified(segment=number, part=part, result=dict(result)))

    def note_restored(self, number: int, part: str, result: Mapping[str, Any]) -> None:
        """An earlier result is about to be the segment's file; `part` is where it is, as above."""
        self.note(SegmentRestored(segment=number, part=part, result=dict(result)))

    def note_adopted(self, number: int, former: str, result: Mapping[str, Any]) -> None:
        """What is in the place of a verified file is the segment's file; `former` is the hash of the verified one."""
        self.note(SegmentAdopted(segment=number, former=former, result=dict(result)))

    def note_rekeyed(self, number: int, key: str, former: str) -> None:
        self.note(SegmentRekeyed(segment=number, key=key, former=former))

    def note_done(self, number: int, result: Mapping[str, Any]) -> None:
        self.note(SegmentDone(segment=number, result=dict(result)))

    def note_given_up(self, task: Task, error: VideoGenError) -> None:
        self.note(
            SegmentFailed(segment=task.number, key=task.key, code=error.code, message=error.message, hint=error.hint)
        )

    def note_film(self, film: FilmReport, inputs: list[Any], missing: Sequence[int], stale: Sequence[int] = ()) -> None:
        self.note(
            FilmDone(
                inputs=inputs,
                file=film.path.name,
                bytes=film.path.stat().st_size,
                seconds=float(film.duration),
                frames=film.frames,
                fps=film.fps,
                size=list(film.size),
                copied=film.copied,
                encoded=film.encoded,
                encoder=film.encoder,
                missing=list(missing),
                notes=list(film.notes),
                stale=list(stale),
                sha256=hash_file(film.path),
                sound=film.sound,
            )
        )

    def note_stale(self, keys: Mapping[int, str]) -> None:
        """Segments whose files, of these keys, are older than the story; written when it is not known yet."""
        known = self.journal.latest.get("segments-stale", {}).get("keys", {})
        told = {str(number): key for number, key in sorted(keys.items())}
        if told != known:
            self.note(SegmentsStale(keys=told))

    # ------------------------------------------------------------------ reference images

    def note_reference_submitted(self, name: str, prompt_id: str, server: str) -> None:
        self.note(ReferenceSubmitted(name=name, prompt_id=prompt_id, server=server))

    def note_reference_cancelled(self, name: str, prompt_id: str) -> None:
        self.note(ReferenceCancelled(name=name, prompt_id=prompt_id))

    def note_reference_failed(self, name: str, failure: Failure, error: VideoGenError, prompt_id: str | None) -> None:
        self.note(ReferenceFailed(name=name, failure=failure.value, message=error.message, prompt_id=prompt_id))

    # ------------------------------------------------------------------ servers, and the run itself

    def note_set_aside(self, server: str, error: VideoGenError) -> None:
        self.note(ServerSetAside(server=server, message=" ".join(error.message.split())[:_REASON_LENGTH]))

    def note_recovered(self, server: str) -> None:
        self.note(ServerRecovered(server=server))

    def note_server_left(self, server: str, error: VideoGenError) -> None:
        self.note(ServerLeft(server=server, message=error.message))
        self.say(f"{server} is no longer used: {error.message}")

    def note_hot(self, task: Task, server: str, decision: Decision, began: bool) -> None:
        """A server is too hot for its next segment: written once, when the pause `began`, and shown at every reading."""
        if began:
            self.note(ServerHot(server=server, message=decision.text))
        self.show_step(task, f"{server}: {decision.text}", None)

    def note_cooled(self, server: str, decision: Decision, reason: str) -> None:
        text = f"after {format_wait(decision.waited)} ({reason})"
        self.note(ServerCooled(server=server, seconds=round(decision.waited, 1), message=text))
        self.say(f"{server} resumes {text}")

    def note_interrupted(self) -> None:
        self.note(RunInterrupted())

    def note_crash(self, error: Exception) -> None:
        """An internal error in a thread: the run stops with it instead of hanging."""
        self._stop(
            VideoGenError(
                "runner-failed",
                f"internal error in videogen: {type(error).__name__}: {error}",
                f"Please report it with {self.journal.path}; what is done is kept.",
            )
        )
        with contextlib.suppress(VideoGenError):
            self.note(RunnerError(message=f"{type(error).__name__}: {error}", trace=traceback.format_exc()))


@contextlib.contextmanager
def _ignore_closed_output() -> Iterator[None]:
    """The reader of our output may be gone (``| head``, a closed terminal): no reason to stop rendering."""
    with contextlib.suppress(OSError, ValueError):
        yield
