"""Secrets in files that others have written."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ..core.redaction import SECRETS

_BLOCK = 1 << 20


def mask_secrets(path: Path) -> bool:
    """Overwrite the secrets in a file, byte for byte, so that its structure stays: the metadata of a video, a server's log.

    Returns:
        Whether there were any.
    """
    longest = max((len(value.encode("utf-8", "surrogatepass")) for value in SECRETS.values), default=0)
    found = False
    if not longest:
        return False
    with contextlib.suppress(OSError), path.open("rb") as file:
        place = 0
        # In blocks that overlap: a file may be larger than the memory, and a secret lie between two blocks.
        while len(data := file.read(_BLOCK + longest)) > 0:
            if SECRETS.is_in(data):
                with path.open("r+b") as out:
                    out.seek(place)
                    out.write(SECRETS.mask(data))
                found = True
            place += _BLOCK
            file.seek(place)
    return found
