"""What a prompt is compiled for, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Given:
    """The pictures that a model gets for a segment.

    Attributes:
        first_frame: whether the segment begins from the last frame of the one before.
        own_first_frame: whether the workflow has a picture of its own there, which stays for all other segments.
        last_frame: whether there is one.
        seconds: of the clip that the model makes, at whose end the last frame is; None: those of the segment.
        references: name in the story of what each reference picture shows, in the order in which they are given to the model:
            the first is ``<Picture 1>``.
    """

    first_frame: bool = False
    own_first_frame: bool = False
    last_frame: bool = False
    references: tuple[str, ...] = ()
    seconds: Fraction | None = None


@dataclass(frozen=True)
class CompiledPrompt:
    """A segment's prompt for one model.

    Attributes:
        text: the prompt; "" for a model that takes none.
        negative: the negative prompt; None where the model takes none, so that its workflow's own stays.
        dialect: one of `DIALECTS` in model_profiles/schema.py.
        notes: what was cut or left out, and what the makers of the model advise against, in sentences.
    """

    text: str
    negative: str | None
    dialect: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """A part of a prompt that stays or goes as a whole.

    Attributes:
        name: as it is called in a note.
        need: what has more of it stays longer.
    """

    name: str
    text: str
    need: int = 0
