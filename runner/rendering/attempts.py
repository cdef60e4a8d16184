"""Attempts: submits segments under stable prompt ids, and finds what an earlier runner has left on the server."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from weakref import WeakKeyDictionary

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.images.last_frame import read_last_frame

from ..comfyui.session import Session
from ..state.run_directory import RunDirectory
from ..workflows.story_images import read_unchanged
from .jobs import Job, JobMaker
from .retries import AttemptState, Remedy, Variant
from .run_log import RunLog
from .scheduler import Task

_NAMESPACE = uuid.UUID("5f6a9a0e-7d1b-4a59-9e1c-6a6f2d0f7f10")


class Attempts:
    """Makes the tasks of a run, prepares their attempts and submits them; may be used by several threads.

    Attributes:
        maker: makes the job of each attempt.
    """

    def __init__(self, maker: JobMaker, directory: RunDirectory, log: RunLog) -> None:
        self.maker = maker
        self._directory, self._log = directory, log
        #: Names of the images that were uploaded to each server; a restarted one has a new session, and may have lost them.
        self._uploaded: WeakKeyDictionary[Session, set[str]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @property
    def segments_folder(self) -> Path:
        """The folder for the files of segments."""
        return self._directory.segments

    def make_task(self, number: int) -> Task:
        """The task of a segment, at the attempt that an earlier runner has come to."""
        depends_on = number - 1 if self.maker.continues(number) else None
        task = Task(number, "", depends_on)
        if depends_on is None:
            self._adopt(task, self.maker.key(number))
        return task

    def _adopt(self, task: Task, key: str) -> None:
        """Give a task its key; a submission of an earlier runner under that key continues as the same attempt."""
        task.key = key
        state = self._directory.journal.segment(task.number)
        if state.key != key or not state.attempts:
            return
        task.attempt = max(0, state.attempt)
        last = state.history[-1] if state.history else {}
        if state.state == "failed" or (
            last.get("attempt") == state.attempt and last.get("remedy") == Remedy.STOP.value and last.get("ended")
        ):
            # It was given up, or interrupted on the server: try again under a new id, because the server knows the old one.
            task.begin_next()
            return
        size = state.submitted.get("size")
        size = tuple(size) if size else None
        if state.takes and state.takes[-1]["another"] and state.takes[-1]["attempt"] >= state.attempt:
            # It was judged, and another take is wanted.
            task.attempt = int(state.takes[-1]["attempt"])
            task.begin_next(Variant(int(state.takes[-1]["seed_offset"]), size).with_next_seed())
            return
        task.variant = Variant(int(state.submitted.get("seed_offset", 0)), size)
        if state.cancelled:
            task.begin_next()  # canceled by a runner that was stopped; it may even be running still
        else:
            task.may_be_on_server = True

    def prepare(self, task: Task, session: Session) -> Job:
        """Make the job of a task's next attempt; the images that it needs are uploaded to the server.

        Raises:
            VideoGenError: `predecessor-missing`, when the segment that it begins from was given up.
        """
        self._upload_images(task.number, session)
        first_frame = ""
        if task.depends_on is not None:
            state = self._directory.journal.segment(task.depends_on)
            if state.state != "done":
                raise VideoGenError(
                    "predecessor-missing",
                    f"it continues segment {task.depends_on}, which is not rendered",
                    f"Render segment {task.depends_on} first.",
                )
            image = read_last_frame(self._directory.path / state.result["file"])
            first_frame = session.client.upload_image(f"{state.result['sha256'][:24]}.png", image)
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

    def prompt_id(self, task: Task) -> str:
        """The id of a task's current attempt."""
        return make_prompt_id(self._directory.run_id, task)

    def submit(self, task: Task, job: Job, session: Session, server: str) -> str:
        """Submit the current attempt of a task, unless the server has it already.

        Returns:
            The prompt's id.
        """
        found = find_submitted(session, task, lambda: self.prompt_id(task), ("queued", "success", "error"))
        prompt_id = self.prompt_id(task)
        if found:
            self._log.note_found(task, prompt_id, server)
            return prompt_id
        self._log.note_submitted(task, prompt_id, server)
        # From here on, even if no answer comes: it may have been lost after the request had arrived.
        task.may_be_on_server = True
        session.submit(job.graph, prompt_id, job.workflow)
        return prompt_id


def find_submitted(session: Session, state: AttemptState, make_id: Callable[[], str], usable: Collection[str]) -> bool:
    """Whether the server has the current attempt already, from an earlier connection or an earlier runner.

    An attempt that has ended there in another way (an interrupted one, say) cannot be used: another one begins.

    Args:
        make_id: the prompt's id of the current attempt.
        usable: what the server may say of it, see `Session.find`.
    """
    # Asking costs two requests: only where the server can have it.
    while state.may_be_on_server and (found := session.find(make_id())):
        if found in usable:
            return True
        state.attempt += 1
    return False


def make_prompt_id(run_id: str, task: Task) -> str:
    """A prompt id, the same for the same run, segment, key and attempt: a restarted runner finds its submissions."""
    return str(uuid.uuid5(_NAMESPACE, f"{run_id}/{task.number}/{task.key}/{task.attempt}"))
