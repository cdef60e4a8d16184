"""Clips: any file, as the frames that a film shows of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.quality import Quality, VideoFormat
from custom_nodes.videogen.media.film.clips import ImageClip, VideoClip
from tests.support.videos import SIZE, TINY, code_of, draw_code, read_code, write_segment, write_video, write_with_av

FILM = VideoFormat(SIZE, TINY.fps, TINY.bitrate)


def codes(clip: VideoClip | ImageClip, start: int, stop: int) -> list[int]:
    """The numbers in the frames that a clip shows; its brightness plane is the upper two thirds."""
    return [read_code(image[: SIZE[1]]) for image in clip.read_frames(start, stop)]


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten numbered frames at 4 frames a second, in groups of four."""
    return write_segment(tmp_path_factory.mktemp("clips"), 1, 10)


@pytest.mark.parametrize("start", range(10))
def test_any_stretch_of_a_clip_is_exact_to_the_frame(segment: Path, start: int) -> None:
    clip = VideoClip(segment, 10, FILM)
    for stop in range(start + 1, 11):
        assert codes(clip, start, stop) == [code_of(1, frame) for frame in range(start, stop)]


def test_a_file_of_the_film_s_format_can_be_cut_at_its_seconds(segment: Path) -> None:
    clip = VideoClip(segment, 10, FILM)
    assert clip.keyframes == (0, 4, 8)
    assert clip.header
    assert clip.codec == "h264"


@pytest.mark.parametrize(
    ("frames", "size", "fps"), [(9, SIZE, 4), (10, (160, 90), 4), (10, SIZE, 8)], ids=["length", "size", "rate"]
)
def test_a_file_of_another_format_is_never_copied(segment: Path, frames: int, size: tuple[int, int], fps: int) -> None:
    clip = VideoClip(segment, frames, VideoFormat(size, fps, FILM.bitrate))
    assert (clip.header, clip.keyframes) == (None, ())


def test_a_short_file_holds_its_last_frame(segment: Path) -> None:
    clip = VideoClip(segment, 14, FILM)
    assert codes(clip, 7, 14) == [code_of(1, frame) for frame in (7, 8, 9, 9, 9, 9, 9)]
    assert codes(clip, 12, 14) == [code_of(1, 9)] * 2


def test_a_long_file_is_cut(segment: Path) -> None:
    assert codes(VideoClip(segment, 6, FILM), 0, 6) == [code_of(1, frame) for frame in range(6)]


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(8, [0, 2, 4, 6, 8]), (3, [0, 0, 1, 2, 3, 3, 4, 5]), (2, [0, 0, 1, 1, 2, 2])],
)
def test_a_file_of_another_rate_shows_what_is_on_screen_at_the_time(
    tmp_path: Path, rate: int, shown: list[int]
) -> None:
    images = [draw_code(frame) for frame in range(12)]
    quality = Quality("other", *SIZE, rate, TINY.bitrate)
    path = write_video(tmp_path / "v.mp4", images, count=12, quality=quality)
    assert codes(VideoClip(path, len(shown), FILM), 0, len(shown)) == shown
    assert codes(VideoClip(path, len(shown), FILM), 3, len(shown)) == shown[3:]


def test_a_gap_between_frames_shows_the_frame_before_it(tmp_path: Path) -> None:
    """Recordings of screens and phones leave frames out where nothing moves."""
    images = [draw_code(frame) for frame in range(5)]
    path = write_with_av(tmp_path / "gap.mkv", images, stamps=[0, 1, 4, 5, 6])
    clip = VideoClip(path, 7, FILM)
    assert codes(clip, 0, 7) == [0, 1, 1, 1, 2, 3, 4]
    assert codes(clip, 2, 7) == [1, 1, 2, 3, 4]
    # Copied, its five frames would follow each other without the gap.
    assert VideoClip(path, 5, FILM).header is None


@pytest.mark.parametrize(("name", "codec"), [("v.webm", "libvpx-vp9"), ("v.mov", "mpeg4"), ("v.mkv", "libx264")])
def test_other_containers_and_codecs_are_read(tmp_path: Path, name: str, codec: str) -> None:
    path = write_with_av(tmp_path / name, [draw_code(frame) for frame in range(6)], codec=codec)
    clip = VideoClip(path, 6, FILM)
    assert codes(clip, 0, 6) == list(range(6))
    assert codes(clip, 4, 6) == [4, 5]


def test_another_shape_lies_between_black_bars(tmp_path: Path) -> None:
    """A square in a wide film: bars of (128 - 72) / 2 pixels on each side."""
    path = write_segment(tmp_path, 1, 4, size=(144, 144), quality=Quality("square", 144, 144, 4, 900_000))
    image = next(iter(VideoClip(path, 4, FILM).read_frames(0, 1)))
    brightness = image[: SIZE[1]]
    assert np.unique(brightness[:, :28]).tolist() == [16]
    assert np.unique(brightness[:, -28:]).tolist() == [16]
    assert read_code(brightness[:, 28:-28]) == code_of(1, 0)
    color = image[SIZE[1] :].reshape(2, SIZE[1] // 2, SIZE[0] // 2)
    assert np.abs(color.astype(int) - 128).max() <= 2


def test_a_still_image_is_held() -> None:
    clip = ImageClip(draw_code(77), 3, SIZE)
    assert codes(clip, 0, 3) == [77, 77, 77]


@pytest.mark.parametrize("content", [b"", b"no video"])
def test_a_file_that_is_no_video_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "segment_07.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoGenError, match=r"segment_07\.mp4") as caught:
        VideoClip(path, 4, FILM)
    assert caught.value.code == "media-broken"


def test_a_file_whose_frames_do_not_decode_is_named(tmp_path: Path, segment: Path) -> None:
    data = bytearray(segment.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    path = tmp_path / "segment_07.mp4"
    path.write_bytes(data)
    clip = VideoClip(path, 10, FILM)
    for start in (0, 9):
        with pytest.raises(VideoGenError, match=r"segment_07\.mp4 does not decode"):
            list(clip.read_frames(start, 10))
