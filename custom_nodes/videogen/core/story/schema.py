"""Keys and limits of the story format."""

from __future__ import annotations

import re
from fractions import Fraction

STORY_KEYS = (
    "$schema",
    "title",
    "fps",
    "frames",
    "size",
    "quality",
    "style",
    "characters",
    "objects",
    "locations",
    "transitions",
    "audio",
    "segments",
)
STYLE_KEYS = ("prefix", "suffix", "negative", "lighting", "kelvin", "master_prompt")
ENTITY_KEYS = ("label", "description", "seed", "segments", "reference", "weight", "region", "color")
SEGMENT_KEYS = (
    "id",
    "timespan",
    "description",
    "technical",
    "prompt",
    "continuity",
    "seed",
    "frames",
    "negative",
    "continues",
    "start",
    "continue_from",
    "keyframes",
    "narration",
    "dialogue",
    "workflow",
    "loras",
)
#: How a segment may begin.
STARTS = ("cut", "continue", "keyframe")
KEYFRAME_KEYS = ("first", "last")
LINE_KEYS = ("character", "line")
LORA_KEYS = ("file", "strength", "model")
TRANSITION_KEYS = ("after", "type", "seconds")
AUDIO_KEYS = ("music", "narration", "language")
REGIONS = ("left", "centre", "center", "right")

MAX_SEED = 2**64 - 1
MAX_SEGMENTS = 10_000
#: Of each kind: characters, objects, locations.
MAX_ENTITIES = 200
MAX_FRAMES = 10_000
MIN_FPS, MAX_FPS = Fraction(1, 1000), 240
MIN_SIDE, MAX_SIDE = 16, 8192
MAX_PROMPT = 20_000
#: Lines of dialogue in one segment.
MAX_LINES = 50
#: LoRAs of one segment, and how strong each may be, in either direction.
MAX_LORAS, MAX_LORA_STRENGTH = 10, 10
#: Different workflows of segments: each is read, converted and checked against every server.
MAX_WORKFLOWS = 50
#: Different combinations of a workflow and LoRAs: each is checked against every server.
MAX_COMBINATIONS = 500
#: Characters of all prompts of a film together, with what its segments share: 1,000 segments with 200,000 each.
MAX_COMPOSED = 200_000_000
#: A master prompt is a whole document.
MAX_MASTER_PROMPT = 200_000

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
