"""The history of a run directory: every run, every attempt at every segment, and notes on servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """Attempts, runs and notes of a run directory.

    Attributes:
        tries: by segment, oldest first: ``server``, ``seed_offset``, ``size`` (None: the story's), ``time``, ``outcome``
            (``done``, ``failed``, ``take`` when another one of its takes is kept, or None when nothing is known), and
            ``failure``, ``remedy``, ``message`` of a failed one.
            ``resumed`` counts how often a new runner found it already submitted.
        runs: ``started``, ``ended``, ``server``, ``todo``, ``kept``, ``end`` (``finished``, ``interrupted``, ``stopped``, or
            None for one that may be under way) and, once finished, ``seconds``, ``rendered``, ``failed``.
            Runs that had nothing to render are not among them.
        notes: what concerns servers and the runner itself: ``time``, ``what``, ``message``.
    """

    tries: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)

    def begin_run(self, record: Mapping[str, Any], last_time: float | None) -> None:
        """A run starts; one before it that never ended was stopped at `last_time`, the time of the last event."""
        self.end_run("stopped", last_time)
        nothing = dict.fromkeys(("ended", "end", "seconds", "rendered", "failed"))
        told = {"server": record.get("server"), "todo": len(record.get("todo") or ()), "kept": record.get("kept", 0)}
        self.runs.append({"started": record.get("time"), **told, **nothing})

    def end_run(self, end: str, time: float | None, **found: Any) -> None:
        """The last run ends, unless it has ended already."""
        if self.runs and self.runs[-1]["end"] is None:
            self.runs[-1] |= {"end": end, "ended": time, **found}

    def add_note(self, what: str, record: Mapping[str, Any]) -> None:
        """Something happened to a server, or to the runner itself."""
        message = record.get("message") or record.get("server") or ""
        self.notes.append({"time": record.get("time"), "what": what, "message": message})

    # ------------------------------------------------------------------ attempts

    def of_segment(self, number: int) -> list[dict[str, Any]]:
        """The attempts at a segment, a list to add to."""
        return self.tries.setdefault(number, [])

    def begin_try(self, number: int, record: Mapping[str, Any]) -> None:
        """A segment is submitted; the same prompt again is the same attempt, resumed by a new runner."""
        tries = self.of_segment(number)
        if tries and not tries[-1]["outcome"] and tries[-1]["prompt_id"] == record.get("prompt_id"):
            tries[-1]["resumed"] += 1
        else:
            tries.append(_describe_try(record))

    def fail_try(self, number: int, record: Mapping[str, Any]) -> None:
        """The last attempt failed; or one failed before it was submitted."""
        tries = self.of_segment(number)
        if not tries or tries[-1]["outcome"]:
            tries.append(_describe_try(record))
        tries[-1] |= {"outcome": "failed", "ended": record.get("time")}
        tries[-1] |= {name: record.get(name) for name in ("failure", "remedy", "message")}

    def judge_try(self, number: int, record: Mapping[str, Any]) -> None:
        """The last attempt became a take."""
        tries = self.of_segment(number)
        if tries:
            reasons = record.get("reasons") or [None]
            found = {"outcome": "take", "ended": record.get("time"), "message": reasons[0], "take": record.get("take")}
            tries[-1] |= found

    def finish_try(self, number: int, record: Mapping[str, Any]) -> None:
        """The segment is done: by the attempt whose take was kept, or by the last one."""
        tries = self.of_segment(number)
        if record.get("takes"):
            kept = [take.get("take") for take in record["takes"] if take.get("kept")]
            for attempt in tries:
                if attempt.get("take") in kept:
                    attempt["outcome"] = "done"
        elif tries and tries[-1]["outcome"] != "done":  # else it was restored, and not rendered again
            tries[-1] |= {"outcome": "done", "ended": record.get("time")}


def _describe_try(record: Mapping[str, Any]) -> dict[str, Any]:
    names = ("time", "attempt", "server", "seed_offset", "size", "prompt_id")
    nothing = dict.fromkeys(("outcome", "ended", "failure", "remedy", "message"))
    return {**{name: record.get(name) for name in names}, **nothing, "resumed": 0}
