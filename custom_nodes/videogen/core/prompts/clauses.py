"""Short clauses for models with CLIP: SD 1.5, SD 2.1, SDXL. What is beyond their tokens is cut, and named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..model_profiles.model import PromptRule
from ..story.model import Entity
from .fitting import cut_text, fit_clauses, list_some, shorten
from .model import Part
from .parts import PromptParts
from .tokens import FRAME, count_tokens, token_room

#: Where a sentence is taken apart: not within a number, and not within brackets, which have weights or choices.
_ENDS = re.compile(r"[,;:\n]|[.!?…]+(?=\s|$)")
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_BRACKETS = re.compile(r"[()\[\]{}]")
#: The segment's own first clauses stay longer than the first ones of everything else.
_EXTRA_NEED = 1
_WORD = re.compile(r"\w")
_ARTICLES = re.compile(r"\b(?:an?|the)\s+", re.IGNORECASE)


def write_clauses(parts: PromptParts, rule: PromptRule) -> tuple[str, list[str]]:
    """The prompt as clauses: the segment's own first, then cast, place, light and style; and notes on what was cut."""
    named = [
        ("the segment's prompt", parts.text),
        *((_name(entity), entity.description) for entity in parts.cast),
        *([(_name(parts.location), parts.location.description)] if parts.location else []),
        ("the lighting", parts.lighting),
        ("the style's prefix", ", ".join(filter(None, (parts.size, parts.prefix)))),
        ("the style's suffix", parts.suffix),
    ]
    clauses = [_clauses(name, text, 0 if order else _EXTRA_NEED) for order, (name, text) in enumerate(named)]
    return _fit(clauses, rule)


def write_negative(text: str, rule: PromptRule) -> tuple[str, list[str]]:
    """The negative prompt within the same number of tokens, and notes on what was cut."""
    return _fit([[term] for term in _clauses("the negative prompt", text, 0)], rule)


def _fit(clauses: list[list[Part]], rule: PromptRule) -> tuple[str, list[str]]:
    if rule.tokens is None:
        return ", ".join(clause.text for part in clauses for clause in part), []
    room = token_room(rule.tokens)
    text, cut = fit_clauses(clauses, room, count_tokens)
    if not cut:
        return text, []
    said = f"the model reads {rule.tokens - FRAME} tokens"
    notes = [f"{said}: articles are left out"]
    bare = [
        [replace(clause, text=_ARTICLES.sub("", clause.text) or clause.text) for clause in part] for part in clauses
    ]
    short = [[_cut_clause(clause, room) for clause in part] for part in bare]
    text, cut = fit_clauses(short, room, count_tokens)
    lost: dict[str, list[str]] = {}
    for order, part in enumerate(short):
        for index, clause in enumerate(part):
            rest = clause.text if (order, index) in cut else bare[order][index].text[len(clause.text) :].strip()
            if rest:
                lost.setdefault(clause.name, []).append(shorten(rest))
    return text, notes + [f"{said}: cut from {name}: {list_some(texts)}" for name, texts in lost.items()]


def _cut_clause(clause: Part, limit: int) -> Part:
    """A clause that would not even fit alone, as far as it does."""
    text = clause.text
    while count_tokens(text) > limit and len(text) > 1:
        shorter = cut_text(text, max(1, len(text) * limit // count_tokens(text)))
        text = shorter if len(shorter) < len(text) else text[:-1]
    return replace(clause, text=text)


def _clauses(name: str, text: str, need: int) -> list[Part]:
    return [Part(name, clause, need) for clause in split_clauses(text)]


def split_clauses(text: str) -> Iterator[str]:
    """The clauses of a text, without the marks between them. Brackets stay whole: ``(soft, warm light:1.2)``."""
    start, brackets, place = 0, _find_brackets(text), 0
    for match in _ENDS.finditer(text):
        while place < len(brackets) and brackets[place][1] < match.start():
            place += 1
        inside = place < len(brackets) and brackets[place][0] < match.start()
        # `embedding:name` and `9:16` are words, and so are `1,5` and `a.m.`
        glued = match[0] in ",:" and match.end() < len(text) and not text[match.end()].isspace()
        if not glued and not inside:
            yield from _tidy(text[start : match.start()])
            start = match.end()
    yield from _tidy(text[start:])


def _find_brackets(text: str) -> list[tuple[int, int]]:
    """Where the outermost brackets open and close, in order; those that never close are none."""
    opened: list[tuple[int, str]] = []
    pairs: list[tuple[int, int]] = []
    for match in _BRACKETS.finditer(text):
        if match[0] in _PAIRS:
            opened.append((match.start(), _PAIRS[match[0]]))
        elif opened and opened[-1][1] == match[0]:
            pairs.append((opened.pop()[0], match.start()))
    outermost: list[tuple[int, int]] = []
    for pair in sorted(pairs):
        if not outermost or pair[0] > outermost[-1][1]:
            outermost.append(pair)
    return outermost


def _tidy(clause: str) -> Iterator[str]:
    words = " ".join(clause.split()).strip(" -–—")
    if _WORD.search(words):
        yield words


def _name(entity: Entity) -> str:
    return f"the description of {entity.label}"
