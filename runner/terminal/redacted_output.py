"""The terminal without secrets: whatever is printed, by whichever module, goes through here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from custom_nodes.videogen.core.redaction import SECRETS

from .streams import ChangedStream, changed_streams


@contextlib.contextmanager
def redacted_output() -> Iterator[None]:
    """Hide secrets in standard output and standard error while the context lasts, and forget them at its end."""
    # Values only: a story's or a node's own words may look like a secret and be none.
    with changed_streams(lambda stream: ChangedStream(stream, SECRETS.hide_values)):
        try:
            yield
        finally:
            SECRETS.clear()
