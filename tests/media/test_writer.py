"""VideoWriter: frames in, one whole mp4 out, or nothing."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.encoding import Encoder, RawVideo
from custom_nodes.videogen.core.video.quality import QUALITIES, VideoFormat
from custom_nodes.videogen.media import ffmpeg
from custom_nodes.videogen.media.probe import hash_file, probe_video
from custom_nodes.videogen.media.writer import VideoWriter
from tests.support.disks import mount_small_disk
from tests.support.videos import SIZE, TINY, X264, draw_code, read_codes, read_frames, read_metadata, write_video

DRAFT = QUALITIES["draft"]


def noise(count: int, size: tuple[int, int], seed: int = 7) -> list[np.ndarray]:
    """Images that no codec makes small."""
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (size[1], size[0], 3), np.uint8) for _ in range(count)]


SOURCE = RawVideo(SIZE, Fraction(4))
VIDEO = VideoFormat(SIZE, 4, TINY.bitrate)


def open_writer(
    path: Path,
    *,
    source: RawVideo = SOURCE,
    video: VideoFormat = VIDEO,
    frames: int = 8,
    metadata: dict[str, str] | None = None,
) -> VideoWriter:
    return VideoWriter(path, source, video, frames, X264, metadata)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------ what comes out


def test_the_same_frames_give_the_same_bytes_although_four_threads_encode_them(tmp_path: Path) -> None:
    size = (320, 180)
    frames = noise(15, size) * 2
    files = [
        write_video(tmp_path / f"{n}.mp4", frames, count=30, size=size, quality=DRAFT, metadata={"prompt": "a tree"})
        for n in range(3)
    ]
    assert len({hash_file(file) for file in files}) == 1


@pytest.mark.parametrize(
    ("rendered", "seconds", "fps", "expected"),
    [
        (24, Fraction(8), 30, 240),  # the apple tree: 3 frames a second, each shown ten times
        (23, Fraction(15, 2), 30, 225),  # 7.5 s that no frame rate divides
        (1, Fraction(1, 3), 30, 10),
        (1, Fraction(1, 240), 24, 1),  # shorter than half a frame of the video
        (240, Fraction(8), 24, 192),  # more frames than the video shows
        (25, Fraction(1001, 1000), 24, 24),
    ],
)
def test_a_segment_lasts_exactly_as_long_as_it_should(
    tmp_path: Path, rendered: int, seconds: Fraction, fps: int, expected: int
) -> None:
    path = tmp_path / "segment.mp4"
    with open_writer(
        path, source=RawVideo(SIZE, rendered / seconds), video=replace(VIDEO, fps=fps), frames=expected
    ) as writer:
        for number in range(rendered):
            writer.write(draw_code(number))
    info = probe_video(path, decode=True)
    assert (info.frames, info.fps, (info.width, info.height)) == (expected, fps, SIZE)


def test_each_rendered_frame_is_held_until_the_time_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "segment.mp4"
    with open_writer(path, source=RawVideo(SIZE, Fraction(3)), video=replace(VIDEO, fps=30), frames=240) as writer:
        for number in range(24):
            writer.write(draw_code(number))
    assert read_codes(path) == [frame // 10 for frame in range(240)]


def test_frames_that_do_not_divide_evenly_are_all_shown_for_nearly_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "segment.mp4"
    with open_writer(
        path, source=RawVideo(SIZE, 23 / Fraction(15, 2)), video=replace(VIDEO, fps=30), frames=225
    ) as writer:
        for number in range(23):
            writer.write(draw_code(number))
    codes = read_codes(path)
    assert codes == sorted(codes)
    assert {codes.count(number) for number in range(23)} <= {9, 10, 11}


def test_the_file_is_tagged_for_players_and_starts_at_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", noise(8, SIZE), count=8)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, context.profile) == ("h264", "yuv420p", "High")
        bt709, limited = 1, 1
        assert (context.color_primaries, context.color_trc, context.colorspace) == (bt709, bt709, bt709)
        assert context.color_range == limited
        assert stream.sample_aspect_ratio in (None, 0, 1)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("color", [(220, 40, 40), (40, 200, 60), (30, 60, 220), (255, 255, 255), (0, 0, 0)])
def test_colors_come_back_as_they_went_in(tmp_path: Path, color: tuple[int, int, int]) -> None:
    """BT.601 instead of BT.709 would shift the red and the green by some 20 steps."""
    frame = np.full((SIZE[1], SIZE[0], 3), color, np.uint8)
    path = write_video(tmp_path / "v.mp4", [frame] * 4, count=4)
    with av.open(str(path)) as container:
        shown = next(container.decode(video=0)).reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(shown.reshape(-1, 3).mean(axis=0) - color).max() < 4


def test_an_image_of_another_shape_gets_bars_and_is_not_stretched(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    white = np.full((96, 96, 3), 255, np.uint8)
    with open_writer(path, source=replace(SOURCE, size=(96, 96)), video=replace(VIDEO, size=(192, 96))) as writer:
        for _ in range(8):
            writer.write(white)
    frame = read_frames(path)[0]
    assert frame.shape == (96, 192, 3)
    assert frame[:, :44].max() < 20
    assert frame[:, 52:140].min() > 235
    assert frame[:, 148:].max() < 20


def test_yuv_frames_pass_through(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    gray = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
    with open_writer(path, source=replace(SOURCE, pixel_format="yuv420p")) as writer:
        for _ in range(8):
            writer.write(gray)
    with av.open(str(path)) as container:
        assert np.abs(next(container.decode(video=0)).to_ndarray().astype(int) - 128).max() <= 1


# ------------------------------------------------------------------ metadata


def test_metadata_comes_back_letter_by_letter(tmp_path: Path) -> None:
    story = json.dumps({"prompt": "Über den „Apfelbaum“ = schön; #1 \\ 'kurz' \"lang\"", "text": "x" * 300_000})
    tags = {
        "workflow": story,
        "prompt": "line one\nline two\n;no comment\n[no section]\n#no comment\nends=\\\\ with\\ ; #",
        "title": "Grüße aus Müllheim 🍎",
        "odd=key;#": "value",
    }
    path = write_video(tmp_path / "v.mp4", noise(4, SIZE), count=4, metadata=tags)
    found = read_metadata(path)
    assert {key: found.get(key) for key in tags} == tags


def test_the_metadata_s_file_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    write_video(tmp_path / "v.mp4", noise(4, SIZE), count=4, metadata={"title": "x"})
    assert files_in(scratch) == []


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((SIZE[1], SIZE[0] + 2, 3), np.uint8),
        np.zeros((SIZE[1], SIZE[0]), np.uint8),
        np.zeros((SIZE[1], SIZE[0], 4), np.uint8),
        np.zeros((SIZE[1], SIZE[0], 3), np.float32),
        np.zeros((0, SIZE[0], 3), np.uint8),
    ],
    ids=["wider", "grey", "with alpha", "floats", "no rows"],
)
def test_a_frame_of_another_shape_or_type_is_refused(tmp_path: Path, frame: np.ndarray) -> None:
    with pytest.raises(VideoGenError, match=r"shape .* expected \(72, 128, 3\) and uint8") as caught:
        write_video(tmp_path / "v.mp4", [frame], count=4)
    assert caught.value.code == "frames-invalid"
    assert files_in(tmp_path) == []


def test_a_video_without_a_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoGenError) as caught:
        write_video(tmp_path / "v.mp4", [], count=4)
    assert caught.value.code in ("media-broken", "encode-failed")
    assert files_in(tmp_path) == []


def test_what_ffmpeg_says_is_in_the_message(tmp_path: Path) -> None:
    broken = Encoder("libx264", "h264", ("-preset", "nonsense"))
    with pytest.raises(VideoGenError, match="nonsense") as caught:
        write_video(tmp_path / "v.mp4", noise(60, SIZE), count=60, encoder=broken)
    assert caught.value.code == "encode-failed"
    assert files_in(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VideoGenError, match="cannot be written") as caught:
        open_writer(tmp_path / "file" / "v.mp4")
    assert caught.value.code == "path-invalid"


def test_without_any_ffmpeg_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOGEN_FFMPEG", "no-such-program")
    ffmpeg.find_ffmpeg.cache_clear()
    try:
        with pytest.raises(VideoGenError, match="no-such-program") as caught:
            ffmpeg.find_ffmpeg()
    finally:
        ffmpeg.find_ffmpeg.cache_clear()
    assert caught.value.code == "ffmpeg-missing"


# ------------------------------------------------------------------ what goes wrong on the way


def test_leaving_by_an_exception_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", noise(4, SIZE), count=4)
    before = path.read_bytes()
    running = {child.pid for child in psutil.Process().children()}

    def be_interrupted() -> None:
        with open_writer(path, metadata={"title": "new"}) as writer:
            writer.write(draw_code(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()
    assert path.read_bytes() == before
    assert files_in(tmp_path) == ["v.mp4"]
    assert {child.pid for child in psutil.Process().children()} <= running


def test_the_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [draw_code(1)] * 8, count=8)
    with open_writer(path) as writer:
        for _ in range(8):
            writer.write(draw_code(2))
            assert set(read_codes(path)) == {1}
    assert set(read_codes(path)) == {2}


def test_a_full_disk_is_called_that_and_the_older_file_stays(tmp_path: Path) -> None:
    size = (640, 360)
    with mount_small_disk(tmp_path / "disk", 400) as disk:
        path = write_video(disk / "v.mp4", [draw_code(1)] * 4, count=4)
        before = path.read_bytes()
        with pytest.raises(VideoGenError, match=str(disk)) as caught:
            write_video(path, noise(15, size), count=60, size=size, quality=QUALITIES["premium"])
        assert caught.value.code == "disk-full"
        assert path.read_bytes() == before
        assert files_in(disk) == ["v.mp4"]


@pytest.mark.parametrize("name", ["h264_nvenc", "hevc_nvenc"])
def test_an_encoder_that_does_not_work_here_leaves_no_lines_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """ComfyUI shows what is logged as information."""
    program = tmp_path / "ffmpeg"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *-encoders*) echo " V..... {name} x"; exit 0;; esac\n'
        "echo '[h264_nvenc @ 0x55d] Cannot load libcuda.so.1' >&2\n"
        "echo 'Error while opening encoder for output stream #0:0' >&2\n"
        "exit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("VIDEOGEN_FFMPEG", str(program))
    for cached in (ffmpeg.find_ffmpeg, ffmpeg.list_encoders, ffmpeg.encoder_works):
        cached.cache_clear()
    try:
        with caplog.at_level(logging.DEBUG):
            assert not ffmpeg.encoder_works(name)
    finally:
        for cached in (ffmpeg.find_ffmpeg, ffmpeg.list_encoders, ffmpeg.encoder_works):
            cached.cache_clear()
    assert [record.message for record in caplog.records if record.levelno >= logging.INFO] == []
    assert "Cannot load libcuda.so.1" in caplog.text  # --verbose
