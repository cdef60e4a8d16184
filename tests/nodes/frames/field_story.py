"""A story in a field, and frames for it.

Call `require_comfy` before this module is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.needs import require_comfy

require_comfy()

import torch
from PIL import Image
from torch import Tensor

from custom_nodes.videogen.core.segment.plan import SegmentPlan, plan_segment
from custom_nodes.videogen.core.story.parser import parse_story

FRAMES = 4


def make_plan(number: int = 1, technical: str = "Schwenk rechts nach links", **location: Any) -> SegmentPlan:
    story = {
        "title": "Test",
        "size": [96, 56],
        "frames": FRAMES,
        "style": {"lighting": "Soft daylight", "kelvin": [5500, 6000]},
        "locations": {"field": {"description": "A field", "segments": "1", **location}},
        "segments": [
            {"prompt": "He digs.", "seed": 7, "technical": technical},
            {"prompt": "He rests.", "seed": 8},
        ],
    }
    return plan_segment(parse_story(story), number)


def save(folder: Path, name: str, color: tuple[int, int, int], size: tuple[int, int] = (120, 120)) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def make_frames(frames: int = FRAMES, size: tuple[int, int] = (56, 96), channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    small = torch.rand(frames, channels, 7, 12, generator=generator) * 0.4 + 0.3
    return torch.nn.functional.interpolate(small, size, mode="bicubic").clamp(0, 1).movedim(1, -1).contiguous()
