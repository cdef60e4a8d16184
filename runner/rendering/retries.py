"""Whether a failed prompt is tried again, and how the next attempt differs: two tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from .failures import Failure


class Remedy(str, Enum):
    """The reaction to a failure; the values appear in the journal."""

    REPEAT = "again"
    FREE_AND_REPEAT = "again with the server's memory freed"
    STEP_DOWN = "one step down in resolution"
    NEXT_SEED = "again with the next seed"
    OTHER_SERVER = "back into the queue, and the server is looked after"
    ASK_ANOTHER = "again on another server"
    GIVE_UP = "given up"
    STOP = "the run stops"


#: Failure → remedies for its first, second, … time; the last entry also counts for all later ones.
RetryTable = Mapping[Failure, tuple[Remedy, ...]]

#: For a segment; NODE_ERROR is stretched to --retries, see `segment_remedies`.
REMEDIES: RetryTable = {
    Failure.OUT_OF_MEMORY: (Remedy.FREE_AND_REPEAT, Remedy.STEP_DOWN, Remedy.STEP_DOWN, Remedy.GIVE_UP),
    Failure.NODE_ERROR: (Remedy.NEXT_SEED, Remedy.GIVE_UP),
    Failure.VALIDATION: (Remedy.GIVE_UP,),
    Failure.PREDECESSOR: (Remedy.GIVE_UP,),
    Failure.LOST: (Remedy.REPEAT, Remedy.REPEAT, Remedy.REPEAT, Remedy.GIVE_UP),
    Failure.OUTPUT_BROKEN: (Remedy.REPEAT, Remedy.REPEAT, Remedy.GIVE_UP),
    # A network that blinks is no segment's fault; one that takes its server down each time must come to an end.
    Failure.SERVER_GONE: (*(Remedy.OTHER_SERVER,) * 20, Remedy.GIVE_UP),
    # Only failures that count against the segment, see `ServerHealth.counts`.
    Failure.STALLED: (Remedy.OTHER_SERVER, Remedy.OTHER_SERVER, Remedy.GIVE_UP),
    Failure.DEVICE: (Remedy.OTHER_SERVER, Remedy.OTHER_SERVER, Remedy.GIVE_UP),
    Failure.SERVER_SICK: (*(Remedy.OTHER_SERVER,) * 20, Remedy.GIVE_UP),
    Failure.UNFIT: (*(Remedy.OTHER_SERVER,) * 20, Remedy.GIVE_UP),
    Failure.DISK_FULL: (Remedy.STOP,),
    Failure.INTERRUPTED: (Remedy.STOP,),
    Failure.TOO_HOT: (Remedy.STOP,),
    Failure.FATAL: (Remedy.STOP,),
}

#: For a reference image. It keeps its seed and size, which its character is known by; and one that is given up ends the run.
REFERENCE_REMEDIES: RetryTable = {
    **REMEDIES,
    Failure.OUT_OF_MEMORY: (Remedy.FREE_AND_REPEAT, Remedy.GIVE_UP),
    Failure.NODE_ERROR: (Remedy.REPEAT, Remedy.GIVE_UP),
    **{failure: (Remedy.GIVE_UP,) for failure, row in REMEDIES.items() if row == (Remedy.STOP,)},
}

#: Failures that may be this server's alone: another one is asked before anything about the segment is changed.
ASK_OTHERS_FIRST = frozenset({Failure.NODE_ERROR, Failure.VALIDATION})
#: Failures that no other server would spare the segment.
_EVERYWHERE = frozenset({Failure.PREDECESSOR})

#: Short sides of the resolution ladder, in pixels.
LADDER = (1080, 720, 480)


@dataclass(frozen=True)
class Variant:
    """How an attempt differs from the segment as the story has it.

    Attributes:
        seed_offset: added to the seed.
        size: rendered at this size instead of the story's, after steps down the ladder.
    """

    seed_offset: int = 0
    size: tuple[int, int] | None = None

    def with_next_seed(self) -> Variant:
        return Variant(self.seed_offset + 1, self.size)


@dataclass(kw_only=True)
class AttemptState:
    """How often something was tried, and how it is tried next.

    Attributes:
        attempt: counts submissions that differ; part of the prompt's id.
        reached: the highest attempt so far, where an earlier one is taken up again.
        may_be_on_server: the server may have this attempt already, from an earlier connection or an earlier runner.
        canceled: an earlier runner has asked the server to stop it, which may have come too late: if it is finished, it counts.
        failures: how often it has failed in which way.
        excused: how many of these were the server's fault and do not count.
    """

    attempt: int = 0
    reached: int = 0
    variant: Variant = field(default_factory=Variant)
    may_be_on_server: bool = False
    canceled: bool = False
    failures: Counter[Failure] = field(default_factory=Counter)
    excused: Counter[Failure] = field(default_factory=Counter)

    def count(self, failure: Failure) -> int:
        """How often it has failed in this way, as far as that counts against it."""
        return self.failures[failure] - self.excused[failure]

    def begin_next(self, variant: Variant | None = None) -> None:
        """Begin another attempt, under a prompt id of its own.

        Args:
            variant: None keeps the one of the last attempt.
        """
        self.attempt = max(self.attempt, self.reached) + 1
        self.may_be_on_server = self.canceled = False
        self.variant = variant or self.variant

    def apply(self, remedy: Remedy, size: tuple[int, int], *, ended: bool = False) -> None:
        """Begin the attempt that a remedy asks for.

        Args:
            size: the size that was tried.
            ended: the prompt has ended on the server, which knows its id as a failed one from now on.
        """
        if remedy in (Remedy.OTHER_SERVER, Remedy.ASK_ANOTHER) and not ended:
            return  # the same attempt: what the server has made of it is found again
        if remedy is Remedy.NEXT_SEED:
            self.begin_next(self.variant.with_next_seed())
        elif remedy is Remedy.STEP_DOWN:
            self.begin_next(Variant(self.variant.seed_offset, step_down(size)))
        else:
            self.begin_next()


def segment_remedies(retries: int) -> RetryTable:
    """The table for a segment.

    Args:
        retries: how often a node error is answered with another seed.
    """
    return {**REMEDIES, Failure.NODE_ERROR: (Remedy.NEXT_SEED,) * retries + (Remedy.GIVE_UP,)}


def choose_remedy(
    failure: Failure, times: int, table: RetryTable, size: tuple[int, int], *, others: bool = False, away: bool = False
) -> Remedy:
    """The remedy for a failure.

    Args:
        times: how often this segment or image has failed in this way, this time included.
        table: `segment_remedies` or `REFERENCE_REMEDIES`.
        size: the size that was tried.
        others: a server in good standing has not failed with it yet.
        away: another server that has not failed with it yet is set aside, and may come back.
    """
    row = table[failure]
    remedy = row[min(max(times, 1), len(row)) - 1]
    if remedy is Remedy.STEP_DOWN and step_down(size) is None:
        remedy = Remedy.GIVE_UP
    asked = others and failure in ASK_OTHERS_FIRST
    last = remedy is Remedy.GIVE_UP and failure not in _EVERYWHERE and (others or away)
    return Remedy.ASK_ANOTHER if asked or last else remedy


def step_down(size: tuple[int, int]) -> tuple[int, int] | None:
    """The next lower size of the ladder in the same shape, sides divisible by 8; None below the last rung."""
    short = min(size)
    rung = next((side for side in LADDER if side < short), None)
    if rung is None:
        return None
    width, height = (max(8, round(side * rung / short / 8) * 8) for side in size)
    return width, height
