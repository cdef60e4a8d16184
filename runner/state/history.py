"""What happened on the way: every attempt at every segment and every run, out of the journal's file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NOTES = {
    "server-left": "A server was not used any more",
    "server-recovered": "A server came back",
    "runner-error": "A mistake in videogen itself",
    "server-cooled": "A server had to cool down",
}


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
    _keys: dict[int, Any] = field(default_factory=dict)
    _last_time: float | None = None

    def add(self, event: dict[str, Any]) -> None:
        """Take in one event of the journal, in order."""
        kind, number = event.get("event"), event.get("segment")
        if isinstance(number, int):
            self._add_to_segment(str(kind), number, event)
        elif kind == "run-started":
            self._end_run("stopped", self._last_time)
            nothing = dict.fromkeys(("ended", "end", "seconds", "rendered", "failed"))
            told = {"server": event.get("server"), "todo": len(event.get("todo") or ()), "kept": event.get("kept", 0)}
            self.runs.append({"started": event.get("time"), **told, **nothing})
        elif kind == "run-finished":
            found = {name: event.get(name) for name in ("seconds", "rendered", "failed")}
            self._end_run("finished", event.get("time"), **found)
        elif kind == "run-interrupted":
            self._end_run("interrupted", event.get("time"))
        elif kind in _NOTES:
            message = event.get("message") or event.get("server") or ""
            self.notes.append({"time": event.get("time"), "what": _NOTES[str(kind)], "message": message})
        self._last_time = event.get("time", self._last_time)

    def _end_run(self, end: str, time: float | None, **found: Any) -> None:
        if self.runs and self.runs[-1]["end"] is None:
            self.runs[-1] |= {"end": end, "ended": time, **found}

    def _add_to_segment(self, kind: str, number: int, event: dict[str, Any]) -> None:
        tries = self.tries.setdefault(number, [])
        if kind == "segment-submitted":
            if event.get("key") != self._keys.get(number):
                # What was tried for a job that is not wanted any more says nothing about this one.
                self._keys[number] = event.get("key")
                tries.clear()
            if tries and not tries[-1]["outcome"] and tries[-1]["prompt_id"] == event.get("prompt_id"):
                tries[-1]["resumed"] += 1
                return
            tries.append(_begin_try(event))
        elif kind == "attempt-failed":
            if not tries or tries[-1]["outcome"]:
                tries.append(_begin_try(event))  # it failed before it was submitted
            tries[-1] |= {"outcome": "failed", "ended": event.get("time")}
            tries[-1] |= {name: event.get(name) for name in ("failure", "remedy", "message")}
        elif kind == "segment-take" and tries:
            reasons = event.get("reasons") or [None]
            tries[-1] |= {
                "outcome": "take",
                "ended": event.get("time"),
                "message": reasons[0],
                "take": event.get("take"),
            }
        elif kind == "segment-done" and event.get("takes"):
            kept = [one.get("take") for one in event["takes"] if one.get("kept")]
            for one in tries:
                if one.get("take") in kept:
                    one["outcome"] = "done"
        elif kind == "segment-done" and tries:
            tries[-1] |= {"outcome": "done", "ended": event.get("time")}


def _begin_try(event: dict[str, Any]) -> dict[str, Any]:
    names = ("time", "attempt", "server", "seed_offset", "size", "prompt_id")
    nothing = dict.fromkeys(("outcome", "ended", "failure", "remedy", "message"))
    return {**{name: event.get(name) for name in names}, **nothing, "resumed": 0}


def read_history(journal: Path) -> History:
    """Read a journal's file line by line: a run of 10,000 segments has 50,000 events."""
    history = History()
    for event in _events(journal):
        history.add(event)
    return history


def _events(journal: Path) -> Iterator[dict[str, Any]]:
    try:
        with journal.open("rb") as file:
            for line in file:
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # a last line that a runner is just writing; `Journal` complains about all others
                if isinstance(event, dict):
                    yield event
    except FileNotFoundError:
        return
