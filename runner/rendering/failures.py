"""Failures of a prompt, told apart by the type of what was raised; what follows from each is in `retries`."""

from __future__ import annotations

import re
from enum import Enum

from custom_nodes.videogen.core.errors import DiskFullError, SensorUnreadableError, TooHotError, VideoGenError

from ..comfyui.outcome import Outcome


class Failure(str, Enum):
    """Classes of failures; their values appear in the journal and the report."""

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


#: Failures of the server, whatever prompt it had.
SERVER_FAILURES = frozenset({Failure.SERVER_GONE, Failure.STALLED})

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
#: Name of an exception's class, without its module: ComfyUI names a pack's modules after its path. The last two are those of
#: Python and numpy.
_BY_TYPE = {
    TooHotError.__name__: Failure.TOO_HOT,
    SensorUnreadableError.__name__: Failure.TOO_HOT,
    # The server's disk, which is this one when the server is ours; elsewhere a retry would not help either.
    DiskFullError.__name__: Failure.DISK_FULL,
    "OutOfMemoryError": Failure.OUT_OF_MEMORY,
    "MemoryError": Failure.OUT_OF_MEMORY,
    "_ArrayMemoryError": Failure.OUT_OF_MEMORY,
}
_MEMORY_WORDS = re.compile(
    r"out of memory|allocation on device|cannot allocate memory|not enough memory", re.IGNORECASE
)
_DISK_WORDS = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


def classify_outcome(outcome: Outcome) -> Failure:
    """The failure of a prompt that has ended without success."""
    if outcome.status == "interrupted":
        return Failure.INTERRUPTED
    name = outcome.exception_type.rpartition(".")[2]
    return _BY_TYPE.get(name) or _classify_untyped(outcome.error) or Failure.NODE_ERROR


def _classify_untyped(message: str) -> Failure | None:
    """The failure that only the words of an exception tell.

    CUDA's and PyTorch's allocators raise a plain RuntimeError when memory runs out, and the operating system a plain OSError
    for memory and disk alike, whose errno ComfyUI's history leaves out. Nodes of other packs wrap both in types of their own.
    """
    if _MEMORY_WORDS.search(message):
        return Failure.OUT_OF_MEMORY
    return Failure.DISK_FULL if _DISK_WORDS.search(message) else None


def classify_error(error: VideoGenError) -> Failure:
    """The failure of an error that the runner itself has raised; unknown ones are about the run as a whole."""
    return _BY_CODE.get(error.code, Failure.FATAL)


def explain_outcome(failure: Failure, outcome: Outcome) -> VideoGenError:
    """The error to report for a prompt that has ended without success."""
    if failure is Failure.INTERRUPTED:
        return VideoGenError(
            "render-interrupted",
            "the prompt was interrupted on the server by another client",
            "What is done is kept; run the same command again to resume.",
        )
    if failure is Failure.DISK_FULL:
        return DiskFullError(f"the server's disk is full: {outcome.error}", "Free some space there.")
    if failure is Failure.TOO_HOT:
        return TooHotError(outcome.error, "What is done is kept; run the same command again to resume.")
    return VideoGenError("render-failed", outcome.error)
