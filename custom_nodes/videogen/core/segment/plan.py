"""Everything needed to render one segment: the value of a SEGMENT socket."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..digest import digest
from ..errors import VideoGenError
from ..story.model import Entity, Story
from ..story.schema import MAX_PROMPT
from .prompts import compose_negative, compose_prompt, entities_in
from .shots import Shot, parse_shot

#: Fields of a plan that a storyboard draws and no model sees: they change a segment's frames only in a storyboard.
CAPTIONS = ("title", "slug", "id", "count", "start", "film_duration", "description", "continuity")


@dataclass(frozen=True)
class SegmentPlan:
    """A segment, with everything it takes from its story resolved.

    Attributes:
        number, count: 1-based position, and number of segments in the film.
        start, duration, film_duration: seconds, exact.
        frames, fps: number of rendered frames, and frames a second; ``frames / fps == duration``.
        size: width and height of the frames in pixels.
        text: the segment's own prompt text; `prompt` is the whole prompt around it.
        context: the master prompt, for models that accept one.
    """

    title: str
    slug: str
    number: int
    count: int
    id: str
    start: Fraction
    duration: Fraction
    film_duration: Fraction
    frames: int
    fps: Fraction
    size: tuple[int, int]
    quality: str
    seed: int
    text: str
    prompt: str
    negative: str
    context: str
    description: str
    technical: str
    continuity: str
    shot: Shot
    characters: tuple[Entity, ...]
    objects: tuple[Entity, ...]
    location: Entity | None
    lighting: str
    kelvin: tuple[int, int] | None

    @property
    def file_stem(self) -> str:
        """``segment_07``: its file name without suffix, zero-padded so that names sort by number."""
        return f"segment_{self.number:0{max(2, len(str(self.count)))}d}"

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values; fractions become text such as ``"1/3"``."""
        return _plain(dataclasses.asdict(self))

    def digest(self) -> str:
        """SHA-256 of `to_dict`, in hexadecimal digits."""
        return digest(self.to_dict())


def plan_segment(story: Story, number: int, prompt_override: str = "") -> SegmentPlan:
    """Resolve one segment of a story.

    Args:
        number: 1-based.
        prompt_override: replaces the segment's own text when it is not blank; at most `MAX_PROMPT` characters, as that has.

    Raises:
        VideoGenError: `segment-missing`, `widget-invalid`.
    """
    segment = story.segment(number)
    if len(prompt_override) > MAX_PROMPT:
        raise VideoGenError(
            "widget-invalid",
            f"`prompt_override` has {len(prompt_override):,} characters, at most {MAX_PROMPT:,} are allowed in a prompt",
        )
    text = prompt_override.strip() or segment.prompt
    locations = entities_in(story.locations, number)
    return SegmentPlan(
        title=story.title,
        slug=story.slug,
        number=number,
        count=len(story.segments),
        id=segment.id,
        start=segment.start,
        duration=segment.duration,
        film_duration=story.duration,
        frames=segment.frames,
        fps=segment.frames / segment.duration,
        size=story.size,
        quality=story.quality,
        seed=segment.seed,
        text=text,
        prompt=compose_prompt(story, segment, text),
        negative=compose_negative(story, segment),
        context=story.style.master_prompt,
        description=segment.description,
        technical=segment.technical,
        continuity=segment.continuity,
        shot=parse_shot(segment.technical, text),
        # `segments` says where else an entity appears; it does not change this segment's frames.
        characters=tuple(dataclasses.replace(e, segments=()) for e in entities_in(story.characters, number)),
        objects=tuple(dataclasses.replace(e, segments=()) for e in entities_in(story.objects, number)),
        location=dataclasses.replace(locations[0], segments=()) if locations else None,
        lighting=story.style.lighting,
        kelvin=story.style.kelvin,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
