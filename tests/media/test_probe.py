"""Probing: a file is taken for a video only when all of it is there."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.probe import hash_file, probe_video, verify_video
from tests.support.videos import SIZE, write_segment


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_segment(tmp_path_factory.mktemp("video"), 1, 10)


@pytest.mark.parametrize("decode", [False, True])
def test_the_frames_are_counted(video: Path, decode: bool) -> None:
    info = probe_video(video, decode=decode)
    assert (info.width, info.height, info.fps, info.frames) == (*SIZE, 4, 10)
    assert (info.codec, info.pixel_format, info.duration) == ("h264", "yuv420p", Fraction(5, 2))


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_video_that_is_cut_off_is_broken(tmp_path: Path, video: Path, share: float) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[: int(video.stat().st_size * share)])
    with pytest.raises(VideoGenError, match="cut") as caught:
        verify_video(cut, frames=10)
    assert caught.value.code == "media-broken"


def test_a_video_whose_bytes_were_damaged_is_broken(tmp_path: Path, video: Path) -> None:
    data = bytearray(video.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    with pytest.raises(VideoGenError) as caught:
        verify_video(damaged, frames=10)
    assert caught.value.code == "media-broken"


@pytest.mark.parametrize(
    "content", [b"", b"just text\n" * 100, b"\x89PNG\r\n\x1a\n" + bytes(100)], ids=["empty", "text", "png header"]
)
def test_what_is_no_video_is_broken(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no_video.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoGenError, match=r"no_video\.mp4") as caught:
        verify_video(path)
    assert caught.value.code == "media-broken"


def test_a_missing_file_and_a_folder_are_broken_videos(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.mp4", tmp_path):
        with pytest.raises(VideoGenError, match=path.name) as caught:
            probe_video(path)
        assert caught.value.code == "media-broken"


def test_a_file_with_only_sound_has_no_video_in_it(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(VideoGenError, match="no video stream"):
        probe_video(path)


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"frames": 11}, "10 frames, expected 11"),
        ({"size": (128, 74)}, "128×72, expected 128×74"),
        ({"fps": 5}, "4 frames a second, expected 5"),
        ({"frames": 9, "fps": 5}, "10 frames, expected 9; 4 frames a second"),
    ],
)
def test_another_video_than_expected_is_told_with_both(video: Path, expected: dict, said: str) -> None:
    with pytest.raises(VideoGenError, match=said):
        verify_video(video, **expected)


def test_a_hash_is_that_of_all_bytes(tmp_path: Path) -> None:
    path = tmp_path / "big"
    data = bytes(range(256)) * 10_000  # more than one block
    path.write_bytes(data)
    assert hash_file(path) == hashlib.sha256(data).hexdigest()


def test_a_pyav_without_the_option_for_foreign_tags_reads_as_well(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = av.open

    def open_without(file: str, mode: str | None = None, *, options: dict[str, str], **rest: object) -> object:
        if "metadata_errors" in rest:
            raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")
        return real(file, mode, options=options)

    monkeypatch.setattr(av, "open", open_without)
    assert probe_video(video).frames == 10
