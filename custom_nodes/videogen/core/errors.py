"""The one error family of the project and the registry of its codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

#: Exit statuses of the command line.
SEGMENTS_FAILED, BAD_INPUT, NO_SERVER, INTERNAL_ERROR = 1, 2, 3, 4


@dataclass(frozen=True)
class ErrorCode:
    """The meaning of an error code, and the exit status of a command that ends with it."""

    meaning: str
    exit_status: int


#: Every code that is raised is in this table, and every code in it is raised somewhere (a test checks both ways).
ERROR_CODES: dict[str, ErrorCode] = {
    "story-unreadable": ErrorCode("the story file does not exist, or is not JSON or YAML", BAD_INPUT),
    "story-invalid": ErrorCode("the story breaks the format; all problems are listed", BAD_INPUT),
    "segment-missing": ErrorCode("a segment was asked for that the story does not have", BAD_INPUT),
    "selection-invalid": ErrorCode("a list of segment numbers such as 1,4,8-11 cannot be read", BAD_INPUT),
    "socket-invalid": ErrorCode("a node received a value of another type than its socket takes", BAD_INPUT),
    "frames-invalid": ErrorCode("frames have a shape, size or value that cannot be encoded", BAD_INPUT),
    "widget-invalid": ErrorCode("a node's widget has a value that cannot be used", BAD_INPUT),
    "image-invalid": ErrorCode("a reference picture has a shape or values that cannot be used", BAD_INPUT),
    "mask-invalid": ErrorCode("a mask has a shape or values that do not belong to the frames", BAD_INPUT),
    "reference-missing": ErrorCode(
        "pictures of characters, objects or locations are missing; all are listed", BAD_INPUT
    ),
    "adapter-unreadable": ErrorCode(
        "an IP-Adapter or embeddings file is damaged, or contains code as well as tensors", BAD_INPUT
    ),
    "adapter-invalid": ErrorCode("a file is not an IP-Adapter that the nodes can use", BAD_INPUT),
    "core-unsupported": ErrorCode("this ComfyUI lacks something that the nodes need", BAD_INPUT),
    "patch-conflict": ErrorCode(
        "another node changes the attention in a way that excludes image conditioning", BAD_INPUT
    ),
    "adapter-mismatch": ErrorCode("an IP-Adapter, its image encoder and the model do not belong together", BAD_INPUT),
    "member-missing": ErrorCode("a member of the cast was asked for that the story does not have", BAD_INPUT),
    "model-unsupported": ErrorCode("a node received a kind of model that it does not work with", BAD_INPUT),
    "latent-invalid": ErrorCode("a latent has a shape that a node cannot work with", BAD_INPUT),
    "model-missing": ErrorCode("a model file is not in its folder", BAD_INPUT),
    "model-unreadable": ErrorCode("a model file cannot be read, or is of another kind", BAD_INPUT),
    "package-missing": ErrorCode("a package that only some nodes need is not installed", BAD_INPUT),
    "download-failed": ErrorCode("a model could not be downloaded", SEGMENTS_FAILED),
    "guard-invalid": ErrorCode("limits of a thermal or memory guard contradict each other or this machine", BAD_INPUT),
    "too-hot": ErrorCode("a card stayed too hot for the guard's maximum wait", SEGMENTS_FAILED),
    "sensor-unreadable": ErrorCode("a strict guard cannot read a temperature", SEGMENTS_FAILED),
    "ffmpeg-missing": ErrorCode("no ffmpeg was found", BAD_INPUT),
    "encode-failed": ErrorCode("ffmpeg could not write a video", SEGMENTS_FAILED),
    "media-broken": ErrorCode(
        "a video, picture or sound file does not decode, or has unexpected properties", SEGMENTS_FAILED
    ),
    "backend-mismatch": ErrorCode("continuity scores of different backends were to be compared", BAD_INPUT),
    "embedding-failed": ErrorCode("an image network returned no usable vector for a continuity score", BAD_INPUT),
    "metric-missing": ErrorCode("a requested metric needs a package that is not installed", BAD_INPUT),
    "threshold-invalid": ErrorCode(
        "a threshold of continuity does not exist or has a value that cannot be used", BAD_INPUT
    ),
    "film-incomplete": ErrorCode("segments are missing and slates were not allowed", SEGMENTS_FAILED),
    "film-stale": ErrorCode("segments are older than the story, and --strict was given", SEGMENTS_FAILED),
    "segment-replaced": ErrorCode("a segment's file is not the one that was rendered and verified", SEGMENTS_FAILED),
    "disk-full": ErrorCode("the disk is full; everything rendered so far is kept", SEGMENTS_FAILED),
    "path-invalid": ErrorCode(
        "a file or folder cannot be used: missing, not writable, or outside its place", BAD_INPUT
    ),
    "workflow-unreadable": ErrorCode("the workflow file does not exist or is not a ComfyUI workflow", BAD_INPUT),
    "workflow-invalid": ErrorCode("the workflow does not fit the server; everything wrong is listed", BAD_INPUT),
    "profile-unreadable": ErrorCode("a file of model profiles does not exist or is not YAML", BAD_INPUT),
    "profile-invalid": ErrorCode("a file of model profiles breaks its format; all problems are listed", BAD_INPUT),
    "binding-invalid": ErrorCode("a --bind or --set cannot be read, or its target is not in the workflow", BAD_INPUT),
    "option-invalid": ErrorCode("a command-line option has a value that cannot be used", BAD_INPUT),
    "run-directory-busy": ErrorCode("another runner is working in this run directory", BAD_INPUT),
    "run-directory-invalid": ErrorCode("a folder is not a run directory, or belongs to another run", BAD_INPUT),
    "not-installed": ErrorCode("there is no embedded ComfyUI to start", NO_SERVER),
    "server-unreachable": ErrorCode("nothing answers at the server's address", NO_SERVER),
    "server-not-comfyui": ErrorCode("the server is not a ComfyUI", BAD_INPUT),
    "server-lacks-pack": ErrorCode("the ComfyUI does not have the videogen nodes", NO_SERVER),
    "server-too-old": ErrorCode("the ComfyUI is of a version that the nodes cannot work with", NO_SERVER),
    "server-unfit": ErrorCode("the server lacks nodes, models or files that the workflow needs", NO_SERVER),
    "server-start-failed": ErrorCode("the embedded ComfyUI did not start", NO_SERVER),
    "server-lost": ErrorCode("the connection to the server was lost while it was working", NO_SERVER),
    "server-stalled": ErrorCode("the server answers, but its prompt makes no progress", NO_SERVER),
    "prompt-lost": ErrorCode("the server has forgotten a prompt", NO_SERVER),
    "predecessor-missing": ErrorCode("a segment continues one that was not rendered", SEGMENTS_FAILED),
    "runner-failed": ErrorCode("an internal error in videogen", INTERNAL_ERROR),
    "server-refused": ErrorCode("the server answered a request with an error", NO_SERVER),
    "submission-rejected": ErrorCode("the server refused a prompt or dropped one of its outputs", BAD_INPUT),
    "reference-failed": ErrorCode("a reference picture could not be drawn before the segments", SEGMENTS_FAILED),
    "render-failed": ErrorCode("a node failed while it rendered a segment", SEGMENTS_FAILED),
    "render-interrupted": ErrorCode("the prompt was interrupted on the server", SEGMENTS_FAILED),
    "output-missing": ErrorCode("a finished prompt has no video or picture in its outputs", SEGMENTS_FAILED),
}

#: Codes of earlier releases, as in journals and scripts → their current names.
FORMER_CODES = {"video-broken": "media-broken"}


def find_former_code(code: str) -> str | None:
    """The name that a code had in earlier releases, or None: scripts that read events may still look for it."""
    return next((former for former, present in FORMER_CODES.items() if present == code), None)


class VideoGenError(Exception):
    """Something the user can act on.

    Args:
        code: a key of `ERROR_CODES`, or of `FORMER_CODES`.
        message: what is wrong and where, with the value found and the one expected. One sentence or a list.
        hint: the next step; may be empty when the message already says it.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        code = FORMER_CODES.get(code, code)
        if code not in ERROR_CODES:
            raise KeyError(f"error code {code!r} is not registered in ERROR_CODES")
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    @property
    def exit_status(self) -> int:
        return ERROR_CODES[self.code].exit_status

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an input: `where` is a path such as ``segments[7].timespan``, or ""."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ProblemList(VideoGenError):
    """All problems of one input at once, so that a user repairs a file in one go."""

    def __init__(self, code: str, what: str, problems: Iterable[Problem], hint: str = "") -> None:
        self.problems = list(problems)
        count = len(self.problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(code, f"{what}: {count} problem{'s' if count != 1 else ''}\n{lines}", hint)


class TooHotError(VideoGenError):
    """A device stayed too hot for a thermal guard's maximum wait.

    A type of its own, because a server reports the type of an exception that a node raised, but no code.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("too-hot", message, hint)


class SensorUnreadableError(VideoGenError):
    """A strict thermal guard cannot read a temperature."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("sensor-unreadable", message, hint)


class DiskFullError(VideoGenError):
    """The disk has no space left."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("disk-full", message, hint)


class StartFailedError(VideoGenError):
    """ComfyUI did not start.

    Attributes:
        hopeless: it ended by itself, with an exit status: its set-up is broken, and it would end so again. One that was killed
            (when memory ran out, say) may well start the next time.
    """

    def __init__(self, message: str, hint: str, *, hopeless: bool) -> None:
        super().__init__("server-start-failed", message, hint)
        self.hopeless = hopeless
