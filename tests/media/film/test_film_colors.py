"""A film's colors are those of its segments, whatever these are encoded in: copied, encoded again, dissolved, or slates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest

from custom_nodes.videogen.core.video.quality import Quality, VideoFormat
from custom_nodes.videogen.core.video.timeline import Blend
from custom_nodes.videogen.media.film.compile import FilmReport, FilmSegment, compile_film
from tests.media.color_clips import SIZE, Encoding, draw_patches, error_of, read_with_ffmpeg, write_clip
from tests.support.videos import write_video

TOLERANCE = 3
FRAMES, FPS = 8, 4
VIDEO = VideoFormat(SIZE, FPS, 4_000_000)
QUALITY = Quality("tiny", *SIZE, FPS, 4_000_000)


def make_film(
    folder: Path, clips: Sequence[tuple[Encoding, tuple[int, int]] | None], blends: Sequence[Blend] = ()
) -> tuple[Path, FilmReport]:
    """A film of clips of the patches; None is a slate of them."""
    segments = [
        FilmSegment(None, FRAMES, draw_patches())
        if clip is None
        else FilmSegment(write_clip(folder / f"{index}.mp4", clip[0], size=clip[1]), FRAMES)
        for index, clip in enumerate(clips)
    ]
    report = compile_film(segments, blends, folder / "film.mp4", VIDEO)
    return report.path, report


def errors_of(film: Path, segments: int) -> list[float]:
    """The error of the middle of each segment, in a player that reads BT.709."""
    return [error_of(read_with_ffmpeg(film, FRAMES * index + FRAMES // 2)) for index in range(segments)]


def read_tags(path: Path) -> tuple[int, int, int, int]:
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return (
            int(context.colorspace),
            int(context.color_primaries),
            int(context.color_trc),
            int(context.color_range),
        )


@pytest.mark.parametrize(
    ("encoding", "size", "copied"),
    [
        (Encoding(), SIZE, FRAMES),
        (Encoding("bt601"), SIZE, 0),
        (Encoding("bt601", tagged=False), SIZE, 0),
        (Encoding(range="pc"), SIZE, 0),
        (Encoding("bt601", "pc"), SIZE, 0),
        (Encoding("bt601", pixel_format="yuv422p"), SIZE, 0),
        (Encoding("bt601", pixel_format="yuv444p"), SIZE, 0),
        (Encoding("bt601", pixel_format="yuv420p10le"), SIZE, 0),
        (Encoding("bt601"), (640, 480), 0),
        (Encoding(tagged=False), (1280, 720), 0),
    ],
    ids=lambda value: str(value) if not isinstance(value, Encoding) else f"{value.matrix} {value.range} {value.tagged}",
)
def test_one_segment(encoding: Encoding, size: tuple[int, int], copied: int, tmp_path: Path) -> None:
    film, report = make_film(tmp_path, [(encoding, size)])
    assert report.copied == copied
    if size == (640, 480):  # with bars at its sides
        inner = read_with_ffmpeg(film, 4)[:, 40:280]
        assert error_of(np.ascontiguousarray(inner)) <= TOLERANCE
    else:
        assert errors_of(film, 1)[0] <= TOLERANCE


def test_segments_of_several_encodings_look_alike_and_the_film_has_one_set_of_tags(tmp_path: Path) -> None:
    clips = [(Encoding(), SIZE), (Encoding("bt601"), SIZE), (Encoding(range="pc"), SIZE), (Encoding(), SIZE)]
    film, report = make_film(tmp_path, clips)
    assert max(errors_of(film, 4)) <= TOLERANCE
    assert read_tags(film) == (1, 1, 1, 1)
    assert report.notes == (
        "Segment 2: BT.601, converted to BT.709",
        "Segment 3: BT.709, full range, converted to BT.709",
    )


def test_a_dissolve_between_encodings(tmp_path: Path) -> None:
    film, _ = make_film(
        tmp_path, [(Encoding(), SIZE), (Encoding("bt601", tagged=False), SIZE)], [Blend(0, "dissolve", 4)]
    )
    # Both sides show the same patches, so that every mix of them does too.
    assert max(error_of(read_with_ffmpeg(film, frame)) for frame in range(4, 13)) <= TOLERANCE


def test_a_slate_beside_a_copied_segment(tmp_path: Path) -> None:
    film, _ = make_film(tmp_path, [(Encoding(), SIZE), None])
    assert max(errors_of(film, 2)) <= TOLERANCE


def test_a_guess_is_told_once(tmp_path: Path) -> None:
    guessed = (Encoding("bt601", tagged=False), SIZE)
    _, report = make_film(tmp_path, [guessed, guessed, (Encoding(), SIZE)])
    assert report.notes == ("Segments 1,2: no color tags, read as BT.601 by the size of the pictures",)


def test_a_film_of_the_pack_s_own_segments_has_nothing_to_say(tmp_path: Path) -> None:
    _, report = make_film(tmp_path, [(Encoding(), SIZE), (Encoding(), SIZE)])
    assert (report.notes, report.copied) == ((), 2 * FRAMES)


def test_the_pack_s_own_segments_are_copied_beside_one_that_is_converted(tmp_path: Path) -> None:
    own = [
        write_video(tmp_path / f"own{n}.mp4", [draw_patches()] * FRAMES, count=FRAMES, size=SIZE, quality=QUALITY)
        for n in (1, 2)
    ]
    foreign = write_clip(tmp_path / "foreign.mp4", Encoding("bt601", tagged=False))
    segments = [FilmSegment(path, FRAMES) for path in (own[0], foreign, own[1])]
    report = compile_film(segments, [], tmp_path / "film.mp4", VIDEO)
    assert (report.copied, report.encoded) == (2 * FRAMES, FRAMES)
    assert max(errors_of(report.path, 3)) <= TOLERANCE
    assert read_tags(report.path) == (1, 1, 1, 1)
