"""JSON on standard output: UTF-8 on every system, whatever the terminal's encoding."""

from __future__ import annotations

import json
import sys
from typing import Any

from .lasting_streams import escape_all_but_ascii


def print_json(data: Any, *, indent: int | None = None) -> None:
    """Print data as one line of JSON, or with an indent as several.

    Where standard output is not UTF-8 by itself, everything but ASCII is written as JSON's escapes: readable in the terminal,
    and the same data for whoever reads the bytes as UTF-8.
    """
    escape_all_but_ascii(sys.stdout)
    print(json.dumps(data, ensure_ascii=False, indent=indent), flush=True)
