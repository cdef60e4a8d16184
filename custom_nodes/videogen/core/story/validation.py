"""Validation of plain data that collects all problems with their places instead of stopping at the first."""

from __future__ import annotations

import contextlib
import datetime
import re
import reprlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

from ..errors import Problem
from ..similar_names import SimilarNames
from ..timing import exact
from .pasted.other_words import find_meanings

T = TypeVar("T")
#: Words for true and false that YAML had before version 1.2.
_FLAGS = {
    form: word in ("yes", "on") for word in ("yes", "no", "on", "off") for form in (word, word.title(), word.upper())
}
#: More than anyone repairs at once.
MAX_PROBLEMS = 1000
_KINDS = {dict: "a mapping", list: "a list", str: "text", type(None): "nothing (null)"}
_SHORTENED = reprlib.Repr()
_SHORTENED.maxstring = _SHORTENED.maxother = _SHORTENED.maxlong = 60


class TooManyProblems(Exception):
    """`MAX_PROBLEMS` problems have been reported; validation stops."""


def found(value: Any) -> str:
    """Describe a value in a message: its kind, and the value itself, shortened."""
    if isinstance(value, bool):
        return f"found {str(value).lower()}"
    if isinstance(value, int) and value.bit_length() > 4096:
        # Python refuses to print such a number.
        return "found a number of more than 1,000 digits"
    if isinstance(value, (int, float)):
        return f"found {_SHORTENED.repr(value)}"
    if isinstance(value, datetime.date):
        return f"found a date ({value})"
    kind = _KINDS.get(type(value), type(value).__name__)
    if isinstance(value, (dict, list, type(None))):
        return f"found {kind}"
    return f"found {kind} ({_SHORTENED.repr(value)})"


def did_you_mean(word: str, known: Iterable[str], similar: SimilarNames | None = None) -> str:
    """`` (did you mean 'prompt'?)``, or "" when no known word is close.

    Args:
        similar: limits the comparisons of several messages together; without it, those of this message.
    """
    close = (similar or SimilarNames(1_000)).find(word, known)
    return f" (did you mean {close!r}?)" if close else ""


def place(where: str, key: str) -> str:
    """``segments[7].prompt``; an unprintable or long key is quoted and shortened."""
    shown = key if key.isprintable() and 0 < len(key) <= 60 else _SHORTENED.repr(key)
    return f"{where}.{shown}" if where else shown


def whole_number(value: Any) -> int | None:
    """A value as a whole number, or None. 24.0 is accepted, as spreadsheets write 24 like this."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Range:
    """Numbers from `low` (without it, when `above`) to `high`, of some unit."""

    low: Fraction | int
    high: Fraction | int
    above: bool = False
    unit: str = ""

    def __contains__(self, number: Fraction) -> bool:
        return self.low <= number <= self.high and not (self.above and number == self.low)

    def __str__(self) -> str:
        bounds = f"above {float(self.low):g} and up to" if self.above else f"from {float(self.low):g} to"
        return f"{bounds} {float(self.high):g}{self.unit and f' {self.unit}'}"


class Validator:
    """Collects the problems of a document while its fields are read."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._listed: set[tuple[str, ...]] = set()

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
        """The result of `read`; a ValueError becomes a problem, and `default` is returned."""
        try:
            return read()
        except ValueError as error:
            self.report(where, str(error))
            return default

    def mapping(
        self,
        value: Any,
        where: str,
        known: Iterable[str] | None = None,
        explain: Callable[[str, Any], str] = lambda key, item: "",
    ) -> Fields:
        """The fields of a mapping with text keys; keys outside `known` are reported, except ``x-…``.

        Args:
            explain: of an unknown key and its value: the rest of the message, or "" to have a similar key suggested.
        """
        fields = Fields(self, where)
        if not isinstance(value, dict):
            self.report(where, f"{found(value)}, expected a mapping")
            return fields
        known = tuple(known) if known is not None else None
        for key, item in value.items():
            if not isinstance(key, str):
                self.report(where, f"{found(key)} as a key, expected text; put it in quotes")
            elif key.startswith("x-"):
                continue
            elif known is not None and key not in known:
                hint = explain(key, item) or find_meanings(key, known) or did_you_mean(key, known) or self._list(known)
                self.report(place(where, key), f"unknown key{hint}")
            else:
                fields[key] = item
        return fields

    def _list(self, known: tuple[str, ...]) -> str:
        """The known keys, the first time that they are asked for: once read, they only hide what else is wrong."""
        if known in self._listed:
            return ""
        self._listed.add(known)
        return f"; known are {', '.join(known)}"


class Fields(dict[str, Any]):
    """The fields of one mapping, read one at a time: a wrong one is reported, and its default is returned.

    Args:
        where: the mapping's place in the document, such as ``segments[7]``; "" for the document itself.
    """

    def __init__(self, validator: Validator, where: str) -> None:
        super().__init__()
        self.validator = validator
        self.where = where

    def report(self, key: str, message: str) -> None:
        """Report a problem of one field."""
        self.validator.report(place(self.where, key), message)

    def text(self, key: str, *, default: str = "", longest: int = 20_000, filled: bool = False) -> str:
        """Text without control characters (line breaks and tabs are fine) of at most `longest` characters, stripped."""
        if key not in self:
            return default
        value = self[key]
        if not isinstance(value, str):
            # What YAML makes of `title: 1984`, of `title: no`, and of a color's # without quotes.
            advice = "; leave the key out, or put the text in quotes" if value is None else ""
            advice = "; put it in quotes" if isinstance(value, (int, float, datetime.date)) else advice
            self.report(key, f"{found(value)}, expected text{advice}")
        elif len(value) > longest:
            self.report(key, f"has {len(value):,} characters, at most {longest:,} are allowed")
        elif re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]", value):
            self.report(key, f"{found(value)}, which has characters that cannot be shown")
        elif filled and not value.strip():
            self.report(key, "is empty, expected text")
        else:
            return value.strip()
        return default

    def whole(self, key: str, *, default: T, low: int, high: int, unit: str = "") -> int | T:
        """A whole number from `low` to `high`."""
        if key not in self:
            return default
        number = whole_number(self[key])
        if number is None or not low <= number <= high:
            largest = "2^64 - 1" if high == 2**64 - 1 else f"{high:,}"
            self.report(key, f"{found(self[key])}, expected a whole number from {low} to {largest}{unit}")
            return default
        return number

    def number(self, key: str, *, default: Fraction | None, limits: Range) -> Fraction | None:
        """An exact number within `limits`; also as text such as ``"24000/1001"``."""
        if key not in self:
            return default
        value = self[key]
        number = None
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            with contextlib.suppress(ValueError):
                number = exact(value)
        if number is None or number not in limits:
            self.report(key, f"{found(value)}, expected a number {limits}")
            return default
        return number

    def flag(self, key: str) -> bool:
        """True or false; false when the key is missing."""
        value = self.get(key, False)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value in _FLAGS:
            return _FLAGS[value]
        self.report(key, f"{found(value)}, expected true or false")
        return False

    def choice(self, key: str, *, default: str, choices: Iterable[str]) -> str:
        """One of a list of words."""
        value = self.get(key, default)
        choices = list(choices)
        if value in choices:
            return value
        meant = did_you_mean(value, choices) if isinstance(value, str) else ""
        self.report(key, f"{found(value)}, expected one of {', '.join(choices)}{meant}")
        return default
