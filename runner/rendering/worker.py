"""The thread of one server: takes tasks, has them rendered there, and fetches their files."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

from custom_nodes.videogen.core.errors import TooHotError, VideoGenError
from custom_nodes.videogen.core.thermal.guard import Action, Decision
from custom_nodes.videogen.core.thermal.wait import wait_while_hot
from custom_nodes.videogen.core.video.quality import Quality

from ..comfyui.bounds.limits import limit_for_picture, limit_for_segment
from ..comfyui.outcome import Outcome
from ..comfyui.servers import Server
from .attempts import Attempts
from .collect import fetch_outputs, require_all_pictures, verify_output
from .failures import Failure, classify_error, classify_outcome, explain_outcome, sign_failure
from .fleet.triage import Incident, Triage, explain_no_server
from .jobs import Job
from .results import RenderedFile, SegmentResults
from .retries import Remedy
from .run_log import RunLog
from .scheduler import Scheduler, Task
from .takes.measurement import read_measurement
from .thermal import ServerThermalMonitor

#: Seconds between two checks whether the run has ended, while a server cools down.
_END_POLL = 0.5


@dataclass(frozen=True)
class RenderSettings:
    """How segments are rendered.

    Attributes:
        quality: of files that the runner encodes itself.
        retries: how often a segment is rendered again, with the next seed, after a node has failed.
        stall: seconds without progress after which a server counts as hung.
        max_takes: how many takes a segment may have whose continuity is measured; with 1 nothing is rendered again.
        one_graph: all segments have the same nodes: where a server refuses the first one, it would refuse all.
    """

    quality: Quality
    retries: int = 2
    stall: float = 900.0
    max_takes: int = 3
    one_graph: bool = True


class StopWaitingError(Exception):
    """The run has ended meanwhile, or another server has finished the segment."""


@dataclass(frozen=True)
class _LeftBehind:
    """A prompt that may still be on the server, which went away before its outcome was known."""

    task: Task
    attempt: int
    prompt_id: str
    stalled: bool = False


class Worker(threading.Thread):
    """Renders tasks on one server until none is left.

    While the server renders a segment, the one before is fetched and verified on a thread of its own, so that the server is
    never idle.
    """

    def __init__(
        self,
        server: Server,
        scheduler: Scheduler,
        attempts: Attempts,
        results: SegmentResults,
        log: RunLog,
        settings: RenderSettings,
    ) -> None:
        super().__init__(name=f"server {server.name}", daemon=True)
        self.server, self.scheduler, self.attempts = server, scheduler, attempts
        self.results, self.log, self.settings = results, log, settings
        self._collecting: threading.Thread | None = None
        self._left_behind: list[_LeftBehind] = []
        self._thermal = ServerThermalMonitor()

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
        except Exception as error:  # an internal error must not leave the run hanging
            self.log.note_crash(error)
        finally:
            self._finish_collecting()

    def _finish_collecting(self) -> None:
        if self._collecting is not None:
            self._collecting.join()

    def _let_cool(self, task: Task) -> bool:
        """Wait while the server is too hot for a task, which is put back meanwhile.

        Returns:
            Whether the task was put back, or the run has ended meanwhile.

        Raises:
            TooHotError: when the server's policy says to stop.
        """
        name, reason = self.server.name, ""

        def tell(decision: Decision) -> None:
            nonlocal reason
            for warning in decision.warnings:
                self.log.say(f"{name}: {warning}")
            began = not reason
            if decision.action is not Action.GO and began:
                reason = decision.text
                self.scheduler.suspend(name, reason)
                self.scheduler.put_back(task)
            if decision.action is Action.WAIT:
                self.log.note_hot(task, name, decision, began)
            elif decision.action is Action.GO and reason:
                self.log.note_cooled(name, decision, reason)

        def check() -> None:
            if self.scheduler.wait_finished(0):
                raise StopWaitingError

        try:
            wait_while_hot(
                self._thermal,
                lambda: self._thermal.read(self.server.session.client),
                clock=time.monotonic,
                sleep=self.scheduler.wait_finished,
                check=check,
                tell=tell,
                note=lambda pause: None,  # the journal has it: `server-hot` and `server-cooled`
                poll=_END_POLL,
            )
        except StopWaitingError:
            return True
        except TooHotError as error:
            raise TooHotError(f"{name}: {error.message}", "What is done is kept; check its cooling.") from None
        if reason:
            self.scheduler.resume(name)
        return bool(reason)

    def _work(self, task: Task) -> None:
        began = time.monotonic()
        size = None
        try:
            if self.attempts.find_result(task):
                self.results.note_kept(task)
                self.scheduler.finish(task, self.server.name, None)
                return
            if reasons := self.scheduler.explain_hopeless(task):
                unfit = explain_no_server(reasons)
                self.log.note_failure(task, Failure.UNFIT, Remedy.GIVE_UP, unfit)
                self._give_up(task, unfit)
                return
            job = self.attempts.prepare(task, self.server.session)
            size = job.plan.size
            prompt_id = self.attempts.submit(task, job, self.server.session, self.server.name)
            self.scheduler.mark_under_way(task)
            outcome = self._wait(task, job, prompt_id)
        except StopWaitingError:
            return
        except VideoGenError as error:
            if self.scheduler.settle(task, self.server.name):
                found = self._look_again(error)
                if found is error and (lacking := self.scheduler.lacks(task, self.server.name)):
                    # The server is good for other segments: this one goes to another server, or to its end.
                    self.log.note_failure(
                        task, Failure.UNFIT, Remedy.ASK_ANOTHER, VideoGenError("server-unfit", lacking)
                    )
                    self.scheduler.put_back(task)
                    return
                self._fail(task, Incident(classify_error(found), found, size or self.attempts.maker.story.size))
            return
        if not self.scheduler.settle(task, self.server.name):
            return
        if outcome.status != "success" and task.canceled:
            task.begin_next()  # it has ended as an earlier runner had asked it to
            self.scheduler.put_back(task)
            return
        if outcome.status != "success":
            failure = classify_outcome(outcome)
            reason = explain_outcome(failure, outcome)
            self._fail(task, Incident(failure, reason, job.plan.size, outcome.status, sign_failure(outcome)))
            return
        self._finish_collecting()
        times = {"queued": began - task.queued_at, "executed": outcome.executed or time.monotonic() - began}
        # A daemon, not an executor's thread: the interpreter waits for those when the user wants to leave at once.
        self._collecting = threading.Thread(
            target=self._collect, args=(task, job, outcome, times), name=f"collect {self.server.name}", daemon=True
        )
        self._collecting.start()

    def _wait(self, task: Task, job: Job, prompt_id: str) -> Outcome:
        def check() -> None:
            if not owned():  # another server has finished it, which had been away
                self.server.session.client.cancel(prompt_id)
                raise StopWaitingError
            if self.scheduler.stopped:
                self.log.note_cancelled(task.number, task.attempt)
                self.server.session.client.cancel(prompt_id)
                raise StopWaitingError
            self.server.check()

        def owned() -> bool:
            return self.scheduler.owns(task, self.server.name)

        return self.server.session.wait(
            prompt_id,
            job.graph,
            stall=self.settings.stall,
            check=check,
            on_start=lambda: self.log.note_running(task) if owned() else None,
            on_step=lambda label, fraction: self.log.show_step(task, label, fraction),
        )

    def _collect(self, task: Task, job: Job, outcome: Outcome, times: dict[str, float]) -> None:
        try:
            done = self._accept(task, job, outcome, times)
        except VideoGenError as error:
            self._fail_collecting(task, job, error)
        except Exception as error:  # an internal error must not leave the run hanging
            self.log.note_crash(error)
        else:
            self.server.note_success()
            self.scheduler.note_success(self.server.name)
            if done:
                self.scheduler.finish(task, self.server.name, times["executed"])
            else:
                task.begin_next(task.variant.with_next_seed())
                self.scheduler.put_back(task)

    def _accept(self, task: Task, job: Job, outcome: Outcome, times: dict[str, float]) -> bool:
        """Fetch, verify and take in the outputs of a prompt; whether the segment is done, see `SegmentResults.accept`."""
        began = time.monotonic()
        folder, most = self.attempts.segments_folder, limit_for_segment(job.plan.size, job.plan.frames)
        names, pixels = (job.plan.file_stem, job.output_node), limit_for_picture(job.plan.size)
        fetched = fetch_outputs(self.server.session.client, outcome, folder, *names, most, pixels)
        times["transferred"] = time.monotonic() - began
        self.log.note_fetched(task, fetched.bytes)
        require_all_pictures(fetched, job, outcome)
        file = verify_output(fetched, job.plan, self.settings.quality, folder)
        times["verified"] = time.monotonic() - began - times["transferred"]
        seconds = {name: round(value, 3) for name, value in times.items()}
        measured = read_measurement(outcome)
        return self.results.accept(task, RenderedFile(file, job, fetched.clip, seconds, self.server.name, measured))

    def _fail_collecting(self, task: Task, job: Job, error: VideoGenError) -> None:
        # The worker itself finds out that a server is gone, and brings it back; two threads must not do that at once.
        failure = classify_error(error)
        ended = ""
        if failure is Failure.OUTPUT_BROKEN:
            ended = "success"  # the prompt is over, however little has come of it
            for part in self.attempts.segments_folder.glob(f".{job.plan.file_stem}-*"):
                part.unlink(missing_ok=True)
        if failure is Failure.SERVER_GONE:
            # It has finished this: once it is back, nothing has to be rendered again.
            task.reserved_for = self.server.name
            self._left_behind.append(_LeftBehind(task, task.attempt, self.attempts.prompt_id(task)))
        try:
            self._fail(task, Incident(failure, error, job.plan.size, ended), recover=False)
        except VideoGenError:
            pass  # the journal or a file cannot be written, which has stopped the run
        except Exception as problem:  # an internal error must not leave the run hanging
            self.log.note_crash(problem)

    def _look_again(self, error: VideoGenError) -> VideoGenError:
        """For a graph that the server refuses: what it lacks by now, else the refusal."""
        if classify_error(error) is Failure.VALIDATION:
            try:
                self.server.look_again()
            except VideoGenError as found:
                return found
        return error

    def _fail(self, task: Task, incident: Incident, *, recover: bool = True) -> None:
        """Do what `Triage` decides about a failure.

        Args:
            recover: get the server back, when it is the server that failed.

        Raises:
            VideoGenError: when the server will not come back.
        """
        name = self.server.name
        stalled = incident.failure is Failure.STALLED
        left = _LeftBehind(task, task.attempt, self.attempts.prompt_id(task), stalled)
        triage = Triage(self.scheduler, self.settings.retries)
        decision = triage.decide(
            task, name, incident, rendered=bool(self.results.rendered) or not self.settings.one_graph
        )
        remedy, error = decision.remedy, decision.error
        if decision.set_aside and recover:
            self.scheduler.suspend(name, error.message.splitlines()[0], failed=True)
            self.log.note_set_aside(name, error)
        self.log.note_failure(task, decision.failure, remedy, error, incident.ended)
        if remedy is Remedy.STOP:
            self.scheduler.put_back(task)
            self.scheduler.stop(error)
        elif remedy is Remedy.GIVE_UP:
            self._give_up(task, error)
        else:
            if remedy is Remedy.FREE_AND_REPEAT:
                self.server.session.client.free()
            task.apply(remedy, incident.size, ended=bool(incident.ended))
            self.scheduler.put_back(task)
        if decision.leaves:
            raise error
        if decision.set_aside and recover:
            self._left_behind.append(left)
            self._recover(error)

    def _give_up(self, task: Task, error: VideoGenError) -> None:
        try:
            accepted = self.results.accept_best_take(task)
        except VideoGenError as problem:
            # It cannot get its name, and no other segment's file could. The others must not wait for this one.
            self.scheduler.put_back(task)
            self.scheduler.stop(problem)
            raise
        if accepted:
            # An earlier take is there, which had only fallen short of a threshold.
            self.scheduler.finish(task, self.server.name, None)
        else:
            self.results.give_up(task, error)
            self.scheduler.give_up(task)

    def _recover(self, error: VideoGenError) -> None:
        """Get the server back, and what it has of our prompts."""
        try:
            back = not self.scheduler.wait_finished(0) and self.server.recover(
                error, self.scheduler.sleep, self.log.say
            )
        except VideoGenError:
            self._abandon()
            raise
        if not back:
            self._abandon()
            return
        while self._left_behind:
            self._reclaim(self._left_behind.pop())
        self.log.note_recovered(self.server.name)
        self.scheduler.resume(self.server.name)

    def _abandon(self) -> None:
        """Cancel the prompts that nobody waits for any more, and those that hang here: the next runner should not either."""
        for left in self._left_behind:
            task = left.task
            if left.stalled and task.attempt == left.attempt and self.scheduler.is_waiting(task):
                self.log.note_cancelled(task.number, task.attempt, hung=True)
            elif self.scheduler.is_open(task):
                continue
            self.server.session.client.cancel(left.prompt_id)

    def _reclaim(self, left: _LeftBehind) -> None:
        """Take a prompt's segment back if the server still has it, or cancel the prompt: another server has the segment now."""
        session, name = self.server.session, self.server.name
        try:
            found = session.find(left.prompt_id)
        except VideoGenError:
            return  # it is gone again, which its next segment will find out
        finished = found == "success"
        hangs = left.stalled and self.scheduler.others_for(left.task, name)[0]  # another server had better take it
        if finished or (found == "queued" and not hangs):
            wanted = self.scheduler.reclaim(left.task, name, left.attempt, finished=finished)
        else:
            wanted = False
        if found == "queued" and not wanted:
            session.client.cancel(left.prompt_id)

    def _announce_queue(self) -> None:
        """Tell the scheduler how many prompts of other clients wait here; with one server there is nothing to choose."""
        foreign = 0
        if len(self.scheduler.loads) > 1 and not self.scheduler.stopped:
            with contextlib.suppress(VideoGenError):  # its next task will find out
                foreign = len(self.server.session.client.queue().ids)
        self.scheduler.free_server(self.server.name, foreign)

    def _leave(self, error: VideoGenError) -> None:
        """The server will not come back: the others continue, and the last one ends the run."""
        if self.scheduler.stopped:
            return
        with contextlib.suppress(VideoGenError):  # a journal that cannot be written stops the run by itself
            self.log.note_server_left(self.server.name, error)
        if self.scheduler.remove(self.server.name, error.message.splitlines()[0]):
            self.scheduler.stop(self.scheduler.explain_removed(error))
