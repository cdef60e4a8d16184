"""Text: wrapped, measured, and drawn with the fonts that there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.media.storyboard.drawing import fonts
from custom_nodes.videogen.media.storyboard.drawing.typeset import TextStyle, wrap


def per_letter(text: str) -> float:
    return sum(4.0 if character in "il.,'…" else 10.0 for character in text)


@given(text=st.text(max_size=400), width=st.floats(0, 300), lines=st.integers(0, 8))
@settings(max_examples=300)
def test_wrapped_text_stays_within_its_box(text: str, width: float, lines: int) -> None:
    wrapped, whole = wrap(text, per_letter, width, lines)
    assert len(wrapped) <= lines
    assert all(per_letter(line) <= width for line in wrapped)
    if whole:
        assert "".join(wrapped).replace(" ", "") == fonts.clean(text).replace(" ", "")


def test_long_text_is_cut_at_a_word_and_long_words_are_broken() -> None:
    assert wrap("one two three four", per_letter, 80, 1) == (["one two…"], False)
    assert wrap("abcdefghkm", per_letter, 40, 9) == (["abcd", "efgh", "km"], True)
    assert wrap("one\n\ttwo\x00three", per_letter, 1000, 3) == (["one two three"], True)


@pytest.mark.parametrize("font", [fonts.REGULAR, fonts.SEMIBOLD])
def test_the_font_has_the_letters_it_is_there_for(font: str) -> None:
    missing = [letter for letter in "ÄÖÜäöüßẞéçñåøłčžğ„“”‚‘’«»‹›–—…·×→ЖщыяΩλά€" if not fonts.has_glyph(font, letter)]
    assert not missing
    assert not fonts.has_glyph(font, "日"), "the check would find everything"


def test_the_font_comes_with_its_license() -> None:
    assert "SIL OPEN FONT LICENSE" in (Path(fonts.__file__).parent / "fonts" / "OFL.txt").read_text()


def test_what_no_font_has_becomes_a_box(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts.font_for.cache_clear()
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    assert fonts.split_runs("a日b", fonts.REGULAR) == [(fonts.REGULAR, "a□b")]
    fonts.font_for.cache_clear()


def test_real_type_is_measured_as_it_is_drawn() -> None:
    style = TextStyle(20, 30, (255, 255, 255))
    assert style.width("Apfelbäume") == pytest.approx(style.width("Apfel") + style.width("bäume"), abs=2)
    assert style.width("Apfelbäume") < TextStyle(20, 30, (255, 255, 255), bold=True).width("Apfelbäume")
