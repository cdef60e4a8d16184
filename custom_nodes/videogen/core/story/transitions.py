"""Kinds of transitions between segments."""

from __future__ import annotations

#: type → description
TRANSITIONS: dict[str, str] = {
    "dissolve": "the last frames of one segment fade into the first of the next",
}
