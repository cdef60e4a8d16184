"""Stories of other programs: what they are told by, and the same as a story of videogen.

StoryMem (github.com/Kevin-thu/StoryMem, story/*.json), ViMax (github.com/HKUDS/ViMax, interfaces/shot_description.py), requests
to the APIs of Veo and Sora, and the JSON prompts that people write for them, for which there is no specification.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ...timing import exact
from .other_words import LENGTHS

#: Frames a second and frames of a shot of Wan 2.2, the model of StoryMem (wan/configs/shared_config.py).
_WAN_FPS, _WAN_FRAMES, _WAN_SIZE = 16, 81, [832, 480]
_VEO_FPS = 24
#: Where prompts of scene lists are, the likeliest first; and what describes the camera.
_PROMPTS = ("prompt", "video_prompt", "visual_prompt", "visual", "visual_description", "description", "action", "text")
_CAMERA = ("camera", "shot", "shot_type", "camera_motion", "camera_movement", "cinematography", "framing")
_LISTS = ("scenes", "shots", "clips", "timeline", "storyboard", "segments")
#: Keys that make a prompt for one clip, of which such an object has at least two, and keys that only a story of ours has.
_PARTS = (
    "shot",
    "subject",
    "scene",
    "visual_details",
    "cinematography",
    "camera",
    "lighting",
    "motion",
    "action",
    "dialogue",
)
_OURS = ("fps", "characters", "objects", "locations", "transitions", "quality")
#: A character in ViMax's texts.
_MARKED = re.compile(r"<([^<>\n]{1,60})>")
#: Levels of a prompt's own structure that are read.
_MAX_DEPTH = 6


@dataclass
class Imported:
    """A story of another program.

    Attributes:
        story: as plain data of the story format; it has not been checked.
        notes: sentences on what the other program has and a story has not.
    """

    story: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def recognize(data: Any) -> str:
    """What a document is, when it is a story of another program, ``a story of StoryMem``; "" for all others."""
    found = _find(data)
    return found[0] if found else ""


def import_story(data: Any) -> Imported | None:
    """The same story in the story format, or None for what is not known."""
    found = _find(data)
    return found[1](data) if found else None


def _find(data: Any) -> tuple[str, Callable[[Any], Imported]] | None:
    items = data if isinstance(data, list) else next((data[key] for key in _LISTS if _is_list(data, key)), None)
    first = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
    if isinstance(first.get("video_prompts"), list):
        return "a story of StoryMem", _import_storymem
    if "visual_desc" in first or "ff_desc" in first or (isinstance(data, dict) and "visual_desc" in data):
        return "a storyboard of ViMax", _import_vimax
    if "identifier_in_scene" in first:
        return "a list of characters of ViMax, and not its storyboard (storyboard.json)", lambda data: Imported({})
    if not isinstance(data, dict) or "segments" in data or any(key in data for key in _OURS):
        return None
    if _is_list(data, "instances") and isinstance(data["instances"][0], dict):
        return "a request to the API of Veo", _import_veo_request
    if isinstance(data.get("prompt"), str) and {"model", "seconds", "n_seconds", "size", "n_variants"} & set(data):
        return "a request to the API of Sora", _import_sora_request
    if isinstance(items, list) and first and "prompt" not in first and _prompt_of(first):
        return "a list of scenes as it is written for Veo or Sora", _import_scenes
    if items is None and (sum(part in data for part in _PARTS) >= 2 or _is_text(data.get("prompt"))):
        return "a prompt for one clip as it is written for Veo or Sora", _import_prompt
    return None


def _is_list(data: Any, key: str) -> bool:
    return isinstance(data, dict) and isinstance(data.get(key), list) and bool(data[key])


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


# ------------------------------------------------------------------ StoryMem and ViMax


def _import_storymem(data: Any) -> Imported:
    segments: list[dict[str, Any]] = []
    scenes = data if isinstance(data, list) else next(data[key] for key in _LISTS if _is_list(data, key))
    for number, scene in enumerate(scenes, 1):
        scene = scene if isinstance(scene, dict) else {}
        cuts, firsts = _as_list(scene.get("cut")), _as_list(scene.get("first_frame_prompt"))
        for shot, prompt in enumerate(_as_list(scene.get("video_prompts"))):
            segment: dict[str, Any] = {"description": f"Scene {scene.get('scene_num', number)}", "prompt": prompt}
            # The prompt that StoryMem gives for "true" has it as text, too.
            if segments and shot < len(cuts) and str(cuts[shot]).lower() == "false":
                segment["continues"] = True
            if shot < len(firsts):
                segment["x-first_frame_prompt"] = firsts[shot]
            segments.append(segment)
    story = {"fps": _WAN_FPS, "frames": _WAN_FRAMES, "size": _WAN_SIZE, "segments": segments}
    about = data if isinstance(data, dict) else {}
    if _is_text(about.get("story_name")):
        story = {"title": about["story_name"][:200], **story}
    if "story_overview" in about:
        story["x-overview"] = about["story_overview"]
    return Imported(
        story,
        [
            f"Shots have StoryMem's length and size: {_WAN_FRAMES} frames at {_WAN_FPS} a second, {_WAN_SIZE[0]}×{_WAN_SIZE[1]}.",
            "StoryMem remembers looks from earlier shots; here, describe who appears under `characters`, and give them pictures.",
        ],
    )


def _import_vimax(data: Any) -> Imported:
    shots = data if isinstance(data, list) else next((data[key] for key in _LISTS if _is_list(data, key)), [data])
    segments: list[dict[str, Any]] = []
    names: dict[str, None] = {}
    #: Name → numbers of the shots that have it in any of their texts.
    places: dict[str, list[str]] = {}
    for number, shot in enumerate(shots, 1):
        shot = shot if isinstance(shot, dict) else {}
        parts = [str(shot[key]) for key in ("ff_desc", "motion_desc") if _is_text(shot.get(key))]
        said = " ".join(parts) or shot.get("visual_desc", "")
        names.update(dict.fromkeys(_MARKED.findall(str(said))))
        for name in {*_MARKED.findall(str(shot)), *_MARKED.findall(str(said))}:
            places.setdefault(name, []).append(str(number))
        prompt = _MARKED.sub(r"\1", said) if isinstance(said, str) else said
        segment: dict[str, Any] = {"prompt": prompt}
        if _is_text(shot.get("audio_desc")):
            segment["x-audio"] = shot["audio_desc"]
        segments.append(segment)
    story: dict[str, Any] = {"fps": _VEO_FPS, "frames": 8 * _VEO_FPS, "segments": segments}
    if names:
        story["characters"] = {
            _as_name(name): {"label": name[:60], "segments": ",".join(places[name])} for name in names
        }
    return Imported(
        story, ["The looks of ViMax's characters are in its characters.json: copy them into `description`."]
    )


# ------------------------------------------------------------------ Veo and Sora


def _import_veo_request(data: dict[str, Any]) -> Imported:
    asked = data.get("parameters")
    options: dict[str, Any] = asked if isinstance(asked, dict) else {}
    segment_options: dict[str, Any] = {}
    if _is_text(options.get("negativePrompt")):
        segment_options["negative"] = options["negativePrompt"]
    if isinstance(options.get("seed"), int):
        segment_options["seed"] = options["seed"]
    story: dict[str, Any] = {"fps": _VEO_FPS, "frames": _frames(options.get("durationSeconds"), 8)}
    if options.get("aspectRatio") == "9:16":
        story["size"] = [1080, 1920]
    instances = [one if isinstance(one, dict) else {} for one in data["instances"]]
    story["segments"] = [{"prompt": one.get("prompt"), **segment_options} for one in instances]
    return Imported(story)


def _import_sora_request(data: dict[str, Any]) -> Imported:
    story: dict[str, Any] = {"fps": _VEO_FPS, "frames": _frames(data.get("seconds", data.get("n_seconds")), 4)}
    size = re.fullmatch(r"(\d{2,4})x(\d{2,4})", str(data.get("size")))
    if size:
        story["size"] = [int(size[1]), int(size[2])]
    story["segments"] = [{"prompt": data["prompt"]}]
    return Imported(story)


def _import_scenes(data: dict[str, Any]) -> Imported:
    key = next(key for key in _LISTS if _is_list(data, key))
    segments = []
    for scene in data[key]:
        scene = scene if isinstance(scene, dict) else {}
        segment: dict[str, Any] = {"prompt": _prompt_of(scene)}
        camera = next((_as_text(scene[name]) for name in _CAMERA if scene.get(name)), "")
        if camera:
            segment["technical"] = camera
        if "start" in scene and "end" in scene:
            segment["timespan"] = f"{_plain(scene['start'])} - {_plain(scene['end'])}"
        else:
            seconds = next((scene[name] for name in LENGTHS if name in scene), None)
            if seconds is not None:
                segment["frames"] = _frames(seconds, 8)
        for name in ("sound", "audio", "dialogue"):
            if scene.get(name):
                segment[f"x-{name}"] = scene[name]
        segments.append(segment)
    story: dict[str, Any] = {"fps": _VEO_FPS, "frames": 8 * _VEO_FPS, "segments": segments}
    if _is_text(data.get("title")):
        story = {"title": data["title"][:200], **story}
    style = {key: _as_text(data[name]) for key, name in _STYLES.items() if data.get(name)}
    if style:
        story["style"] = style
    return Imported(story, ["Sound and dialogue are kept as notes (`x-…`): the film is silent."])


#: Key of our style → the word for it in JSON prompts.
_STYLES = {"prefix": "style", "negative": "negative_prompt", "lighting": "lighting"}


def _import_prompt(data: dict[str, Any]) -> Imported:
    parts = {key: value for key, value in data.items() if key not in (*LENGTHS, "negative_prompt", "negative_prompts")}
    camera = next((_as_text(data[name]) for name in ("camera", "cinematography", "shot") if data.get(name)), "")
    segment: dict[str, Any] = {"prompt": _as_text(parts)}
    if camera:
        segment["technical"] = camera[:2000]
    negative = data.get("negative_prompt", data.get("negative_prompts"))
    if negative:
        segment["negative"] = _as_text(negative)
    seconds = next((data[name] for name in LENGTHS if name in data), None)
    return Imported({"fps": _VEO_FPS, "frames": _frames(seconds, 8), "segments": [segment]})


def _prompt_of(scene: dict[str, Any]) -> str:
    return next((_as_text(scene[name]) for name in _PROMPTS if scene.get(name)), "")


def _as_text(value: Any) -> str:
    """The words of a structured prompt, as sentences in their order."""
    return (
        " ".join(f"{part.rstrip('.')}." for part in _words(value, 0)) if isinstance(value, (dict, list)) else str(value)
    )


def _words(value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for item in value.values():
            yield from _words(item, depth + 1)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        if all(isinstance(item, str) for item in value):
            yield from filter(None, [", ".join(item.strip() for item in value)])
        else:
            for item in value:
                yield from _words(item, depth + 1)
    elif _is_text(value):
        yield value.strip()


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _as_name(name: str) -> str:
    return re.sub(r"[^\w -]+", "_", name).strip() or "character"


def _plain(seconds: Any) -> str:
    return str(seconds).strip()


def _frames(seconds: Any, otherwise: int) -> int:
    try:
        length = exact(seconds.strip().removesuffix("s") if isinstance(seconds, str) else seconds)
    except (ValueError, TypeError, AttributeError):
        length = Fraction(otherwise)
    return max(1, math.ceil(length * _VEO_FPS)) if 0 < length <= 3600 else otherwise * _VEO_FPS
