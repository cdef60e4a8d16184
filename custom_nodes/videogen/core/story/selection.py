"""Selections of segments: ``1,4,8-11``."""

from __future__ import annotations

import re

from .validation import found, whole_number

_PART = re.compile(r"\s*([0-9]{1,9})\s*(?:(?:-|–|\.\.)\s*([0-9]{1,9})\s*)?")
#: Characters and parts of a selection: 10,000 segment numbers, one by one, have 48,893 and 10,000.
_MAX_CHARACTERS, _MAX_PARTS = 100_000, 20_000
_EXPECTED = 'expected segment numbers such as "1,4,8-11"'


def parse_selection(value: object, count: int) -> tuple[int, ...]:
    """Parse ``"1,4,8-11"``, ``7`` or ``[1, 4]`` into ascending segment numbers (1-based, without duplicates).

    Args:
        value: text, a whole number, or a list of both.
        count: number of segments; a number above it is refused.

    Raises:
        ValueError: with a sentence that names the invalid part.
    """
    if isinstance(value, str):
        if len(value) > _MAX_CHARACTERS:
            raise ValueError(f"has {len(value):,} characters, at most {_MAX_CHARACTERS:,} are allowed in a selection")
        parts: list[object] = [*value.split(",")]
    else:
        parts = value if isinstance(value, list) else [value]
    if len(parts) > _MAX_PARTS:
        raise ValueError(f"has {len(parts):,} parts, at most {_MAX_PARTS:,} are allowed in a selection")
    numbers: list[int] = []
    # In ascending order, and each only after the numbers before it: the same range a million times costs no time.
    for first, last in sorted(_parse_part(part, count) for part in parts):
        numbers.extend(range(max(first, numbers[-1] + 1 if numbers else first), last + 1))
    if not numbers:
        raise ValueError(f"found no segment, {_EXPECTED}")
    return tuple(numbers)


def _parse_part(part: object, count: int) -> tuple[int, int]:
    number = whole_number(part)
    text = str(number) if number is not None and abs(number) < 10**9 else part
    match = _PART.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f"{found(part)}, {_EXPECTED}")
    first = int(match[1])
    last = int(match[2] or first)
    if last < first:
        raise ValueError(f"the range {match[0].strip()!r} runs backwards")
    for number in (first, last):
        if not 1 <= number <= count:
            raise ValueError(f"segment {number} does not exist: the story has segments 1 to {count}")
    return first, last


def format_selection(numbers: tuple[int, ...] | list[int]) -> str:
    """The shortest text that `parse_selection` reads back: ``1,4,8-11``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" if b > a + 1 else f"{a},{b}" for a, b in runs)
