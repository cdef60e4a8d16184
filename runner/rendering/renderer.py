"""Renders a run's segments on its servers: a thread for each server, and one state machine for each segment."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from custom_nodes.videogen.core.errors import VideoGenError

from ..comfyui.servers import Server
from ..state.progress import Display
from ..state.run_directory import RunDirectory
from .attempts import Attempts
from .fleet.submissions import find_submissions
from .per_segment.job_makers import SegmentJobs
from .results import SegmentResults
from .run_log import RunLog
from .scheduler import Lacks, Scheduler, lack_nothing
from .takes.selector import TakeSelector
from .worker import RenderSettings, Worker

#: Seconds that the threads get to end in order: a request without an answer must not delay the exit any longer.
MAX_STOP_SECONDS = 15.0


class Renderer:
    """Renders segments on one or several servers.

    Args:
        servers: connected; several share the work.
        worker: the thread of a server.
        lacks: what each server lacks for some of the segments.
    """

    def __init__(
        self,
        servers: Sequence[Server],
        maker: SegmentJobs,
        directory: RunDirectory,
        display: Display,
        settings: RenderSettings,
        worker: type[Worker] = Worker,
        lacks: Lacks = lack_nothing,
    ) -> None:
        self.servers, self.maker, self.settings, self.worker, self.lacks = servers, maker, settings, worker, lacks
        self.journal = directory.journal
        self.scheduler = Scheduler([], [])
        self.log = RunLog(
            directory.journal, display, len(maker.story.segments), stop=lambda error: self.scheduler.stop(error)
        )
        self.attempts = Attempts(maker, directory, self.log, servers)
        selector = TakeSelector(directory, maker.story, settings.max_takes)
        self.results = SegmentResults(directory, self.log, selector)

    @property
    def rendered(self) -> list[int]:
        """Numbers of the segments that were finished."""
        return self.results.rendered

    @property
    def failed(self) -> dict[int, VideoGenError]:
        """Why the others were given up."""
        return self.results.failed

    def render(self, numbers: Sequence[int]) -> None:
        """Render these segments.

        Raises:
            VideoGenError: for what concerns the run as a whole; a segment that fails is noted in `failed`.
            KeyboardInterrupt: after the prompts under way were interrupted and everything is in the journal.
        """
        done = [number for number, state in self.journal.segments.items() if state.state == "done"]
        tasks = [self.attempts.make_task(number, set(numbers)) for number in numbers]
        find_submissions(tasks, self.servers, self.attempts, self.log)
        self.scheduler = Scheduler(tasks, set(done) - set(numbers), self.lacks)
        for server in self.servers:
            self.scheduler.add_server(server.name, restarts=server.restarts)
        workers = [
            self.worker(server, self.scheduler, self.attempts, self.results, self.log, self.settings)
            for server in self.servers
        ]
        self.log.start_clock()
        try:
            for worker in workers:
                worker.start()
            finished = False
            while not finished and any(worker.is_alive() for worker in workers):
                finished = self.scheduler.wait_finished(1.0)
        except KeyboardInterrupt:
            self.log.say("Stopping: interrupting the running prompts (press Ctrl-C again to abort)")
            self._stop(workers)
            with contextlib.suppress(VideoGenError):
                self.log.note_interrupted()
            raise
        finished = finished or self.scheduler.wait_finished(0)
        self._stop(workers)
        if self.scheduler.error is not None:
            raise self.scheduler.error
        if not finished:
            raise VideoGenError("runner-failed", "internal error in videogen: its threads have ended too early")

    def _stop(self, workers: Sequence[Worker]) -> None:
        """End what still waits for a server that went away, or for an answer; but do not wait for it for ever."""
        self.scheduler.stop()
        deadline = time.monotonic() + MAX_STOP_SECONDS
        for worker in workers:
            while worker.is_alive() and time.monotonic() < deadline:
                worker.join(0.5)  # in slices: a second Ctrl-C must get through
