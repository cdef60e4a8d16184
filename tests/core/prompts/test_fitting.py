"""Limits: what stays, what is cut, and what is said of it."""

import time

from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.model_profiles.model import PromptRule
from custom_nodes.videogen.core.prompts.clauses import split_clauses, write_negative
from custom_nodes.videogen.core.prompts.fitting import cut_text, fit_characters, list_some, shorten
from custom_nodes.videogen.core.prompts.model import Part
from custom_nodes.videogen.core.prompts.tokens import count_tokens, token_room

TEXT = st.text("ab ,.;:()[]{}é苹1\n", max_size=60)


def test_clauses() -> None:
    text = "A tree, (soft, warm light:1.2); 1.5 metres tall. Ratio 16:9, embedding:name: it {grows, falls|stands}!\nAlone (so"
    assert list(split_clauses(text)) == [
        "A tree",
        "(soft, warm light:1.2)",
        "1.5 metres tall",
        "Ratio 16:9",
        "embedding:name",
        "it {grows, falls|stands}",
        "Alone (so",
    ]


@given(TEXT)
def test_clauses_lose_no_word(text: str) -> None:
    def letters(value: str) -> list[str]:
        return [character for character in value if character.isalnum()]

    assert letters("".join(split_clauses(text))) == letters(text)


def test_a_text_is_cut_at_a_sentence_else_at_a_word_else_anywhere() -> None:
    assert cut_text("One two. Three four.", 12) == "One two."
    assert cut_text("One two three four", 12) == "One two"
    assert cut_text("One two three four", 13) == "One two three"
    assert cut_text("a" * 20, 5) == "aaaaa"
    assert cut_text("short", 10) == "short"


@given(st.lists(st.tuples(TEXT, st.integers(0, 9)), max_size=6), st.integers(1, 120))
def test_characters_stay_within_the_limit(parts: list[tuple[str, int]], limit: int) -> None:
    text, notes = fit_characters([Part(f"p{n}", text, need) for n, (text, need) in enumerate(parts)], limit)
    assert len(text) <= limit
    whole, _ = fit_characters([Part("p", text, need) for text, need in parts], None)
    assert bool(notes) == (text != whole)


@given(st.lists(st.text("abcdefghij ,.", max_size=80), max_size=8), st.integers(3, 90))
def test_tokens_stay_within_the_limit(texts: list[str], tokens: int) -> None:
    text, notes = write_negative(", ".join(texts), PromptRule("clauses", tokens=tokens))
    assert count_tokens(text) <= max(token_room(tokens), 1)
    if not notes:
        assert [letter for letter in text if letter.isalnum()] == [one for one in "".join(texts) if one.isalnum()]


def test_what_is_too_long_by_itself_is_cut_within() -> None:
    text, notes = write_negative("word " * 100, PromptRule("clauses", tokens=12))
    assert text == " ".join(["word"] * token_room(12))
    assert notes[-1].startswith("the model reads 10 tokens: cut from the negative prompt: 'word word")


def test_brackets_are_found_however_they_are_nested() -> None:
    assert list(split_clauses("a (b, [c, d], e), f")) == ["a (b, [c, d], e)", "f"]
    assert list(split_clauses("( (a, b), c")) == ["( (a, b)", "c"]
    assert list(split_clauses("a ) b, c ( d, e")) == ["a ) b", "c ( d", "e"]


def test_long_texts_take_no_longer_than_their_length() -> None:
    started = time.perf_counter()
    for text in ("(word), " * 2400, "word, (" * 2800, "([{" * 6000, "([{}])," * 2800):
        for _ in split_clauses(text):
            pass
    assert time.perf_counter() - started < 2


def test_notes_are_short() -> None:
    assert list_some(["a"] * 12) == f"{', '.join(['a'] * 10)} and 2 more"
    assert shorten("a\n b") == "'a b'"
    assert len(shorten("a" * 500)) == 62


def test_weights_are_no_tokens() -> None:
    assert count_tokens("(a tree:1.25)") == count_tokens("a tree") == 2
