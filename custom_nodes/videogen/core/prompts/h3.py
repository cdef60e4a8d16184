"""MiniMax H3's forms: with keyframes or text alone, and with references.

The labels are those that ComfyUI writes before the pictures (comfy/text_encoders/minimax.py); the sections, their order and the
sentences about keyframes are those of the makers' guide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from ..model_profiles.model import Profile
from ..segment.prompts import join_sentences
from ..story.model import Entity
from .model import Given
from .parts import PromptParts, direct_camera, name_entity
from .prose import advise_words

#: Descriptions are read aloud unless the prompt says that they are only seen.
_SILENT = "Nobody speaks; all descriptions are visual only."
_LINES_ONLY = "Only the quoted lines are spoken; all descriptions are visual only."
_AMBIENT = "Natural sound of the place and of the movements that are seen."
#: A segment that is continued holds its last framing for two seconds, so that the next one has something to begin from.
_HELD = "The closing framing is held for the last two seconds"
#: The film's music is laid under it afterwards, in one piece.
_MUSIC = "N/A"


def write_keyframes(parts: PromptParts, profile: Profile, given: Given) -> tuple[str, list[str]]:
    """The prompt of the model for text, first and last frames (fl2va), and notes."""
    description = join_sentences(
        [
            ", ".join(filter(None, (parts.size, parts.prefix))),
            parts.location.description if parts.location else "",
            parts.lighting,
            *(entity.description for entity in parts.cast),
            parts.text,
            *_closing(parts),
        ]
    )
    spoken = _speak(parts, {})
    lines = [
        f"integrated_multimodal_description: [Shot 1] {' '.join(filter(None, (description, *spoken)))}",
        f"overall_soundscape: {_sounds(parts)}",
        f"non_diegetic_music: {_MUSIC}",
    ]
    alignment = align_keyframes(given, parts.seconds if given.seconds is None else given.seconds)
    return "\n\n".join(filter(None, (alignment, *lines))), []


def align_keyframes(given: Given, seconds: Fraction) -> str:
    """The sentence that says where in the clip its pictures are; "" without any.

    Args:
        seconds: where the last frame is.
    """
    end = f"{float(seconds):.2f}"
    begins = given.first_frame or given.own_first_frame
    if begins and given.last_frame:
        return (
            "How the reference pictures align with the target video — Picture 1 (from Shot 1) aligns with the 0.00-second"
            f" mark of the target video; Picture 2 (from Shot 1) aligns with the {end}-second mark of the target video."
        )
    if begins:
        return "For the target video, at 0.00 seconds into the target video, <Picture 1> (from [Shot 1]) is fully referenced."
    if given.last_frame:
        return (
            "How the reference pictures align with the target video — <Picture 1> (from [Shot 1]) aligns with the"
            f" {end}-second mark of the target video."
        )
    return ""


def write_references(parts: PromptParts, profile: Profile, given: Given) -> tuple[str, list[str]]:
    """The prompt of the model for references (ref2va), and notes.

    Each member of the cast with pictures is a ``<Subject N>``; who has none is described in words.
    """
    pictures: dict[str, list[int]] = {}
    for number, name in enumerate(given.references, 1):
        pictures.setdefault(name, []).append(number)
    entities = [*parts.cast, *([parts.location] if parts.location else [])]
    shown = {entity.name: entity for entity in entities if entity.name in pictures}
    subjects = {name: f"<Subject {number}>" for number, name in enumerate(shown, 1)}
    tags = {name: _list([f"<Picture {number}>" for number in numbers]) for name, numbers in pictures.items()}
    definitions = [
        f"{subjects[name]} is {name_entity(entity)} in {tags[name]}{_describe(entity)}"
        for name, entity in shown.items()
    ]
    kept = [
        f"{subjects[name]} (appears in [Shot 1]): fully_preserved - {_kept(entity)}." for name, entity in shown.items()
    ]
    description = _detailed(parts, subjects)
    sections = {
        "subject_definitions": "\n".join(definitions) or "N/A",
        "summary": f"[reference generation] {_summary(parts, subjects)}",
        "retention_analysis": "\n".join(kept) or "N/A",
        "detailed_description": description,
        "overall_soundscape": _sounds(parts),
        "non_diegetic_music": _MUSIC,
    }
    notes = advise_words("detailed_description", description, profile.prompt.words, "H3")
    for name in pictures:
        if name not in shown:
            notes.append(f"the picture of {name!r} is given, but it is not in this segment")
    for entity in entities:
        if entity.name not in shown:
            notes.append(f"{entity.label} has no reference picture here and is described in words")
    return "\n\n".join(f"{name}:\n{text}" for name, text in sections.items()), notes


def _detailed(parts: PromptParts, subjects: Mapping[str, str]) -> str:
    style = join_sentences(["The target video has one shot", parts.prefix, parts.suffix])
    cast = {entity.name: entity for entity in (*parts.cast, *([parts.location] if parts.location else []))}
    own = _name_subjects(parts.text, cast, subjects)
    unnamed = [tag for name, tag in subjects.items() if tag not in own]
    location = parts.location
    shot = join_sentences(
        [
            parts.size,
            location.description if location and location.name not in subjects else "",
            parts.lighting,
            f"{_list(unnamed)} {'is' if len(unnamed) == 1 else 'are'} in this shot" if unnamed else "",
            *(entity.description for entity in parts.cast if entity.name not in subjects),
            own,
            *_closing(parts),
        ]
    )
    return f"{style}\n[Shot 1] {' '.join((shot, *_speak(parts, subjects)))}"


def _summary(parts: PromptParts, subjects: Mapping[str, str]) -> str:
    cast = {entity.name: entity for entity in (*parts.cast, *([parts.location] if parts.location else []))}
    text = _name_subjects(parts.text, cast, subjects)
    return join_sentences([f"The target video lasts {float(parts.seconds):g} seconds", text])


def _closing(parts: PromptParts) -> list[str]:
    return [direct_camera(parts.camera), _HELD if parts.held else ""]


def _sounds(parts: PromptParts) -> str:
    return f"{_AMBIENT} {_LINES_ONLY if parts.spoken else _SILENT}"


def _speak(parts: PromptParts, subjects: Mapping[str, str]) -> list[str]:
    """The spoken lines, each speaker with a number: ``<Subject 1> (S1) says, <d>[German] Guten Morgen.</d>``."""
    numbers: dict[str, int] = {}
    sentences = []
    for line in parts.spoken:
        key = line.speaker.name if line.speaker else ""
        number = numbers.setdefault(key, len(numbers) + 1)
        speaker = "an unseen narrator" if line.speaker is None else subjects.get(key) or name_entity(line.speaker)
        speaker = speaker[0].upper() + speaker[1:]
        # The tag ends the line: one inside it would end it too early.
        text = " ".join(re.sub(r"</?d>", " ", line.text).split())
        language = f"[{parts.language}] " if parts.language else ""
        sentences.append(f"{speaker} (S{number}) says, <d>{language}{text}</d>")
    return sentences


def _name_subjects(text: str, cast: Mapping[str, Entity], subjects: Mapping[str, str]) -> str:
    """A text in which the members of the cast that have pictures are called by their subject.

    Only where it is they who are meant: in "the bearded man", the word "man" is not the man in the blue shirt.
    """
    names: dict[str, str] = {}
    nouns: dict[str, str] = {}
    for name, tag in subjects.items():
        for word in (name.replace("_", " "), cast[name].label):
            names.setdefault(word.lower(), tag)
        nouns.setdefault(name_entity(cast[name]).removeprefix("the ").lower(), tag)
    words = nouns | names
    if not words:
        return text

    def write(match: re.Match[str]) -> str:
        article, word = match[1], match[2].lower()
        if article:
            meant = article.lower() == "the" or word in names or " " in word
        else:
            meant = word in names and match[2][0].isupper()
        # A few letters match others that they are not in lower case, such as a long s.
        return words.get(word, match[0]) if meant else match[0]

    longest = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:(the|an?)\s+)?({'|'.join(map(re.escape, longest))})(?!\w)", re.IGNORECASE)
    return pattern.sub(write, text)


def _describe(entity: Entity) -> str:
    words = " ".join(entity.description.split()).rstrip(" .,;")
    return f": {words}." if words else "."


def _kept(entity: Entity) -> str:
    if entity.kind == "character":
        return "face, hair, build and clothes are those of the reference"
    if entity.kind == "object":
        return "shape, material and colors are those of the reference"
    return "place, layout and colors are those of the reference"


def _list(tags: list[str]) -> str:
    return tags[0] if len(tags) == 1 else f"{', '.join(tags[:-1])} and {tags[-1]}" if tags else ""
