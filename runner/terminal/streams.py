"""Standard output and error for text: whatever is printed there has no escapes of others, whoever wrote the text."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from custom_nodes.videogen.core.printable import neutralize

Change = Callable[[str], str]


class ChangedStream:
    """A text stream that passes changed text on to another one; everything else is the other's.

    Args:
        stream: the other one.
        change: the text that is passed on for a text that is written.
    """

    def __init__(self, stream: TextIO, change: Change) -> None:
        self._stream, self._change = stream, change

    def write(self, text: str) -> int:
        self._stream.write(self._change(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class PlainStream(ChangedStream):
    """A text stream that passes `neutralize`d text on.

    Attributes:
        styled: the other one, for a `PlainConsole`, whose colors are our own.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream, neutralize)
        self.styled = stream


@contextlib.contextmanager
def changed_streams(wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Standard output and error are wrapped meanwhile.

    Args:
        wrap: the stream to use instead of one.
    """
    out, err = sys.stdout, sys.stderr
    other_out, other_err = wrap(out), wrap(err)
    sys.stdout, sys.stderr = other_out, other_err
    try:
        yield
    finally:
        # Not what someone else has put there meanwhile.
        if sys.stdout is other_out:
            sys.stdout = out
        if sys.stderr is other_err:
            sys.stderr = err


def plain_streams() -> contextlib.AbstractContextManager[None]:
    """Everything printed meanwhile is neutralized: prints, argparse's errors, logging, traces."""
    return changed_streams(lambda stream: stream if isinstance(stream, PlainStream) else PlainStream(stream))
