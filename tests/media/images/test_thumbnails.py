"""Frames out of videos for an overview."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.images.thumbnails import nearest_keys, pick_evenly, read_thumbnails
from tests.support.videos import draw_code, read_code, write_segment, write_with_av


def test_thumbnails_are_evenly_spaced(tmp_path: Path) -> None:
    """Of 9 frames the first, third, fifth, seventh and last; four a second."""
    thumbnails = read_thumbnails(write_segment(tmp_path, 1, 9), box=128, budget=200_000)
    assert [image.seconds for image in thumbnails] == [0, 0.5, 1, 1.5, 2]
    assert {(image.width, image.height) for image in thumbnails} == {(128, 72)}


def test_a_clip_of_three_frames_has_three_thumbnails(tmp_path: Path) -> None:
    assert len(read_thumbnails(write_segment(tmp_path, 1, 3))) == 3


def test_keyframes_stand_in_where_they_are_near(tmp_path: Path) -> None:
    """A group of pictures a second, ten seconds: nothing but keyframes is decoded, and they are the right ones."""
    path = write_with_av(
        tmp_path / "a.mp4",
        [draw_code(n) for n in range(40)],
        options={"g": "4", "keyint_min": "4", "sc_threshold": "0"},
    )
    thumbnails = read_thumbnails(path, box=128, budget=200_000)
    assert [image.seconds for image in thumbnails] == [0, 2, 5, 7, 9]
    codes = [read_code(np.asarray(Image.open(io.BytesIO(image.jpeg)))) for image in thumbnails]
    assert codes == [0, 8, 20, 28, 36]


def test_a_portrait_video_is_measured_by_its_height(tmp_path: Path) -> None:
    path = write_with_av(tmp_path / "a.mp4", [np.zeros((640, 360, 3), np.uint8)] * 5)
    assert [(p.width, p.height) for p in read_thumbnails(path, box=320)] == [(180, 320)] * 5


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    for path in (tmp_path / "a.mp4", tmp_path / "missing.mp4"):
        with pytest.raises(VideoGenError, match=path.name) as caught:
            read_thumbnails(path)
        assert caught.value.code == "media-broken"


def test_spacing() -> None:
    assert pick_evenly(range(100), 5) == [0, 25, 50, 74, 99]
    assert pick_evenly([3, 4], 5) == [3, 4]
    assert pick_evenly([], 5) == []
    assert nearest_keys([0, 25, 50, 74, 99], range(0, 100, 10)) == [0, 20, 50, 70, 90]
    assert nearest_keys([0, 25, 50, 74, 99], [0]) == []
