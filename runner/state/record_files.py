"""JSON files of a run directory, which may come from somebody else: read up to a size, to no depth that Python cannot follow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from custom_nodes.videogen.media.openers import no_follow

#: Bytes of a file: story and workflow, thumbnails of a report, scores. Those of a film with a thousand segments have less.
MAX_RECORD = 64_000_000
#: Bytes of a journal and of one of its lines. An event has some hundred bytes, with a machine's telemetry up to a megabyte.
MAX_JOURNAL, MAX_LINE = 100_000_000, 8_000_000


def read_json(path: Path) -> Any:
    """The values of a file; NaN and infinities, of which no report can be made, are None.

    Raises:
        OSError: it cannot be read.
        ValueError: it has more than `MAX_RECORD` bytes, is no JSON, or is nested too deeply.
    """
    with open(path, "rb", opener=no_follow) as file:
        data = file.read(MAX_RECORD + 1)
    if len(data) > MAX_RECORD:
        raise ValueError(f"it has more than {MAX_RECORD:,} bytes")
    return parse_json(data)


def parse_json(data: bytes) -> Any:
    """The same of bytes.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(data, parse_constant=lambda _: None, parse_float=_read_float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _read_float(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None
