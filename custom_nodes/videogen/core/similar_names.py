"""Which known name a misspelled one means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from itertools import islice

#: Characters of a name that are compared; longer known names are left out.
_COMPARED = 100


class SimilarNames:
    """Finds the known name that is closest to a misspelled one, for the messages of one check.

    A comparison takes about 10 µs, and a file of others can have thousands of unknown names where thousands are known: after
    `limit` comparisons nothing is similar any more, and the messages go without a suggestion.

    Args:
        limit: number of comparisons, over all calls of `find`.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._left = limit

    def find(self, word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
        """The closest known name, or "" when none is close.

        Args:
            cutoff: least similarity, 0 to 1 (`difflib.SequenceMatcher.ratio`).
        """
        short = (name for name in islice(known, self._left) if len(name) <= _COMPARED)
        names = list(short)
        self._left -= len(names)
        close = difflib.get_close_matches(word[:_COMPARED], names, n=1, cutoff=cutoff)
        return close[0] if close else ""
