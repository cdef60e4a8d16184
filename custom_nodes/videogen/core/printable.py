"""Text of others made harmless for a terminal: what would move the cursor, write the clipboard or reorder a line is shown as
an escape."""

from __future__ import annotations

import re
import unicodedata

#: Joiners, without which Persian words and families of emoji fall apart, and marks of direction, which right-to-left titles
#: use: they stay where they do their work, near such letters.
_JOINERS, _MARKS = "\u200c\u200d", "\u200e\u200f\u061c"
#: Characters from a mark of direction to the nearest such letter: punctuation and a number may be between them.
_NEAR = 8
#: Everything that may need an escape; ordinary text has none of it, and is not looked at closer. C0 without tab and newline,
#: DEL, C1, and from U+00AD on what is invisible: format characters, fillers, separators of lines, halves of pairs, tags.
_SUSPECT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def neutralize(text: str) -> str:
    r"""The text with control, format and invisible characters shown as escapes: ``\x1b`` for ESC, ``\u202e`` for an override.

    Newlines and tabs stay, and so does every letter of every language. In JSON text the result is JSON of the same data: what
    JSON leaves unescaped is written in the form that JSON knows.
    """
    if _SUSPECT.search(text) is None:
        return text
    text = text.replace("\r\n", "\n")
    return _SUSPECT.sub(_show, text)


def _show(match: re.Match[str]) -> str:
    character, text, place = match[0], match.string, match.start()
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    if character in _JOINERS and _joins(before) and _joins(after):
        return character
    if character in _MARKS and _is_right_to_left(text[max(0, place - _NEAR) : place + _NEAR]):
        return character
    return f"\\x{ord(character):02x}" if character < " " else escape_character(character)


def escape_character(character: str) -> str:
    """A character as JSON escapes it, ``\\u82f9``; one beyond 16 bits as a pair of surrogates."""
    code = ord(character)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _joins(character: str) -> bool:
    """Whether a joiner next to this character changes how it is shown: letters, their marks, and symbols beyond ASCII."""
    return character > "\x7f" and unicodedata.category(character)[0] in "LMS"


def _is_right_to_left(text: str) -> bool:
    """Whether a letter that is read from the right is in a text; the marks themselves count for nothing."""
    return any(unicodedata.bidirectional(one) in ("R", "AL") for one in text if one not in _MARKS)
