"""How many tokens of CLIP a text has, without CLIP's vocabulary.

An estimate: within its margin, what fits by it fits. `tests/comfyui/test_clip_tokens.py` holds it against the tokenizer.
"""

from __future__ import annotations

import re

#: The tokenizer's own words: its patterns for contractions, letters, single digits, and runs of other characters.
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+|_+", re.IGNORECASE)
#: Weights in brackets are read by ComfyUI and not encoded: ``(a tree:1.2)``.
_WEIGHT = re.compile(r":\s*-?[0-9.]+\s*\)")
#: Letters of an English word that make one more token, of a short and of a long one: long ones are rare, and taken apart.
_LETTERS_A_TOKEN, _LETTERS_A_TOKEN_OF_LONG, _LONG = 7, 5, 11
#: From here on a character is three bytes, and seldom a token of its own: Chinese, Japanese, Korean.
_IDEOGRAPHS, _TOKENS_AN_IDEOGRAPH = "\u2e80", 3
#: Of 13 tokens, the estimate may have missed one: no text of 20 tokens or more in the shipped story has been worse.
_MARGIN = (12, 13)
#: The start and the end, which every text has.
FRAME = 2


def token_room(tokens: int) -> int:
    """How many tokens by `count_tokens` surely fit into a model's, the start and the end included."""
    return (tokens - FRAME) * _MARGIN[0] // _MARGIN[1]


def count_tokens(text: str) -> int:
    """An estimate of a text's tokens, without the start and the end."""
    plain = _WEIGHT.sub(")", text).replace("(", " ").replace(")", " ")
    return sum(_count_word(word) for word in _WORDS.findall(plain))


def _count_word(word: str) -> int:
    if not word.isascii():
        return sum(_TOKENS_AN_IDEOGRAPH if character >= _IDEOGRAPHS else 1 for character in word)
    if word[0].isalpha():
        return 1 + (len(word) - 1) // (_LETTERS_A_TOKEN if len(word) < _LONG else _LETTERS_A_TOKEN_OF_LONG)
    return 1 if len(word) <= 1 or word[0].isdigit() else (len(word) + 1) // 2
