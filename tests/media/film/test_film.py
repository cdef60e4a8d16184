"""The film: every frame is the one that it should be, and as much as possible is copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.video.quality import Quality, VideoFormat, fit_format
from custom_nodes.videogen.core.video.timeline import Blend, dissolve_weight
from custom_nodes.videogen.media.film.compile import FilmReport, FilmSegment, compile_film
from custom_nodes.videogen.media.film.transitions import mix
from custom_nodes.videogen.media.probe import hash_file, probe_video
from tests.support.disks import fill, mount_small_disk
from tests.support.videos import (
    SIZE,
    TINY,
    X264,
    code_of,
    draw_code,
    read_code,
    read_codes,
    read_frames,
    read_metadata,
    read_packets,
    read_stamps,
    write_segment,
    write_video,
    write_with_av,
)

LENGTHS = {1: 8, 2: 10, 3: 7}


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Three segments of 8, 10 and 7 numbered frames, in groups of four."""
    folder = tmp_path_factory.mktemp("segments")
    return {number: write_segment(folder, number, frames) for number, frames in LENGTHS.items()}


def film_segments(files: dict[int, Path]) -> list[FilmSegment]:
    return [FilmSegment(path, LENGTHS[number]) for number, path in files.items()]


def compile_tiny(
    segments: Sequence[FilmSegment], output: Path, blends: Sequence[Blend] = (), **options: object
) -> FilmReport:
    return compile_film(segments, blends, output, VideoFormat(SIZE, TINY.fps, TINY.bitrate), **options)  # type: ignore[arg-type]


def codes_of(*stretches: tuple[int, int, int]) -> list[int]:
    return [code_of(segment, frame) for segment, start, stop in stretches for frame in range(start, stop)]


def all_codes() -> list[int]:
    return codes_of(*((number, 0, frames) for number, frames in LENGTHS.items()))


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


# ------------------------------------------------------------------ hard cuts


def test_frame_k_of_the_film_is_frame_i_of_segment_s(tmp_path: Path, segments: dict[int, Path]) -> None:
    report = compile_tiny(film_segments(segments), tmp_path / "film.mp4")
    assert read_codes(tmp_path / "film.mp4") == all_codes()
    assert (report.frames, report.copied, report.encoded, report.duration) == (25, 25, 0, Fraction(25, 4))
    assert files_in(tmp_path) == ["film.mp4"]


def test_frame_k_is_shown_at_k_over_the_rate_without_drift(tmp_path: Path, segments: dict[int, Path]) -> None:
    """Forty joins; ffmpeg's own concat adds a rounded duration at each."""
    film = tmp_path / "film.mp4"
    compile_tiny(film_segments(segments)[1:] * 20, film)
    assert read_stamps(film) == [Fraction(frame, 4) for frame in range(17 * 20)]
    assert probe_video(film, decode=True).fps == 4


def test_what_is_copied_is_the_same_bytes(tmp_path: Path, segments: dict[int, Path]) -> None:
    compile_tiny(film_segments(segments), tmp_path / "film.mp4")
    assert read_packets(tmp_path / "film.mp4") == [
        packet for path in segments.values() for packet in read_packets(path)
    ]


def test_the_same_segments_give_the_same_film(tmp_path: Path, segments: dict[int, Path]) -> None:
    films = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for film in films:
        compile_tiny(film_segments(segments), film, [Blend(0, "dissolve", 4)], metadata={"title": "Film"})
    assert hash_file(films[0]) == hash_file(films[1])


def test_the_film_carries_its_title_and_starts_at_once(tmp_path: Path, segments: dict[int, Path]) -> None:
    film = tmp_path / "film.mp4"
    compile_tiny(film_segments(segments), film, metadata={"title": "Der Äpfelbaum = #1; \\"})
    assert read_metadata(film)["title"] == "Der Äpfelbaum = #1; \\"
    data = film.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


# ------------------------------------------------------------------ dissolves


@pytest.mark.parametrize("frames", [2, 3, 4, 8])
def test_a_dissolve_blends_into_the_held_edges_and_changes_nothing_else(
    tmp_path: Path, segments: dict[int, Path], frames: int
) -> None:
    film = tmp_path / "film.mp4"
    blend = Blend(0, "dissolve", frames)
    report = compile_tiny(film_segments(segments), film, [blend])
    images = read_frames(film)
    assert len(images) == report.frames == 25

    cut = LENGTHS[1]
    first, last = cut - blend.frames_before, cut + blend.frames_after
    assert [read_code(image) for image in images[:first]] == codes_of((1, 0, first))
    assert [read_code(image) for image in images[last:]] == all_codes()[last:]

    sources = read_frames(segments[1]) + read_frames(segments[2])
    for place, frame in enumerate(range(first, last)):
        outgoing, incoming = sources[min(frame, cut - 1)], sources[max(frame, cut)]
        expected = mix(outgoing, incoming, dissolve_weight(place, frames))
        assert np.abs(images[frame].astype(int) - expected).mean() < 4
    # The film is cut at seconds, four frames each: only those groups are encoded that the dissolve touches.
    assert report.encoded == -(-blend.frames_before // 4) * 4 + -(-blend.frames_after // 4) * 4


def test_beside_a_dissolve_the_packets_are_copied_all_the_same(tmp_path: Path, segments: dict[int, Path]) -> None:
    compile_tiny(film_segments(segments), tmp_path / "film.mp4", [Blend(0, "dissolve", 4)])
    packets = read_packets(tmp_path / "film.mp4")
    assert packets[:4] == read_packets(segments[1])[:4]
    assert packets[12:] == read_packets(segments[2])[4:] + read_packets(segments[3])


def test_dissolves_on_both_sides_of_a_segment(tmp_path: Path, segments: dict[int, Path]) -> None:
    film = tmp_path / "film.mp4"
    report = compile_tiny(film_segments(segments), film, [Blend(0, "dissolve", 4), Blend(1, "dissolve", 4)])
    codes = [read_code(image) for image in read_frames(film)[10:16]]
    assert codes == codes_of((2, 2, 8))
    assert report.copied == 4 + 4 + 3
    assert read_stamps(film) == [Fraction(frame, 4) for frame in range(25)]


@pytest.mark.parametrize("weight", [0.0, 0.25, 0.5, 1.0])
def test_mixing_is_exact_to_a_step(weight: float) -> None:
    dark, bright = np.full((4, 4), 16, np.uint8), np.full((4, 4), 235, np.uint8)
    assert np.abs(mix(dark, bright, weight).astype(float) - (16 + 219 * weight)).max() <= 1


# ------------------------------------------------------------------ segments that do not fit


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: write_segment(folder, 2, 10, size=(144, 144), quality=Quality("q", 144, 144, 4, 900_000)),
        lambda folder: write_segment(folder, 2, 10, size=(64, 36)),
        lambda folder: write_with_av(
            folder / "2.webm", [draw_code(code_of(2, i)) for i in range(10)], codec="libvpx-vp9"
        ),
        lambda folder: write_with_av(folder / "2.mp4", [draw_code(code_of(2, i)) for i in range(10)], codec="mpeg4"),
    ],
    ids=["square", "small", "vp9", "mpeg4"],
)
def test_a_segment_of_another_kind_is_normalized_and_the_others_are_copied(
    tmp_path: Path, segments: dict[int, Path], write: Callable[[Path], Path]
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = write(folder)
    film = tmp_path / "film.mp4"
    report = compile_tiny(film_segments(segments | {2: odd}), film)
    images = read_frames(film)
    square = read_frames(odd)[0].shape[0] == 144
    inner = [image[:, 28:-28] if square else image for image in images[8:18]]
    assert [read_code(image) for image in inner] == codes_of((2, 0, 10))
    assert [read_code(image) for image in images[:8] + images[18:]] == codes_of((1, 0, 8), (3, 0, 7))
    assert (report.copied, report.encoded) == (15, 10)


def test_a_segment_of_another_rate_lasts_as_long_as_planned(tmp_path: Path, segments: dict[int, Path]) -> None:
    fast = write_segment(tmp_path, 2, 20, quality=replace(TINY, fps=8))
    compile_tiny(film_segments(segments | {2: fast}), tmp_path / "film.mp4")
    shown = [code_of(2, frame) for frame in range(0, 20, 2)]
    assert read_codes(tmp_path / "film.mp4") == codes_of((1, 0, 8)) + shown + codes_of((3, 0, 7))


@pytest.mark.parametrize(
    ("has", "shown"), [(6, [0, 1, 2, 3, 4, 5, 5, 5, 5, 5]), (13, list(range(10)))], ids=["too short", "too long"]
)
def test_a_segment_of_another_length_is_held_or_cut(
    tmp_path: Path, segments: dict[int, Path], has: int, shown: list[int]
) -> None:
    odd = write_segment(tmp_path, 2, has)
    report = compile_tiny(film_segments(segments | {2: odd}), tmp_path / "film.mp4")
    expected = codes_of((1, 0, 8)) + [code_of(2, frame) for frame in shown] + codes_of((3, 0, 7))
    assert read_codes(tmp_path / "film.mp4") == expected
    assert report.encoded == 10


def test_a_slate_stands_for_a_missing_segment(tmp_path: Path, segments: dict[int, Path]) -> None:
    planned = film_segments(segments)
    planned[1] = FilmSegment(None, 10, draw_code(4711))
    report = compile_tiny(planned, tmp_path / "film.mp4")
    assert read_codes(tmp_path / "film.mp4") == codes_of((1, 0, 8)) + [4711] * 10 + codes_of((3, 0, 7))
    assert (report.copied, report.encoded) == (15, 10)


def test_a_film_of_nothing_but_slates_can_be_made(tmp_path: Path) -> None:
    compile_tiny([FilmSegment(None, 3, draw_code(number)) for number in (1, 2)], tmp_path / "film.mp4")
    assert read_codes(tmp_path / "film.mp4") == [1, 1, 1, 2, 2, 2]


def test_segments_whose_headers_this_encoder_does_not_write_are_encoded_again(
    tmp_path: Path, segments: dict[int, Path]
) -> None:
    """A dissolve between files of another encoder: its packets would not decode with their headers."""
    other = replace(X264, options=(*X264.options, "-refs", "1", "-bf", "0"))
    files = {
        number: write_video(tmp_path / f"{number}.mp4", read_frames(segments[number]), count=frames, encoder=other)
        for number, frames in LENGTHS.items()
    }
    film = tmp_path / "film.mp4"
    without = compile_tiny(film_segments(files), film)
    assert (without.copied, without.encoded) == (25, 0)
    report = compile_tiny(film_segments(files), film, [Blend(0, "dissolve", 2)])
    assert (report.copied, report.encoded) == (0, 25)
    codes = [read_code(image) for index, image in enumerate(read_frames(film)) if index not in (7, 8)]
    assert codes == all_codes()[:7] + all_codes()[9:]


def test_the_kind_that_most_segments_have_is_copied(tmp_path: Path, segments: dict[int, Path]) -> None:
    other = replace(X264, options=(*X264.options, "-refs", "1", "-bf", "0"))
    odd = write_video(tmp_path / "odd.mp4", read_frames(segments[1]), count=8, encoder=other)
    report = compile_tiny(film_segments(segments | {1: odd}), tmp_path / "film.mp4")
    assert (report.copied, report.encoded) == (17, 8)
    assert read_codes(tmp_path / "film.mp4") == all_codes()


def test_progress_ends_with_all_frames(tmp_path: Path, segments: dict[int, Path]) -> None:
    seen: list[tuple[int, int]] = []
    compile_tiny(
        film_segments(segments), tmp_path / "film.mp4", [Blend(0, "dissolve", 4)], progress=lambda *at: seen.append(at)
    )
    assert seen == sorted(seen)
    assert seen[-1] == (25, 25)


# ------------------------------------------------------------------ what goes wrong


def test_a_broken_segment_is_named_and_the_older_film_stays(tmp_path: Path, segments: dict[int, Path]) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"the older film")
    broken = tmp_path / "segment_02.mp4"
    broken.write_bytes(segments[2].read_bytes()[:600])
    with pytest.raises(VideoGenError, match=r"segment_02\.mp4") as caught:
        compile_tiny(film_segments(segments | {2: broken}), film)
    assert caught.value.code == "media-broken"
    assert film.read_bytes() == b"the older film"
    assert files_in(tmp_path) == ["film.mp4", "segment_02.mp4"]


def test_an_interrupted_film_leaves_the_older_one(tmp_path: Path, segments: dict[int, Path]) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(b"the older film")

    def interrupt(done: int, total: int) -> None:
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_tiny(film_segments(segments), film, [Blend(0, "dissolve", 8)], progress=interrupt)
    assert film.read_bytes() == b"the older film"
    assert files_in(tmp_path) == ["film.mp4"]


@pytest.mark.parametrize("planned", [8, 7], ids=["copied", "encoded"])
def test_a_full_disk_is_called_that_and_the_older_film_stays(tmp_path: Path, planned: int) -> None:
    noisy = Quality("noisy", 320, 180, 4, 20_000_000)
    noise = np.random.default_rng(3).integers(0, 256, (8, 180, 320, 3), np.uint8)
    segment = write_video(tmp_path / "segment.mp4", noise, count=8, size=(320, 180), quality=noisy)
    copies = 3_000_000 // segment.stat().st_size
    with mount_small_disk(tmp_path / "disk", 2000) as disk:
        film = disk / "film.mp4"
        film.write_bytes(b"the older film")
        with pytest.raises(VideoGenError, match=str(disk)) as caught:
            compile_film([FilmSegment(segment, planned)] * copies, [], film, fit_format((320, 180), noisy))
        assert caught.value.code == "disk-full"
        assert film.read_bytes() == b"the older film"
        assert files_in(disk) == ["film.mp4"]


def test_no_film_is_begun_on_a_full_disk(tmp_path: Path, segments: dict[int, Path]) -> None:
    with mount_small_disk(tmp_path / "disk", 2000) as disk:
        fill(disk, leave=100_000)
        with pytest.raises(VideoGenError) as caught:
            compile_tiny(film_segments(segments), disk / "film.mp4")
        assert caught.value.code == "disk-full"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, segments: dict[int, Path]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VideoGenError, match="cannot be written") as caught:
        compile_tiny(film_segments(segments), tmp_path / "file" / "film.mp4")
    assert caught.value.code == "path-invalid"


def test_a_segment_with_neither_file_nor_slate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoGenError, match="neither a file nor a slate") as caught:
        compile_tiny([FilmSegment(None, 4)], tmp_path / "film.mp4")
    assert caught.value.code == "film-incomplete"
