"""Words that other formats have for the keys of a story."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from ...timing import count_rendered_frames, exact

#: What a list of segments is called elsewhere.
SEGMENTS = ("scenes", "shots", "clips")
#: What the length of a segment is called elsewhere, in seconds.
LENGTHS = ("duration", "duration_seconds", "duration_s", "length", "seconds", "video_length")
#: Another word → the keys that it can mean, the likeliest first; of these, a message names those that its place has.
_MEANINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*SEGMENTS, "scene", "shot", "clip", "timeline", "storyboard"), ("segments",)),
    **dict.fromkeys(LENGTHS, ("timespan", "frames", "seconds")),
    **dict.fromkeys(
        ("start", "end", "start_time", "end_time", "time", "timestamp", "timecode", "time_range", "timing"),
        ("timespan",),
    ),
    **dict.fromkeys(
        (
            "video_prompt",
            "visual",
            "visual_prompt",
            "visual_desc",
            "text",
            "image_prompt",
            "positive",
            "positive_prompt",
        ),
        ("prompt", "description"),
    ),
    **dict.fromkeys(("negative_prompt", "negative_prompts", "negativeprompt", "neg"), ("negative", "style.negative")),
    **dict.fromkeys(
        ("camera", "shot_type", "camera_movement", "camera_motion", "framing", "cinematography"), ("technical",)
    ),
    **dict.fromkeys(
        ("scene_id", "scene_number", "scene_num", "segment", "segment_id", "number", "index", "idx"), ("id",)
    ),
    **dict.fromkeys(("name", "film", "story_name", "project"), ("title", "label", "file")),
    **dict.fromkeys(("resolution", "width", "height", "aspect_ratio", "dimensions"), ("size",)),
    **dict.fromkeys(("frame_rate", "framerate", "frames_per_second", "rate"), ("fps",)),
    **dict.fromkeys(("num_frames", "frame_count", "frame_num"), ("frames",)),
    **dict.fromkeys(("cast", "people", "persons", "actors"), ("characters",)),
    **dict.fromkeys(("props", "items"), ("objects",)),
    **dict.fromkeys(("places", "settings", "environments"), ("locations",)),
    **dict.fromkeys(
        ("image", "images", "picture", "references", "reference_image", "reference_images"), ("reference",)
    ),
    "music": ("audio.music",),
    **dict.fromkeys(("narration", "voiceover", "voice_over", "narrator"), ("narration", "audio.narration")),
    **dict.fromkeys(("dialog", "dialogs", "dialogues", "lines", "speech", "spoken"), ("dialogue",)),
    **dict.fromkeys(("lora_name", "filename", "file_name", "path"), ("file",)),
    **dict.fromkeys(("weight", "scale", "lora_scale", "strength_model"), ("strength",)),
    **dict.fromkeys(("continue", "from_previous"), ("continues",)),
}


def find_meanings(word: str, known: Iterable[str]) -> str:
    """The keys that a word of another format means, `` (did you mean 'timespan' or 'frames'?)``, or ""."""
    there = set(known)
    meant = [key for key in _MEANINGS.get(word.lower(), ()) if key.partition(".")[0] in there]
    return f" (did you mean {' or '.join(map(repr, meant))}?)" if meant else ""


def find_segments_key(data: dict[Any, Any]) -> str:
    """The key of an object without `segments` that can only mean them: the one list of objects with prompts; "" for none."""
    if "segments" in data:
        return ""
    lists = [key for key in SEGMENTS if key in data]
    if len(lists) != 1:
        return ""
    items = data[lists[0]]
    has_prompts = isinstance(items, list) and items and all(isinstance(one, dict) and "prompt" in one for one in items)
    return lists[0] if has_prompts else ""


def name_segments(data: Any) -> Any:
    """A story with its list of segments under `segments`, where another word can only mean them; anything else as it is."""
    key = find_segments_key(data) if isinstance(data, dict) else ""
    return {("segments" if name == key else name): value for name, value in data.items()} if key else data


def explain_length(word: str, value: Any, fps: Fraction) -> str:
    """The rest of a message on a segment's length in seconds: which key has it here, and with which value; "" for no length."""
    if word.lower() not in LENGTHS:
        return ""
    meant = " (did you mean 'timespan' or 'frames'?)"
    try:
        seconds = exact(value.strip().removesuffix("s").rstrip() if isinstance(value, str) else value)
    except (ValueError, TypeError, AttributeError):
        return meant
    if isinstance(value, bool) or not 0 < seconds <= 3600:
        return meant
    return f"{meant}; {float(seconds):g} s at {float(fps):g} frames a second are `frames: {count_rendered_frames(seconds, fps)}`"
