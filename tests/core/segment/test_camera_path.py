"""Where the camera looks: against the storyboard, which draws the same moves."""

from __future__ import annotations

import itertools

import pytest

from custom_nodes.videogen.core.segment.camera_path import BORDERS, MAX_REACH, View, camera_path
from custom_nodes.videogen.core.segment.shots import CAMERA_MOVES, Shot, parse_shot
from custom_nodes.videogen.media.storyboard.scene.viewfinder import viewfinder_rect


def middle(view: View) -> tuple[float, float]:
    return view.left + view.width / 2, view.top + view.height / 2


@pytest.mark.parametrize("move", CAMERA_MOVES)
def test_moves_as_in_the_storyboard(move: str) -> None:
    views = camera_path(move, 1.0, 0.25, 9)
    boxes = [viewfinder_rect(Shot(move=move, amount=1.0), (1600, 900), (16, 9), step / 8) for step in range(9)]
    for view, box in zip(views[1:], boxes[1:], strict=True):
        for axis in (0, 1):
            ours = middle(view)[axis] - middle(views[0])[axis]
            theirs = (box[axis] + box[axis + 2] - boxes[0][axis] - boxes[0][axis + 2]) / 2
            if not move.startswith("zoom"):  # where the storyboard closes in on faces
                assert (ours > 1e-9) == (theirs > 1e-6)
                assert (ours < -1e-9) == (theirs < -1e-6)
        ours, theirs = view.width / views[0].width - 1, (box[2] - box[0]) / (boxes[0][2] - boxes[0][0]) - 1
        assert (ours > 1e-9) == (theirs > 1e-6)
        assert (ours < -1e-9) == (theirs < -1e-6)


def test_schwenk_rechts_nach_links() -> None:
    shot = parse_shot("Halbtotale mit Schwenk rechts nach links")
    views = camera_path(shot.move, shot.amount, 0.25, 24)
    assert (views[0], views[-1]) == (View(), View(left=-0.25))


def test_a_subtle_move_goes_half_as_far() -> None:
    shot = parse_shot("Medium shot, subtle pan left")
    assert camera_path(shot.move, shot.amount, 0.25, 24)[-1].left == -0.125


@pytest.mark.parametrize("move", CAMERA_MOVES)
@pytest.mark.parametrize("border", BORDERS)
def test_the_first_frame_is_the_image_where_its_edges_are_mirrored(move: str, border: str) -> None:
    views = camera_path(move, 1.0, 0.3, 5, border)
    assert len(views) == 5
    if border == "mirror" or move in ("static", "zoom-in"):
        assert views[0] == View()


@pytest.mark.parametrize("move", CAMERA_MOVES)
@pytest.mark.parametrize("reach", [0.01, 0.25, MAX_REACH, 7.0])
def test_a_cropped_path_never_leaves_the_image(move: str, reach: float) -> None:
    for view in camera_path(move, 1.0, reach, 12, "crop"):
        assert view.left > -1e-9
        assert view.top > -1e-9
        assert view.left + view.width < 1 + 1e-9
        assert view.top + view.height < 1 + 1e-9
        assert view.width == pytest.approx(view.height)  # in shares of an image: nothing is distorted
        assert view.width > 0.1


def test_zooming_out_is_zooming_in_backwards() -> None:
    inwards, outwards = (camera_path(move, 1.0, 0.25, 2) for move in ("zoom-in", "zoom-out"))
    assert inwards[1].width / inwards[0].width == pytest.approx(outwards[0].width / outwards[1].width)


def test_it_sets_in_and_ends_gently() -> None:
    lefts = [view.left for view in camera_path("pan-right", 1.0, 0.4, 25)]
    steps = [b - a for a, b in itertools.pairwise(lefts)]
    assert min(steps) > 0
    assert steps[0] == pytest.approx(steps[-1])
    assert max(steps) > 5 * steps[0]


def test_nothing_moves_without_a_reason() -> None:
    still = [View()] * 3
    assert camera_path("static", 1.0, 0.5, 3) == still
    assert camera_path("pan-left", 0.0, 0.5, 3) == still
    assert camera_path("pan-left", 1.0, 0.0, 3, "crop") == still
    assert camera_path("pan-left", 1.0, 0.5, 1) == [View()]
