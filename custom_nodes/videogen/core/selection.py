"""Lists of segment numbers as people write them: ``1,4,8-11``."""

from __future__ import annotations

import re

_PART = re.compile(r"\s*(\d{1,9})\s*(?:(?:-|–|\.\.)\s*(\d{1,9})\s*)?")


def parse_selection(value: object, count: int) -> tuple[int, ...]:
    """Read ``"1,4,8-11"``, ``7`` or ``[1, 4]`` as ascending segment numbers (1-based, without doubles).

    Args:
        value: text, one whole number, or a list of both.
        count: how many segments there are; a number above it is refused.

    Raises:
        ValueError: with a sentence that names the part that cannot be used.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, list)):
        raise ValueError(f'found {value!r}, expected segment numbers such as "1,4,8-11"')
    parts = value if isinstance(value, list) else str(value).split(",")
    numbers: set[int] = set()
    for part in parts:
        numbers.update(_parse_part(part, count))
    if not numbers:
        raise ValueError('found no segment, expected segment numbers such as "1,4,8-11"')
    return tuple(sorted(numbers))


def _parse_part(part: object, count: int) -> range:
    match = None if isinstance(part, bool) else _PART.fullmatch(str(part))
    if not match:
        raise ValueError(f'found {part!r}, expected segment numbers such as "1,4,8-11"')
    first = int(match[1])
    last = int(match[2] or first)
    if last < first:
        raise ValueError(f"the range {str(part).strip()!r} runs backwards")
    for number in (first, last):
        if not 1 <= number <= count:
            raise ValueError(f"segment {number} is not there: the story has segments 1 to {count}")
    return range(first, last + 1)


def format_selection(numbers: tuple[int, ...] | list[int]) -> str:
    """The shortest text that `parse_selection` reads back: ``1,4,8-11``."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" if b > a + 1 else f"{a},{b}" for a, b in runs)
