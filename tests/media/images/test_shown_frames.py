"""Frames are read as a player shows them: turned, mirrored, with square pixels, from the first one that is shown."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.media.images.frame_reader import open_source, read_frames
from custom_nodes.videogen.media.images.last_frame import read_last_frame
from custom_nodes.videogen.media.images.thumbnails import read_thumbnail_at, read_thumbnails
from custom_nodes.videogen.media.probe import probe_video
from tests.media.shown_clips import QUARTERS, SHOWN, draw_corners, ffmpeg, read_corners, write_corners, write_shown
from tests.support.runs import videogen
from tests.support.videos import code_of, draw_code, read_code, write_with_av


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("how", SHOWN)
def test_a_turned_or_mirrored_film_is_read_upright(tmp_path: Path, how: str, suffix: str) -> None:
    path = write_shown(tmp_path / f"film{suffix}", how)
    shape = (128, 72, 3) if how in ("90", "270") else (72, 128, 3)
    frames = list(read_frames(open_source(path)))
    assert [frame.shape for frame in frames] == [shape] * 8
    assert {read_corners(frame) for frame in frames} == {SHOWN[how][1]}
    last = decode(read_last_frame(path))
    assert (last.shape, read_corners(last)) == (shape, SHOWN[how][1])
    for thumbnail in (*read_thumbnails(path, 3), read_thumbnail_at(path, 0.5)):
        assert (thumbnail.height, thumbnail.width, 3) == shape
        assert read_corners(decode(thumbnail.jpeg)) == SHOWN[how][1]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(("aspect", "size"), [("2:1", (144, 72)), ("1:1", (128, 128)), ("16:9", (128, 72))])
def test_pixels_are_square(tmp_path: Path, aspect: str, size: tuple[int, int], suffix: str) -> None:
    source = write_corners(tmp_path / "source.mp4")
    path = tmp_path / f"film{suffix}"
    ffmpeg("-i", source, "-c", "copy", "-aspect", aspect, path)
    image = decode(read_last_frame(path))
    assert (image.shape[1], image.shape[0]) == size
    assert read_corners(image) == QUARTERS
    assert next(iter(read_frames(open_source(path)))).shape == image.shape


def test_pixels_of_a_nonsensical_shape_are_taken_for_square(tmp_path: Path) -> None:
    source = write_corners(tmp_path / "source.mp4")
    path = tmp_path / "film.mkv"
    ffmpeg("-i", source, "-c", "copy", "-aspect", "200:1", path)
    assert decode(read_last_frame(path)).shape == (72, 128, 3)


def test_a_cover_picture_is_no_film(tmp_path: Path) -> None:
    film = write_corners(tmp_path / "source.mp4")
    Image.new("RGB", (40, 40), "black").save(tmp_path / "cover.jpg")
    path = tmp_path / "film.mp4"
    ffmpeg(
        *("-i", tmp_path / "cover.jpg", "-i", film, "-map", "0", "-map", "1", "-c", "copy"),
        *("-disposition:v:0", "attached_pic", path),
    )
    assert (probe_video(path).frames, probe_video(path).width) == (8, 128)
    assert read_corners(decode(read_last_frame(path))) == QUARTERS
    assert len(list(read_frames(open_source(path)))) == 8


@pytest.mark.parametrize("range_", ["tv", "pc"])
def test_full_and_limited_range_are_read_alike(tmp_path: Path, range_: str) -> None:
    Image.fromarray(draw_corners(128, 72)).save(tmp_path / "corners.png")
    path = tmp_path / "film.mp4"
    ffmpeg(
        *(
            "-loop",
            "1",
            "-i",
            tmp_path / "corners.png",
            "-frames:v",
            "4",
            "-vf",
            f"scale=out_range={range_},format=yuv420p",
        ),
        *("-color_range", range_, "-crf", "8", path),
    )
    image = decode(read_last_frame(path))
    levels = [int(image[row, column, 1]) for row in (18, 54) for column in (32, 96)]
    assert levels == pytest.approx([30, 180, 30, 230], abs=8)


def test_a_film_that_was_cut_without_encoding_begins_where_it_is_shown(tmp_path: Path) -> None:
    source = write_with_av(
        tmp_path / "source.mp4",
        [draw_code(code_of(1, number)) for number in range(12)],
        fps=4,
        options={"g": "12", "bf": "0"},
    )
    path = tmp_path / "cut.mp4"
    ffmpeg("-ss", "1.5", "-i", source, "-c", "copy", path)
    shown = [read_code(frame) & 255 for frame in read_frames(open_source(path))]
    assert shown == list(range(6, 12)), "the frames before are only there to decode the others"
    thumbnails = read_thumbnails(path, 6, box=128)
    assert [read_code(decode(thumbnail.jpeg)) & 255 for thumbnail in thumbnails] == shown
    assert thumbnails[0].seconds == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_film_whose_time_does_not_begin_at_zero(tmp_path: Path, suffix: str) -> None:
    source = write_with_av(tmp_path / "source.mp4", [draw_code(code_of(1, number)) for number in range(8)], fps=4)
    path = tmp_path / f"late{suffix}"
    ffmpeg("-i", source, "-c", "copy", "-output_ts_offset", "100", path)
    assert [read_code(frame) & 255 for frame in read_frames(open_source(path, Fraction(2)))] == [0, 2, 4, 6]
    assert read_code(decode(read_last_frame(path))) & 255 == 7
    assert [thumbnail.seconds for thumbnail in read_thumbnails(path, 2)] == [0, 1.75]


def test_of_a_film_with_varying_rate_the_frames_at_regular_times_are_taken(tmp_path: Path) -> None:
    # Two frames in the first half second, then one that stays for three and a half.
    stamps = [0, 1, 2, 16]
    path = write_with_av(tmp_path / "film.mkv", [draw_code(number) for number in range(4)], fps=4, stamps=stamps)
    source = open_source(path, probe_video(path).fps / 2)
    assert source.by_time
    assert source.fps is not None
    codes = [read_code(frame) for frame in read_frames(source)]
    expected = [
        max(place for place, stamp in enumerate(stamps) if stamp / 4 <= number / source.fps)
        for number in range(len(codes))
    ]
    assert codes == expected
    assert len(codes) == source.count


def test_a_rate_that_a_header_states_wrongly_is_measured(tmp_path: Path) -> None:
    images = [draw_code(number) for number in range(8)]
    source = write_with_av(tmp_path / "source.mp4", images, fps=4, options={"bf": "0"})
    path = tmp_path / "film.avi"
    ffmpeg("-i", source, "-c", "copy", path)  # its header says 600 frames a second
    assert probe_video(path).fps == probe_video(path, decode=True).fps == 4
    assert [read_code(frame) for frame in read_frames(open_source(path, Fraction(2)))] == [0, 2, 4, 6]


def test_packets_that_are_no_frames_are_not_counted(tmp_path: Path) -> None:
    source = write_with_av(tmp_path / "source.mp4", [draw_code(number * 3) for number in range(40)], fps=10)
    path = tmp_path / "film.webm"
    vp8 = (
        "-c:v",
        "libvpx",
        "-auto-alt-ref",
        "1",
        "-lag-in-frames",
        "16",
        "-b:v",
        "400k",
        "-passlogfile",
        tmp_path / "log",
    )
    ffmpeg("-i", source, *vp8, "-pass", "1", "-f", "null", "-")
    ffmpeg("-i", source, *vp8, "-pass", "2", path)
    source_of_frames = open_source(path)
    assert source_of_frames.count == len(list(read_frames(source_of_frames))) == 40


def test_a_turned_film_has_no_false_findings(tmp_path: Path) -> None:
    upright = write_corners(tmp_path / "upright.mp4", size=(72, 128))
    ffmpeg("-i", upright, "-vf", "transpose=cclock", "-crf", "10", tmp_path / "turned.mp4")
    phone = tmp_path / "phone.mp4"
    ffmpeg("-display_rotation", "-90", "-i", tmp_path / "turned.mp4", "-c", "copy", phone)
    ended = videogen("score", upright, phone, "--json")
    first, second = json.loads(ended.out)
    assert second["scores"]["subjects"][0]["mean"] > 0.9
    assert second["verdict"]["level"] == first["verdict"]["level"]
