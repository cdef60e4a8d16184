"""What the tables of an mp4 or QuickTime file claim, compared with the size of the file, before ffmpeg believes it.

A table can say in twelve bytes that sixty million samples of one size follow; ffmpeg makes an index of them when it opens the
file, 24 bytes and more for each. A sample has one byte at least, so that a file has no more of them than bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from .verdict import TooLargeError

#: Samples of all tracks: days of sound, a day of frames.
MAX_SAMPLES = 8_000_000
#: Bytes of a box that is read into memory, a table or a text: the table with the sizes of as many samples has 32 MB.
MAX_BOX_BYTES = 100_000_000
#: Boxes that are looked at; a fragment of a stream has ten.
MAX_BOXES = 200_000
#: Sound without compression is indexed in runs of this many samples; with the compression of old QuickTime files, which count in
#: the same way, a byte has some samples.
_RUN, _SAMPLES_A_BYTE = 1_024, 64
_CONTAINERS = frozenset(
    b"moov hoov trak mdia minf stbl moof traf mvex edts udta dinf meta wave ipro sinf schi wide ilst".split()
)
#: Boxes with samples, with other boxes, or with nothing.
_OF_ANY_SIZE = _CONTAINERS | {b"mdat", b"free", b"skip", b"wide", b"idat", b"uuid"}
#: Table → bytes of an entry, in front of which their number stands.
_ENTRIES = {b"stts": 8, b"ctts": 8, b"stsc": 12, b"stco": 4, b"co64": 8, b"stss": 4, b"stps": 4, b"elst": 12}


@dataclass
class _Track:
    """The tables of one track that decide how many samples ffmpeg makes an entry for."""

    samples: int = 0
    chunks: int = 0
    #: (first chunk, samples in each), in order.
    runs: list[tuple[int, int]] = field(default_factory=list)
    is_plain_sound: bool = False

    def count_in_chunks(self) -> int:
        ends = [first for first, _ in self.runs[1:]] + [self.chunks + 1]
        return sum(
            max(0, end - first) * count
            for (first, count), end in zip(self.runs, ends, strict=True)
            if first <= self.chunks
        )


def require_plausible_tables(path: Path) -> None:
    """Read the tables of a file, if it has boxes as mp4 and QuickTime files have; of any other nothing is found.

    Raises:
        TooLargeError: it claims more samples than it can contain, or than are read.
        ValueError: a table is longer than its box, as in a file that is cut off.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        tracks: list[_Track] = []
        fragments, has_index = 0, False
        for kind, start, end in _walk(file, size):
            if kind == b"cmov":
                raise TooLargeError("its index is compressed, as in no file that is made today")
            has_index |= kind in _CONTAINERS  # of another kind of file the first bytes are no box
            if has_index and kind not in _OF_ANY_SIZE and end - start > MAX_BOX_BYTES:
                name = kind.decode("latin-1")
                raise TooLargeError(f"its box {name!r} has {end - start:,} bytes, at most {MAX_BOX_BYTES:,} are read")
            if kind in (b"trak", b"traf") or not tracks:
                tracks.append(_Track())
            file.seek(start)
            if kind == b"trun":
                fragments += struct.unpack(">II", file.read(8).ljust(8, b"\0"))[1]
            elif kind in (b"stsz", b"stz2"):
                _read_sizes(file, kind, end - start, tracks[-1])
            elif kind in _ENTRIES:
                _read_table(file, kind, end - start, tracks[-1])
    _compare(size, tracks, fragments)


def _compare(size: int, tracks: list[_Track], fragments: int) -> None:
    claimed = fragments + sum(track.samples for track in tracks if not track.is_plain_sound)
    if claimed > min(size, MAX_SAMPLES):
        raise TooLargeError(f"it claims {claimed:,} samples in {size:,} bytes, at most {MAX_SAMPLES:,} are read")
    sound = sum(track.count_in_chunks() for track in tracks if track.is_plain_sound)
    if sound > min(size * _SAMPLES_A_BYTE, MAX_SAMPLES * _RUN):
        raise TooLargeError(f"it claims {sound:,} samples of sound in {size:,} bytes")


def _walk(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """All boxes, those inside others after these: kind, where the content begins and ends."""
    seen = 0
    waiting = [(0, size)]
    while waiting:
        place, end = waiting.pop()
        while place + 8 <= end:
            file.seek(place)
            head = file.read(16)
            length, kind = struct.unpack(">I4s", head[:8])
            start = place + 8
            if length == 1 and len(head) == 16:
                length, start = struct.unpack(">Q", head[8:])[0], place + 16
            elif length == 0:
                length = end - place
            if length < start - place:
                break
            box_end = min(place + length, end)
            seen += 1
            if seen > MAX_BOXES:
                raise TooLargeError(f"it has more than {MAX_BOXES:,} boxes")
            yield kind, start, box_end
            place = box_end
            if kind in _CONTAINERS:
                # What is inside comes first, so that a track's tables follow it.
                waiting.append((place, end))
                # The version of a meta box, which QuickTime's has not, would be a box without a kind.
                place, end = start, box_end
                if kind == b"meta" and _is_versioned(file, start):
                    place += 4


def _is_versioned(file: BinaryIO, start: int) -> bool:
    file.seek(start)
    return file.read(4) == b"\0\0\0\0"


def _read_sizes(file: BinaryIO, kind: bytes, length: int, track: _Track) -> None:
    _, size, count = struct.unpack(">III", file.read(12).ljust(12, b"\0"))
    bits = (size & 0xFF) if kind == b"stz2" else 0 if size else 32
    if count * bits > (length - 12) * 8:
        raise ValueError(f"it claims the sizes of {count:,} samples in {max(0, length - 12):,} bytes")
    track.samples += count


def _read_table(file: BinaryIO, kind: bytes, length: int, track: _Track) -> None:
    _, count = struct.unpack(">II", file.read(8).ljust(8, b"\0"))
    if count * _ENTRIES[kind] > length - 8:
        raise ValueError(f"it claims {count:,} entries of a table in {max(0, length - 8):,} bytes")
    if kind == b"stts":
        track.is_plain_sound = count == 1 and struct.unpack(">II", file.read(8).ljust(8, b"\0"))[1] == 1
    elif kind in (b"stco", b"co64"):
        track.chunks += count
    elif kind == b"stsc":
        data = file.read(count * 12)
        track.runs = [
            (first, samples) for first, samples, _ in struct.iter_unpack(">III", data[: len(data) // 12 * 12])
        ]
