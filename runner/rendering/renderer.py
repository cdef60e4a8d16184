"""Rendering a run's segments on its servers: one state machine a segment, in the journal before it is acted on."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import Decision, format_wait
from custom_nodes.videogen.core.video.quality import Quality
from custom_nodes.videogen.media.backups import keep_previous
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.os_errors import explain_os_error
from custom_nodes.videogen.media.probe import hash_file

from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from ..workflows.story_images import read_unchanged
from .collect import VerifiedFile
from .continuity import TakeMeasurement
from .failures import Failure, Remedy, Variant
from .jobs import Job, JobMaker
from .scheduler import Scheduler, Task
from .takes import TakeSelector, describe_shortfall, place_best
from .thermal import condense
from .worker import Worker

#: Seconds that the threads get to end in order: an answer that does not come holds up nobody who wants to leave.
MAX_STOP_SECONDS = 15.0
AGAIN = Remedy.NEXT_SEED.value


class Renderer:
    """Renders segments on one or several servers.

    Args:
        servers: connected; more than one share the work.
        retries: how often a segment is rendered again, with the next seed, after a node has failed.
        takes: how many takes a segment may have whose continuity is measured; 1 takes what comes.
        stall: seconds without progress after which a server counts as hung.
        worker: the thread of a server.

    Attributes:
        rendered: numbers of the segments that are done now.
        failed: why the others are not.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        maker: JobMaker,
        directory: RunDirectory,
        display: Display,
        *,
        quality: Quality,
        retries: int,
        stall: float,
        worker: type[Worker] = Worker,
        takes: int = 3,
    ) -> None:
        self.servers, self.maker = servers, maker
        self.directory, self.journal, self.display = directory, directory.journal, display
        self.run_id = directory.run_id
        self.quality, self.retries, self.stall = quality, retries, stall
        self.worker = worker
        self.gate = TakeSelector(directory, maker.story, takes)
        self.count = len(maker.story.segments)
        self.rendered: list[int] = []
        self.failed: dict[int, VideoGenError] = {}
        self.scheduler = Scheduler([], [])
        #: Names of the images that were put onto each server; one that came back is another, and may have lost them.
        self._uploaded: WeakKeyDictionary[Session, set[str]] = WeakKeyDictionary()
        self._lock = threading.RLock()
        self._finished_at = time.monotonic()

    def render(self, numbers: Sequence[int]) -> None:
        """Render these segments.

        Raises:
            VideoGenError: for what concerns the run as a whole; a segment that fails is noted in `failed`.
            KeyboardInterrupt: after the prompts under way were interrupted and everything is in the journal.
        """
        done = [number for number, state in self.journal.segments.items() if state.state == "done"]
        self.scheduler = Scheduler([self._make_task(number) for number in numbers], set(done) - set(numbers))
        workers = []
        for server in self.servers:
            self.scheduler.add_server(server.name)
            workers.append(self.worker(server, self))
        self._finished_at = time.monotonic()
        try:
            for worker in workers:
                worker.start()
            finished = False
            while not finished and any(worker.is_alive() for worker in workers):
                finished = self.scheduler.wait_finished(1.0)
        except KeyboardInterrupt:
            self.say("Stopping: the prompt under way is interrupted (Ctrl-C again ends at once)")
            self._stop(workers)
            with contextlib.suppress(VideoGenError):
                self.note("run-interrupted")
            raise
        finished = finished or self.scheduler.wait_finished(0)
        self._stop(workers)
        if self.scheduler.error is not None:
            raise self.scheduler.error
        if not finished:
            raise VideoGenError("runner-failed", "a mistake in videogen itself: its threads have ended too early")

    def _stop(self, workers: Sequence[Worker]) -> None:
        """End what still waits for a server that went away, or for an answer; but do not wait for it for ever."""
        self.scheduler.stop()
        deadline = time.monotonic() + MAX_STOP_SECONDS
        for worker in workers:
            while worker.is_alive() and time.monotonic() < deadline:
                worker.join(0.5)  # in slices: a second Ctrl-C must get through

    # ------------------------------------------------------------------ tasks

    def _make_task(self, number: int) -> Task:
        needs = number - 1 if self.maker.continues(number) else None
        task = Task(number, "", needs=needs)
        if needs is None:
            self._adopt(task, self.maker.key(number))
        return task

    def _adopt(self, task: Task, key: str) -> None:
        """Give a task its key; what an earlier runner has submitted under it goes on as the attempt that it was."""
        task.key = key
        state = self.journal.segment(task.number)
        if state.key != key or not state.attempts:
            return
        task.attempt = max(0, state.attempt)
        last = state.history[-1] if state.history else {}
        if state.state == "failed" or (
            last.get("attempt") == state.attempt and last.get("remedy") == Remedy.STOP.value and last.get("ended")
        ):
            # It was given up, or somebody interrupted it: tried again under an id of its own, the server knows the old one.
            task.attempt += 1
            return
        size = state.submitted.get("size")
        if state.takes and state.takes[-1]["another"] and state.takes[-1]["attempt"] >= state.attempt:
            # It was judged, and another one is wanted.
            task.attempt = int(state.takes[-1]["attempt"]) + 1
            task.variant = Variant(int(state.takes[-1]["seed_offset"]) + 1, tuple(size) if size else None)
            return
        task.variant = Variant(int(state.submitted.get("seed_offset", 0)), tuple(size) if size else None)
        if state.cancelled:
            task.attempt += 1  # by a runner that was stopped; it may even be running still
        else:
            task.may_be_on_server = True

    def prepare(self, task: Task, server: Server) -> Job:
        """What is submitted for a task; an image that it begins from, and those of its cast, are uploaded to the server.

        Raises:
            VideoGenError: `predecessor-missing`, when that segment was given up.
        """
        self._upload_images(task.number, server.session)
        first_frame = ""
        if task.needs is not None:
            state = self.journal.segment(task.needs)
            if state.state != "done":
                raise VideoGenError(
                    "predecessor-missing",
                    f"it continues segment {task.needs}, which is not rendered",
                    f"Render segment {task.needs} first.",
                )
            image = read_last_frame(self.directory.path / state.result["file"])
            first_frame = server.session.client.upload_image(f"{state.result['sha256'][:24]}.png", image)
            key = self.maker.key(task.number, begins_from=state.result["sha256"])
            if key != task.key:
                self._adopt(task, key)
        return self.maker.make(task.number, task.key, task.variant, first_frame=first_frame)

    def _upload_images(self, number: int, session: Session) -> None:
        with self._lock:
            uploaded = self._uploaded.setdefault(session, set())
        for image in self.maker.images_of(number):
            if image.name not in uploaded:
                session.client.upload_file(image.name, read_unchanged(image))
                uploaded.add(image.name)

    # ------------------------------------------------------------------ what is noted, in the journal and for people

    def note(self, event: str, **data: Any) -> None:
        """Write an event into the journal, and show it.

        Raises:
            VideoGenError: when it cannot be written, which also stops the run: nothing is done that is not in there.
        """
        with self._lock:
            try:
                record = self.journal.append(event, **data)
            except VideoGenError as error:
                self.scheduler.stop(error)
                raise
            with _ignore_deaf_reader():
                self.display.event(record)

    def say(self, message: str) -> None:
        with self._lock, _ignore_deaf_reader():
            self.display.say(message)

    def show_step(self, task: Task, label: str, fraction: float | None) -> None:
        with _ignore_deaf_reader():
            self.display.step(task.number, self.count, label, fraction)

    def note_submitted(self, task: Task, prompt_id: str, server: str) -> None:
        variant = task.variant
        self.note(
            "segment-submitted",
            segment=task.number,
            key=task.key,
            attempt=task.attempt,
            prompt_id=prompt_id,
            server=server,
            seed_offset=variant.seed_offset,
            size=list(variant.size) if variant.size else None,
        )

    def note_found(self, task: Task, prompt_id: str, server: str) -> None:
        self.note("segment-found", segment=task.number, attempt=task.attempt, prompt_id=prompt_id, server=server)

    def note_cancelled(self, task: Task) -> None:
        self.note("segment-cancelled", segment=task.number, attempt=task.attempt)

    def note_running(self, task: Task) -> None:
        self.note("segment-running", segment=task.number, attempt=task.attempt)

    def note_fetched(self, task: Task, size: int) -> None:
        self.note("segment-fetched", segment=task.number, attempt=task.attempt, bytes=size)

    def note_done(
        self,
        task: Task,
        job: Job,
        checked: VerifiedFile,
        seconds: dict[str, float],
        server: str,
        record: dict[str, Any],
        measured: TakeMeasurement | None = None,
    ) -> bool:
        """The file is whole: said first, then it gets its name, then the segment is done.

        Killed in between, the next runner finds the verified bytes by their hash and renders nothing again.

        Args:
            measured: its continuity, when the workflow measures it.

        Returns:
            Whether the segment is done; otherwise it is to be rendered once more, with the next seed.
        """
        info = checked.info
        result = {
            "key": task.key,
            "file": f"segments/{checked.target.name}",
            "bytes": checked.bytes,
            "sha256": checked.sha256,
            "frames": info.frames,
            "fps": str(info.fps),
            "size": [info.width, info.height],
            "seed": job.plan.seed,
            "rendered_size": list(job.plan.size),
            "degraded": task.variant.size is not None,
            "server": server,
            "encoder": record.get("encoder"),
            "seconds": seconds,
            **condense(record.get("telemetry") or {}),
        }
        if measured is not None:
            # One after the other: each is compared with those that are accepted.
            with self._lock:
                offset = task.variant.seed_offset
                another = self.gate.keep(self.note, task.number, task.attempt, offset, measured, checked, result)
                if not another:
                    self.accept_best_take(task)
            if another:
                take = self.journal.segment(task.number).takes[-1]
                self.say(f"Segment {task.number}/{self.count}: take {take['take']}, {take['reasons'][0]} → {AGAIN}")
            return not another
        self.note("segment-verified", segment=task.number, part=checked.path.name, **result)
        try:
            keep_previous(checked.target)
            checked.path.replace(checked.target)
        except OSError as error:
            raise explain_os_error(error, checked.target) from None
        self.note("segment-done", segment=task.number, **result)
        with self._lock:
            self.rendered.append(task.number)
            changes = [f"at {job.plan.size[0]}×{job.plan.size[1]}"] if task.variant.size else []
            if task.variant.seed_offset:
                changes.append(f"with seed {job.plan.seed}")
            self._tell_finished(task, f"done {' '.join(changes)}" if changes else "")
        return True

    def accept_best_take(self, task: Task) -> bool:
        """Make the best of a task's takes its segment's file; whether there was one."""
        takes = self.journal.segment(task.number).takes
        if not takes or self.journal.segment(task.number).key != task.key:
            return False
        best = place_best(self.directory, task.number, self.note)
        with self._lock:
            self.rendered.append(task.number)
            said = describe_shortfall(best, len(takes))
            self._tell_finished(task, f"done with seed {best['seed']}, {said}" if said else "")
        return True

    def note_failure(self, task: Task, failure: Failure, remedy: Remedy, error: VideoGenError, ended: str = "") -> None:
        self.note(
            "attempt-failed",
            segment=task.number,
            key=task.key,
            attempt=task.attempt,
            failure=failure.value,
            remedy=remedy.value,
            message=error.message,
            **({"ended": ended} if ended else {}),
        )
        if remedy not in (Remedy.GIVE_UP, Remedy.STOP):
            first_line = error.message.splitlines()[0]
            self.say(f"Segment {task.number}/{self.count}: {failure.value}, {first_line} → {remedy.value}")

    def note_given_up(self, task: Task, error: VideoGenError) -> None:
        tries = sum(task.failures.values())
        hint = f"It was tried {tries} times." if tries > 1 else error.hint
        final = VideoGenError(error.code, error.message, hint)
        self.note(
            "segment-failed",
            segment=task.number,
            key=task.key,
            code=final.code,
            message=final.message,
            hint=final.hint,
        )
        with self._lock:
            self.failed[task.number] = final
            self._tell_finished(task, f"failed: {final.message}")

    def note_recovered(self, server: str) -> None:
        self.note("server-recovered", server=server)

    def note_server_left(self, server: str, error: VideoGenError) -> None:
        self.note("server-left", server=server, message=error.message)
        self.say(f"{server} is not used any more: {error.message}")

    def note_hot(self, task: Task, server: str, decision: Decision, began: bool) -> None:
        """A server is too hot for its next segment, which stands in the journal once and is shown all the time."""
        if began:
            self.note("server-hot", server=server, message=decision.text)
        self.show_step(task, f"{server}: {decision.text}", None)

    def note_cooled(self, server: str, decision: Decision, reason: str) -> None:
        text = f"after {format_wait(decision.waited)} ({reason})"
        self.note("server-cooled", server=server, seconds=round(decision.waited, 1), message=text)
        self.say(f"{server} goes on {text}")

    def note_crash(self, error: Exception) -> None:
        """A mistake of ours in a thread: the run stops with it instead of hanging."""
        self.scheduler.stop(
            VideoGenError(
                "runner-failed",
                f"a mistake in videogen itself: {type(error).__name__}: {error}",
                f"Please report it with {self.journal.path}; what is done is kept.",
            )
        )
        with contextlib.suppress(VideoGenError):
            self.note("runner-error", message=f"{type(error).__name__}: {error}", trace=traceback.format_exc())

    def _tell_finished(self, task: Task, note: str) -> None:
        now = time.monotonic()
        # With several servers segments end side by side: what counts for the time that is left is the pace of all.
        with _ignore_deaf_reader():
            self.display.finish_segment(task.number, self.count, now - self._finished_at, note)
        self._finished_at = now


@contextlib.contextmanager
def _ignore_deaf_reader() -> Iterator[None]:
    """Whoever read our output may be gone (``| head``, a closed terminal): no reason to stop rendering."""
    with contextlib.suppress(OSError, ValueError):
        yield


def recover_verified(directory: RunDirectory) -> None:
    """Finish what an earlier runner had verified, but not yet named or noted as done."""
    for number, state in list(directory.journal.segments.items()):
        if state.state != "verified" or not state.result.get("file"):
            continue
        target = directory.path / state.result["file"]
        part = directory.segments / str(state.result.get("part", "-"))
        for path in (target, part):
            if path.is_file() and hash_file(path) == state.result.get("sha256"):
                if path != target:
                    keep_previous(target)
                    path.replace(target)
                result = {key: value for key, value in state.result.items() if key not in ("part", "time")}
                directory.journal.append("segment-done", segment=number, **result)
                break
