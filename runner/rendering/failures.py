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
    DEVICE = "device failed"
    SERVER_SICK = "server fails every segment"
    UNFIT = "server lacks something"
    DISK_FULL = "disk full"
    INTERRUPTED = "interrupted"
    TOO_HOT = "thermal guard"
    FATAL = "fatal"


#: Failures of the server, whatever prompt it had: it is restarted if it is ours, and set aside if it is not.
SERVER_FAILURES = frozenset({Failure.SERVER_GONE, Failure.STALLED, Failure.DEVICE, Failure.SERVER_SICK, Failure.UNFIT})
#: What a server was when a prompt failed there, and need not be any more; nothing about the prompt.
PASSING_FAILURES = frozenset({Failure.TOO_HOT, Failure.DISK_FULL, Failure.INTERRUPTED})

_BY_CODE = {
    "submission-rejected": Failure.VALIDATION,
    "predecessor-missing": Failure.PREDECESSOR,
    "segment-replaced": Failure.PREDECESSOR,
    "output-missing": Failure.OUTPUT_BROKEN,
    "media-broken": Failure.OUTPUT_BROKEN,
    "encode-failed": Failure.OUTPUT_BROKEN,
    "server-unreachable": Failure.SERVER_GONE,
    "server-lost": Failure.SERVER_GONE,
    "server-refused": Failure.SERVER_GONE,
    "server-not-comfyui": Failure.SERVER_GONE,
    "server-stalled": Failure.STALLED,
    "server-unfit": Failure.UNFIT,
    "server-lacks-pack": Failure.UNFIT,
    "server-too-old": Failure.UNFIT,
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
    r"out of memory|allocation on device|cannot allocate memory|not enough memory"
    r"|_status_alloc_failed|error(?:memoryallocation|outofmemory)",
    re.IGNORECASE,
)
_DISK_WORDS = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
#: A card, or this process's context on it, that does not work any more. After a fault in one kernel every later call of the
#: process fails too, whatever it computes; only a new process helps.
_DEVICE_TYPE = "AcceleratorError"
_DEVICE_WORDS = re.compile(
    r"illegal memory access|device-side assert|unspecified launch failure|misaligned address|uncorrectable ecc"
    r"|\b(?:cuda|hip|cudnn|cublas|hipblas|rocblas|miopen|level.zero|sycl)(?: driver| runtime)? error\b"
    r"|\b(?:cuda|hip)Error\w+"
    r"|\b(?:cudnn|cublas|cusolver|cusparse|cufft|hipblas|rocblas|miopen)_?status_?"
    r"(?:execution_?failed|not_?initialized|internal_?error|mapping_?error)"
    r"|gpu is lost|gpu has fallen off the bus|\bdevice[ _]?(?:lost|removed|hung)\b|_DEVICE_(?:LOST|REMOVED|HUNG)\b",
    re.IGNORECASE,
)


def classify_outcome(outcome: Outcome) -> Failure:
    """The failure of a prompt that has ended without success."""
    if outcome.status == "interrupted":
        return Failure.INTERRUPTED
    name = outcome.exception_type.rpartition(".")[2]
    return _BY_TYPE.get(name) or _classify_untyped(name, outcome.error) or Failure.NODE_ERROR


def _classify_untyped(name: str, message: str) -> Failure | None:
    """The failure that only the words of an exception tell.

    CUDA's and PyTorch's allocators raise a plain RuntimeError when memory runs out, and the operating system a plain OSError
    for memory and disk alike, whose errno ComfyUI's history leaves out. Nodes of other packs wrap both in types of their own.
    PyTorch before 2.8 raises a plain RuntimeError for a device that fails, and one of memory can have the same type and begin
    with the same words, so that memory is looked for first.

    Args:
        name: of the exception's class.
    """
    if _MEMORY_WORDS.search(message):
        return Failure.OUT_OF_MEMORY
    if _DISK_WORDS.search(message):
        return Failure.DISK_FULL
    # Errors of our own nodes have types: their sentences, which may quote a driver, decide nothing.
    failed = name == _DEVICE_TYPE or (name != VideoGenError.__name__ and _DEVICE_WORDS.search(message))
    return Failure.DEVICE if failed else None


def sign_failure(outcome: Outcome) -> str:
    """How a prompt has failed, without what differs from segment to segment: numbers, addresses and quoted words.

    Two segments that have failed in the same way have the same signature.
    """
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'…'", outcome.error)
    text = re.sub(r"0x[0-9a-f]+|\d+(?:\.\d+)?", "#", text, flags=re.IGNORECASE)
    return f"{outcome.exception_type}: {text}"


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
