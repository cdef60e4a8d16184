"""Text of others, made fit for files and terminals."""

from __future__ import annotations


def replace_surrogates(text: str) -> str:
    """The text with lone surrogates replaced: JSON can carry them, but no file in UTF-8 can."""
    return text.encode("utf-8", "replace").decode("utf-8")
