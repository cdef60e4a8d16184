"""A server that answers one request as no ComfyUI does, and all others as the model of one: a table of such answers."""

from __future__ import annotations

import functools
import gzip
import io
import json
import lzma
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.hostile.mp4_claims import claim_samples
from tests.support.servers.fake_server import Answer, Raw, Request
from tests.support.servers.model.server import ModelServer

_MB = 1_000_000
_OK = b"HTTP/1.1 200 OK\r\n"


@dataclass(frozen=True)
class Hostility:
    """What a server does.

    Attributes:
        route: the request that is answered so, such as ``GET /history``; ``/ws`` for what is sent to a websocket,
            ``/ws greeting`` in place of its handshake.
        answer: what is sent; of a function, what it makes of the model's answer to the request.
    """

    route: str
    answer: Any


def misbehave(model: ModelServer, hostility: Hostility) -> list[str]:
    """Make a model server hostile. Returns a list that gets an entry with each such answer."""
    asked: list[str] = []
    normal = model.front.routes["*"]

    def answer(request: Request) -> Any:
        if f"{request.method} /{request.path.split('/')[1]}" != hostility.route:
            return normal(request)
        if hostility.route == "GET /view" and request.query.get("type") == "input":
            return normal(request)
        asked.append(hostility.route)
        told = hostility.answer
        return told(normal(request)) if callable(told) else told

    def note(raw: Raw) -> Raw:
        def write(out: Any) -> None:
            asked.append(hostility.route)
            raw.write(out)

        return Raw(write)

    if hostility.route == "/ws":
        model.front.speech = note(hostility.answer)
    elif hostility.route == "/ws greeting":
        model.front.greeting = note(hostility.answer)
    else:
        model.front.routes["*"] = answer
    return asked


# ------------------------------------------------------------------ more than there should be


def endless(head: bytes, block: bytes) -> Raw:
    """A beginning, and then the same for ever."""

    def write(out: Any) -> None:
        out.write(head)
        while True:
            out.write(block)

    return Raw(write)


def dripping(head: bytes, drop: bytes = b" ") -> Raw:
    """A beginning, and then a byte now and then: no single read takes long."""

    def write(out: Any) -> None:
        out.write(head)
        while True:
            out.write(drop)
            out.flush()
            time.sleep(0.05)

    return Raw(write)


def body(data: bytes, **headers: str) -> Answer:
    return Answer(body=data, headers={name.replace("_", "-"): value for name, value in headers.items()})


@functools.cache
def gzip_bomb(size: int) -> bytes:
    """Zeros, packed."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb") as packed:
        for _ in range(size // _MB):
            packed.write(b" " * _MB)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture_bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it has so many pixels; it has a part of its first row at most."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(min(_MB, 3 * side + 1))))
        + chunk(b"IEND", b"")
    )


def large_video(name: str) -> bytes:
    """One of `tests/hostile/test_large_media.py`."""
    return lzma.decompress((Path(__file__).parents[2] / "data" / f"{name}.xz").read_bytes())


def picture_of_zeros(side: int) -> bytes:
    """A PNG that has all the pixels that it says it has, and little data."""
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(bytes(3 * side + 1)) for _ in range(side)) + packer.flush()
    return picture_bomb(side).partition(b"IDAT")[0][:-4] + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def deep(levels: int = 100_000) -> bytes:
    return b"[" * levels + b"]" * levels


# ------------------------------------------------------------------ answers about prompts


def entry(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
    """The model's history, with each entry replaced."""
    return lambda told: {name: change(json.loads(json.dumps(value))) for name, value in told.items()}


def each(**fields: Any) -> Callable[[Any], Any]:
    """The model's schemas, all with these fields."""
    return lambda told: {kind: {**schema, **fields} for kind, schema in told.items()}


def failed(text: str) -> Callable[[Any], Any]:
    """Every prompt has failed with a text."""
    message = [
        "execution_error",
        {"node_id": "3", "node_type": "KSampler", "exception_message": text, "exception_type": text},
    ]
    return entry(
        lambda _: {"outputs": {}, "status": {"status_str": "error", "completed": False, "messages": [message]}}
    )


def saved(name: str, count: int = 1) -> Callable[[Any], Any]:
    """Every prompt has saved a file of this name, without a word on its content."""
    files = [{"filename": name, "subfolder": "videogen", "type": "output"}] * count
    return entry(lambda found: {**found, "outputs": {"4": {"images": files}}})


def frame(size: int, opcode: int = 0x82) -> bytes:
    """The header of a websocket's frame."""
    return bytes([opcode, 127]) + struct.pack(">Q", size)


def message(data: bytes) -> bytes:
    return frame(len(data), 0x81) + data


#: Number 7: more than a machine has.
LARGE: dict[str, Hostility] = {
    "endless file": Hostility("GET /view", endless(_OK + b"\r\n", bytes(65_536))),
    "a file of petabytes": Hostility(
        "GET /view", Raw(lambda out: out.write(_OK + b"Content-Length: 9000000000000000\r\n\r\nx"))
    ),
    "packed file": Hostility("GET /view", body(gzip_bomb(200 * _MB), Content_Encoding="gzip")),
    "packed history": Hostility("GET /history", body(gzip_bomb(200 * _MB), Content_Encoding="gzip")),
    "packed twice": Hostility("GET /queue", body(gzip.compress(gzip_bomb(200 * _MB)), Content_Encoding="gzip, gzip")),
    "packed schemas": Hostility("GET /object_info", body(gzip_bomb(200 * _MB), Content_Encoding="deflate")),
    "endless schemas": Hostility("GET /object_info", endless(_OK + b'\r\n{"a":"', b"a" * 65_536)),
    "endless statistics": Hostility("GET /system_stats", endless(_OK + b"\r\n", b" " * 65_536)),
    "endless history": Hostility("GET /history", endless(_OK + b"\r\n[", b"1," * 30_000)),
    "endless answer to a prompt": Hostility("POST /prompt", endless(_OK + b"\r\n", b" " * 65_536)),
    "endless error": Hostility("GET /queue", endless(b"HTTP/1.1 500 No\r\n\r\n", b" " * 65_536)),
    "endless refusal": Hostility("GET /history", endless(b"HTTP/1.1 401 No\r\n\r\n", b" " * 65_536)),
    "endless chunk header": Hostility(
        "GET /history", endless(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1" * 65_536)
    ),
    "endless trailers": Hostility(
        "GET /history", endless(_OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n" * 10_000)
    ),
    "endless continues": Hostility("GET /history", endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)),
    "endless headers": Hostility("GET /queue", endless(_OK, b"a: " + b"b" * 60_000 + b"\r\n")),
    "dripping status": Hostility("GET /history", dripping(b"HTTP/1.1", b" ")),
    "dripping headers": Hostility("GET /queue", dripping(_OK + b"a: ", b"b")),
    "dripping history": Hostility("GET /history", dripping(_OK + b"Content-Length: 1000000\r\n\r\n")),
    "dripping file": Hostility("GET /view", dripping(_OK + b"Content-Length: 1000000\r\n\r\n")),
    "many values": Hostility("GET /history", body(b"[" + b"[]," * 5_000_000 + b"[]]")),
    "a text of 12 MB": Hostility("GET /history", failed("no " * 4 * _MB)),
    "a text of 50 MB": Hostility("GET /history", failed("no " * 17 * _MB)),
    "many refused nodes": Hostility(
        "POST /prompt",
        lambda _: Answer(400, {"node_errors": {str(n): {"errors": [{"message": "x" * 30}]} for n in range(30_000)}}),
    ),
    "many files": Hostility("GET /history", saved("a.png", 100_000)),
    "frame of 2 GB": Hostility("/ws", endless(frame(2**31), bytes(65_536))),
    "frame of exabytes": Hostility("/ws", endless(frame(2**62), bytes(65_536))),
    "endless message": Hostility("/ws", endless(frame(_MB, 0x01) + bytes(_MB), frame(_MB, 0x00) + bytes(_MB))),
    "message of many frames": Hostility("/ws", endless(b"\x01\x00", b"\x00\x01 " * 1_000)),
    "flood of events": Hostility(
        "/ws", endless(b"", message(json.dumps({"type": "a", "data": {"b": ["c" * 90] * 1_000}}).encode()))
    ),
    "endless handshake": Hostility("/ws greeting", endless(b"HTTP/1.1 101 No\r\n", b"a: b\r\n" * 1_000)),
}

#: Number 7, of files: what a server says that a segment is.
FILES: dict[str, tuple[str, bytes]] = {
    "a video of 60 million frames": ("a.mp4", claim_samples("sizes", 60_000_000)),
    "fragments of 60 million frames": ("a.mov", claim_samples("fragments", 60_000_000)),
    "a picture of 2.7 GB": ("a.png", picture_bomb(30_000)),
    "a picture of 118 megapixels": ("a.png", picture_of_zeros(10_900)),
    "a picture of exabytes": ("a.webp", picture_bomb(2**31 - 1)),
    "a video of 3 GB": ("a.mp4", large_video("frames_of_8192x8192.mp4")),
    "a stream of 5 GB": ("a.mkv", large_video("frames_of_4_4_4_10_bits.ts")),
    "a rare stream of 5 GB": ("a.ts", large_video("frames_of_4_4_4_10_bits.ts")),
    "no video": ("a.mp4", b"<html>"),
}

#: Number 8: what is no answer of a ComfyUI.
ODD: dict[str, Hostility] = {
    "statistics without a version": Hostility("GET /system_stats", {"system": 5}),
    "statistics as a list": Hostility("GET /system_stats", [1]),
    "deep statistics": Hostility("GET /system_stats", body(deep())),
    "schemas without inputs": Hostility("GET /object_info", {"A": {"input": 5}}),
    "a list of jobs that is none": Hostility("GET /api", {"jobs": 5}),
    "jobs that run for ever": Hostility("GET /api", {"jobs": [{"id": "x", "status": "in_progress"}] * 20_000}),
    "schemas as a list": Hostility("GET /object_info", []),
    "schemas that are numbers": Hostility("GET /object_info", lambda told: dict.fromkeys(told, 5)),
    "schemas whose inputs are numbers": Hostility(
        "GET /object_info", lambda told: {k: {**v, "input": 5} for k, v in told.items()}
    ),
    "choices that are no list": Hostility("GET /object_info", each(input={"required": {"ckpt_name": [{"a": 1}, 5]}})),
    "limits that are texts": Hostility(
        "GET /object_info",
        lambda told: {
            k: {**v, "input": {"required": {"index": ["INT", {"min": "a", "max": []}]}}} for k, v in told.items()
        },
    ),
    "outputs that are numbers": Hostility(
        "GET /object_info", lambda told: {k: {**v, "output": 7} for k, v in told.items()}
    ),
    "deep schemas": Hostility("GET /object_info", body(deep())),
    "queue of numbers": Hostility("GET /queue", {"queue_running": 5, "queue_pending": [1, 2]}),
    "queue of nothing": Hostility("GET /queue", {"queue_running": [[]], "queue_pending": [[]]}),
    "history as a list": Hostility("GET /history", [[]]),
    "history as a number": Hostility("GET /history", body(b"5")),
    "no JSON in the history": Hostility("GET /history", body(b'{"a": ')),
    "an entry that is a list": Hostility("GET /history", entry(lambda found: [found])),
    "an entry of nothing": Hostility("GET /history", entry(lambda found: {})),
    "a status of text": Hostility("GET /history", entry(lambda found: {**found, "status": "success"})),
    "outputs as a list": Hostility("GET /history", entry(lambda found: {**found, "outputs": [1, {}]})),
    "outputs of numbers": Hostility("GET /history", entry(lambda found: {**found, "outputs": {"4": {"images": 5}}})),
    "messages of numbers": Hostility(
        "GET /history", entry(lambda found: {**found, "status": {"messages": [1, [2, 3]]}})
    ),
    "deep history": Hostility("GET /history", body(deep())),
    "NUL in a suffix": Hostility("GET /history", saved("a.m\0p4")),
    "a name that leads elsewhere": Hostility("GET /history", saved("../../../.bashrc")),
    "a suffix that leads elsewhere": Hostility("GET /history", saved("a./../../.bashrc")),
    "a name of two hundred kilobytes": Hostility("GET /history", saved("a" * 200_000 + ".mp4")),
    "a record of numbers": Hostility(
        "GET /history",
        entry(
            lambda found: {**found, "outputs": {"4": {"images": [{"filename": "a.mp4"}], "videogen": [{"sha256": 5}]}}}
        ),
    ),
    "an answer to a prompt that is a list": Hostility("POST /prompt", lambda told: Answer(400, [1])),
    "errors of nodes that are a list": Hostility(
        "POST /prompt", lambda told: Answer(400, {"node_errors": [1], "error": 5})
    ),
    "events that are none": Hostility(
        "/ws", endless(message(b"[]") + message(b"{}") + message(b"\xff"), message(b'{"type": 5}'))
    ),
    "deep events": Hostility("/ws", endless(b"", message(deep(10_000)))),
    "a broken frame": Hostility("/ws", endless(b"\xff\xff", b"\xff" * 1_000)),
}
