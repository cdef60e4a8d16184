"""Random changes to good inputs: of bytes, of texts, and of values in plain data."""

from __future__ import annotations

import copy
import random
import struct
from typing import Any

#: Values that parsers stumble over.
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    10**400,
    0.5,
    -0.0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "\ud800",
    "\u202e\x1b[2J",
    "a" * 300,
    "../../etc/passwd",
    ".ssh/id_rsa",
    "C:\\a.png",
    "1-99999",
    "00:08 - 00:00",
    [],
    {},
    [[]],
    [None],
    {"": None},
    {"x-": 1},
    ["a", ["b"]],
    [0, 1],
    ["1", 0],
)
_ODD_BYTES = (b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\1")
_ODD_TEXTS = (
    "&a ",
    "*a",
    "<<: ",
    "!!int ",
    "!!python/x ",
    "- ",
    ": ",
    "{",
    "[",
    "}",
    "]",
    "|",
    ">",
    '"',
    "'",
    "#",
    "\n",
    "\t",
)


def change_bytes(draw: random.Random, data: bytes) -> bytes:
    """One to six places of some bytes overwritten, cut out, doubled or cut off."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(len(changed) + 1)
        length = draw.choice((1, 2, 4, 16, 200))
        kind = draw.randrange(6)
        if kind == 0:
            odd = draw.choice(_ODD_BYTES)
            changed[place : place + len(odd)] = odd
        elif kind == 1:
            changed[place : place + length] = draw.randbytes(length)
        elif kind == 2:
            del changed[place : place + length]
        elif kind == 3:
            changed[place:place] = changed[max(0, place - length) : place]
        elif kind == 4:
            changed[place : place + 4] = struct.pack(
                draw.choice((">I", "<I")), draw.choice((0, 1, 2**16, 2**31, 2**32 - 1))
            )
        elif draw.random() < 0.2:
            del changed[place:]
    return bytes(changed)


def change_text(draw: random.Random, text: str) -> str:
    """One to six places of a text with other signs, or parts of it elsewhere."""
    for _ in range(draw.randint(1, 6)):
        place, length = draw.randrange(len(text) + 1), draw.choice((0, 1, 5, 40))
        start = draw.randrange(len(text) + 1)
        put = draw.choice((draw.choice(_ODD_TEXTS), text[start : start + length], draw.choice("\0é\u2028~0"), ""))
        text = text[:place] + put + text[place + length :]
    return text


def change_data(draw: random.Random, data: Any) -> Any:
    """A copy of plain data with one to five values replaced, removed, or put elsewhere."""
    data = copy.deepcopy(data)
    for _ in range(draw.randint(1, 5)):
        places = _places(data)
        holder, key = draw.choice(places) if places else ([data], 0)
        kind = draw.randrange(4)
        if kind == 0:
            holder[key] = copy.deepcopy(draw.choice(ODD_VALUES))
        elif kind == 1:
            del holder[key]
        elif kind == 2 and places:
            other, other_key = draw.choice(places)
            holder[key] = copy.deepcopy(other[other_key])
        elif isinstance(holder, dict):
            odd = draw.choice(ODD_VALUES)
            holder[odd if isinstance(odd, str) else str(key) + "x"] = holder.get(key)
        else:
            holder.append(copy.deepcopy(draw.choice(ODD_VALUES)))
    return data


def _places(data: Any) -> list[tuple[Any, Any]]:
    places: list[tuple[Any, Any]] = []
    pending = [data]
    while pending:
        holder = pending.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            places.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                pending.append(holder[key])
    return places
