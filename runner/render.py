"""Rendering: a segment's job goes to the server, and comes back as a file that was checked."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.quality import Quality
from custom_nodes.videogen.media.probe import hash_file

from .collect import fetch_outputs, settle
from .embedded import EmbeddedServer
from .jobs import Job, JobMaker
from .outcome import Outcome
from .progress import Display
from .run_directory import RunDirectory
from .session import LostError, Session

#: How often a job that the server forgot, or that died with the server, is submitted again.
MAX_RESUBMISSIONS = 3
#: What is wrong with one segment alone; everything else ends the run.
SEGMENT_ERRORS = ("render-failed", "output-missing", "video-broken", "encode-failed")
_NAMESPACE = uuid.UUID("5f6a9a0e-7d1b-4a59-9e1c-6a6f2d0f7f10")


class Renderer:
    """Renders segments one after the other.

    Args:
        retries: how often a segment is rendered again, with the next seed, after a node has failed.

    Attributes:
        rendered: numbers of the segments that are done now.
        failed: why the others are not.
    """

    def __init__(
        self, session: Session, embedded: EmbeddedServer | None, maker: JobMaker, directory: RunDirectory,
        display: Display, *, quality: Quality, retries: int,
    ) -> None:  # fmt: skip
        self.session, self.embedded, self.maker = session, embedded, maker
        self.directory, self.journal, self.display = directory, directory.journal, display
        self.quality, self.retries = quality, retries
        self.rendered: list[int] = []
        self.failed: dict[int, VideoGenError] = {}
        self._collected_at = time.monotonic()

    def render(self, numbers: Sequence[int]) -> None:
        """Render these segments; each is fetched and checked while the server is busy with the next one.

        Raises:
            VideoGenError: for what concerns the run as a whole; a segment that fails is noted in `failed`.
        """
        self._collected_at = time.monotonic()
        executed: tuple[Job, Outcome, int] | None = None
        for number in numbers:
            job = self.maker.make(number)
            attempt = self._first_attempt(job)
            self._submit(job, attempt)
            if executed:
                self._finish(*executed)
            executed = self._await(job, attempt)
        if executed:
            self._finish(*executed)

    def _finish(self, job: Job, outcome: Outcome, attempt: int) -> None:
        number = job.plan.number
        try:
            self._collect(job, outcome, attempt)
        except VideoGenError as error:
            self._note_failure(job, error)
        else:
            self.rendered.append(number)
            self._tell_finished(job, "")

    def _note_failure(self, job: Job, error: VideoGenError) -> None:
        if error.code not in SEGMENT_ERRORS:
            raise error
        number = job.plan.number
        self.failed[number] = error
        self._event(
            "segment-failed", segment=number, key=job.key, code=error.code, message=error.message, hint=error.hint
        )
        self._tell_finished(job, f"failed: {error.message}")

    def _tell_finished(self, job: Job, note: str) -> None:
        now = time.monotonic()
        self.display.finish_segment(job.plan.number, job.plan.count, now - self._collected_at, note)
        self._collected_at = now

    def _first_attempt(self, job: Job) -> int:
        """0, or the attempt that an earlier runner had submitted and that the server may still have."""
        state = self.journal.segment(job.plan.number)
        if state.key == job.key and state.state in ("submitted", "running", "fetched", "verified"):
            return max(0, state.attempts - 1)
        return 0

    def _submit(self, job: Job, attempt: int) -> None:
        prompt_id = self._prompt_id(job, attempt)
        self._event(
            "segment-submitted", segment=job.plan.number, key=job.key, attempt=attempt, prompt_id=prompt_id,
            server=self.session.client.url,
        )  # fmt: skip
        self.session.submit(self.maker.make(job.plan.number, attempt).graph, prompt_id, job.workflow)

    def _await(self, job: Job, attempt: int) -> tuple[Job, Outcome, int] | None:
        """Wait until a segment's prompt has ended well, submitting it again where that helps; None when it failed."""
        number, count = job.plan.number, job.plan.count
        failures = resubmissions = 0
        while True:
            try:
                outcome = self._wait(job, attempt)
            except (LostError, VideoGenError) as error:
                resubmissions += 1
                if resubmissions > MAX_RESUBMISSIONS:
                    raise self._give_up(error, number) from None
                self._revive(error)
                self._submit(job, attempt)
                continue
            if outcome.status == "success":
                return job, outcome, attempt
            if outcome.status == "interrupted":
                raise VideoGenError(
                    "render-interrupted", f"segment {number} was interrupted on the server",
                    "The same command again carries on from there.",
                )  # fmt: skip
            failures += 1
            if failures > self.retries:
                times = f"It was tried {failures} times." if failures > 1 else ""
                self._note_failure(job, VideoGenError("render-failed", outcome.error, times))
                return None
            self.display.say(f"Segment {number}/{count} failed, {outcome.error}; again with the next seed")
            attempt += 1
            self._submit(job, attempt)

    def _wait(self, job: Job, attempt: int) -> Outcome:
        number, count = job.plan.number, job.plan.count
        return self.session.wait(
            self._prompt_id(job, attempt), job.graph,
            lambda: self._event("segment-running", segment=number, attempt=attempt),
            lambda label, fraction: self.display.step(number, count, label, fraction),
        )  # fmt: skip

    def _give_up(self, error: Exception, number: int) -> VideoGenError:
        if isinstance(error, VideoGenError):
            return error
        return VideoGenError(
            "server-lost", f"{self.session.client.url} has forgotten segment {number} {MAX_RESUBMISSIONS + 1} times",
            "Somebody clears its queue, or it restarts; the same command again carries on.",
        )  # fmt: skip

    def _revive(self, error: Exception) -> None:
        """After the server went away: a server of our own is started again, for another one we wait a moment."""
        if self.embedded is None or self.embedded.alive:
            if isinstance(error, VideoGenError):
                self.display.say(f"{error.message}; waiting for it")
                time.sleep(5.0)
            return
        self.display.say("ComfyUI ended; starting it again")
        self.session.close()
        self.embedded.stop()
        self.session = Session(self.embedded.start(), self.embedded)
        self._event("server-restarted", server=self.session.client.url)

    def _collect(self, job: Job, outcome: Outcome, attempt: int) -> None:
        number = job.plan.number
        began = time.monotonic()
        target = self.directory.segments / f"{job.plan.file_stem}.mp4"
        fetched = fetch_outputs(self.session.client, outcome, self.directory.segments, job.plan.file_stem)
        transferred = time.monotonic() - began
        self._event("segment-fetched", segment=number, bytes=fetched.bytes)
        path, info = settle(fetched, job.plan, self.quality, target)
        verified = time.monotonic() - began - transferred
        self._event("segment-verified", segment=number, frames=info.frames)
        self._event(
            "segment-done", segment=number, key=job.key, file=f"segments/{path.name}", bytes=path.stat().st_size,
            sha256=hash_file(path), frames=info.frames, fps=str(info.fps), size=[info.width, info.height],
            seed=(job.plan.seed + attempt) % 2**64, server=self.session.client.url, encoder=fetched.record.get("encoder"),
            seconds={
                "executed": outcome.executed, "transferred": round(transferred, 3), "verified": round(verified, 3),
            },
        )  # fmt: skip

    def _prompt_id(self, job: Job, attempt: int) -> str:
        # The same for the same job, so that a runner that starts again finds what it had submitted.
        return str(uuid.uuid5(_NAMESPACE, f"{self.directory.run_id}/{job.plan.number}/{job.key}/{attempt}"))

    def _event(self, event: str, **data: Any) -> None:
        self.display.event(self.journal.append(event, **data))
