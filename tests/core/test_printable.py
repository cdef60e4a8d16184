"""Text of others on a terminal: nothing in it is obeyed, and every language stays readable."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.printable import neutralize

HARMFUL = {
    "a clipboard": ("\x1b]52;c;cm0gLXJm\x07", r"\x1b]52;c;cm0gLXJm\x07"),
    "a cleared screen": ("\x1b[2J\x1b[H", r"\x1b[2J\x1b[H"),
    "a control sequence of one character": ("\x9b2J", r"\u009b2J"),
    "a string of the operating system": ("\x9d0;title\x9c", r"\u009d0;title\u009c"),
    "a line that is written over": ("failed\rdone  ", r"failed\x0ddone  "),
    "backspaces": ("no\x08\x08ok", r"no\x08\x08ok"),
    "delete": ("a\x7f", r"a\u007f"),
    "an override": ("exe.\u202egpj", r"exe.\u202egpj"),
    "isolates": ("\u2066a\u2069", r"\u2066a\u2069"),
    "a zero-width space": ("ad\u200bmin", r"ad\u200bmin"),
    "a mark of direction among Latin letters": ("exe.\u200fgpj", r"exe.\u200fgpj"),
    "a joiner between ASCII letters": ("ad\u200dmin", r"ad\u200dmin"),
    "a byte order mark": ("\ufeffx", r"\ufeffx"),
    "a line separator": ("a\u2028b", r"a\u2028b"),
    "half of a pair": ("\ud800", r"\ud800"),
    "a tag": ("\U000e0041", r"\udb40\udc41"),
    "a soft hyphen": ("vid\xadeo", r"vid\u00adeo"),
}


@pytest.mark.parametrize(("text", "shown"), HARMFUL.values(), ids=HARMFUL)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert neutralize(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Über den Apfelbaum · 86 °C → 1:00 ✓ 1920×1080",
        "שלום עולם",
        "خانه‌ها",  # with a zero-width non-joiner
        "العربية (2026)",
        "שלום!\u200f 3",  # with a mark of direction
        "👨‍👩‍👧 family, ❤️ heart, 🏴 flag",
        "नमस्ते क्‍ष",  # with a joiner
        "日本語、한국어、ไทย",
        "two\nlines\tand a tab",
    ],
)
def test_every_language_stays_as_it_is(text: str) -> None:
    assert neutralize(text) == text


def test_lines_of_windows_are_lines() -> None:
    assert neutralize("one\r\ntwo\x1b") == "one\ntwo\\x1b"


@given(st.text())
def test_nothing_that_is_left_is_a_control_character(text: str) -> None:
    left = neutralize(text)
    assert not [c for c in left if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"]


@given(st.dictionaries(st.text(), st.text()))
def test_json_text_stays_json_of_the_same_data(data: dict[str, str]) -> None:
    assert json.loads(neutralize(json.dumps(data, ensure_ascii=False))) == data
