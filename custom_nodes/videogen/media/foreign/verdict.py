"""Files that others have written: whatever decoding their bytes does is a verdict on that file, and stops nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ...core.errors import VideoGenError
from ...core.text import replace_surrogates


class TooLargeError(ValueError):
    """A file asks for more pixels or frames than are decoded. The text is a clause about it: "it has ..., at most ..."."""


@contextlib.contextmanager
def decoding(
    path: Path | str, what: str = "does not decode", *, code: str = "media-broken", hint: str = ""
) -> Iterator[None]:
    """Decode a file in this context: every failure is an error about the file.

    Damaged bytes make decoders fail in any way: Pillow raises SyntaxError, struct.error, zlib.error, OverflowError and
    KeyError, PyAV raises IndexError for a missing stream, and a size that no machine has memory for is a MemoryError. Naming
    them one by one always leaves one out, which then counts as an internal error and stops the run. So nothing may be
    in this context but decoding: no writing, and no computing with what was decoded.

    A generator may yield frames inside the context: exceptions of the code that uses the frames do not come past here.

    Args:
        path: the file, or its name, for the message.
        what: says what failed, such as "cannot be read as a video".
        hint: what to do about a file that is broken; one that is too large does not get better by it.

    Raises:
        VideoGenError: `code`; one that is raised inside passes through unchanged.
    """
    try:
        yield
    except VideoGenError:
        raise
    except TooLargeError as error:
        raise VideoGenError(code, f"{path} is too large: {error}") from None
    except Exception as error:
        raise VideoGenError(code, f"{path} {what}: {_reason(error)}", hint) from None


def _reason(error: Exception) -> str:
    """What a decoder says, in words for people; many exceptions say nothing, or only a number."""
    if isinstance(error, IndexError):
        return "it has no such stream or frame"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    said = getattr(error, "strerror", None) or str(error)
    if isinstance(error, (EOFError, KeyError, AssertionError)) or not str(said).strip():
        return "it is damaged or cut off"
    return replace_surrogates(str(said))
