"""What a segment's prompt is made of, before a dialect puts it into its form."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ..segment.prompts import compose_negative, entities_in
from ..segment.shots import SHOT_SIZES, Shot, parse_shot
from ..story.model import Entity, Line, Story

#: Move of the camera → what it does, in words that follow "the camera".
_MOVES = {
    "pan-left": "pans left",
    "pan-right": "pans right",
    "tilt-up": "tilts up",
    "tilt-down": "tilts down",
    "zoom-in": "zooms in",
    "zoom-out": "zooms out",
    "track": "tracks the subject",
}
#: Codes of languages (ISO 639-1) → their names in English.
_LANGUAGES = {
    "ar": "Arabic",
    "bn": "Bengali",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "ms": "Malay",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


#: What a description is about: "The man in the blue shirt is in his mid-forties", "A woman of sixty, with a gray braid".
_NOUN = re.compile(r"(?:the|an?)\s+(.{2,60}?)(?:\s+(?:is|are|has|have|wears|wearing|stands)\b|[,;:.]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Spoken:
    """A line that is heard: `speaker` is None for the narrator."""

    speaker: Entity | None
    text: str


@dataclass(frozen=True)
class PromptParts:
    """The parts of one segment's prompt.

    Attributes:
        text: the segment's own.
        technical: its shot in a director's words, or "".
        cast: characters, then objects.
        spoken: in the order in which it is heard: the narrator first.
        language: in English; "" where the story does not say it.
        seconds: of the segment.
        held: another segment begins from this one's last frame.
    """

    text: str
    prefix: str
    suffix: str
    negative: str
    lighting: str
    location: Entity | None
    cast: tuple[Entity, ...]
    technical: str
    spoken: tuple[Spoken, ...]
    language: str
    seconds: Fraction
    held: bool

    @classmethod
    def of(cls, story: Story, number: int, text: str = "") -> PromptParts:
        """The parts of a segment.

        Args:
            number: 1-based.
            text: replaces the segment's own, when it is not blank.

        Raises:
            VideoGenError: `segment-missing`.
        """
        segment = story.segment(number)
        own = text.strip() or segment.prompt
        locations = entities_in(story.locations, number)
        return cls(
            text=own,
            prefix=story.style.prefix,
            suffix=story.style.suffix,
            negative=compose_negative(story, segment),
            lighting=story.style.lighting,
            location=locations[0] if locations else None,
            cast=(*entities_in(story.characters, number), *entities_in(story.objects, number)),
            technical=segment.technical,
            spoken=_spoken(story, segment.narration, segment.dialogue),
            language=name_language(story.audio.language),
            seconds=segment.duration,
            held=number in story.continued,
        )

    @cached_property
    def shot(self) -> Shot | None:
        """The shot of the `technical` line; None where there is none: the segment's own text says what there is to say."""
        return parse_shot(self.technical, self.text) if self.technical else None

    @cached_property
    def camera(self) -> Shot | None:
        """The shot whose camera move is to be told; None where the segment's own text tells it, or nothing does."""
        told = self.shot and self.shot.move != "static" and parse_shot("", self.text).move == self.shot.move
        return None if told else self.shot

    @property
    def size(self) -> str:
        """``Wide shot``; "" where the segment's own text says it, or nothing does."""
        label = SHOT_SIZES[self.shot.size][0] if self.shot else ""
        return "" if label.lower() in self.text.lower() else label


def _spoken(story: Story, narration: str, dialogue: tuple[Line, ...]) -> tuple[Spoken, ...]:
    cast = {character.name: character for character in story.characters}
    lines = [Spoken(cast[line.character], line.line) for line in dialogue]
    return (*([Spoken(None, narration)] if narration else ()), *lines)


def name_language(language: str) -> str:
    """The English name of a language by its code, also one with a country (``de-AT``); another word as it is."""
    return _LANGUAGES.get(language.lower().partition("-")[0], language)


def name_entity(entity: Entity) -> str:
    """What an entity is called within a sentence: what its description begins with (``the man in the blue shirt``), or its label.

    A model does not know who the protagonist is.
    """
    begins = _NOUN.match(" ".join(entity.description.split()))
    return f"the {begins[1]}" if begins else entity.label


def describe_camera(shot: Shot | None) -> str:
    """``The camera pans left slowly``; "" where the segment does not direct it."""
    if shot is None:
        return ""
    if shot.move == "static":
        return "The camera is static"
    return f"The camera {_MOVES[shot.move]}{' slowly' if shot.amount < 1 else ''}"


def direct_camera(shot: Shot | None) -> str:
    """The camera by type, amplitude and speed: ``The camera pans left with small amplitude at slow speed``; or ""."""
    if shot is None:
        return ""
    if shot.move == "static":
        return "The shot is static"
    return f"The camera {_MOVES[shot.move]}{' with small amplitude at slow speed' if shot.amount < 1 else ''}"
