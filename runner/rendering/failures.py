"""What can go wrong with a segment, and what is done about it: a table, and the reading of errors into its rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import TOO_HOT_WORDS, UNREADABLE_WORDS

from ..comfyui.outcome import Outcome


class Failure(str, Enum):
    """Classes of failures; the values stand in journal and report."""

    OUT_OF_MEMORY = "out of memory"
    NODE_ERROR = "node error"
    VALIDATION = "validation"
    PREDECESSOR = "predecessor missing"
    LOST = "lost"
    OUTPUT_BROKEN = "output broken"
    SERVER_GONE = "server gone"
    STALLED = "stalled"
    DISK_FULL = "disk full"
    INTERRUPTED = "interrupted"
    TOO_HOT = "thermal guard"
    FATAL = "fatal"


class Remedy(str, Enum):
    """What is done about a failure."""

    REPEAT = "again"
    FREE_AND_REPEAT = "again with the server's memory freed"
    STEP_DOWN = "one step down in resolution"
    NEXT_SEED = "again with the next seed"
    OTHER_SERVER = "back into the queue, and the server is looked after"
    GIVE_UP = "given up"
    STOP = "the run stops"


#: Failure -> what is done at its first, second, … time for one segment; the last one stands for all that follow.
#: NODE_ERROR is stretched to --retries.
REMEDIES: Mapping[Failure, tuple[Remedy, ...]] = {
    Failure.OUT_OF_MEMORY: (Remedy.FREE_AND_REPEAT, Remedy.STEP_DOWN, Remedy.STEP_DOWN, Remedy.GIVE_UP),
    Failure.NODE_ERROR: (Remedy.NEXT_SEED, Remedy.GIVE_UP),
    Failure.VALIDATION: (Remedy.GIVE_UP,),
    Failure.PREDECESSOR: (Remedy.GIVE_UP,),
    Failure.LOST: (Remedy.REPEAT, Remedy.REPEAT, Remedy.REPEAT, Remedy.GIVE_UP),
    Failure.OUTPUT_BROKEN: (Remedy.REPEAT, Remedy.REPEAT, Remedy.GIVE_UP),
    # A network that blinks is no segment's fault; one that takes its server down each time must come to an end.
    Failure.SERVER_GONE: (*(Remedy.OTHER_SERVER,) * 20, Remedy.GIVE_UP),
    Failure.STALLED: (Remedy.OTHER_SERVER, Remedy.OTHER_SERVER, Remedy.GIVE_UP),
    Failure.DISK_FULL: (Remedy.STOP,),
    Failure.INTERRUPTED: (Remedy.STOP,),
    Failure.TOO_HOT: (Remedy.STOP,),
    Failure.FATAL: (Remedy.STOP,),
}

#: Short sides of the resolution ladder, in pixels.
LADDER = (1080, 720, 480)

_BY_CODE = {
    "submission-rejected": Failure.VALIDATION,
    "predecessor-missing": Failure.PREDECESSOR,
    "output-missing": Failure.OUTPUT_BROKEN,
    "media-broken": Failure.OUTPUT_BROKEN,
    "encode-failed": Failure.OUTPUT_BROKEN,
    "server-unreachable": Failure.SERVER_GONE,
    "server-lost": Failure.SERVER_GONE,
    "server-refused": Failure.SERVER_GONE,
    "server-not-comfyui": Failure.SERVER_GONE,
    "server-stalled": Failure.STALLED,
    "prompt-lost": Failure.LOST,
    "disk-full": Failure.DISK_FULL,
}
_MEMORY_WORDS = re.compile(
    r"out of memory|allocation on device|cannot allocate memory|not enough memory", re.IGNORECASE
)
_DISK_WORDS = re.compile(r"no space left on device|no space is left|disk quota exceeded", re.IGNORECASE)


@dataclass(frozen=True)
class Variant:
    """How an attempt differs from the segment as the story has it.

    Attributes:
        seed_offset: added to the seed.
        size: rendered at this size instead of the story's, after steps down the ladder.
    """

    seed_offset: int = 0
    size: tuple[int, int] | None = None


def classify_outcome(outcome: Outcome) -> Failure:
    """The class of a prompt that ended, but not well."""
    if outcome.status == "interrupted":
        return Failure.INTERRUPTED
    if outcome.exception_type.endswith("OutOfMemoryError") or _MEMORY_WORDS.search(outcome.error):
        return Failure.OUT_OF_MEMORY
    if TOO_HOT_WORDS in outcome.error or UNREADABLE_WORDS in outcome.error:
        return Failure.TOO_HOT
    # The server's disk, which is this one when the server is ours; elsewhere a retry would not help either.
    return Failure.DISK_FULL if _DISK_WORDS.search(outcome.error) else Failure.NODE_ERROR


def classify_error(error: VideoGenError) -> Failure:
    """The class of an error of our own; what is in no row concerns the whole run."""
    return _BY_CODE.get(error.code, Failure.FATAL)


def choose_remedy(failure: Failure, times: int, retries: int, size: tuple[int, int]) -> Remedy:
    """What is done about a failure.

    Args:
        times: how often this segment has failed in this way, this time included.
        retries: how often a node error is answered with another seed.
        size: the size that was tried.
    """
    row = REMEDIES[failure]
    if failure is Failure.NODE_ERROR:
        row = (Remedy.NEXT_SEED,) * retries + (Remedy.GIVE_UP,)
    remedy = row[min(times, len(row)) - 1]
    if remedy is Remedy.STEP_DOWN and step_down(size) is None:
        return Remedy.GIVE_UP
    return remedy


def step_down(size: tuple[int, int]) -> tuple[int, int] | None:
    """The next lower size of the ladder in the same shape, sides divisible by 8; None below the last rung."""
    short = min(size)
    rung = next((side for side in LADDER if side < short), None)
    if rung is None:
        return None
    width, height = (max(8, round(side * rung / short / 8) * 8) for side in size)
    return width, height
