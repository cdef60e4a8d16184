"""Keeping prompts within a limit by leaving out whole parts, and saying which."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ..segment.prompts import join_sentences
from .model import Part

_SHOWN = 60
#: Texts that one note lists.
_LISTED = 10
_SENTENCE_ENDS = re.compile(r"[.!?…][\"”»']?(?=\s|$)")


def fit_characters(parts: Sequence[Part], limit: int | None) -> tuple[str, list[str]]:
    """The parts as sentences of at most `limit` characters, and what was cut.

    The least needed parts go first, as wholes; of the last that is left, what fits: sentences, else words.
    """
    kept = [part for part in parts if part.text]
    text = join_sentences(part.text for part in kept)
    if limit is None or len(text) <= limit:
        return text, []
    notes = []
    for part in sorted(kept, key=lambda one: one.need)[:-1]:
        if len(text) <= limit:
            break
        kept.remove(part)
        text = join_sentences(one.text for one in kept)
        notes.append(f"{part.name} is left out: {shorten(part.text)}")
    if len(text) > limit:
        whole, text = text, cut_text(text, limit)
        notes.append(f"{kept[0].name} is cut after {len(text):,} of {len(whole):,} characters")
    return text, [f"the model takes {limit:,} characters: {note}" for note in notes]


def cut_text(text: str, limit: int) -> str:
    """The beginning of a text that has at most `limit` characters: whole sentences, else whole words, else characters."""
    head = text[:limit]
    ends = [match.end() for match in _SENTENCE_ENDS.finditer(head)]
    if ends and ends[-1] >= limit // 2:
        return head[: ends[-1]]
    if len(text) > limit and not text[limit].isspace() and " " in head.strip():
        head = head[: head.rstrip().rindex(" ")]
    return head.rstrip(" ,;:")


def fit_clauses(
    parts: Sequence[Sequence[Part]], limit: int, count: Callable[[str], int]
) -> tuple[str, list[tuple[int, int]]]:
    """Clauses, separated by commas, with at most `limit` tokens, and those that were cut, as places in `parts`.

    Args:
        parts: the clauses of each part, in the order of the prompt. The first clauses of all parts stay longer than the second
            ones; a clause's need moves it ahead by as many places.
        count: the number of tokens of a text.
    """
    places = [(order, index) for order, part in enumerate(parts) for index in range(len(part))]
    kept: set[tuple[int, int]] = set()
    left = limit
    for order, index in sorted(places, key=lambda at: (at[1] - parts[at[0]][at[1]].need, at[0])):
        # A comma is a token.
        cost = count(parts[order][index].text) + (1 if kept else 0)
        if cost <= left:
            kept.add((order, index))
            left -= cost
    text = ", ".join(parts[order][index].text for order, index in places if (order, index) in kept)
    return text, [at for at in places if at not in kept]


def shorten(text: str) -> str:
    """The beginning of a text, in quotes, for a note."""
    line = " ".join(text.split())
    return repr(line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…")


def list_some(texts: Sequence[str]) -> str:
    """The first texts of a list, and how many more there are."""
    more = len(texts) - _LISTED
    return ", ".join(texts[:_LISTED]) + (f" and {more} more" if more > 0 else "")
