"""Small mp4 files whose tables claim any number of samples."""

from __future__ import annotations

import struct
import zlib

_MATRIX = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", flags), *parts)


def words(*numbers: int) -> bytes:
    return b"".join(struct.pack(">I", number) for number in numbers)


def claim_samples(how: str, count: int) -> bytes:
    """An mp4 of a few kilobytes.

    Args:
        how: ``sizes``: all of one size, in one chunk; ``chunks``: the same, in 500; ``sound``: plain samples, `count` in each of
            500 chunks; ``fragments``: in 20 runs without sizes; ``compressed``: with an index in the old compressed form.
    """
    is_sound = how == "sound"
    chunks = 500 if how in ("chunks", "sound") else 1
    each = count if how != "chunks" else max(1, count // chunks)
    tables = {
        b"stts": words(1, count, 1 if is_sound else 512),
        b"stsz": words(2 if is_sound else 1, count),
        b"stsc": words(1, 1, each, 1),
        b"stco": words(chunks, *[40] * chunks),
    }
    if how == "fragments":
        tables = {kind: words(0, 0) if kind == b"stsz" else words(0) for kind in tables}
    table = box(b"stbl", _describe(is_sound), *(full_box(kind, data) for kind, data in tables.items()))
    header = full_box(b"smhd", bytes(4)) if is_sound else full_box(b"vmhd", bytes(8), flags=1)
    data = box(b"dinf", full_box(b"dref", words(1), full_box(b"url ", flags=1)))
    media = box(
        b"mdia",
        full_box(b"mdhd", words(0, 0, 12_288, 512), struct.pack(">HH", 0x55C4, 0)),
        full_box(b"hdlr", bytes(4), b"soun" if is_sound else b"vide", bytes(13)),
        box(b"minf", header, data, table),
    )
    track = full_box(b"tkhd", words(0, 0, 1, 0, 512), bytes(16), words(*_MATRIX, 16 << 16, 16 << 16), flags=3)
    movie = full_box(b"mvhd", words(0, 0, 1_000, 512, 0x10000), bytes(12), words(*_MATRIX), bytes(24), words(2))
    more = box(b"mvex", full_box(b"trex", words(1, 1, 512, 5, 0))) if how == "fragments" else b""
    moov = box(b"moov", movie, box(b"trak", track, media), more)
    if how == "compressed":
        packed = box(b"cmvd", words(len(moov)), zlib.compress(moov))
        moov = box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), packed))
    moofs = []
    for number in range(20 if how == "fragments" else 0):
        run = box(b"traf", full_box(b"tfhd", words(1), flags=0x20000), full_box(b"trun", words(count // 20)))
        moofs.append(box(b"moof", full_box(b"mfhd", words(number + 1)), run))
    return (
        box(b"ftyp", b"isom", words(0x200), b"isomiso2avc1mp41") + moov + b"".join(moofs) + box(b"mdat", bytes(1_000))
    )


def _describe(is_sound: bool) -> bytes:
    if is_sound:
        entry = box(b"sowt", bytes(6), struct.pack(">H8xHHHH", 1, 1, 16, 0, 0), words(8_000 << 16))
    else:
        size = struct.pack(">HHIIIH", 16, 16, 0x480000, 0x480000, 0, 1)
        entry = box(b"avc1", bytes(6), struct.pack(">H16x", 1), size, bytes(32), struct.pack(">Hh", 24, -1))
    return full_box(b"stsd", words(1), entry)
