"""The film of a run directory: what it is made of, and when it is made again."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.media.probe import hash_file
from runner.rendering.film import film_inputs, update_film
from runner.state.progress import LineDisplay
from runner.state.run_directory import RunDirectory
from tests.support.journal_events import film_done, finish, submitted
from tests.support.stories import small_story
from tests.support.videos import with_sound, write_segment

STORY = parse_story(copy.deepcopy(small_story("Tiny", segments=2)))
TONE = np.full((2, 48_000), 0.25, np.float32)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RunDirectory]:
    with RunDirectory(tmp_path / "run", "Tiny") as opened:
        yield opened


def render(directory: RunDirectory, number: int, path: Path, **more: object) -> None:
    """A segment is done with this file."""
    result = {"file": f"segments/{path.name}", "bytes": path.stat().st_size, "sha256": hash_file(path), **more}
    directory.journal.append(submitted(number, "k"))
    finish(directory.journal, number, "k", **result)


def streams(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def test_a_film_of_silent_segments_is_not_made_again(directory: RunDirectory) -> None:
    for number in (1, 2):
        render(directory, number, write_segment(directory.segments, number, 4))
    assert update_film(directory, STORY, LineDisplay()) is not None
    assert update_film(directory, STORY, LineDisplay()) is None
    assert streams(directory.film) == ["video"]


@pytest.mark.parametrize("beside", [False, True], ids=["in the video", "in a file beside it"])
def test_a_silent_film_of_an_earlier_release_is_made_again(
    directory: RunDirectory, beside: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    silent = write_segment(directory.segments, 1, 4)
    render(directory, 1, silent)
    loud = with_sound(write_segment(directory.segments, 2, 4), TONE)
    if beside:
        sound = directory.segments / "segment_02_audio_1.flac"
        with av.open(str(sound), "w") as made:
            voice = made.add_stream("flac", rate=48_000, layout="stereo")
            frame = av.AudioFrame.from_ndarray((TONE * 32_767).astype(np.int16).T.reshape(1, -1), "s16", "stereo")
            frame.sample_rate = 48_000
            made.mux([*voice.encode(frame), *voice.encode(None)])
        kept = {"file": f"segments/{sound.name}", "bytes": sound.stat().st_size, "sha256": hash_file(sound)}
        render(directory, 2, directory.segments / "segment_02.mp4", sounds=[kept])
    else:
        render(directory, 2, loud)
    directory.film.write_bytes(silent.read_bytes())
    inputs = film_inputs(STORY, directory.journal.segments)
    directory.journal.append(film_done(inputs, bytes=silent.stat().st_size, sha256=hash_file(directory.film)))
    assert update_film(directory, STORY, LineDisplay()) is not None
    assert "with the sound of its segments" in capsys.readouterr().err
    assert streams(directory.film) == ["video", "audio"]
    assert directory.journal.latest["film-done"]["sound"] is True
    assert update_film(directory, STORY, LineDisplay()) is None
