"""The transitions between segments that a film can have."""

from __future__ import annotations

#: type -> what it does
TRANSITIONS: dict[str, str] = {
    "dissolve": "the last frames of one segment fade into the first of the next",
}
