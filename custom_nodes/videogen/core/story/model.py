"""The validated story."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from ..errors import VideoGenError
from .slug import slugify

#: Colors of the chips, in the order in which the cast is listed; chosen so that people with color blindness can tell them apart.
CAST_COLORS = (
    "#4C9BE8",
    "#E8A13C",
    "#6FBF5A",
    "#D9658B",
    "#9C7BE0",
    "#3FBFAE",
    "#E0703C",
    "#B5B33A",
    "#7F93B2",
    "#C98BD9",
)


@dataclass(frozen=True)
class Style:
    """What all segments share.

    Attributes:
        lighting: description of the light, part of every prompt.
        kelvin: color temperature as (lowest, highest), or None.
        master_prompt: text of the master prompt, context for models that accept one.
    """

    prefix: str = ""
    suffix: str = ""
    negative: str = ""
    lighting: str = ""
    kelvin: tuple[int, int] | None = None
    master_prompt: str = ""


@dataclass(frozen=True)
class Entity:
    """A character, object or location, which must look the same wherever it appears.

    Attributes:
        kind: ``character``, ``object`` or ``location``.
        name: its key in the story.
        segments: numbers (1-based) of the segments in which it appears, ascending.
        references: files of reference images.
        weight: strength of the reference, 0 to 3, or None for the workflow's own.
        region: ``left``, ``centre``, ``right``, a box (x, y, width, height) in 0…1, or a mask file.
        color: ``#rrggbb`` of its chip.
    """

    kind: str
    name: str
    label: str
    description: str = ""
    seed: int | None = None
    segments: tuple[int, ...] = ()
    references: tuple[str, ...] = ()
    weight: float | None = None
    region: str | tuple[float, float, float, float] | None = None
    color: str = "#808080"


@dataclass(frozen=True)
class Transition:
    """A transition at the cut after segment `after`, half of its `seconds` on each side of the cut."""

    after: int
    type: str
    seconds: Fraction


@dataclass(frozen=True)
class Audio:
    """What is heard.

    Attributes:
        language: that is spoken, as a code such as ``de`` or by its name; "" where the story does not say it.
    """

    music: str = ""
    narration: bool = False
    language: str = ""


@dataclass(frozen=True)
class Line:
    """A line that a character speaks; `character` is its key in the story."""

    character: str
    line: str


@dataclass(frozen=True)
class Lora:
    """A LoRA that a segment is rendered with.

    Attributes:
        file: its name in a server's ``models/loras``.
        strength: −10 to 10; 0 changes nothing.
        model: part of the name of the model file that it is for, in lower case; "" for all models of the workflow.
    """

    file: str
    strength: float = 1.0
    model: str = ""


@dataclass(frozen=True)
class Segment:
    """One shot.

    Attributes:
        number: 1-based position in the story.
        start: seconds from the film's start (the sum of the durations before it).
        duration: seconds.
        frames: number of rendered frames; they are spread evenly over the duration.
        continues_from: number of an earlier segment whose last frame it begins with (chained video), or None.
        first_frame, last_frame: files of the pictures that it begins and ends with, or "".
        narration: what the narrator says.
        dialogue: what the characters say, in this order.
        workflow: name of the workflow that renders it; "" for that of the run.
        loras: applied in this order.
    """

    number: int
    id: str
    start: Fraction
    duration: Fraction
    frames: int
    seed: int
    prompt: str
    description: str = ""
    technical: str = ""
    continuity: str = ""
    negative: str = ""
    continues_from: int | None = None
    first_frame: str = ""
    last_frame: str = ""
    narration: str = ""
    dialogue: tuple[Line, ...] = ()
    workflow: str = ""
    loras: tuple[Lora, ...] = ()

    @property
    def continues(self) -> bool:
        """Whether it begins with the last frame of another segment."""
        return self.continues_from is not None

    @property
    def begins_with_picture(self) -> bool:
        """Whether its first frame is given: that of another segment, or a picture."""
        return self.continues or bool(self.first_frame)


@dataclass(frozen=True)
class Story:
    """A whole film. `warnings` are sentences about oddities that do not prevent rendering."""

    title: str
    fps: Fraction
    frames: int
    size: tuple[int, int]
    quality: str
    style: Style
    characters: tuple[Entity, ...]
    objects: tuple[Entity, ...]
    locations: tuple[Entity, ...]
    transitions: tuple[Transition, ...]
    audio: Audio
    segments: tuple[Segment, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def duration(self) -> Fraction:
        """Seconds of the whole film."""
        return sum((segment.duration for segment in self.segments), Fraction(0))

    @cached_property
    def continued(self) -> frozenset[int]:
        """Numbers of the segments whose last frames others begin with."""
        return frozenset(one.continues_from for one in self.segments if one.continues_from is not None)

    @property
    def slug(self) -> str:
        """The title as a folder name, see `slugify`."""
        return slugify(self.title)

    def segment(self, number: int) -> Segment:
        """The segment with this 1-based number.

        Raises:
            VideoGenError: `segment-missing`, with the numbers that exist.
        """
        if not 1 <= number <= len(self.segments):
            raise VideoGenError(
                "segment-missing",
                f"segment {number} does not exist: the story {self.title!r} has segments 1 to {len(self.segments)}",
                "Set `index` to one of these numbers.",
            )
        return self.segments[number - 1]
