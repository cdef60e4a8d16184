"""What a segment decides in a workflow: roles, the inputs that have them, and how these were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..graph import is_link


class Role(str, Enum):
    """What an input is to a segment; the values are the names of ``--bind``.

    All inputs of one role get the same value. Only those of `REFERENCE` are places in a row, one image each.
    """

    PROMPT = "prompt"
    NEGATIVE = "negative"
    SEED = "seed"
    FRAMES = "frames"
    DURATION = "duration"
    FPS = "fps"
    WIDTH = "width"
    HEIGHT = "height"
    RESOLUTION = "resolution"
    ASPECT_RATIO = "aspect_ratio"
    FIRST_FRAME = "first_frame"
    LAST_FRAME = "last_frame"
    REFERENCE = "reference"
    INPUT_VIDEO = "input_video"
    INPUT_SOUND = "input_sound"


#: Roles that an image file is given to.
IMAGE_ROLES = (Role.FIRST_FRAME, Role.LAST_FRAME, Role.REFERENCE)


@dataclass(frozen=True)
class Place:
    """An input of a node.

    Attributes:
        value: what stands there now: a literal, a link, or None where nothing does.
        free: a socket that nothing is connected to; a value would need a node that loads it.
    """

    node: str
    input: str
    class_type: str
    value: Any = field(default=None, compare=False)
    free: bool = field(default=False, compare=False)

    @property
    def linked(self) -> bool:
        """Whether a value has to replace a link there."""
        return is_link(self.value)

    def __str__(self) -> str:
        return f"{self.node}.{self.input} ({self.class_type})"


@dataclass(frozen=True)
class Finding:
    """Inputs that have a role.

    Attributes:
        how: in a few words, why: what the value reaches.
    """

    role: Role
    places: tuple[Place, ...]
    how: str


@dataclass
class RoleTable:
    """The roles of a graph.

    Attributes:
        output: ids of the nodes whose file may be the segment: one, or candidates.
        findings: by role, where they are clear.
        ambiguous: by role: several inputs that may have it and differ; a binding has to say which.
        notes: what could not be read, in sentences.
    """

    output: Sequence[str] = ()
    findings: dict[Role, Finding] = field(default_factory=dict)
    ambiguous: dict[Role, tuple[Finding, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def places(self, role: Role) -> tuple[Place, ...]:
        """The inputs of a role; none where it is not clear."""
        found = self.findings.get(role)
        return found.places if found else ()
