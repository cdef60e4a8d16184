"""The validated profile of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class FrameRule:
    """The numbers of frames that a model makes in one pass: ``step · k + offset``, from `least` to `most`.

    Attributes:
        most: the largest number, or None where none is known.
        trained: the range that the model was trained for, or None; other numbers of the rule are possible.
    """

    step: int = 1
    offset: int = 0
    least: int = 1
    most: int | None = None
    trained: tuple[int, int] | None = None


@dataclass(frozen=True)
class RateRule:
    """The frames a second that a model makes.

    Attributes:
        native: what it was trained for.
        least, most: the range that it takes, or None: only its native rate.
    """

    native: Fraction
    least: Fraction | None = None
    most: Fraction | None = None


@dataclass(frozen=True)
class SizeRule:
    """The sizes of a model's frames, in pixels.

    Attributes:
        multiple: width and height are multiples of this.
        least: the shortest side.
        area: the largest number of pixels of a frame, or None where none is known.
        native: width and height that the model is meant for, or None; only their product counts for other shapes.
    """

    multiple: int = 1
    least: int = 1
    area: int | None = None
    native: tuple[int, int] | None = None


@dataclass(frozen=True)
class InputRule:
    """What a model takes besides its prompt. None: not known.

    Attributes:
        references, reference_videos, reference_sounds: how many; 0 for none.
    """

    first_frame: bool | None = None
    last_frame: bool | None = None
    references: int | None = None
    reference_videos: int | None = None
    reference_sounds: int | None = None


@dataclass(frozen=True)
class PromptRule:
    """The form of prompt that a model follows.

    Attributes:
        dialect: one of `DIALECTS` in schema.py.
        tokens: of CLIP, the start and the end included, that the model reads; the rest would begin another chunk. None: no limit.
        characters: the longest prompt that its node takes, or None.
        words: how many words its makers advise, from and to, or None.
        negative: whether it takes a negative prompt; None: not known.
    """

    dialect: str = "plain"
    tokens: int | None = None
    characters: int | None = None
    words: tuple[int, int] | None = None
    negative: bool | None = None


@dataclass(frozen=True)
class MemoryFigure:
    """Memory that somebody measured or states.

    Attributes:
        gigabytes: of the graphics card, or of the main memory where `what` says so.
        what: what was measured: parts of the model, precision, size, frames.
        source: where the figure comes from.
    """

    gigabytes: Fraction
    what: str
    source: str


@dataclass(frozen=True)
class Sign:
    """A way to recognize a model in a graph; all that is given must be there.

    Attributes:
        nodes: classes of nodes, one of which is in the graph.
        also: further classes, one of which is in the graph too.
        loaders: values of `type` of a loader whose text encoder encodes the prompt, one of which is in the graph.
        files: patterns (``*`` and ``?``, in lower case) for the file names of diffusion models and checkpoints.
        partner: type of the output of a partner node (``VIDEO``, ``IMAGE``), or "".
    """

    nodes: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    loaders: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    partner: str = ""


@dataclass(frozen=True)
class Profile:
    """What is known of one model. A group that is None is not known.

    Attributes:
        name: unique, such as ``h3-ref2va``.
        family: name of its family, such as ``minimax-h3``.
        title: as users know it.
        video: it makes videos; else single images.
        sound: it makes sound with the picture; None: not known.
        sources: group of the file → where its facts come from.
        known: False for one that was only read off a graph.
    """

    name: str
    family: str
    title: str
    video: bool = True
    signs: tuple[Sign, ...] = ()
    frames: FrameRule | None = None
    rate: RateRule | None = None
    size: SizeRule | None = None
    inputs: InputRule = field(default_factory=InputRule)
    sound: bool | None = None
    prompt: PromptRule = field(default_factory=PromptRule)
    memory: tuple[MemoryFigure, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    known: bool = True


@dataclass(frozen=True)
class Recognized:
    """A model that was recognized in a graph.

    Attributes:
        node: id of the node that shows it.
        how: what it was recognized by, in a few words.
    """

    profile: Profile
    node: str
    how: str
