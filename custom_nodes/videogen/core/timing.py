"""All time arithmetic. Seconds are exact `Fraction`s, never floats."""

from __future__ import annotations

import math
import re
from fractions import Fraction

_CLOCK = r"(?:(?:([0-9]{1,3}):)?([0-9]{1,3}):([0-9]{1,2}(?:[.,][0-9]{1,9})?)|([0-9]{1,5}(?:[.,][0-9]{1,9})?)(?:\s?s)?)"
_TIMESPAN = re.compile(rf"\s*{_CLOCK}\s*(?:-|–|—|−|--?>|→|[bB][iI][sS]|[tT][oO])\s*{_CLOCK}\s*")
# Fraction() itself reads "1e999999999" too, and computes it.
_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]{1,18}(?:\.[0-9]{0,18}|/[0-9]{1,18})?|\.[0-9]{1,18})\s*")


def parse_timespan(text: str) -> tuple[Fraction, Fraction]:
    """Read ``MM:SS - MM:SS`` (also ``HH:MM:SS``, seconds alone, fractions, any dash or arrow) as (start, end) in seconds.

    Raises:
        ValueError: with a sentence, when the text is malformed, or the end is not after the start.
    """
    match = _TIMESPAN.fullmatch(text)
    if not match:
        frames = re.search(r"[0-9]{1,3}:[0-9]{1,2}:[0-9]{1,2}[:;][0-9]{1,3}", text[:100])
        advice = "; the last part of it seems to count frames: write a fraction of a second" if frames else ""
        raise ValueError(f'found {text!r}, expected "MM:SS - MM:SS" such as "00:08 - 00:16"{advice}')
    start, end = _clock_seconds(*match.groups()[:4]), _clock_seconds(*match.groups()[4:])
    if end <= start:
        kind = "runs backwards" if end < start else "has no length"
        raise ValueError(f"{text!r} {kind}: the end must come after the start")
    return start, end


def _clock_seconds(hours: str | None, minutes: str, seconds: str, alone: str | None) -> Fraction:
    if alone is not None:
        return Fraction(alone.replace(",", "."))
    whole_seconds = Fraction(seconds.replace(",", "."))
    if whole_seconds >= 60:
        raise ValueError(f"found {seconds} seconds, expected less than 60")
    if hours is not None and int(minutes) >= 60:
        raise ValueError(f"found {minutes} minutes after the hours, expected less than 60")
    return int(hours or 0) * 3600 + int(minutes) * 60 + whole_seconds


def exact(number: int | float | str | Fraction) -> Fraction:
    """A number exactly as written: 29.97 becomes 2997/100, not the nearest binary fraction.

    Raises:
        ValueError: for NaN, infinities and text that is not a number such as ``"3"``, ``"29.97"``, ``"24000/1001"``.
    """
    if isinstance(number, float):
        if not math.isfinite(number):
            raise ValueError(f"found {number}, expected a finite number")
        return Fraction(repr(number))
    if isinstance(number, str) and not _NUMBER.fullmatch(number):
        raise ValueError(f'found {number[:60]!r}, expected a number such as 29.97 or "24000/1001"')
    try:
        return Fraction(number)
    except ZeroDivisionError:
        raise ValueError(f"found {number!r}, which divides by zero") from None


def count_frames(duration: Fraction, fps: Fraction) -> int:
    """Number of frames of a file that lasts `duration` seconds: the nearest whole number, halves up, at least one."""
    return max(1, math.floor(duration * fps + Fraction(1, 2)))


def count_rendered_frames(duration: Fraction, fps: Fraction) -> int:
    """Number of frames to render so that all of `duration` is covered: rounded up."""
    return max(1, math.ceil(duration * fps))


def format_timecode(seconds: Fraction, *, tenths: bool = False) -> str:
    """``03:04`` (or ``1:03:04``; with tenths ``03:04.5``), rounded down as a clock shows it."""
    units = math.floor(seconds * 10) if tenths else math.floor(seconds)
    whole, tenth = divmod(units, 10) if tenths else (units, 0)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    text = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"
    return f"{text}.{tenth}" if tenths else text


def format_seconds(seconds: Fraction) -> str:
    """``8.000 s``, for messages."""
    return f"{float(seconds):.3f} s"
