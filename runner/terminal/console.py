"""The rich console for tables and progress."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from custom_nodes.videogen.core.printable import neutralize


class PlainConsole(Console):
    """A rich console whose texts are neutralized, and whose own colors and cursor movements stay.

    Words between brackets are text, too, unless `markup` says otherwise: ``[link=…]`` would be a link out of the terminal.

    Args:
        stderr: for standard error, else for standard output.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        stream = sys.stderr if stderr else sys.stdout
        options = {"file": getattr(stream, "styled", stream), "markup": False, "highlight": False, **options}
        super().__init__(stderr=stderr, **options)

    def can_show(self, text: str) -> bool:
        """Whether the terminal's encoding has all characters of a text."""
        try:
            text.encode(self.encoding)
        except UnicodeError:
            return False
        return True

    def render_str(self, text: str, **options: Any) -> Text:
        """Before it is measured: an escape is wider than what it stands for."""
        return super().render_str(neutralize(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Whatever else brings text along."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(neutralize(segment.text), segment.style)
