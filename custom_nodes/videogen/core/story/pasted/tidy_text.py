"""Text as it is pasted out of chats and word processors: read where it has one meaning."""

from __future__ import annotations

import re

#: The numbers are bounds on what a hostile line can cost.
_FENCE = re.compile(r"^[ \t]{0,20}(`{3,10}|~{3,10})[ \t]{0,20}([\w+-]{0,20})[ \t]{0,20}$", re.MULTILINE)
#: Between a JSON document's texts: what is looked at closer.
_NOTABLE = re.compile("[\"'/#,\u201c\u201d\u201e\u00a0\u200b\u2060\ufeff]|\\b(?:True|False|None)\\b")
_STRAIGHT_END = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_CURLY_END = re.compile('[^"\\\\\u201c\u201d\u201e]*(?:\\\\.[^"\\\\\u201c\u201d\u201e]*)*[\u201c\u201d]', re.DOTALL)
_TEXT_OR_COMMA = re.compile(rf'"{_STRAIGHT_END.pattern}|,', re.DOTALL)
_TRAILING = re.compile(r",\s*[\]}]")
_CURLY, _BLANK = "\u201c\u201d\u201e", "\u00a0\u200b\u2060\ufeff"
#: Python's words, which are as long as JSON's.
_WORDS = {"True": "true", "False": "false", "None": "null"}


def strip_fences(text: str) -> str:
    """What is between the fences of a code block, with its lines where they were; other text as it is.

    There may be sentences before and after the block, but only one block: of two, neither is chosen.
    """
    fences = []
    for fence in _FENCE.finditer(text):
        fences.append(fence)
        if len(fences) > 2:
            return text
    if not fences or (text[: fences[0].start()].strip() and text.lstrip()[0] in "[{"):
        return text
    begin = fences[0].end()
    if len(fences) == 1:  # cut off below, as by a mouse
        return text if text[: fences[0].start()].strip() else "\n" * text.count("\n", 0, begin) + text[begin:]
    if fences[1][2] or not fences[1][1].startswith(fences[0][1]):
        return text
    return "\n" * text.count("\n", 0, begin) + text[begin : fences[1].start()]


def tidy_json(text: str) -> str:
    """Almost-JSON as JSON of the same length: without comments and trailing commas, with straight quotes around its texts.

    What has two meanings stays as it is, for instance straight quotes inside curly ones.
    """
    pieces: list[str] = []
    place = 0
    while (found := _NOTABLE.search(text, place)) is not None:
        pieces.append(text[place : found.start()])
        mark, start = found[0], found.start()
        place = found.end()
        if mark == '"' or mark in _CURLY:
            end = (_STRAIGHT_END if mark == '"' else _CURLY_END).match(text, place)
            if end is None:  # of two meanings, or without an end
                return _drop_trailing_commas("".join(pieces)) + text[start:]
            pieces.append(f'"{end[0][:-1]}"')
            place = end.end()
        elif mark == "#" or text.startswith("//", start):
            place = _end_of_line(text, start)
            pieces.append(" " * (place - start))
        elif text.startswith("/*", start):
            end_of_comment = text.find("*/", start + 2)
            if end_of_comment < 0:
                return _drop_trailing_commas("".join(pieces)) + text[start:]
            place = end_of_comment + 2
            pieces.append(re.sub(r"[^\n]", " ", text[start:place]))
        elif mark in _BLANK:
            pieces.append(" ")
        else:
            pieces.append(_WORDS.get(mark, mark))
    pieces.append(text[place:])
    return _drop_trailing_commas("".join(pieces))


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _drop_trailing_commas(text: str) -> str:
    pieces: list[str] = []
    place = 0
    for found in _TEXT_OR_COMMA.finditer(text):
        if found[0] == "," and _TRAILING.match(text, found.start()):
            pieces += (text[place : found.start()], " ")
            place = found.end()
    pieces.append(text[place:])
    return "".join(pieces)


def explain_json(text: str, place: int) -> str:
    """The next step for JSON that is wrong at a place, after `tidy_json`."""
    here = text[place : place + 1]
    before = text[max(0, place - 1) : place + 1]
    if "\\" in (here, before[:1]) or (here and here in "\t\n" and text[:place].count('"') % 2):
        return (
            'In JSON, a backslash begins an escape: write / between folders ("sub/picture.png"), and \\\\ for a backslash.'
            if "\\" in before
            else "A text in JSON ends on its line: write \\n for a new line in it."
        )
    if here and here in _CURLY + "\u2018\u2019\u201a":
        return (
            f'The quotation mark {here} is of a word processor: JSON has straight ones, and \\" for one inside a text.'
        )
    line = text[place:].partition("\n")[0] if here == '"' else ""
    odd = next((character for character in line if character in _CURLY), "")
    if odd:
        return f"The text that begins there has a word processor's quotation mark {odd}: JSON has straight ones at both ends."
    if here == "'":
        return "JSON has double quotes around texts and keys: \"prompt\", and not 'prompt'."
    if text.startswith("```", place) or _FENCE.search(text):
        return "It has several code blocks or an odd one: keep the story alone, without the lines of ```."
    if here.isalpha():
        return (
            "Texts and keys need double quotes in JSON. YAML, which needs none, is read from files that end in .yaml."
        )
    return "Usually a comma is missing or superfluous. YAML is read from files that end in .yaml."
