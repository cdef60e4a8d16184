"""Checks on plain data that collect every problem with its place, instead of stopping at the first."""

from __future__ import annotations

import contextlib
import datetime
import difflib
import re
import reprlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, TypeVar

from ..errors import Problem
from ..timing import exact

T = TypeVar("T")
#: Nobody repairs more in one go.
MAX_PROBLEMS = 1000
_KINDS = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing (null)"}
_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = _SHORTENED.maxlong = 60


class TooManyProblems(Exception):
    """`MAX_PROBLEMS` have been reported, there is no point in looking on."""


def found(value: Any) -> str:
    """How a message names a value: what it is, and the value itself, shortened."""
    if isinstance(value, bool):
        return f"found {str(value).lower()}"
    if isinstance(value, int) and value.bit_length() > 4096:
        # Python refuses to write out such a number.
        return "found a number of more than 1,000 digits"
    if isinstance(value, (int, float)):
        return f"found {_SHORTENED.repr(value)}"
    if isinstance(value, datetime.date):
        return f"found a date ({value})"
    kind = _KINDS.get(type(value), type(value).__name__)
    if isinstance(value, (dict, list, type(None))):
        return f"found {kind}"
    return f"found {kind} ({_SHORTENED.repr(value)})"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'prompt'?)`` or nothing."""
    close = difflib.get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def place(where: str, key: str) -> str:
    """``segments[7].prompt``; a key that would spoil the line is quoted and shortened."""
    shown = key if key.isprintable() and 0 < len(key) <= 60 else _SHORTENED.repr(key)
    return f"{where}.{shown}" if where else shown


def whole_number(value: Any) -> int | None:
    """A value as a whole number, or None. 24.0 is one: that is how spreadsheets write 24."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


class Validator:
    """Reads fields out of mappings; what is wrong goes into `problems`, and a default takes its place."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def report(self, where: str, message: str) -> None:
        """
        Raises:
            TooManyProblems: after `MAX_PROBLEMS`.
        """
        if len(self.problems) >= MAX_PROBLEMS:
            self.problems.append(Problem("", f"and more; these are the first {MAX_PROBLEMS:,}"))
            raise TooManyProblems
        self.problems.append(Problem(where, message))

    def attempt(self, where: str, read: Callable[[], T], default: T) -> T:
        """The result of `read`, whose ValueErrors become problems."""
        try:
            return read()
        except ValueError as error:
            self.report(where, str(error))
            return default

    def mapping(self, value: Any, where: str, known: Iterable[str] | None = None) -> dict[str, Any]:
        """A mapping with text keys; keys outside `known` are reported, except ``x-…``."""
        if not isinstance(value, dict):
            self.report(where, f"{found(value)}, expected a mapping")
            return {}
        fields: dict[str, Any] = {}
        known = list(known) if known is not None else None
        for key, item in value.items():
            if not isinstance(key, str):
                self.report(where, f"{found(key)} as a key, expected text; put it in quotes")
            elif key.startswith("x-"):
                continue
            elif known is not None and key not in known:
                hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
                self.report(place(where, key), f"unknown key{hint}")
            else:
                fields[key] = item
        return fields

    def text(
        self,
        fields: dict[str, Any],
        key: str,
        where: str,
        *,
        default: str = "",
        longest: int = 20_000,
        filled: bool = False,
    ) -> str:
        """Text without control characters (line breaks and tabs are fine) of at most `longest` characters, stripped."""
        if key not in fields:
            return default
        value = fields[key]
        at = place(where, key)
        if not isinstance(value, str):
            # What YAML makes of `title: 1984`, of `title: no`, and of a color's # without quotes.
            advice = "; leave the key out, or put the text in quotes" if value is None else ""
            advice = "; put it in quotes" if isinstance(value, (int, float, datetime.date)) else advice
            self.report(at, f"{found(value)}, expected text{advice}")
        elif len(value) > longest:
            self.report(at, f"has {len(value):,} characters, at most {longest:,} are allowed")
        elif re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", value):
            self.report(at, f"{found(value)}, which has characters that cannot be shown")
        elif filled and not value.strip():
            self.report(at, "is empty, expected text")
        else:
            return value.strip()
        return default

    def whole(
        self, fields: dict[str, Any], key: str, where: str, *, default: T, low: int, high: int, unit: str = ""
    ) -> int | T:
        """A whole number from `low` to `high`."""
        if key not in fields:
            return default
        number = whole_number(fields[key])
        if number is None or not low <= number <= high:
            largest = "2^64 - 1" if high == 2**64 - 1 else f"{high:,}"
            expected = f"expected a whole number from {low} to {largest}{unit}"
            self.report(place(where, key), f"{found(fields[key])}, {expected}")
            return default
        return number

    def number(
        self,
        fields: dict[str, Any],
        key: str,
        where: str,
        *,
        default: Fraction | None,
        low: Fraction | int,
        high: Fraction | int,
        above: bool = False,
        unit: str = "",
    ) -> Fraction | None:
        """An exact number from `low` (or above it, with `above`) to `high`; also as text such as ``"24000/1001"``."""
        if key not in fields:
            return default
        value = fields[key]
        number = None
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            with contextlib.suppress(ValueError):
                number = exact(value)
        if number is None or number > high or number < low or (above and number == low):
            bounds = f"above {float(low):g} and up to" if above else f"from {float(low):g} to"
            self.report(place(where, key), f"{found(value)}, expected a number {bounds} {float(high):g}{unit}")
            return default
        return number

    def choice(self, fields: dict[str, Any], key: str, where: str, *, default: str, choices: Iterable[str]) -> str:
        """One of a list of words."""
        value = fields.get(key, default)
        choices = list(choices)
        if value in choices:
            return value
        meant = did_you_mean(value, choices) if isinstance(value, str) else ""
        self.report(place(where, key), f"{found(value)}, expected one of {', '.join(choices)}{meant}")
        return default
