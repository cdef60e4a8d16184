"""Checks on plain data that collect every problem with its place, instead of stopping at the first."""

from __future__ import annotations

import difflib
import math
import re
import reprlib
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any, TypeVar

from .errors import Problem
from .timing import exact

T = TypeVar("T")
_KINDS = {dict: "a mapping", list: "a list", str: "text", bool: "true/false", type(None): "nothing (null)"}


def found(value: Any) -> str:
    """How a message names a value: what it is, and the value itself, shortened."""
    shortened = reprlib.Repr()
    shortened.maxstring = shortened.maxother = shortened.maxlong = 60
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"found {shortened.repr(value)}"
    kind = _KINDS.get(type(value), type(value).__name__)
    if isinstance(value, (dict, list, type(None))):
        return f"found {kind}"
    return f"found {kind} ({shortened.repr(value)})"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'prompt'?)`` or nothing."""
    close = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


class Checker:
    """Reads fields out of mappings; what is wrong goes into `problems`, and a default takes its place."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def report(self, where: str, message: str) -> None:
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
                self.report(f"{where}.{key}".lstrip("."), f"unknown key{hint}")
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
        """Text without control characters (line breaks and tabs are fine) of at most `longest` characters."""
        value = fields.get(key, default)
        place = f"{where}.{key}".lstrip(".")
        if not isinstance(value, str):
            advice = "; put it in quotes" if isinstance(value, (int, float)) else ""
            self.report(place, f"{found(value)}, expected text{advice}")
        elif len(value) > longest:
            self.report(place, f"has {len(value):,} characters, at most {longest:,} are allowed")
        elif re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", value):
            self.report(place, f"{found(value)}, which has characters that cannot be shown")
        elif filled and not value.strip():
            self.report(place, "is empty, expected text")
        else:
            return value.strip()
        return default

    def whole(
        self, fields: dict[str, Any], key: str, where: str, *, default: T, low: int, high: int, unit: str = ""
    ) -> int | T:
        """A whole number from `low` to `high`."""
        if key not in fields:
            return default
        place = f"{where}.{key}".lstrip(".")
        value = fields[key]
        largest = "2^64 - 1" if high == 2**64 - 1 else f"{high:,}"
        expected = f"expected a whole number from {low} to {largest}{unit}"
        if isinstance(value, bool) or not isinstance(value, int):
            self.report(place, f"{found(value)}, {expected}")
            return default
        if not low <= value <= high:
            self.report(place, f"{found(value)}, {expected}")
            return default
        return value

    def number(
        self, fields: dict[str, Any], key: str, where: str, *, default: Fraction | None, low: Fraction | int,
        high: Fraction | int, above: bool = False, unit: str = "",
    ) -> Fraction | None:  # fmt: skip
        """An exact number from `low` (or above it, with `above`) to `high`; also as text such as ``"24000/1001"``."""
        if key not in fields:
            return default
        place = f"{where}.{key}".lstrip(".")
        value = fields[key]
        expected = f"expected a number {f'above {low}' if above else f'from {low}'} {'and up ' if above else ''}to {high}{unit}"
        if isinstance(value, bool) or not isinstance(value, (int, float, str)) or _not_finite(value):
            self.report(place, f"{found(value)}, {expected}")
            return default
        try:
            number = exact(value)
        except (ValueError, ZeroDivisionError):
            self.report(place, f"{found(value)}, {expected}")
            return default
        if number > high or number < low or (above and number == low):
            self.report(place, f"{found(value)}, {expected}")
            return default
        return number

    def choice(self, fields: dict[str, Any], key: str, where: str, *, default: str, choices: Iterable[str]) -> str:
        """One of a list of words."""
        value = fields.get(key, default)
        choices = list(choices)
        if value in choices:
            return value
        place = f"{where}.{key}".lstrip(".")
        meant = did_you_mean(value, choices) if isinstance(value, str) else ""
        self.report(place, f"{found(value)}, expected one of {', '.join(choices)}{meant}")
        return default


def _not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
