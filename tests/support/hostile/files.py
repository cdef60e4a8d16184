"""Pictures and videos that are something else than their names say, and open other files where a reader lets them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.videos import draw_code, write_video

#: An EPS file; Ghostscript would run the program in it, and so may read and write files.
EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 8 8
%%EndComments
(proof) (w) file closefile
showpage
%%EOF
"""


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size, with the pixels of all of it packed: a kilobyte for a megapixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((width + 7) // 8 + 1) * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _saved(form: str) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path, form)


#: Name → writes what is no picture of an allowed format under the name of a picture.
NO_PICTURES: dict[str, Callable[[Path], object]] = {
    "eps": lambda path: path.write_bytes(EPS),
    "ppm": _saved("PPM"),
    "tga": _saved("TGA"),
    "ico": _saved("ICO"),
    "pcx": _saved("PCX"),
    "dds": _saved("DDS"),
    "jpeg 2000": _saved("JPEG2000"),
    "xpm": lambda path: path.write_text('/* XPM */\nstatic char *a[] = {\n"1 1 1 1",\n"a c #000000",\n"a"\n};\n'),
    "svg": lambda path: path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'),
    "mpeg": lambda path: path.write_bytes(b"\x00\x00\x01\xb3" + b"\x01\x00\x10\x00" * 4),
    "key": lambda path: path.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n"),
    "large": lambda path: path.write_bytes(png_of(12_000, 12_000)),
    "huge": lambda path: path.write_bytes(png_of(60_000, 60_000)),
}


def write_secret(path: Path) -> Path:
    """A good video that others must not get at."""
    return write_video(path, [draw_code(number) for number in range(4)], count=4)


#: Name of a file → its text, which names `secret.mp4` next to it.
PLAYLISTS: dict[str, str] = {
    "concat.mp4": "ffconcat version 1.0\nfile secret.mp4\n",
    "concat.mkv": "ffconcat version 1.0\nfile secret.mp4\n",
    "concat.ffconcat": "ffconcat version 1.0\nfile secret.mp4\n",
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mp4\n#EXT-X-ENDLIST\n",
    "manifest.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet'
    ' mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>secret.mp4</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "picture.mp4": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="8" height="8">'
    '<image xlink:href="secret.png"/></svg>',
    "session.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}
#: What ffmpeg takes for an instruction to open `secret.mp4`, and not for a name.
PROTOCOL_NAMES = (
    "concat:secret.mp4",
    "subfile,,start,0,end,0,,:secret.mp4",
    "cache:secret.mp4",
    "async:secret.mp4",
    "crypto:secret.mp4",
    "file:secret.mp4",
    "pipe:0",
    "lavfi",
    "-i",
)
