"""The camera in the storyboard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.segment.shots import CAMERA_MOVES, SHOT_SIZES, Shot
from custom_nodes.videogen.media.storyboard import draw_frames
from custom_nodes.videogen.media.storyboard.scene.viewfinder import viewfinder_rect
from tests.support.storyboards import image_of, make_plan


def center(box: tuple[float, float, float, float]) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


@pytest.mark.parametrize(
    ("move", "x", "y", "size"),
    [
        ("static", 0, 0, 0),
        ("pan-left", -1, 0, 0),
        ("pan-right", 1, 0, 0),
        ("track", 1, 0, 0),
        ("tilt-up", 0, -1, 0),
        ("tilt-down", 0, 1, 0),
        ("zoom-in", 0, -1, -1),
        ("zoom-out", 0, 1, 1),
    ],
)
def test_the_viewfinder_follows_the_camera(move: str, x: int, y: int, size: int) -> None:
    first, last = (viewfinder_rect(Shot("medium", move, 1.0), (1000, 600), (1920, 1080), share) for share in (0.0, 1.0))
    assert np.sign(round(center(last)[0] - center(first)[0], 6)) == x
    assert np.sign(round(center(last)[1] - center(first)[1], 6)) == y
    assert np.sign(round((last[2] - last[0]) - (first[2] - first[0]), 6)) == size


def test_a_gentle_move_goes_less_far() -> None:
    def way(amount: float) -> float:
        ends = (viewfinder_rect(Shot("wide", "pan-right", amount), (1000, 600), (16, 9), share) for share in (0.0, 1.0))
        first, last = ends
        return last[0] - first[0]

    assert 0 < way(0.5) < way(1.0)


@given(
    size=st.sampled_from(sorted(SHOT_SIZES)),
    move=st.sampled_from(sorted(CAMERA_MOVES)),
    amount=st.floats(0, 1),
    progress=st.floats(-1, 2),
    image=st.tuples(st.integers(16, 4000), st.integers(16, 4000)),
    film=st.tuples(st.integers(16, 8192), st.integers(16, 8192)),
)
def test_the_viewfinder_has_the_films_shape_and_stays_in_the_image(
    size: str, move: str, amount: float, progress: float, image: tuple[int, int], film: tuple[int, int]
) -> None:
    left, top, right, bottom = viewfinder_rect(Shot(size, move, amount), image, film, progress)
    assert left >= -1e-6
    assert top >= -1e-6
    assert right <= image[0] + 1e-6
    assert bottom <= image[1] + 1e-6
    assert (right - left) / (bottom - top) == pytest.approx(film[0] / film[1])


def test_a_pan_to_the_left_brightens_the_left_and_darkens_the_right() -> None:
    plan = make_plan(shot=Shot("wide", "pan-left", 1.0), characters=(), objects=())
    first, last = (image_of(frame, plan).mean(axis=(0, 2)) for frame in draw_frames(plan))
    quarter = len(first) // 4
    assert last[:quarter].mean() > first[:quarter].mean() + 10
    assert last[-quarter:].mean() < first[-quarter:].mean() - 10
