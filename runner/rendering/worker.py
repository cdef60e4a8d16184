"""The thread of one server: takes tasks, has them rendered there, brings the files home."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from typing import TYPE_CHECKING

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import Action

from ..comfyui.outcome import Outcome
from ..comfyui.servers import Server
from .collect import fetch_outputs, verify_output
from .continuity import read_measured
from .failures import Failure, Remedy, Variant, choose_remedy, classify_error, classify_outcome, step_down
from .jobs import Job
from .scheduler import Task
from .thermal import ServerThermalMonitor

if TYPE_CHECKING:
    from .renderer import Renderer

_NAMESPACE = uuid.UUID("5f6a9a0e-7d1b-4a59-9e1c-6a6f2d0f7f10")


class StopWaitingError(Exception):
    """The run was stopped while a prompt was under way."""


class Worker(threading.Thread):
    """Renders tasks on one server until none is left.

    While the server is busy with one segment, the one before is fetched and verified on a thread of its own, so that the
    server is never idle.
    """

    def __init__(self, server: Server, run: Renderer) -> None:
        super().__init__(name=f"server {server.name}", daemon=True)
        self.server, self.run_state = server, run
        self.scheduler = run.scheduler
        self._collecting: threading.Thread | None = None
        self._heat = ServerThermalMonitor()

    def run(self) -> None:
        """Work until there is nothing to do."""
        try:
            while (task := self.scheduler.take(self.server.name)) is not None:
                if self._let_cool(task):
                    continue  # others may have taken it meanwhile
                self._work(task)
                self._announce_queue()
        except VideoGenError as error:
            self._leave(error)
        except Exception as error:  # a mistake of ours must not leave the run hanging
            self.run_state.note_crash(error)
        finally:
            self._finish_collecting()

    def _finish_collecting(self) -> None:
        if self._collecting is not None:
            self._collecting.join()

    def _let_cool(self, task: Task) -> bool:
        """Whether the server was too hot for a task, which is put back while it cools down.

        Raises:
            VideoGenError: `too-hot`, when its policy says to stop.
        """
        run, name = self.run_state, self.server.name
        decision = self._heat.look(self.server.session.client)
        for warning in decision.warnings if decision else ():
            run.say(f"{name}: {warning}")
        if decision is None or decision.action is Action.GO:
            return False
        self.scheduler.suspend(name, decision.text)
        self.scheduler.put_back(task)
        began, reason = True, decision.text
        while decision.action is Action.WAIT:
            run.note_hot(task, name, decision, began)
            began = False
            while (left := self._heat.next_look - time.monotonic()) > 0:
                if self.scheduler.wait_finished(min(left, 0.5)):
                    return True
            # Between two looks of its own nothing new is known.
            decision = self._heat.look(self.server.session.client) or decision
            for warning in decision.warnings:
                run.say(f"{name}: {warning}")
        if decision.action is Action.STOP:
            raise VideoGenError("too-hot", f"{name}: {decision.text}", "What is done is kept; look after its cooling.")
        run.note_cooled(name, decision, reason)
        self.scheduler.resume(name)
        return True

    def _work(self, task: Task) -> None:
        began = time.monotonic()
        size = None
        try:
            job = self.run_state.prepare(task, self.server)
            size = job.plan.size
            outcome = self._wait(task, job, self._submit(task, job))
        except StopWaitingError:
            return
        except VideoGenError as error:
            self._fail(task, classify_error(error), error, size)
            return
        if outcome.status != "success":
            failure = classify_outcome(outcome)
            self._fail(task, failure, _explain(failure, outcome), size, ended=outcome.status)
            return
        self._finish_collecting()
        times = {"queued": began - task.queued_at, "executed": outcome.executed or time.monotonic() - began}
        # A daemon, not an executor's thread: the interpreter waits for those when the user wants to leave at once.
        self._collecting = threading.Thread(
            target=self._collect, args=(task, job, outcome, times), name=f"collect {self.server.name}", daemon=True
        )
        self._collecting.start()

    def _submit(self, task: Task, job: Job) -> str:
        prompt_id = make_prompt_id(self.run_state.run_id, task)
        # Asking whether the server has it already costs two requests: only where that can be.
        found = self.server.session.find(prompt_id) if task.may_be_on_server else ""
        if found == "interrupted":
            # By a runner that was stopped, or when the segment had gone to another server: not what is wanted now.
            task.attempt += 1
            prompt_id = make_prompt_id(self.run_state.run_id, task)
        elif found:
            self.run_state.note_found(task, prompt_id, self.server.name)
            return prompt_id
        self.run_state.note_submitted(task, prompt_id, self.server.name)
        # From here on, even if no answer comes: it may get lost behind a request that did not.
        task.may_be_on_server = True
        self.server.session.submit(job.graph, prompt_id, job.workflow)
        return prompt_id

    def _wait(self, task: Task, job: Job, prompt_id: str) -> Outcome:
        run = self.run_state

        def check() -> None:
            if self.scheduler.stopped:
                run.note_cancelled(task)
                self.server.session.client.cancel(prompt_id)
                raise StopWaitingError
            self.server.check()

        return self.server.session.wait(
            prompt_id,
            job.graph,
            stall=run.stall,
            check=check,
            on_start=lambda: run.note_running(task),
            on_step=lambda label, fraction: run.show_step(task, label, fraction),
        )

    def _collect(self, task: Task, job: Job, outcome: Outcome, times: dict[str, float]) -> None:
        run = self.run_state
        began = time.monotonic()
        try:
            client = self.server.session.client
            fetched = fetch_outputs(client, outcome, run.directory.segments, job.plan.file_stem)
            times["transferred"] = time.monotonic() - began
            run.note_fetched(task, fetched.bytes)
            checked = verify_output(fetched, job.plan, run.quality, run.directory.segments)
            times["verified"] = time.monotonic() - began - times["transferred"]
            seconds = {name: round(value, 3) for name, value in times.items()}
            measured = read_measured(outcome)
            done = run.note_done(task, job, checked, seconds, self.server.name, fetched.record, measured)
        except VideoGenError as error:
            self._fail_collecting(task, job, error)
        except Exception as error:  # a mistake of ours must not leave the run hanging
            run.note_crash(error)
        else:
            self.server.note_success()
            if done:
                self.scheduler.finish(task, self.server.name, times["executed"])
            else:
                self._next_take(task)

    def _next_take(self, task: Task) -> None:
        """Its continuity falls short: once more, with the next seed."""
        task.attempt += 1
        task.may_be_on_server = False
        task.variant = Variant(task.variant.seed_offset + 1, task.variant.size)
        self.scheduler.put_back(task)

    def _fail_collecting(self, task: Task, job: Job, error: VideoGenError) -> None:
        run = self.run_state
        # The worker itself finds out that a server is gone, and brings it back; two threads must not do that at once.
        failure = classify_error(error)
        if failure is Failure.OUTPUT_BROKEN:
            for part in run.directory.segments.glob(f".{job.plan.file_stem}-*"):
                part.unlink(missing_ok=True)
        with contextlib.suppress(VideoGenError):  # the journal cannot be written, which has stopped the run
            self._fail(task, failure, error, job.plan.size, recover=False)

    def _fail(
        self,
        task: Task,
        failure: Failure,
        error: VideoGenError,
        size: tuple[int, int] | None,
        *,
        ended: str = "",
        recover: bool = True,
    ) -> None:
        """Do what the table says about a failure.

        Args:
            ended: how the prompt ended on the server (``error``, ``interrupted``), if it did and that is the failure.
            recover: get the server back, when it is the server that failed.

        Raises:
            VideoGenError: when the server will not come back.
        """
        run = self.run_state
        prompt_id = make_prompt_id(run.run_id, task)
        task.failures[failure] += 1
        size = size or run.maker.story.size
        remedy = choose_remedy(failure, task.failures[failure], run.retries, size)
        if failure is Failure.VALIDATION and not run.rendered:
            # The server refuses the very first graph: it would refuse all of them.
            remedy = Remedy.STOP
        server_failed = failure in (Failure.SERVER_GONE, Failure.STALLED)
        if server_failed and recover:
            self.scheduler.suspend(self.server.name, error.message.splitlines()[0])
        run.note_failure(task, failure, remedy, error, ended)
        if remedy is Remedy.STOP:
            self.scheduler.put_back(task)
            self.scheduler.stop(error)
        elif remedy is Remedy.GIVE_UP and run.accept_best_take(task):
            # An earlier take is there, which had only fallen short of a threshold.
            self.scheduler.finish(task, self.server.name, self.scheduler.loads[self.server.name].seconds or 1.0)
        elif remedy is Remedy.GIVE_UP:
            run.note_given_up(task, error)
            self.scheduler.give_up(task)
        else:
            self._prepare_repeat(task, remedy, size)
            self.scheduler.put_back(task)
        if server_failed and recover and self.server.recover(error, self.scheduler.sleep, run.say):
            if not self.scheduler.is_waiting(task):
                # Another server has it now, or nobody: what may still wait or run here is not wanted any more.
                self.server.session.client.cancel(prompt_id)
            run.note_recovered(self.server.name)
            self.scheduler.resume(self.server.name)

    def _prepare_repeat(self, task: Task, remedy: Remedy, size: tuple[int, int]) -> None:
        if remedy is Remedy.OTHER_SERVER:
            return  # the same attempt: what the server has made of it is found again
        task.attempt += 1
        task.may_be_on_server = False
        variant = task.variant
        if remedy is Remedy.FREE_AND_REPEAT:
            self.server.session.client.free()
        elif remedy is Remedy.NEXT_SEED:
            task.variant = Variant(variant.seed_offset + 1, variant.size)
        elif remedy is Remedy.STEP_DOWN:
            task.variant = Variant(variant.seed_offset, step_down(size))

    def _announce_queue(self) -> None:
        """Tell the scheduler how many prompts of others wait here; with one server there is nothing to choose."""
        foreign = 0
        if len(self.scheduler.loads) > 1 and not self.scheduler.stopped:
            with contextlib.suppress(VideoGenError):  # its next task will find out
                foreign = len(self.server.session.client.queue().ids)
        self.scheduler.free_server(self.server.name, foreign)

    def _leave(self, error: VideoGenError) -> None:
        """The server will not come back: the others go on, and the last one ends the run."""
        if self.scheduler.stopped:
            return
        with contextlib.suppress(VideoGenError):  # a journal that cannot be written stops the run by itself
            self.run_state.note_server_left(self.server.name, error)
        if self.scheduler.leave(self.server.name, error.message.splitlines()[0]):
            self.scheduler.stop(error)


def make_prompt_id(run_id: str, task: Task) -> str:
    """The same for the same run, segment, key and attempt: a runner that starts again finds what it had submitted."""
    return str(uuid.uuid5(_NAMESPACE, f"{run_id}/{task.number}/{task.key}/{task.attempt}"))


def _explain(failure: Failure, outcome: Outcome) -> VideoGenError:
    if failure is Failure.INTERRUPTED:
        return VideoGenError(
            "render-interrupted",
            "somebody interrupted the prompt on the server",
            "What is done is kept; the same command again carries on.",
        )
    if failure is Failure.DISK_FULL:
        return VideoGenError("disk-full", f"the server's disk is full: {outcome.error}", "Free some space there.")
    if failure is Failure.TOO_HOT:
        return VideoGenError("too-hot", outcome.error, "What is done is kept; the same command again carries on.")
    return VideoGenError("render-failed", outcome.error)
