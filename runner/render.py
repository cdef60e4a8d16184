"""Rendering a run's segments on its servers: one state machine a segment, in the journal before it is acted on."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Sequence
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.quality import Quality
from custom_nodes.videogen.media.last_frame import read_last_frame
from custom_nodes.videogen.media.probe import hash_file

from .collect import Checked
from .failures import Failure, Remedy, Variant
from .jobs import Job, JobMaker
from .progress import Display
from .run_directory import RunDirectory
from .scheduler import Scheduler, Task
from .servers import Server
from .worker import Worker


class Renderer:
    """Renders segments on one or several servers.

    Args:
        servers: connected; more than one share the work.
        retries: how often a segment is rendered again, with the next seed, after a node has failed.
        stall: seconds without progress after which a server counts as hung.

    Attributes:
        rendered: numbers of the segments that are done now.
        failed: why the others are not.
    """

    def __init__(
        self, servers: Sequence[Server], maker: JobMaker, directory: RunDirectory, display: Display, *,
        quality: Quality, retries: int, stall: float,
    ) -> None:  # fmt: skip
        self.servers, self.maker = servers, maker
        self.directory, self.journal, self.display = directory, directory.journal, display
        self.run_id = directory.run_id
        self.quality, self.retries, self.stall = quality, retries, stall
        self.count = len(maker.story.segments)
        self.rendered: list[int] = []
        self.failed: dict[int, VideoGenError] = {}
        self.scheduler = Scheduler([], [])
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
            workers.append(Worker(server, self))
        self._finished_at = time.monotonic()
        try:
            for worker in workers:
                worker.start()
            while not self.scheduler.wait_finished(1.0):
                pass
        except KeyboardInterrupt:
            self.say("Stopping: the prompt under way is interrupted (Ctrl-C again ends at once)")
            self.scheduler.stop()
            self._join(workers)
            self.note("run-interrupted")
            raise
        self._join(workers)
        if self.scheduler.error is not None:
            raise self.scheduler.error

    @staticmethod
    def _join(workers: Sequence[Worker]) -> None:
        for worker in workers:
            while worker.is_alive():
                worker.join(0.5)  # in slices: a second Ctrl-C must get through

    # ------------------------------------------------------------------ tasks

    def _make_task(self, number: int) -> Task:
        """A task; one that an earlier runner had submitted goes on as the attempt that it was."""
        needs = number - 1 if self.maker.continues(number) else None
        task = Task(number, "" if needs else self.maker.key(number), needs=needs)
        state = self.journal.segment(number)
        if task.key and state.key == task.key and state.state in ("submitted", "running", "fetched"):
            task.attempt = max(0, state.attempt)
            size = state.submitted.get("size")
            task.variant = Variant(int(state.submitted.get("seed_offset", 0)), tuple(size) if size else None)
            task.may_exist = True
        return task

    def prepare(self, task: Task, server: Server) -> Job:
        """What is submitted for a task; a picture that it begins from is uploaded to the server.

        Raises:
            VideoGenError: `predecessor-missing`, when that segment was given up.
        """
        first_frame = ""
        if task.needs is not None:
            state = self.journal.segment(task.needs)
            if state.state != "done":
                raise VideoGenError(
                    "predecessor-missing", f"it continues segment {task.needs}, which is not rendered",
                    f"Render segment {task.needs} first.",
                )  # fmt: skip
            picture = read_last_frame(self.directory.path / state.result["file"])
            first_frame = server.session.client.upload_picture(f"{state.result['sha256'][:24]}.png", picture)
            task.key = self.maker.key(task.number, begins_from=state.result["sha256"])
        return self.maker.make(task.number, task.key, task.variant, first_frame=first_frame)

    # ------------------------------------------------------------------ what is noted, in the journal and for people

    def note(self, event: str, **data: Any) -> None:
        with self._lock:
            self.display.event(self.journal.append(event, **data))

    def say(self, message: str) -> None:
        with self._lock:
            self.display.say(message)

    def note_submitted(self, task: Task, prompt_id: str, server: str) -> None:
        variant = task.variant
        self.note(
            "segment-submitted", segment=task.number, key=task.key, attempt=task.attempt, prompt_id=prompt_id,
            server=server, seed_offset=variant.seed_offset, size=list(variant.size) if variant.size else None,
        )  # fmt: skip

    def note_running(self, task: Task) -> None:
        self.note("segment-running", segment=task.number, attempt=task.attempt)

    def note_fetched(self, task: Task, size: int) -> None:
        self.note("segment-fetched", segment=task.number, attempt=task.attempt, bytes=size)

    def note_done(
        self, task: Task, job: Job, checked: Checked, seconds: dict[str, float], server: str, record: dict[str, Any]
    ) -> None:
        """The file is whole: said first, then it gets its name, then the segment is done.

        Killed in between, the next runner finds the verified bytes by their hash and renders nothing again.
        """
        info = checked.info
        result = {
            "key": task.key, "file": f"segments/{checked.target.name}", "bytes": checked.bytes, "sha256": checked.sha256,
            "frames": info.frames, "fps": str(info.fps), "size": [info.width, info.height], "seed": job.plan.seed,
            "rendered_size": list(job.plan.size), "degraded": task.variant.size is not None, "server": server,
            "encoder": record.get("encoder"), "seconds": seconds,
        }  # fmt: skip
        self.note("segment-verified", segment=task.number, part=checked.path.name, **result)
        checked.path.replace(checked.target)
        self.note("segment-done", segment=task.number, **result)
        with self._lock:
            self.rendered.append(task.number)
            changes = [f"at {job.plan.size[0]}×{job.plan.size[1]}"] if task.variant.size else []
            if task.variant.seed_offset:
                changes.append(f"with seed {job.plan.seed}")
            self._tell_finished(task, f"done {' '.join(changes)}" if changes else "")

    def note_failure(self, task: Task, failure: Failure, remedy: Remedy, error: VideoGenError) -> None:
        self.note(
            "attempt-failed", segment=task.number, key=task.key, attempt=task.attempt, failure=failure.value,
            remedy=remedy.value, message=error.message,
        )  # fmt: skip
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

    def note_crash(self, error: Exception) -> None:
        """A mistake of ours in a thread: the run stops with it instead of hanging."""
        self.note("runner-error", message=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
        self.scheduler.stop(
            VideoGenError(
                "runner-failed", f"a mistake in videogen itself: {type(error).__name__}: {error}",
                f"Please report it with {self.journal.path}; what is done is kept.",
            )
        )  # fmt: skip

    def _tell_finished(self, task: Task, note: str) -> None:
        now = time.monotonic()
        # With several servers segments end side by side: what counts for the time that is left is the pace of all.
        self.display.finish_segment(task.number, self.count, now - self._finished_at, note)
        self._finished_at = now


def recover_verified(directory: RunDirectory) -> None:
    """Finish what an earlier runner had verified, but not yet named or noted as done."""
    for number, state in list(directory.journal.segments.items()):
        if state.state != "verified" or not state.result.get("file"):
            continue
        target = directory.path / state.result["file"]
        part = directory.segments / str(state.result.get("part", "-"))
        for path in (target, part):
            if path.is_file() and hash_file(path) == state.result.get("sha256"):
                path.replace(target)
                result = {key: value for key, value in state.result.items() if key not in ("part", "time")}
                directory.journal.append("segment-done", segment=number, **result)
                break
