"""Answers that fill their limits, in every way in which a small text becomes many or large values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runner.comfyui.bounds import limits
from runner.comfyui.bounds.limits import Limit

#: Signs that count as values, see `Limit.values`.
_COUNTED = (b",", b"[", b"{")
_FACE = "😀".encode()  # a text with one such sign takes four bytes for each of its signs


@dataclass(frozen=True)
class Kind:
    """A kind of answer: the request, its limit, and what stands around a value that can be anything."""

    route: str
    limit: Limit
    before: bytes
    after: bytes


def kinds() -> dict[str, Kind]:
    """The kinds of answers that are parsed, with the limits of now."""
    return {
        "queue, in a graph": Kind("GET /queue", limits.QUEUE, b'{"queue_running":[[1,"p",', b']],"queue_pending":[]}'),
        "queue, as an id": Kind("GET /queue", limits.QUEUE, b'{"queue_running":[[1,', b']],"queue_pending":[]}'),
        "queue, many": Kind("GET /queue", limits.QUEUE, b'{"queue_running":', b',"queue_pending":[]}'),
        "schemas, as choices": Kind(
            "GET /object_info",
            limits.OBJECT_INFO,
            b'{"KSampler":{"input":{"required":{"a":[',
            b']}},"output":[]}}',
        ),
        "history, as files": Kind(
            "GET /history",
            limits.HISTORY,
            b'{"p":{"outputs":{"4":{"images":',
            b'}},"status":{"status_str":"success"}}}',
        ),
        "statistics": Kind(
            "GET /system_stats", limits.SMALL, b'{"system":{"comfyui_version":"1"},"devices":[],"x":', b"}"
        ),
    }


#: An item of a list that is repeated until a limit is reached.
ITEMS: dict[str, Callable[[Limit], bytes]] = {
    "lists": lambda limit: b"[],",
    "lists of one": lambda limit: b"[5],",
    "lists in lists": lambda limit: b"[[[[[[[[]]]]]]]],",
    "dictionaries of six": lambda limit: b'{"a":0.1,"b":0.2,"c":0.3,"d":0.4,"e":0.5,"f":0.6},',
    "texts": lambda limit: b'"ab",',
    # As long as they must be to use up the bytes with the values.
    "long texts": lambda limit: b'"' + _FACE + b"a" * (limit.bytes // limit.values) + b'",',
    "long texts in dictionaries": lambda limit: (
        b'{"a":[[[]]],"b":"' + _FACE + b"a" * (limit.bytes // limit.dictionaries - 32) + b'"},'
    ),
    "one text": lambda limit: b'"' + _FACE + b"a" * (limit.bytes - 500) + b'",',
    "one text with half a character": lambda limit: b'"\\ud800' + _FACE + b"a" * (limits.LENIENT_BYTES - 500) + b'",',
    "names": lambda limit: b"{" + b",".join(b'"%09d":%d' % (n, n + 1000) for n in range(limit.values - 300)) + b"},",
    "prompts": lambda limit: b'[1,"p"],',
    "NaN": lambda limit: b'{"a":NaN,"b":[]},',
}


def fill(kind: Kind, item: bytes) -> bytes:
    """An answer with an item as often as its limit allows, and once at least."""
    around = kind.before + kind.after + b"[0]"
    left = [kind.limit.bytes - len(around)] + [
        most - sum(map(around.count, signs))
        for most, signs in ((kind.limit.values, _COUNTED), (kind.limit.dictionaries, (b"{",)))
    ]
    each = [len(item), sum(map(item.count, _COUNTED)), item.count(b"{")]
    # Of a queue, what is only passed over does not count.
    bounds = [have // need for have, need in zip(left, each, strict=True) if need][: 1 if "queue" in kind.route else 3]
    return kind.before + b"[" + item * max(1, min(bounds)) + b"0]" + kind.after


def filled(name: str) -> Iterator[tuple[str, bytes]]:
    """Each item's name, and an answer of a kind that is full of it."""
    kind = kinds()[name]
    for item, make in ITEMS.items():
        yield item, fill(kind, make(kind.limit))
