"""Prompts in prose: as the story composes them, for LTX, for Wan."""

from __future__ import annotations

import re

from ..model_profiles.model import Profile
from .fitting import fit_characters
from .model import Given, Part
from .parts import PromptParts, describe_camera, name_entity

#: The makers of LTX advise 4 to 8 sentences.
_LTX_SENTENCES = (4, 8)
_SENTENCE_ENDS = re.compile(r"[.!?…]+[\"”»']?(?=\s|$)")
#: What stays the longest where characters are limited.
_SPOKEN, _OWN, _CAST, _PLACE, _CAMERA, _LIGHT, _PREFIX, _SUFFIX = range(80, 0, -10)


def write_plain(parts: PromptParts, profile: Profile, given: Given) -> tuple[str, list[str]]:
    """The prompt as `compose_prompt` in core/segment joins it, with what is spoken at the end; and notes."""
    prompt = [
        Part("the style's prefix", parts.prefix, _PREFIX),
        *_place(parts),
        *_cast(parts),
        Part("the segment's prompt", parts.text, _OWN),
        *_spoken(parts, profile),
        Part("the style's suffix", parts.suffix, _SUFFIX),
    ]
    return fit_characters(prompt, profile.prompt.characters)


def write_ltx(parts: PromptParts, profile: Profile, given: Given) -> tuple[str, list[str]]:
    """One paragraph in the order that LTX's makers give: shot, scene and light, action, people, camera, sound; and notes."""
    text, notes = fit_characters(
        [
            Part("the shot and style", ", ".join(filter(None, (parts.size, parts.prefix))), _PREFIX),
            *_place(parts),
            Part("the segment's prompt", parts.text, _OWN),
            *_cast(parts),
            Part("the camera", describe_camera(parts.camera), _CAMERA),
            *_spoken(parts, profile),
            Part("the style's suffix", parts.suffix, _SUFFIX),
        ],
        profile.prompt.characters,
    )
    sentences = len(_SENTENCE_ENDS.findall(text))
    low, high = _LTX_SENTENCES
    if not low <= sentences <= high:
        notes.append(f"the prompt has {sentences} sentences, the makers of LTX advise {low} to {high}")
    return text, notes


def write_wan(parts: PromptParts, profile: Profile, given: Given) -> tuple[str, list[str]]:
    """Subject, scene, motion, look; with a first frame motion and camera only, as the picture shows the rest; and notes."""
    own = Part("the segment's prompt", parts.text, _OWN)
    camera = Part("the camera", describe_camera(parts.camera), _CAMERA)
    if given.first_frame:
        text, notes = fit_characters([own, camera, *_spoken(parts, profile)], profile.prompt.characters)
        left = [entity.label for entity in parts.cast if entity.description]
        left += [part.name for part in _place(parts) if part.text]
        left += ["the style"] if parts.prefix or parts.suffix else []
        if left:
            notes.append(f"the first frame shows {_join(left)}: not part of the prompt")
        return text, notes
    text, notes = fit_characters(
        [
            *_cast(parts),
            *_place(parts),
            own,
            camera,
            *_spoken(parts, profile),
            Part("the shot and style", ", ".join(filter(None, (parts.size, parts.prefix))), _PREFIX),
            Part("the style's suffix", parts.suffix, _SUFFIX),
        ],
        profile.prompt.characters,
    )
    return text, notes + advise_words("the prompt", text, profile.prompt.words, "Wan")


def advise_words(what: str, text: str, words: tuple[int, int] | None, model: str) -> list[str]:
    """A note where a text is shorter or longer than the makers of a model advise."""
    count = len(text.split())
    if words is None or words[0] <= count <= words[1]:
        return []
    return [f"{what} has {count} words, the makers of {model} advise {words[0]} to {words[1]}"]


def _place(parts: PromptParts) -> list[Part]:
    place = parts.location.description if parts.location else ""
    return [Part("the location", place, _PLACE), Part("the lighting", parts.lighting, _LIGHT)]


def _cast(parts: PromptParts) -> list[Part]:
    return [Part(f"the description of {entity.label}", entity.description, _CAST) for entity in parts.cast]


def _spoken(parts: PromptParts, profile: Profile) -> list[Part]:
    """What is spoken, in quotes with its language, where the model makes sound."""
    if profile.sound is not True:
        return []
    language = f" in {parts.language}" if parts.language else ""
    sentences = []
    for line in parts.spoken:
        speaker = "an unseen narrator" if line.speaker is None else name_entity(line.speaker)
        quoted = " ".join(line.text.split()).replace('"', "'")
        sentences.append(
            Part("what is spoken", f'{speaker[0].upper()}{speaker[1:]} says{language}: "{quoted}"', _SPOKEN)
        )
    return sentences


def _join(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
