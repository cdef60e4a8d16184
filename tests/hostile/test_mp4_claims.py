"""A file of some kilobytes that claims millions of samples is refused before ffmpeg makes an index of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.foreign.mp4_tables import require_plausible_tables
from custom_nodes.videogen.media.images.thumbnails import read_thumbnails
from custom_nodes.videogen.media.probe import probe_video, verify_sound
from tests.support.hostile.mp4_claims import claim_samples
from tests.support.videos import draw_code, write_video

#: With sixty million ffmpeg took 830 MB.
HOW = ("sizes", "chunks", "sound", "fragments", "compressed")


@pytest.mark.parametrize("read", [probe_video, verify_sound, read_thumbnails])
@pytest.mark.parametrize("how", HOW)
def test_a_claim_of_millions_of_samples_is_refused_with_the_number(
    how: str, read: Callable[[Path], Any], tmp_path: Path
) -> None:
    path = tmp_path / "segment.mp4"
    path.write_bytes(claim_samples(how, 60_000_000))
    assert path.stat().st_size < 4_000
    with pytest.raises(VideoGenError, match=r"too large: it claims [0-9,]{10,} samples|index is compressed") as caught:
        read(path)
    assert caught.value.code == "media-broken"


@pytest.mark.parametrize("kind", [b"\xa9cmt", b"abcd", b"stsz", b"hdlr"])
def test_a_text_that_takes_gigabytes_is_refused_by_its_length(kind: bytes, tmp_path: Path) -> None:
    """ffmpeg reads a text of a file's metadata whole, three times."""
    path = tmp_path / "film.mp4"
    inside = 1_000_000_000
    with path.open("wb") as file:
        file.write(struct.pack(">I4s8s", 16, b"ftyp", b"isom\0\0\2\0"))
        file.write(struct.pack(">I4sI4s", inside + 24, b"moov", inside + 16, b"udta"))
        file.write(struct.pack(">I4s", inside + 8, kind))
        file.truncate(16 + 24 + inside)  # takes no room on the disk
    with pytest.raises(VideoGenError, match="has 1,000,000,000 bytes, at most 100,000,000 are read"):
        probe_video(path)


@pytest.mark.parametrize(
    "head", [b"RIFF\xff\xff\xff\x7fAVI LIST", b"\x1aE\xdf\xa3\x01\0\0\0\0\0\0\x1f", b"\0\0\0\0mdat"]
)
def test_other_files_and_samples_may_be_of_any_size(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(2_000_000_000)
    require_plausible_tables(path)


def test_a_claim_that_fits_a_large_file_is_limited_too(tmp_path: Path) -> None:
    path = tmp_path / "segment.mp4"
    with path.open("wb") as file:
        file.write(claim_samples("sizes", 60_000_000))
        file.truncate(70_000_000)
    with pytest.raises(VideoGenError, match="60,000,000 samples in 70,000,000 bytes, at most 8,000,000 are read"):
        probe_video(path)


def test_a_box_that_never_ends_is_no_endless_search(tmp_path: Path) -> None:
    path = tmp_path / "segment.mp4"
    path.write_bytes(b"\0\0\0\x08free" * 200_001)
    with pytest.raises(VideoGenError, match="more than 200,000 boxes"):
        probe_video(path)


def test_a_table_that_is_cut_off_is_no_large_one(tmp_path: Path) -> None:
    path = tmp_path / "segment.mp4"
    whole = claim_samples("chunks", 500)
    path.write_bytes(whole[: whole.index(b"stco") + 100])
    with pytest.raises(VideoGenError, match="cannot be read as a video: it claims 500 entries of a table in"):
        probe_video(path)


def sound(path: Path, codec: str, **options: str) -> Path:
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=48_000, layout="stereo")
        form = stream.codec_context.format.name
        shape = (2, 4_800) if form.endswith("p") else (1, 9_600)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(
                np.zeros(shape, np.float32 if "flt" in form else np.int16), form, "stereo"
            )
            frame.rate, frame.pts = 48_000, number * 4_800
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mov", "pcm_s16le", {}),
        ("a.mp4", "aac", {}),
        ("b.mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "100000"}),
        ("a.mov", "adpcm_ima_qt", {}),
        ("a.wav", "pcm_s16le", {}),
        ("a.flac", "flac", {}),
    ],
)
def test_honest_sound_is_read(name: str, codec: str, options: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / name
    try:
        sound(path, codec, **options)
    except ValueError:
        pytest.skip(f"this PyAV does not write {codec}")
    require_plausible_tables(path)
    if name != "a.mov":
        assert verify_sound(path) > 1.9


def test_honest_videos_are_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", [draw_code(number) for number in range(8)], count=8)
    require_plausible_tables(path)
    assert probe_video(path).frames == 8
