r"""Standard streams that outlast whatever reads them: printing never ends a command.

A character that the terminal's encoding lacks is shown as an escape, ``\u82f9``, in the form that JSON knows. A reader that went
away (``videogen … | head``) gets nothing more, and the command goes on to its own end and exit status.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from custom_nodes.videogen.core.printable import escape_character

_ESCAPES = "videogen-escapes"


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(escape_character, error.object[error.start : error.end])), error.end


codecs.register_error(_ESCAPES, _escape)


class LastingStream:
    """A text stream on another one that is not raised by: not by an encoding, a closed pipe or a full disk.

    Attributes:
        lost: why nothing more is written, or None.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream: Any = _Nowhere() if stream is None else stream
        self.lost: Exception | None = None

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Any) -> None:
        if self.lost is not None:
            return
        try:
            action()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self.lost = error
            # What is still in its buffer has to go somewhere, or Python complains about it when it ends.
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Nowhere(io.TextIOBase):
    """The stream of a process without one (pythonw, ``>&-``)."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def lasting_streams() -> Iterator[None]:
    """Standard output and error are `LastingStream`s meanwhile."""
    _occupy_descriptors()
    out, err = sys.stdout, sys.stderr
    standard: tuple[Any, Any] = (out, err)
    former = [(stream, _set_escapes(stream)) for stream in standard]
    lasting_out, lasting_err = LastingStream(out), LastingStream(err)
    sys.stdout, sys.stderr = lasting_out, lasting_err
    try:
        yield
    finally:
        lasting_out.flush()
        lasting_err.flush()
        if sys.stdout is lasting_out:
            sys.stdout = out
        if sys.stderr is lasting_err:
            sys.stderr = err
        for stream, options in former:
            if options:
                with contextlib.suppress(OSError, ValueError):
                    stream.reconfigure(**options)


def find_lost_output() -> Exception | None:
    """Why standard output could not be written to its end; None also when its reader just wanted no more."""
    sys.stdout.flush()
    lost = getattr(sys.stdout, "lost", None)
    return None if isinstance(lost, BrokenPipeError) else lost


def _set_escapes(stream: Any) -> dict[str, str]:
    """Let a stream write escapes for what its encoding lacks. Returns the options that it had; none where it has none."""
    if not hasattr(stream, "reconfigure"):
        return {}
    options = {"encoding": stream.encoding, "errors": stream.errors}
    with contextlib.suppress(OSError, ValueError):
        stream.reconfigure(errors=_ESCAPES)
    return options


def escape_all_but_ascii(stream: Any) -> None:
    """Let a stream that is not UTF-8 write ASCII from now on, and escapes for all else: UTF-8 of the same JSON."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    with contextlib.suppress(LookupError):
        encoding = codecs.lookup(encoding).name
    if encoding not in ("utf-8", "ascii") and hasattr(stream, "reconfigure"):
        with contextlib.suppress(OSError, ValueError):
            stream.reconfigure(encoding="ascii", errors=_ESCAPES)


def _occupy_descriptors() -> None:
    """Open what the caller has closed (``2>&-``): the next file, the journal for one, would get its number, and whatever a
    library in C says to standard error would be written into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
