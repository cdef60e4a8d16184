"""The display of a run in progress: a bar, plain lines, or one JSON event per line."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, Protocol

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from custom_nodes.videogen.core.errors import find_former_code

from ..terminal.console import PlainConsole
from ..terminal.json_output import print_json


class Display(Protocol):
    """Shows what happens."""

    def say(self, message: str) -> None:
        """One line for people."""

    def event(self, record: dict[str, Any]) -> None:
        """An event of the journal."""

    def begin(self, total: int, done: int, selection: Sequence[int] = ()) -> None:
        """`total` segments are wanted, `done` of them are done already. `selection`: their numbers, if not all of the story's."""

    def place(self, number: int, count: int) -> str:
        """Which of the segments number `number` of the story's `count` is."""

    def step(self, number: int, count: int, label: str, fraction: float | None) -> None:
        """Segment `number` of `count` is at `fraction` (0 to 1) of the node `label`; with None it waits for `label`."""

    def finish_segment(self, number: int, count: int, seconds: float, note: str) -> None:
        """A segment was rendered or has failed."""

    def end(self) -> None:
        """The run ended."""


class _Places:
    """Names segments: ``3/33`` in a run of all, ``3 (1 of 2)`` in one of two."""

    def __init__(self) -> None:
        self._selection: Sequence[int] = ()

    def place(self, number: int, count: int) -> str:
        if number not in self._selection:
            return f"{number}/{count}"
        return f"{number} ({self._selection.index(number) + 1} of {len(self._selection)})"


class _Remaining(ProgressColumn):
    """Mean seconds per segment, and the remaining time estimated from it."""

    def render(self, task: Task) -> Text:
        times: list[float] = task.fields["times"]
        if not times:
            return Text("")
        mean = sum(times[-10:]) / len(times[-10:])
        left = max(0.0, (task.total or 0) - task.completed) * mean
        return Text(f"{mean:.1f} s/segment · {_clock(left)} left", style="cyan")


class BarDisplay(_Places):
    """A live bar on a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.console = PlainConsole(stderr=True)
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            # Its label is a node's name, which is another's: brackets in it are no markup.
            TextColumn("{task.fields[step]}", style="dim", markup=False),
            _Remaining(),
            console=self.console,
            transient=True,
        )
        self._task: Any = None
        self._times: list[float] = []
        self._whole = 0

    def say(self, message: str) -> None:
        self.console.print(message)

    def event(self, record: dict[str, Any]) -> None:
        pass

    def begin(self, total: int, done: int, selection: Sequence[int] = ()) -> None:
        self._whole, self._selection = done, selection
        self._task = self._progress.add_task("Film", total=total, completed=done, step="", times=self._times)
        self._progress.start()

    def step(self, number: int, count: int, label: str, fraction: float | None) -> None:
        self._progress.update(
            self._task,
            description=f"Segment {self.place(number, count)}",
            step=label if fraction is None else f"{label} {fraction:.0%}",
            completed=None if fraction is None else self._whole + min(fraction, 0.99),
        )

    def finish_segment(self, number: int, count: int, seconds: float, note: str) -> None:
        self._whole += 1
        self._times.append(seconds)
        self._progress.update(self._task, completed=self._whole)
        if note:
            self.say(f"Segment {self.place(number, count)}: {note}")

    def end(self) -> None:
        self._progress.stop()


class LineDisplay(_Places):
    """One line per segment, for logs and pipes."""

    def __init__(self) -> None:
        super().__init__()
        self._times: list[float] = []
        self._left = 0
        self._waiting: set[int] = set()

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    def event(self, record: dict[str, Any]) -> None:
        pass

    def begin(self, total: int, done: int, selection: Sequence[int] = ()) -> None:
        self._left, self._selection = total - done, selection

    def step(self, number: int, count: int, label: str, fraction: float | None) -> None:
        if fraction is not None:
            self._waiting.discard(number)
        elif number not in self._waiting:  # once per pause: the temperature in the label keeps changing
            self._waiting.add(number)
            self.say(f"Segment {self.place(number, count)}: {label}")

    def finish_segment(self, number: int, count: int, seconds: float, note: str) -> None:
        self._times.append(seconds)
        self._left -= 1
        mean = sum(self._times[-10:]) / len(self._times[-10:])
        left = f", {_clock(mean * self._left)} left" if self._left else ""
        self.say(f"Segment {self.place(number, count)}: {note or 'done'} in {seconds:.1f} s{left}")

    def end(self) -> None:
        pass


class JsonDisplay(LineDisplay):
    """The journal's events on standard output, one per line; progress at most twice a second."""

    def __init__(self) -> None:
        super().__init__()
        self._last = 0.0

    def event(self, record: dict[str, Any]) -> None:
        print_json(_with_former_code(record))

    def step(self, number: int, count: int, label: str, fraction: float | None) -> None:
        if time.monotonic() - self._last >= 0.5:
            self._last = time.monotonic()
            place = {"segment": number, "count": count}
            if fraction is None:
                self.event({"event": "waiting", **place, "text": label})
            else:
                self.event({"event": "progress", **place, "node": label, "fraction": round(fraction, 3)})

    def say(self, message: str) -> None:
        self.event({"event": "message", "text": message})

    def finish_segment(self, number: int, count: int, seconds: float, note: str) -> None:
        pass


def choose_display(as_json: bool) -> Display:
    """JSON if requested, the bar on a terminal, lines elsewhere."""
    if as_json:
        return JsonDisplay()
    return BarDisplay() if sys.stderr.isatty() else LineDisplay()


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds + 0.5), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def _with_former_code(event: dict[str, Any]) -> dict[str, Any]:
    """An event with the name that its error code had in earlier releases, if it had one, as ``former_code``."""
    former_code = find_former_code(str(event.get("code", "")))
    return {**event, "former_code": former_code} if former_code else event
