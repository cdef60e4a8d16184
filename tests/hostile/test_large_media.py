"""Pictures and videos of strangers that take gigabytes once they are decoded: refused by what they would take, with the number.

Two of the videos are real files in tests/data, packed, as making them takes a minute and three gigabytes. Both have 16 reference
frames, x264's `ref=16`, and all their frames are the same:

- `frames_of_8192x8192.mp4.xz` took 2.6 GB in `probe_video` and 3.2 GB in `read_frames`;
- `frames_of_4_4_4_10_bits.ts.xz`, 8192×4352 in yuv444p10le, took 1.6 GB to be opened and 4.8 GB to be read.
"""

from __future__ import annotations

import lzma
import subprocess
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.foreign import containers
from custom_nodes.videogen.media.foreign.containers import decode_frames, open_media
from custom_nodes.videogen.media.images.image_files import read_reference_image
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.probe import probe_video, verify_video

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "tests" / "data"
#: What opening one may take, in MB.
MAX_TAKEN = 400
READ_ALL = """
import resource, sys
from pathlib import Path
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.foreign.containers import decode_frames, open_media
from tests.hostile.test_formats import READ_A_VIDEO

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

before = peak()
for name, read in READ_A_VIDEO.items():
    try:
        read(Path(sys.argv[1]))
    except VideoGenError as error:
        print(name, "|", error.message)
    else:
        sys.exit(f"{name} has read it")
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is told in other units elsewhere")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("frames_of_8192x8192.mp4", "it has frames of 8192×8192, at most 8192×4352 pixels are read"),
        (
            "frames_of_4_4_4_10_bits.ts",
            "it has frames of 8192×4352 in yuv444p10le, which is 213.9 MB, at most 67.1 MB a frame are read",
        ),
    ],
)
def test_every_reader_refuses_a_video_before_it_takes_gigabytes(tmp_path: Path, name: str, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(lzma.decompress((DATA / f"{name}.xz").read_bytes()))
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(path)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    *messages, taken = done.stdout.splitlines()
    # The last reader renames the file, and its own message names another.
    assert len(messages) == 11
    assert [message for message in messages if said not in message] == []
    assert int(taken) < MAX_TAKEN


def encode(
    path: Path, size: tuple[int, int], pixel_format: str = "yuv420p", count: int = 8, crop: str = "", **x264: object
) -> Path:
    """A video of H.264 with the same frame again and again."""
    with av.open(str(path), "w") as container:
        x264 |= {"crop-rect": crop} if crop else {}
        options = {"preset": "ultrafast", "x264-params": ":".join(f"{key}={value}" for key, value in x264.items())}
        stream = container.add_stream("libx264", rate=4, options={key: text for key, text in options.items() if text})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 90, np.uint8), "rgb24")
        frame = frame.reformat(format=pixel_format)
        for number in range(count):
            frame.pts, frame.time_base = number, Fraction(1, 4)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_frames_that_grow_on_the_way_are_refused_when_they_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two transport streams in a row are one: the first one's header is what is looked at."""
    path = tmp_path / "grows.ts"
    path.write_bytes(
        encode(tmp_path / "small.ts", (320, 180), count=30).read_bytes()
        + encode(tmp_path / "deep.ts", (320, 180), "yuv444p10le").read_bytes()
    )
    assert probe_video(path, decode=True).frames == 38
    monkeypatch.setattr(containers, "MAX_FRAME_BYTES", 320 * 192 * 2)
    with open_media(path) as container:
        assert container.streams.video[0].pix_fmt == "yuv420p", "the header is to promise little"
    for read in (read_last_frame, verify_video):
        with pytest.raises(VideoGenError, match=r"frames of 320×192 in yuv444p10le, which is 0\.4 MB, at most 0\.1 MB"):
            read(path)
    with pytest.raises(VideoGenError), open_media(path) as container:
        read_until_it_grows(container)


def read_until_it_grows(container: InputContainer) -> None:
    frames = decode_frames(container, container.streams.video[0])
    assert [next(frames).width for _ in range(20)] == [320] * 20
    list(frames)


def test_frames_that_grow_at_the_beginning_are_refused_before_ffmpeg_looks_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "grows.ts"
    path.write_bytes(
        encode(tmp_path / "small.ts", (320, 180), count=3).read_bytes()
        + encode(tmp_path / "large.ts", (640, 368), crop="0,0,320,188").read_bytes()
    )
    assert probe_video(path, decode=True).frames == 11
    monkeypatch.setattr(containers, "MAX_FRAME_PIXELS", 320 * 200)
    opened = _note_openings(monkeypatch)
    with pytest.raises(VideoGenError, match="frames of 640×368, at most"):
        probe_video(path)
    assert [options["skip_frame"] for options in opened] == ["nokey"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_a_frame_that_is_cropped_counts_as_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """The header says 16×16, and the decoder would make 640×368 for each."""
    path = encode(tmp_path / f"cropped{suffix}", (640, 368), crop="0,0,624,352")
    with open_media(path) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(16, 16)}
    monkeypatch.setattr(containers, "MAX_FRAME_PIXELS", 100 * 100)
    opened = _note_openings(monkeypatch)
    with pytest.raises(VideoGenError, match="too large: it has frames of 640×368"):
        probe_video(path)
    assert [options["skip_frame"] for options in opened] == ["nokey"]


def _note_openings(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, str]]:
    """The options of each opening from now on."""
    opened: list[Mapping[str, str]] = []
    really = containers._open_input

    def open_input(url: str, more: Any = MappingProxyType({})) -> Any:
        opened.append(more)
        return really(url, more)

    monkeypatch.setattr(containers, "_open_input", open_input)
    return opened


def test_few_threads_decode_large_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a frame more, and gives the same frames."""
    path = encode(tmp_path / "film.mp4", (320, 180), bframes=2)
    before = [frame.to_ndarray() for frame in _frames(path)]
    monkeypatch.setattr(containers, "_LARGE_FRAME_BYTES", 16)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    with open_media(path) as container:
        assert container.streams.video[0].codec_context.thread_count == 4
    assert np.array_equal(before, [frame.to_ndarray() for frame in _frames(path)])
    assert len(before) == 8


def _frames(path: Path) -> list[av.VideoFrame]:
    with open_media(path) as container:
        return list(decode_frames(container, container.streams.video[0]))


def test_who_reads_a_video_may_ask_for_less(tmp_path: Path) -> None:
    """As for a segment of a server, which has the story's size."""
    path = encode(tmp_path / "film.mp4", (320, 192))
    assert verify_video(path, most=320 * 192).frames == 8
    with pytest.raises(VideoGenError, match="too large: it has frames of 320×192, at most 50,000 pixels are read"):
        verify_video(path, most=50_000)


def test_who_reads_a_reference_picture_may_ask_for_less(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "anna.png")
    assert read_reference_image(tmp_path / "anna.png", "anna.png", 1_600).rgb.shape == (40, 40, 3)
    with pytest.raises(VideoGenError, match="too large: it is 40×40"):
        read_reference_image(tmp_path / "anna.png", "anna.png", 1_599)
