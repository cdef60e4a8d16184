"""Progress on the terminal while the steps run."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from custom_nodes.videogen.core.printable import neutralize


class Console:
    """One line a step; on a terminal it shows the seconds that have passed."""

    def __init__(self, out: TextIO | None = None) -> None:
        out = out or sys.stdout
        # The stream below the one that neutralizes: carriage returns of a line that is written again are our own.
        self.out: TextIO = getattr(out, "styled", out)
        self.tty, self.title, self.started = self.out.isatty(), "", 0.0

    def say(self, text: str, end: str = "\n") -> None:
        """Write a line; what pip or a file put into it is neutralized."""
        self._write(neutralize(text), end)

    def _write(self, text: str, end: str) -> None:
        encoding = self.out.encoding or "utf-8"
        for mark, plain in {"✓": "ok", "✗": "failed", "…": "..."}.items():
            if mark.encode(encoding, "replace") == b"?":
                text = text.replace(mark, plain)
        self.out.write(text.encode(encoding, "replace").decode(encoding) + end)
        self.out.flush()

    def begin(self, title: str) -> None:
        self.title, self.started = title, time.monotonic()
        self.say(f"  {title} … ", end="")  # at once, so that the log of a killed job says where it was

    def tick(self) -> None:
        if self.tty:
            title = neutralize(self.title)
            self._write(f"\r  {title} … {time.monotonic() - self.started:.0f} s ", "")

    def finish(self, mark: str, detail: str) -> None:
        seconds = f"{time.monotonic() - self.started:.1f} s{detail}"
        line = neutralize(f"  {mark} {self.title} … {seconds}" if self.tty else f"{seconds} {mark}")
        self._write(f"\r{line}" if self.tty else line, "\n")
