"""A film has the sound of its segments, in time with their frames to the sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.quality import VideoFormat
from custom_nodes.videogen.core.video.timeline import Blend
from custom_nodes.videogen.media.film.assemble import assemble_film
from custom_nodes.videogen.media.film.compile import FilmReport, FilmSegment, compile_film
from custom_nodes.videogen.media.film.sound import RATE, FilmSound, SoundClip
from tests.support.videos import SIZE, TINY, draw_code, read_frames, with_sound, write_video

FPS = 24
QUALITY = replace(TINY, fps=FPS)


def click_at(seconds: Sequence[float], length: float, rate: int = RATE, channels: int = 2) -> np.ndarray:
    """Silence with short clicks."""
    sound = np.zeros((channels, round(length * rate)), np.float32)
    for second in seconds:
        begin = round(second * rate)
        sound[:, begin : begin + rate // 500] = 0.8
    return sound


def sine(length: float, begins: float = 0.0, hertz: float = 440.0, rate: int = RATE) -> np.ndarray:
    at = begins + np.arange(round(length * rate)) / rate
    return np.tile((0.5 * np.sin(2 * np.pi * hertz * at)).astype(np.float32), (2, 1))


def silent(folder: Path, number: int, frames: int, flash: int | None = None) -> Path:
    """A video of dark frames, one of which is bright."""
    images = (draw_code(65535 if index == flash else 0) for index in range(frames))
    return write_video(folder / f"segment_{number:02d}.mp4", images, count=frames, quality=QUALITY)


def make_film(path: Path, segments: Sequence[FilmSegment], blends: Sequence[Blend] = ()) -> FilmReport:
    return compile_film(segments, blends, path, VideoFormat(SIZE, FPS, QUALITY.bitrate))


def hear(path: Path) -> np.ndarray:
    """The sound of a film, float32, shape (2, n)."""
    with av.open(str(path)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
        # The last of AAC's frames is played in part; PyAV decodes all of it.
        duration = container.streams.audio[0].duration
        assert duration is not None
        return sound[:, :duration]


def clicks_in(sound: np.ndarray) -> list[int]:
    """Samples at which clicks begin."""
    loud = np.flatnonzero(np.abs(sound).max(0) > 0.3)
    return [int(one) for index, one in enumerate(loud) if not index or one - loud[index - 1] > RATE // 20]


def flashes_in(path: Path) -> list[int]:
    return [index for index, image in enumerate(read_frames(path)) if image.mean() > 128]


def test_clicks_are_heard_when_flashes_are_seen(tmp_path: Path) -> None:
    """Sounds of other rates, layouts, codecs and lengths, and a segment without any: each begins with its first frame."""
    second = [0.5]
    sounds = [
        with_sound(silent(tmp_path, 1, 24, 12), click_at(second, 1.0)),
        with_sound(
            silent(tmp_path, 2, 24, 12),
            click_at(second, 1.0, 44_100, 1),
            rate=44_100,
            layout="mono",
            codec="aac",
            suffix=".mp4",
        ),
        silent(tmp_path, 3, 24, 12),
        # Longer than its frames are in the film, and shorter.
        with_sound(silent(tmp_path, 4, 30, 12), click_at(second, 1.25, 22_050), rate=22_050, codec="pcm_s16le"),
        with_sound(silent(tmp_path, 5, 24, 12), click_at(second, 0.6, channels=6), layout="5.1"),
        with_sound(silent(tmp_path, 6, 24, 12), click_at(second, 1.0), codec="libopus", suffix=".webm.mkv"),
    ]
    film = tmp_path / "film.mp4"
    report = make_film(film, [FilmSegment(path, 24) for path in sounds])
    assert report.sound
    assert report.notes == ()
    heard = hear(film)
    assert heard.shape == (2, 6 * RATE), "as long as the video, to the sample"
    assert flashes_in(film) == [12, 36, 60, 84, 108, 132]
    clicks = clicks_in(heard)
    expected = [round(frame * RATE / FPS) for frame in (12, 36, 84, 108, 132)]
    assert len(clicks) == 5
    assert max(abs(one - other) for one, other in zip(clicks, expected, strict=True)) < RATE // 500, "within 2 ms"
    assert np.abs(heard[:, 2 * RATE + 2_000 : 3 * RATE - 2_000]).max() < 0.01, "silence where a segment has none"


def test_frames_that_last_no_whole_samples_drift_nowhere(tmp_path: Path) -> None:
    clips = [SoundClip(None, 7)] * 1_000
    whole = FilmSound(clips, (), 29)
    assert whole.samples == round(Fraction(7_000 * RATE, 29))
    assert sum(block.shape[1] for block in whole.read()) == whole.samples


def test_a_film_without_sound_has_no_sound(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    assert not make_film(film, [FilmSegment(silent(tmp_path, 1, 24), 24)]).sound
    with av.open(str(film)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def joined(
    tmp_path: Path, sounds: Sequence[np.ndarray], blends: Sequence[Blend] = (), *, goes_on: bool = False
) -> np.ndarray:
    """The samples of a film of one-second segments, before they are encoded."""
    paths = [with_sound(silent(tmp_path, number, 24), sound) for number, sound in enumerate(sounds, 1)]
    clips = [SoundClip(path, 24, goes_on and index > 0) for index, path in enumerate(paths)]
    return np.concatenate(list(FilmSound(clips, blends, FPS).read()), axis=1)


def test_sound_that_goes_on_is_kept_to_the_sample(tmp_path: Path) -> None:
    """Each clip is a frame longer than what is shown of it, as those of chained video models are."""
    heard = joined(tmp_path, [sine(1 + 1 / FPS), sine(1 + 1 / FPS, 1.0)], goes_on=True)
    assert np.abs(heard - sine(2.0)).max() < 1e-3


@pytest.mark.parametrize("length", [1.0, 1.5], ids=["as long as its frames", "longer"])
def test_a_cut_does_not_click(tmp_path: Path, length: float) -> None:
    """One sound passes into the other within 20 ms, and neither is changed before or after."""
    loud = np.full((2, round(length * RATE)), 0.5, np.float32)
    heard = joined(tmp_path, [loud, -loud[:, :RATE]])
    assert np.abs(np.diff(heard)).max() < 0.01
    ends = RATE if length > 1 else RATE - RATE // 50 - 1
    assert np.allclose(heard[:, :ends], 0.5, atol=1e-3)
    assert np.allclose(heard[:, RATE + RATE // 50 :], -0.5, atol=1e-3)


@pytest.mark.parametrize("length", [1.0, 1.5], ids=["as long as its frames", "longer"])
def test_sound_passes_over_along_a_transition(tmp_path: Path, length: float) -> None:
    loud = np.full((2, round(length * RATE)), 0.5, np.float32)
    heard = joined(tmp_path, [loud, loud[:, :RATE]], [Blend(0, "dissolve", 12)])
    quarter = RATE // 4
    assert np.allclose(heard[:, : RATE - quarter], 0.5, atol=1e-3)
    assert np.allclose(heard[:, RATE + quarter :], 0.5, atol=1e-3)
    assert np.abs(np.diff(heard)).max() < 0.01
    assert heard[:, RATE - quarter // 2].max() < 0.49, "it has begun"


def test_sound_that_breaks_off_is_said_and_the_film_is_made(tmp_path: Path) -> None:
    good = with_sound(silent(tmp_path, 1, 24), sine(1.0))
    broken = with_sound(silent(tmp_path, 2, 24), sine(1.0))
    packets = []
    with av.open(str(broken)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    data = broken.read_bytes()
    for packet in packets[len(packets) // 2 :]:
        data = data.replace(packet, bytes(len(packet)))
    broken.write_bytes(data)
    film = tmp_path / "film.mp4"
    report = make_film(film, [FilmSegment(good, 24), FilmSegment(broken, 24)])
    assert (report.sound, hear(film).shape) == (True, (2, 2 * RATE))
    assert len(report.notes) == 1
    assert report.notes[0].startswith("Segment 2: its sound is silent where it breaks off: ")


def test_a_segment_that_continues_the_one_before_is_joined_to_it_in_the_story_s_film(tmp_path: Path) -> None:
    data = {
        "fps": FPS,
        "frames": FPS,
        "size": list(SIZE),
        "segments": [{"prompt": "one"}, {"prompt": "two", "continues": True}, {"prompt": "three", "continue_from": 1}],
    }
    files = {number: with_sound(silent(tmp_path, number, 24), sine(1.0, number - 1.0)) for number in (1, 2, 3)}
    film = tmp_path / "film.mp4"
    report = assemble_film(parse_story(data), files, film, quality=replace(QUALITY, width=SIZE[0], height=SIZE[1]))
    assert report.sound
    # What AAC changes of a sine is small; a fade at the first cut would not be.
    rms = [float(np.sqrt(np.mean(hear(film)[:, cut - 200 : cut + 200] ** 2))) for cut in (RATE, 2 * RATE)]
    assert rms[1] < 0.5 * rms[0], "a cut: the third continues another segment"
