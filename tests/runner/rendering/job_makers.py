"""A small story, and job makers for it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from runner.rendering.jobs import JobMaker

STORY: dict[str, Any] = {
    "title": "Tiny",
    "fps": 4,
    "frames": 4,
    "size": [320, 180],
    "quality": "draft",
    "style": {"negative": "text"},
    "characters": {"man": {"description": "a man in a blue shirt", "segments": "1,2"}},
    "segments": [{"prompt": "one", "seed": 11}, {"prompt": "two", "seed": 12}, {"prompt": "three", "seed": 13}],
}

MakeJobs = Callable[..., JobMaker]


def changed(data: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    """A copy of nested data with one value changed."""
    data = copy.deepcopy(data)
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return data
