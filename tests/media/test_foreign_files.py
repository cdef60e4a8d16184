"""Files of others: whatever their bytes are, every reader says that the file is broken, and nothing else happens."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.film.clips import VideoClip
from custom_nodes.videogen.media.foreign.pictures import MAX_PIXELS, open_picture
from custom_nodes.videogen.media.foreign.verdict import decoding
from custom_nodes.videogen.media.images.frame_reader import open_source, read_frames, read_image
from custom_nodes.videogen.media.images.image_files import read_mask, read_reference_image
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.images.reference_file import is_rendered
from custom_nodes.videogen.media.images.thumbnails import read_thumbnail_at, read_thumbnails
from custom_nodes.videogen.media.probe import probe_video, verify_sound
from tests.support.videos import TINY, draw_code, write_with_av


def image_bytes(kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    frames = [Image.fromarray(draw_code(number, (32, 18))) for number in range(3)]
    frames[0].save(data, kind, **options, **({"save_all": True, "append_images": frames[1:]} if options else {}))
    return data.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + b"".join(more) + png_chunk(b"IEND", b"")


PNG = image_bytes("PNG")
#: Pictures that make Pillow raise something else than an OSError.
BROKEN_PICTURES = {
    "a damaged chunk": PNG[:33] + b"\0\0\0\x04ID!T1234" + PNG[33:],
    "a wrong checksum": PNG[:40] + bytes([PNG[40] ^ 255]) + PNG[41:],
    "pixels that are not compressed": png(32, 18, png_chunk(b"IDAT", b"not zlib at all")),
    "fewer pixels than announced": png(32, 18, png_chunk(b"IDAT", zlib.compress(b"\0" * 10))),
    "a bomb": png(60_000, 60_000, png_chunk(b"IDAT", zlib.compress(bytes(1000)))),
    "more pixels than are read": png(MAX_PIXELS // 1000 + 1, 1000, png_chunk(b"IDAT", zlib.compress(bytes(1000)))),
    "a size of nothing": png(0, 0),
    "a text that unpacks to gigabytes": png(32, 18, png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 << 20)))),
    "a header only": PNG[:30],
    "a webp cut off": image_bytes("WEBP")[:40],
    "a gif without frames": image_bytes("GIF", duration=100)[:20],
    "a gif cut off in its second frame": image_bytes("GIF", duration=100)[:-300],
    "a program for Ghostscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
    "nothing": b"",
}


class Media(dict[str, bytes]):
    """Too long to be shown."""

    def __repr__(self) -> str:
        return ", ".join(self)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Whole files by their suffix."""
    folder = tmp_path_factory.mktemp("media")
    images = [draw_code(number) for number in range(6)]
    made = {
        ".mp4": write_with_av(folder / "x.mp4", images, codec="libx264"),
        ".avi": write_with_av(folder / "x.avi", images, codec="mpeg4"),
        ".webm": write_with_av(folder / "x.webm", images, codec="libvpx-vp9"),
    }
    found = {suffix: path.read_bytes() for suffix, path in made.items()}
    found |= {".png": PNG, ".jpg": image_bytes("JPEG"), ".bmp": image_bytes("BMP"), ".tif": image_bytes("TIFF")}
    found |= {".webp": image_bytes("WEBP", duration=100), ".gif": image_bytes("GIF", duration=100)}
    found[".flac"] = sound()
    return Media(found)


def sound() -> bytes:
    data = io.BytesIO()
    with av.open(data, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return data.getvalue()


def read_clip(path: Path) -> None:
    for _ in VideoClip(path, 6, TINY_FORMAT).read_frames(0, 6):
        pass


def read_source(path: Path) -> None:
    for _ in read_frames(open_source(path)):
        pass


TINY_FORMAT: Any = type("Format", (), {"size": (TINY.width, TINY.height), "fps": TINY.fps})()
READERS: dict[str, Callable[[Path], Any]] = {
    "probe": probe_video,
    "probe and decode": lambda path: probe_video(path, decode=True),
    "sound": verify_sound,
    "frames": read_source,
    "image": read_image,
    "reference": lambda path: read_reference_image(path, path.name),
    "mask": lambda path: read_mask(path, path.name, (32, 18)),
    "last frame": read_last_frame,
    "thumbnails": read_thumbnails,
    "a thumbnail": lambda path: read_thumbnail_at(path, 0.5),
    "is it rendered": is_rendered,
    "clip": read_clip,
}


def errors_of(path: Path) -> Iterator[VideoGenError]:
    """What the readers say of a file; anything but an error about the file is not caught."""
    for read in READERS.values():
        try:
            read(path)
        except VideoGenError as error:
            yield error


@pytest.mark.parametrize("name", BROKEN_PICTURES)
@pytest.mark.parametrize("reader", [name for name in READERS if name != "probe"])  # that one counts packets only
def test_a_broken_picture_is_an_error_about_that_picture(tmp_path: Path, name: str, reader: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(BROKEN_PICTURES[name])
    if reader == "is it rendered":
        assert is_rendered(path) is False
        return
    with pytest.raises(VideoGenError) as caught:
        READERS[reader](path)
    assert caught.value.code in ("media-broken", "image-invalid")


@pytest.mark.parametrize("reader", ["probe", "last frame", "thumbnails", "a thumbnail", "frames", "clip"])
def test_a_file_with_sound_only_is_no_video(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "x.avi"
    path.write_bytes(sound())
    with pytest.raises(VideoGenError) as caught:
        READERS[reader](path)
    assert caught.value.code == "media-broken"


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".webm"])
def test_titles_may_be_in_any_encoding(tmp_path: Path, media: Media, suffix: str) -> None:
    """PyAV decodes them as UTF-8 when it opens a file; many programs write others."""
    assert b"Lavf" in media[suffix]
    path = tmp_path / f"x{suffix}"
    path.write_bytes(media[suffix].replace(b"Lavf", b"\xe4\xf6\xfc\xdf"))
    assert probe_video(path, decode=True).frames == 6
    read_source(path)
    assert read_last_frame(path)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_are_never_an_internal_error(tmp_path: Path, media: Media, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(sorted(media)))
    content = bytearray(media[suffix])
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, min(len(content) - 1, 600)))
        content[at : at + 4] = data.draw(st.binary(min_size=1, max_size=8))
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content))) :]
    path = tmp_path / f"x{data.draw(st.sampled_from([suffix, *sorted(media)]))}"
    path.write_bytes(bytes(content))
    for error in errors_of(path):
        assert error.code in ("media-broken", "image-invalid", "mask-invalid")
        assert error.message.encode()  # it can be written to any file


@pytest.mark.parametrize(
    "error",
    [
        IndexError("list index out of range"),
        SyntaxError("broken PNG file"),
        struct.error("unpack requires a buffer of 4 bytes"),
        zlib.error("Error -3"),
        OverflowError("int too large"),
        MemoryError(),
        RecursionError("too deep"),
        AssertionError(),
        KeyError("x"),
        RuntimeError("\ud800"),
        Image.DecompressionBombError("a bomb"),
    ],
)
def test_whatever_a_decoder_raises(error: Exception) -> None:
    with pytest.raises(VideoGenError, match=r"^x.png does not decode: \S") as caught, decoding("x.png"):
        raise error
    assert caught.value.code == "media-broken"
    caught.value.message.encode()


def test_an_interruption_is_no_verdict() -> None:
    with pytest.raises(KeyboardInterrupt), decoding("x.png"):
        raise KeyboardInterrupt


def test_exceptions_of_the_code_that_uses_the_frames_are_its_own() -> None:
    def frames() -> Iterator[int]:
        with decoding("x.png"):
            yield 1

    def use() -> None:
        for frame in frames():
            frame / 0

    with pytest.raises(ZeroDivisionError):
        use()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a bomb", "at most 120 megapixels are read"),
        ("more pixels than are read", "it is 120001×1000, at most 120 megapixels are read"),
    ],
)
def test_what_is_too_large_is_told_in_one_sentence(tmp_path: Path, name: str, reason: str) -> None:
    """Without advice to save it again, which would not make it smaller."""
    path = tmp_path / "x.png"
    path.write_bytes(BROKEN_PICTURES[name])
    with pytest.raises(VideoGenError) as caught:
        read_image(path)
    assert caught.value.message == f"{path} is too large: {reason}"
    with pytest.raises(VideoGenError) as caught:
        read_reference_image(path, "x.png")
    assert (caught.value.message, caught.value.hint) == (f"the picture 'x.png' is too large: {reason}", "")


@pytest.mark.parametrize("kind", ["PPM", "ICO", "TGA", "PCX"])
def test_only_common_formats_are_decoded(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(image_bytes(kind))
    with pytest.raises(VideoGenError), decoding(path):
        open_picture(path)
