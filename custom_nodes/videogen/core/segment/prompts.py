"""Prompt composition: the shared parts of a story around a segment's own text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable

from ..story.model import Entity, Segment, Story


def compose_prompt(story: Story, segment: Segment, text: str | None = None) -> str:
    """The whole prompt: style prefix, lighting, location, characters, objects, the segment's own text, suffix.

    Args:
        text: replaces the segment's own text, when given and not blank.
    """
    own = text if text and text.strip() else segment.prompt
    parts = [
        story.style.prefix,
        *(entity.description for entity in entities_in(story.locations, segment.number)),
        story.style.lighting,
        *(entity.description for entity in entities_in(story.characters, segment.number)),
        *(entity.description for entity in entities_in(story.objects, segment.number)),
        own,
        story.style.suffix,
    ]
    return join_sentences(parts)


def compose_negative(story: Story, segment: Segment) -> str:
    """The negative prompt: the style's, then the segment's."""
    return join_terms([story.style.negative, segment.negative])


def entities_in(entities: Iterable[Entity], number: int) -> tuple[Entity, ...]:
    """The entities that appear in the segment with this number, in the story's order."""
    return tuple(entity for entity in entities if _appears(entity, number))


def _appears(entity: Entity, number: int) -> bool:
    # The numbers are in ascending order. A story of 10,000 segments asks 10,000 times for each member of its cast.
    place = bisect_left(entity.segments, number)
    return place < len(entity.segments) and entity.segments[place] == number


def join_terms(parts: Iterable[str]) -> str:
    """Parts as one comma-separated line, as negative prompts are written."""
    terms = (" ".join(part.split()).strip(" ,") for part in parts)
    return ", ".join(term for term in terms if term)


def join_sentences(parts: Iterable[str]) -> str:
    """Parts as one line of sentences; a full stop is added to a part that ends without punctuation."""
    sentences = []
    for part in parts:
        sentence = " ".join(part.split()).rstrip(" ,;")
        if sentence:
            sentences.append(sentence if sentence[-1] in '.!?…"»”' else f"{sentence}.")
    return " ".join(sentences)
