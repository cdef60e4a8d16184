"""Attempts: submits segments under stable prompt ids, and finds what an earlier runner has left on the server."""

from __future__ import annotations

import contextlib
import datetime
import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.server_address import hide_in_server

from ..comfyui.servers import Server
from ..comfyui.session import Session
from ..state.run_directory import RunDirectory
from ..workflows.conversion.prefixes import fill_dates
from ..workflows.output_node import force_execution
from ..workflows.story_images import read_unchanged
from .borders.handed_over import read_handed_over
from .failures import PASSING_FAILURES, classify_outcome
from .jobs import Job
from .kept_results import settle_result
from .per_segment.job_makers import SegmentJobs
from .replaced_files import find_replaced, require_verified
from .retries import AttemptState, Remedy, Variant
from .run_log import RunLog
from .scheduler import Task

_NAMESPACE = uuid.UUID("5f6a9a0e-7d1b-4a59-9e1c-6a6f2d0f7f10")


class Attempts:
    """Makes the tasks of a run, prepares their attempts and submits them; may be used by several threads.

    Args:
        servers: of the run; any of them may have a prompt of an earlier one.

    Attributes:
        maker: makes the job of each attempt.
    """

    def __init__(
        self, maker: SegmentJobs, directory: RunDirectory, log: RunLog, servers: Sequence[Server] = ()
    ) -> None:
        self.maker = maker
        self._servers = servers
        self._directory, self._log = directory, log
        #: Names of the images that were uploaded to each server; a restarted one has a new session, and may have lost them.
        self._uploaded: WeakKeyDictionary[Session, set[str]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @property
    def segments_folder(self) -> Path:
        """The folder for the files of segments."""
        return self._directory.segments

    def make_task(self, number: int, todo: Collection[int] = ()) -> Task:
        """The task of a segment, at the attempt that an earlier runner has come to.

        Args:
            todo: numbers of all segments to render: what begins from one of them has no key yet.
        """
        depends_on = self.maker.source(number)
        task = Task(number, "", depends_on)
        if depends_on is None:
            self._adopt(task, self.maker.key(number))
        elif depends_on not in todo and (before := self._directory.journal.segment(depends_on)).state == "done":
            self._adopt(task, self.maker.key(number, begins_from=before.result["sha256"]))
        return task

    def _adopt(self, task: Task, key: str) -> None:
        """Give a task its key; a submission of an earlier runner under that key continues as the same attempt."""
        task.key = key
        state = self._directory.journal.state_of(task.number, key)
        task.id_key = state.id_key
        if not state.attempts:
            return
        task.attempt, task.reached = max(0, state.attempt), state.reached
        task.variant = _read_variant(state.submitted)
        # Of a file that was lost the takes count no more.
        takes = [] if state.state == "done" else state.takes
        judged = {take["seed_offset"] for take in takes}
        task.left_behind = [one for one in state.left_behind if one.get("seed_offset", 0) not in judged]
        if state.state == "failed":
            task.variant = Variant()  # whatever it was given up for may have been repaired
        if takes and (state.state == "failed" or int(takes[-1]["attempt"]) >= state.attempt):
            # No take is rendered again: the next one has a seed that none of them has.
            task.attempt = max(task.attempt, int(takes[-1]["attempt"]))
            task.begin_next(Variant(max(int(take["seed_offset"]) for take in takes) + 1, task.variant.size))
        elif state.state == "failed" or (state.cancelled and state.hung):
            # Under a new id: the server knows the old one, and may even be running it still.
            task.begin_next()
        elif state.remedy_of_ended:
            # The entry in the server's history, which may be there for weeks, says nothing of what is submitted now.
            remedies = (remedy for remedy in Remedy if remedy.value == state.remedy_of_ended)
            task.apply(next(remedies, Remedy.REPEAT), task.variant.size or self.maker.story.size, ended=True)
        else:
            task.may_be_on_server, task.canceled = True, state.cancelled
            task.submitted_to = hide_in_server(str(state.submitted.get("server") or ""))

    def take_up(self, task: Task, submitted: Mapping[str, Any]) -> None:
        """Go on with a former submission of a task, as the journal has it."""
        task.attempt, task.variant = int(submitted.get("attempt") or 0), _read_variant(submitted)
        task.may_be_on_server, task.canceled = True, False

    def find_result(self, task: Task) -> bool:
        """Whether a segment that continues another one need not be rendered: the file that it begins from is an old one."""
        if task.depends_on is None:
            return False
        before = self._directory.journal.segment(task.depends_on)
        return before.state == "done" and settle_result(
            self._directory, self.maker, task.number, before.result["sha256"], self._log
        )

    def prepare(self, task: Task, session: Session) -> Job:
        """Make the job of a task's next attempt; the images that it needs are uploaded to the server.

        Raises:
            VideoGenError: `predecessor-missing`, when the segment that it begins from was given up; `segment-replaced`, when
                its file is not the one that was verified.
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
            require_verified(find_replaced(self._directory.path, {task.depends_on: state}))
            first_frame = session.client.upload_image(*read_handed_over(self._directory.path, state.result))
            key = self.maker.key(task.number, begins_from=state.result["sha256"])
            if key != task.key:
                self._adopt(task, key)
                self.cancel_outdated([task])
        return self.maker.make(task.number, task.key, task.variant, first_frame=first_frame)

    def cancel_outdated(self, tasks: Collection[Task]) -> None:
        """Cancel the prompts that earlier runners have submitted for another text of these segments, or of finished ones.

        One that is finished by now stays in its server's history, where it is found when its text is wanted again.
        """
        journal = self._directory.journal
        keys = {number: state.key for number, state in journal.segments.items() if state.state == "done"}
        keys |= {task.number: task.key for task in tasks}
        outdated = {
            str(state.submitted.get("prompt_id")): (number, state)
            for number, key in keys.items()
            for state in (journal.segment(number), *journal.shelved(number).values())
            # The key of what begins from a segment that is rendered again is not known yet.
            if key and state.key != key and state.state in ("submitted", "running") and not state.cancelled
        }
        for server in self._servers if outdated else ():
            client = server.session.client
            with contextlib.suppress(VideoGenError):  # its thread will find out
                for prompt_id in client.queue().ids & outdated.keys():
                    number, state = outdated[prompt_id]
                    if state is journal.segment(number):
                        self._log.note_cancelled(number, state.attempt)
                    client.cancel(prompt_id)

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

        def note_found(prompt_id: str) -> None:
            state = self._directory.journal.segment(task.number)
            if (state.key, state.attempt) == (task.key, task.attempt) and state.state != "failed":
                self._log.note_found(task, prompt_id, server)
            else:  # it was submitted before another text was wanted, or before the last attempt
                self._log.note_submitted(task, prompt_id, server)

        def send(prompt_id: str) -> None:
            force_execution(job.graph, job.object_info, task.attempt)
            session.submit(fill_dates(job.graph, datetime.datetime.now()), prompt_id, job.workflow)

        return submit_attempt(
            session,
            task,
            lambda: self.prompt_id(task),
            ("queued", "success", "error"),
            found=note_found,
            submitted=lambda prompt_id: self._log.note_submitted(task, prompt_id, server),
            send=send,
        )


def submit_attempt(
    session: Session,
    state: AttemptState,
    make_id: Callable[[], str],
    usable: Collection[str],
    *,
    found: Callable[[str], None],
    submitted: Callable[[str], None],
    send: Callable[[str], None],
) -> str:
    """Submit the current attempt at a segment or at a reference image, unless the server has it already.

    The protocol of both: a prompt's id is that of its attempt. It is written to the journal before the server gets it, so that
    the next runner finds what this one has submitted. An attempt that has failed, or was canceled, is over: the next one has
    another id, under which no old entry of the server's history can be read.

    Args:
        make_id, usable: see `find_submitted`.
        found, submitted: get the prompt's id, and write to the journal that it was found, or is about to be sent.
        send: sends it.

    Returns:
        The prompt's id.
    """
    is_there = find_submitted(session, state, make_id, usable)
    prompt_id = make_id()
    if is_there:
        found(prompt_id)
        return prompt_id
    submitted(prompt_id)
    # From here on, even if no answer comes: it may have been lost after the request had arrived.
    state.may_be_on_server = True
    send(prompt_id)
    return prompt_id


def _read_variant(submitted: Mapping[str, Any]) -> Variant:
    """How a submission differs from the segment as the story has it."""
    size = submitted.get("size")
    return Variant(int(submitted.get("seed_offset") or 0), tuple(size) if size else None)


def find_prompt(session: Session, prompt_id: str) -> str:
    """As `Session.find`; ``interrupted`` also for an error that only says that the server was too hot or its disk full then."""
    found = session.find(prompt_id)
    outcome = session.find_outcome(prompt_id) if found == "error" else None
    return "interrupted" if outcome is not None and classify_outcome(outcome) in PASSING_FAILURES else found


def find_submitted(session: Session, state: AttemptState, make_id: Callable[[], str], usable: Collection[str]) -> bool:
    """Whether the server has the current attempt already, from an earlier connection or an earlier runner.

    An attempt that has ended there in another way (an interrupted one, say) cannot be used: another one begins.

    Args:
        make_id: the prompt's id of the current attempt.
        usable: what the server may say of it, see `find_prompt`.
    """
    # Asking costs two requests: only where the server can have it.
    while state.may_be_on_server and (found := find_prompt(session, make_id())):
        if found in usable and not (state.canceled and found == "error"):
            return True
        state.attempt += 1
        state.canceled = False
    return False


def make_prompt_id(run_id: str, task: Task) -> str:
    """A prompt id, the same for the same run, segment, key and attempt: a restarted runner finds its submissions."""
    return str(uuid.uuid5(_NAMESPACE, f"{run_id}/{task.number}/{task.id_key or task.key}/{task.attempt}"))
