"""The story that an adopted workflow begins with, where nobody gave one: its own prompt, as one segment."""

from __future__ import annotations

import json
from typing import Any

from ..model_values.model_workflow import ModelWorkflow
from ..roles.table import Role
from ..story.schema import MAX_PROMPT

_SIZE = (1280, 720)
_RATE = 24
_SECONDS = 5
_NOTHING = "What happens in the first segment."


def write_first_story(model: ModelWorkflow, title: str) -> str:
    """A story of one segment with the prompt, seed, size and rate that a workflow has, as JSON.

    Args:
        title: of the film.
    """

    def former(role: Role, kind: type | tuple[type, ...]) -> Any:
        found = (place.value for place in model.places.get(role, ()))
        return next((value for value in found if isinstance(value, kind) and not isinstance(value, bool)), None)

    rate = former(Role.FPS, (int, float))
    native = model.profile.rate.native if model.profile.rate else _RATE
    fps = round(rate) if rate and 1 <= rate <= 120 else round(native)
    frames = former(Role.FRAMES, int)
    seconds = max(1, min(60, round(frames / fps))) if frames else _SECONDS
    width, height = former(Role.WIDTH, int), former(Role.HEIGHT, int)
    size = _even(width, height) if width and height else _SIZE
    seed = former(Role.SEED, int)
    prompt = str(former(Role.PROMPT, str) or "").strip()[:MAX_PROMPT] or _NOTHING
    segment = {"timespan": f"00:00 - 00:{seconds:02d}", "prompt": prompt, **({"seed": seed} if seed else {})}
    story = {"title": title, "fps": fps, "size": [*size], "segments": [segment]}
    return json.dumps(story, ensure_ascii=False, indent=2)


def _even(width: int, height: int) -> tuple[int, int]:
    """A size that video files can have."""
    return max(64, width - width % 2), max(64, height - height % 2)
