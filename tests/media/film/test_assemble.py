"""A story's film: found segments, slates for missing ones, and transitions between rendered ones."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.film.assemble import assemble_film, find_segments
from tests.support.videos import SIZE, code_of, read_code, read_frames, write_segment

STORY = parse_story(
    {
        "title": "Tiny",
        "fps": 4,
        "frames": 4,
        "size": list(SIZE),
        "quality": "draft",
        "transitions": [{"after": 1, "seconds": 0.5}, {"after": 2, "seconds": 0.5}],
        "segments": [{"prompt": "one"}, {"prompt": "two"}, {"prompt": "three"}],
    }
)
DRAFT = replace(QUALITIES["draft"], width=128, height=72)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def story_segments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the story's three segments of one second."""
    folder = tmp_path_factory.mktemp("story")
    for number in (1, 2, 3):
        write_segment(folder, number, 24, quality=DRAFT)
    return folder


def test_a_story_s_film_is_as_long_as_its_segments(tmp_path: Path, story_segments: Path) -> None:
    report = assemble_film(STORY, find_segments(STORY, story_segments), tmp_path / "film.mp4", quality=DRAFT)
    assert (report.frames, report.fps, report.size) == (72, 24, SIZE)
    assert report.copied == 0  # half a second on each side of every group of one second


def test_a_missing_segment_is_cut_hard_and_shows_a_slate(tmp_path: Path, story_segments: Path) -> None:
    files = find_segments(STORY, story_segments)
    del files[3]
    film = tmp_path / "film.mp4"
    report = assemble_film(STORY, files, film, quality=DRAFT, reasons={3: "The node failed."})
    images = read_frames(film)
    assert len(images) == 72
    # No dissolve into the slate: the last frame before it is the segment's own, the slate does not move.
    assert read_code(images[47]) == code_of(2, 23)
    assert np.abs(images[48].astype(int) - images[71]).mean() < 2
    assert report.encoded == 72


@pytest.mark.parametrize(
    ("kept", "slates", "said"),
    [((1, 2), False, "segment 3 of 3 is not rendered"), ((), True, "segments 1-3 of 3 are not rendered")],
)
def test_a_film_without_its_segments_is_refused(
    tmp_path: Path, story_segments: Path, kept: tuple[int, ...], slates: bool, said: str
) -> None:
    files = {n: path for n, path in find_segments(STORY, story_segments).items() if n in kept}
    with pytest.raises(VideoGenError, match=said) as caught:
        assemble_film(STORY, files, tmp_path / "film.mp4", quality=DRAFT, slates=slates)
    assert caught.value.code == "film-incomplete"


def test_of_several_takes_the_newest_is_taken_unless_one_has_no_take(tmp_path: Path) -> None:
    for age, name in enumerate(("segment_01_new", "segment_01_old", "segment_02_x", "segment_02", "segment_10_x")):
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(b"x")
        os.utime(path, (1e9 - age, 1e9 - age))
    found = {number: path.name for number, path in find_segments(STORY, tmp_path).items()}
    assert found == {1: "segment_01_new.mp4", 2: "segment_02.mp4"}


def test_a_story_s_film_can_be_made_while_its_segments_lie_beside_it(tmp_path: Path, story_segments: Path) -> None:
    shutil.copytree(story_segments, tmp_path / "run")
    film = tmp_path / "run" / "film.mp4"
    for _ in range(2):
        assemble_film(STORY, find_segments(STORY, film.parent), film, quality=DRAFT)
    assert files_in(film.parent) == ["film.mp4", "segment_01.mp4", "segment_02.mp4", "segment_03.mp4"]
