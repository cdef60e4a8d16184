"""Finished segments: a verified file, or the best take, becomes the segment's file; what a kill left half-way is completed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from custom_nodes.videogen.core.continuity.policy import choose_take
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import has_hash

from ..comfyui.outputs import ClipFiles
from ..state.run_directory import RunDirectory
from .collect import VerifiedFile
from .jobs import Job
from .kept_results import bring_back_sounds, move_to_name, place_file
from .retries import Remedy
from .run_log import RunLog
from .scheduler import Task
from .takes.measurement import TakeMeasurement
from .takes.records import describe_shortfall, list_takes
from .takes.selector import NewTake, TakeSelector
from .thermal import summarize_telemetry


@dataclass(frozen=True)
class RenderedFile:
    """A verified file, and how it was rendered.

    Attributes:
        clip: which of the server's files it is, and what VideoGenSaveSegment says of it.
        seconds: by step, such as ``executed`` and ``transferred``.
        server: its name.
        measurement: its continuity, when the workflow measures it.
    """

    file: VerifiedFile
    job: Job
    clip: ClipFiles
    seconds: Mapping[str, float]
    server: str
    measurement: TakeMeasurement | None = None

    def describe(self, task: Task) -> dict[str, Any]:
        """The segment's result, as the journal and the report have it."""
        file, plan = self.file, self.job.plan
        return {
            "key": task.key,
            "file": f"segments/{file.target.name}",
            "bytes": file.bytes,
            "sha256": file.sha256,
            "frames": file.info.frames,
            "fps": str(file.info.fps),
            "size": [file.info.width, file.info.height],
            "seed": plan.seed,
            "rendered_size": list(plan.size),
            "degraded": task.variant.size is not None,
            "server": self.server,
            "encoder": self.clip.record.encoder if self.clip.record is not None else None,
            "seconds": dict(self.seconds),
            **({"sounds": list(file.sounds)} if file.sounds else {}),
            **({"handed_over": list(file.handed_over)} if file.handed_over else {}),
            **summarize_telemetry(self.clip.telemetry or {}),
        }


class SegmentResults:
    """Accepts what the servers have rendered; all methods may be called from any thread.

    Attributes:
        rendered: numbers of the segments that were finished.
        failed: why the others were given up.
    """

    def __init__(self, directory: RunDirectory, log: RunLog, selector: TakeSelector) -> None:
        self._directory, self._log, self._selector = directory, log, selector
        self._lock = threading.RLock()
        self.rendered: list[int] = []
        self.failed: dict[int, VideoGenError] = {}

    def accept(self, task: Task, rendered: RenderedFile) -> bool:
        """Accept a verified file: it is written to the journal first, then it is renamed, then the segment is done.

        Killed in between, the next runner finds the verified bytes by their hash and renders nothing again.

        Returns:
            Whether the segment is done; otherwise another take is wanted, with the next seed.
        """
        result = rendered.describe(task)
        if rendered.measurement is not None:
            return self._accept_take(task, rendered.file, rendered.measurement, result)
        place_file(self._directory, task.number, rendered.file.path.name, result, self._log)
        plan = rendered.job.plan
        changes = [f"at {plan.size[0]}×{plan.size[1]}"] if task.variant.size else []
        if task.variant.seed_offset:
            changes.append(f"with seed {plan.seed}")
        self._finish(task, f"done {' '.join(changes)}" if changes else "")
        return True

    def _accept_take(
        self, task: Task, file: VerifiedFile, measurement: TakeMeasurement, result: dict[str, Any]
    ) -> bool:
        # One after the other: each is compared with those that are accepted.
        with self._lock:
            take = NewTake(task.number, task.attempt, task.variant.seed_offset, measurement, file, result)
            another = self._selector.add(take, self._log)
            if not another:
                self.accept_best_take(task)
                return True
        last = self._directory.journal.segment(task.number).takes[-1]
        self._log.say_of(task, f"take {last['take']}, {last['reasons'][0]} → {Remedy.NEXT_SEED.value}")
        return False

    def accept_best_take(self, task: Task) -> bool:
        """Make the best of a task's takes its segment's file.

        Returns:
            Whether there was one: of a file that was lost the takes count no more.
        """
        state = self._directory.journal.segment(task.number)
        if not state.takes or state.key != task.key or state.state in ("verified", "done"):
            return False
        count = len(state.takes)
        best = place_best_take(self._directory, task.number, self._log)
        if best is None:
            return False
        shortfall = describe_shortfall(best, count)
        self._finish(task, f"done with seed {best['seed']}, {shortfall}" if shortfall else "")
        return True

    def note_kept(self, task: Task) -> None:
        """A segment need not be rendered after all."""
        self._log.show_finished(task, "kept")

    def give_up(self, task: Task, error: VideoGenError) -> None:
        """Note a segment as failed."""
        tries = sum(task.failures.values())
        final = VideoGenError(error.code, error.message, f"It was tried {tries} times." if tries > 1 else error.hint)
        self._log.note_given_up(task, final)
        with self._lock:
            self.failed[task.number] = final
            self._log.show_finished(task, f"failed: {final.message}")

    def _finish(self, task: Task, note: str) -> None:
        with self._lock:
            self.rendered.append(task.number)
            self._log.show_finished(task, note)


def place_best_take(directory: RunDirectory, number: int, log: RunLog) -> dict[str, Any] | None:
    """Make the best take of a segment its file.

    Returns:
        The take; None when the files of all takes are gone.
    """
    state = directory.journal.segment(number)
    takes = [take for take in state.takes if _is_there(directory, take)]
    if not takes:
        return None
    best = takes[choose_take([take["level"] for take in takes], [take["rank"] for take in takes])]
    result = best["result"] | {
        "key": state.key,
        "scores": best["scores"],
        "continuity": {
            "take": best["take"],
            "level": best["level"],
            "reasons": best["reasons"],
            "backend": best["backend"],
            "subjects": best["subjects"],
            "file": best["scores_file"],
            "sha256": best.get("scores_sha256"),
        },
        "takes": list_takes(state.takes, best),
    }
    place_file(directory, number, best["part"], result, log)
    return best


def _is_there(directory: RunDirectory, take: Mapping[str, Any]) -> bool:
    path = directory.segments / take["part"]
    return path.is_file() and has_hash(path, take["result"].get("sha256"), take["result"].get("bytes"))


def recover_takes(directory: RunDirectory, max_takes: int) -> None:
    """Finish segments whose last take an earlier runner had judged, but not yet placed.

    To be called before partial files are removed: the take may still have its temporary name.

    Args:
        max_takes: how many takes a segment may have now; the earlier runner may have wanted more.
    """
    log = RunLog(directory.journal)
    for number, state in list(directory.journal.segments.items()):
        wanted = state.takes and state.takes[-1]["another"] and len(state.takes) < max_takes
        judged = state.takes and not wanted and state.state not in ("verified", "done", "failed")
        if judged:
            place_best_take(directory, number, log)


def recover_verified(directory: RunDirectory) -> None:
    """Finish segments that an earlier runner had verified, but not yet named or noted as done."""
    log = RunLog(directory.journal)
    for number, state in list(directory.journal.segments.items()):
        if state.state != "verified" or not state.result.get("file"):
            continue
        target = directory.path / state.result["file"]
        part = directory.segments / str(state.result.get("part", "-"))
        for path in (target, part):
            if path.is_file() and has_hash(path, state.result.get("sha256"), state.result.get("bytes")):
                move_to_name(directory, number, path, target)
                bring_back_sounds(directory, state.result)
                log.note_done(
                    number, {key: value for key, value in state.result.items() if key not in ("part", "time")}
                )
                break
