"""Films of clips that are shown in another way than they are stored, or at odd times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from custom_nodes.videogen.core.video.quality import VideoFormat
from custom_nodes.videogen.media.film.clips import VideoClip
from custom_nodes.videogen.media.film.compile import FilmSegment, compile_film
from tests.media.shown_clips import QUARTERS, SHOWN, ffmpeg, read_corners, write_corners, write_shown
from tests.support.videos import draw_code, read_code, read_codes, read_frames, write_with_av

WIDE, TALL = VideoFormat((128, 72), 4, 600_000), VideoFormat((72, 128), 4, 600_000)


def film_of(path: Path, video: VideoFormat, frames: int = 8) -> tuple[list[np.ndarray], int]:
    """The frames of a film of one clip, and how many of them were copied."""
    output = path.with_name(f"film_of_{path.stem}.mp4")
    report = compile_film([FilmSegment(path, frames)], [], output, video)
    return read_frames(output), report.copied


@pytest.mark.parametrize("how", SHOWN)
def test_a_turned_clip_is_upright_in_the_film(tmp_path: Path, how: str) -> None:
    path = write_shown(tmp_path / "clip.mp4", how)
    frames, _ = film_of(path, TALL if how in ("90", "270") else WIDE)
    assert len(frames) == 8
    assert {read_corners(frame) for frame in frames} == {SHOWN[how][1]}


def test_a_clip_on_its_side_has_bars_where_its_stored_size_would_have_none(tmp_path: Path) -> None:
    path = write_shown(tmp_path / "clip.mp4", "90")
    (frame, *_), copied = film_of(path, WIDE)
    assert copied == 0, "a copied packet would be shown on its side"
    assert frame[:, :40].max() < 40
    assert frame[:, -40:].max() < 40
    assert read_corners(frame[:, 44:84]) == SHOWN["90"][1]


def test_a_clip_with_wide_pixels_is_not_squeezed(tmp_path: Path) -> None:
    source = write_corners(tmp_path / "source.mp4", size=(96, 72))
    path = tmp_path / "clip.mp4"
    ffmpeg("-i", source, "-c", "copy", "-aspect", "16:9", path)
    frames, copied = film_of(path, WIDE)
    assert (read_corners(frames[0]), copied) == (QUARTERS, 0)
    assert frames[0][:, :4].max() > 100, "no bars: it fills the picture"
    same = tmp_path / "same.mp4"
    ffmpeg("-i", write_corners(tmp_path / "source2.mp4"), "-c", "copy", "-aspect", "4:3", same)
    (frame, *_), copied = film_of(same, WIDE)
    assert copied == 0
    assert frame[:, :10].max() < 40, "4:3 has bars"


def clip_codes(path: Path, frames: int, fps: int = 4) -> list[int]:
    clip = VideoClip(path, frames, VideoFormat((128, 72), fps, 600_000))
    return [read_code(np.repeat(image[:72, :, None], 3, axis=2)) for image in clip.read_frames(0, frames)]


def test_a_clip_that_was_cut_without_encoding_begins_where_it_is_shown(tmp_path: Path) -> None:
    source = write_with_av(
        tmp_path / "source.mp4", [draw_code(number) for number in range(12)], fps=4, options={"g": "12", "bf": "0"}
    )
    path = tmp_path / "cut.mp4"
    ffmpeg("-ss", "1.5", "-i", source, "-c", "copy", path)
    assert clip_codes(path, 6) == [6, 7, 8, 9, 10, 11]
    output = tmp_path / "film.mp4"
    assert compile_film([FilmSegment(path, 6)], [], output, WIDE).copied == 0
    assert read_codes(output) == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_clip_whose_time_does_not_begin_at_zero(tmp_path: Path, suffix: str) -> None:
    source = write_with_av(tmp_path / "source.mp4", [draw_code(number) for number in range(8)], fps=4)
    path = tmp_path / f"late{suffix}"
    ffmpeg("-i", source, "-c", "copy", "-output_ts_offset", "100", path)
    assert clip_codes(path, 8) == list(range(8))
    later = VideoClip(path, 8, WIDE).read_frames(5, 8)
    assert [read_code(np.repeat(image[:72, :, None], 3, axis=2)) for image in later] == [5, 6, 7]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_screen_recording_shows_each_frame_at_its_time(tmp_path: Path, suffix: str) -> None:
    # 20 frames a second for a moment, then one frame for five seconds: 1.2 a second on average.
    stamps = [0, 1, 2, 20, 100, 101]
    path = write_with_av(tmp_path / f"film{suffix}", [draw_code(number) for number in range(6)], fps=20, stamps=stamps)
    wanted = [max(place for place, stamp in enumerate(stamps) if stamp / 20 <= number / 10) for number in range(51)]
    assert clip_codes(path, 51, fps=10) == wanted


def test_a_rate_that_a_container_rounds_is_still_regular(tmp_path: Path) -> None:
    source = write_with_av(tmp_path / "source.mp4", [draw_code(number) for number in range(30)], fps=30)
    path = tmp_path / "film.mkv"  # milliseconds: 0, 33, 67, 100 …
    ffmpeg("-i", source, "-c", "copy", path)
    assert clip_codes(path, 30, fps=30) == list(range(30))
    assert clip_codes(path, 10, fps=10) == list(range(0, 30, 3))
