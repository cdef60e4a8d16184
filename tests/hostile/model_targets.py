"""Fuzz targets: profiles of models, and the prompts of stories in the form of each model."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml

from custom_nodes.videogen.core.model_profiles.frames import plan_frames
from custom_nodes.videogen.core.model_profiles.model import Profile
from custom_nodes.videogen.core.model_profiles.parser import parse_profiles
from custom_nodes.videogen.core.model_profiles.recognition import recognize
from custom_nodes.videogen.core.model_profiles.sizes import fit_size
from custom_nodes.videogen.core.prompts.compile import compile_prompt
from custom_nodes.videogen.core.prompts.model import Given
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.profiles.library import SHIPPED, shipped_profiles
from tests.support.hostile.mutation import change_data, change_text

STORY: dict[str, Any] = {
    "size": [640, 360],
    "style": {
        "prefix": "35 mm (film:1.2)",
        "suffix": "sharp",
        "negative": "text, <d>",
        "lighting": "warm {soft|hard} light",
    },
    "characters": {
        "baker": {"description": "The baker is a woman of sixty, with a braid"},
        "guest": {"label": "A. Guest"},
    },
    "objects": {"oven": {"description": "A brick oven [black]"}},
    "locations": {"bakery": {"description": "A small bakery; 9:16"}},
    "audio": {"language": "de"},
    "segments": [
        {
            "prompt": "The baker kneads. Flour (a lot) rises: 苹果, é!",
            "technical": "Close-up, slow pan to the left",
            "narration": "Early </d> it was.",
            "dialogue": [{"character": "guest", "line": 'He says "so".'}],
        },
        {"prompt": "The camera pans. The oven, the guest", "continues": True, "negative": "rain"},
    ],
}
_FILES = [path.read_text(encoding="utf-8") for path in sorted(SHIPPED.glob("*.yaml"))]
_GRAPH = {
    "save": {"class_type": "Save", "inputs": {"images": ["maker", 0]}},
    "maker": {"class_type": "WanImageToVideo", "inputs": {"clip": ["clip", 0], "model": ["unet", 0]}},
    "clip": {"class_type": "CLIPLoader", "inputs": {"type": "wan"}},
    "unet": {"class_type": "UNETLoader", "inputs": {"unet_name": "svd_xt.safetensors"}},
}


def profile(draw: random.Random, folder: Path) -> None:
    """A file of profiles; each model of it gets the story's prompts, frames and sizes."""
    text = draw.choice(_FILES)
    text = json.dumps(change_data(draw, yaml.safe_load(text))) if draw.random() < 0.6 else change_text(draw, text)
    models = parse_profiles(text, "a.yaml")
    recognize(_GRAPH, {}, models)
    story = parse_story(STORY)
    for model in models[:5]:
        _render(story, model)


def prompts(draw: random.Random, folder: Path) -> None:
    """The prompts of a story in every form."""
    story = parse_story(change_data(draw, STORY), "a", lambda file: "soft light")
    for model in {one.prompt.dialect: one for one in shipped_profiles()}.values():
        _render(story, model)


def _render(story: Story, model: Profile) -> None:
    for segment in story.segments[:3]:
        given = Given(segment.continues, last_frame=True, references=("baker", "nobody"))
        compiled = compile_prompt(story, segment.number, model, given)
        limit = model.prompt.characters
        assert limit is None or model.prompt.dialect.startswith(("h3", "clauses")) or len(compiled.text) <= limit
        assert plan_frames(model, segment.duration, segment.frames / segment.duration).frames > 0
        assert min(fit_size(model, Fraction(*story.size))) > 0


MODEL_TARGETS: dict[str, Callable[[random.Random, Path], None]] = {"profile": profile, "prompts": prompts}
