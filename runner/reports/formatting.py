"""How the report writes numbers, times, sizes and addresses: the filters of its templates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import PurePosixPath
from urllib.parse import quote

from custom_nodes.videogen.core.story.selection import format_selection
from custom_nodes.videogen.core.timing import format_timecode


def relative_link(file: str | None) -> str | None:
    """A relative URL inside the run directory; None for anything that would lead out of it."""
    path = PurePosixPath(str(file or ""))
    if not file or path.is_absolute() or ".." in path.parts or ":" in path.parts[0] or "\\" in str(file):
        return None
    return quote(str(path))


def format_duration(seconds: float) -> str:
    """``0.42 s``, ``12.3 s``, ``4 min 05 s``, ``3 h 12 min``."""
    if seconds < 59.95:
        text = f"{seconds:.1f} s" if seconds >= 0.95 or seconds == 0 else f"{seconds:.2f} s"
    else:
        minutes, rest = divmod(round(seconds), 60)
        text = f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
    return text.replace(" ", "\u00a0")


def format_clock(seconds: float) -> str:
    """``0:12.5``: a position in the film."""
    return format_timecode(Fraction(str(seconds)), tenths=True)


def shorten_server(name: str) -> str:
    """``http://render-01:8188`` as ``render-01:8188``."""
    return name.removeprefix("http://").removeprefix("https://")


def format_size(size: Sequence[int]) -> str:
    """``1920×1080``."""
    return f"{size[0]}×{size[1]}"


def format_bytes(count: float) -> str:
    """``850 kB``, ``12.3 MB``."""
    return f"{count / 1e3:.0f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def format_moment(time: float | None) -> str:
    """Local date and time, such as ``21 Nov 2026, 05:45``."""
    if time is None:
        return ""
    moment = datetime.fromtimestamp(time).astimezone()
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def format_numbers(numbers: Sequence[int]) -> str:
    """``1, 4, 8–11``."""
    return format_selection(list(numbers)).replace(",", ", ").replace("-", "–")


def format_count(count: int) -> str:
    """``6 336``, with a narrow space that does not break."""
    return f"{count:,}".replace(",", "\u202f")


FILTERS = {
    "bytes": format_bytes,
    "clock": format_clock,
    "duration": format_duration,
    "host": shorten_server,
    "moment": format_moment,
    "number": format_count,
    "selection": format_numbers,
    "size": format_size,
}
