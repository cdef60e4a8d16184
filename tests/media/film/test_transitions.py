"""What each kind of transition paints between two pictures."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from custom_nodes.videogen.core.story.transition_parser import TRANSITIONS
from custom_nodes.videogen.media.film.transitions import TransitionPainter, join_planes, planes_of

HEIGHT, WIDTH, FRAMES = 64, 96, 9


def plain(luma: int, blue: int = 128, red: int = 128) -> np.ndarray:
    """A yuv420p frame of one color."""
    sizes = ((HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2), (HEIGHT // 2, WIDTH // 2))
    return join_planes([np.full(size, value, np.uint8) for size, value in zip(sizes, (luma, blue, red), strict=True)])


DARK, BRIGHT = plain(40, 90, 160), plain(200, 160, 90)


def paint(
    kind: str, outgoing: np.ndarray = DARK, incoming: np.ndarray = BRIGHT, frames: int = FRAMES
) -> list[np.ndarray]:
    painter = TransitionPainter(kind, frames)
    return [painter.paint(outgoing, incoming, place, (outgoing, incoming)) for place in range(frames)]


def luma_of(frame: np.ndarray) -> np.ndarray:
    return planes_of(frame)[0]


@pytest.mark.parametrize("kind", TRANSITIONS)
def test_every_kind_leads_from_one_picture_to_the_other(kind: str) -> None:
    painted = paint(kind, frames=99)
    assert all((frame.shape, frame.dtype) == (DARK.shape, np.uint8) for frame in painted)
    assert np.abs(painted[0].astype(int) - DARK).mean() < 3
    assert np.abs(painted[-1].astype(int) - BRIGHT).mean() < 3
    # Nothing jumps: each frame is near the one before it.
    steps = [np.abs(one.astype(int) - other).mean() for one, other in itertools.pairwise(painted)]
    assert max(steps) < 8


@pytest.mark.parametrize("kind", [kind for kind in TRANSITIONS if not kind.startswith("fade")])
def test_a_picture_that_passes_into_itself_stays(kind: str) -> None:
    for frame in paint(kind, BRIGHT, BRIGHT):
        assert np.abs(frame.astype(int) - BRIGHT).max() <= 1


@pytest.mark.parametrize(("kind", "luma"), [("fade", 16), ("fade-white", 235)])
def test_a_fade_is_all_of_one_color_in_the_middle(kind: str, luma: int) -> None:
    middle = paint(kind)[FRAMES // 2]
    assert {(int(plane.min()), int(plane.max())) for plane in planes_of(middle)} == {(luma, luma), (128, 128)}


#: direction → where the incoming picture is seen first: an index of the picture's rows and columns.
FIRST_SEEN = {
    "left": (slice(None), slice(-8, None)),
    "right": (slice(None), slice(8)),
    "up": (slice(-8, None), slice(None)),
    "down": (slice(8), slice(None)),
}


@pytest.mark.parametrize("direction", FIRST_SEEN)
@pytest.mark.parametrize("kind", ["wipe", "slide"])
def test_the_incoming_picture_comes_from_the_opposite_side(kind: str, direction: str) -> None:
    frame = paint(f"{kind}-{direction}")[FRAMES // 2]
    seen = luma_of(frame)[FIRST_SEEN[direction]]
    assert (seen.min(), seen.max()) == (200, 200)
    # Half of the frame is of each, and brightness and colors are divided in the same place.
    for plane, (old, new) in zip(planes_of(frame), ((40, 200), (90, 160), (160, 90)), strict=True):
        assert set(np.unique(plane)) == {old, new}
        assert np.mean(plane == new) == pytest.approx(0.5, abs=0.05)
    enlarged = np.kron(planes_of(frame)[1] == 160, np.ones((2, 2), bool))
    assert np.array_equal(enlarged, luma_of(frame) == 200)


def stripes(begin: int) -> np.ndarray:
    """A frame with columns that tell where they are."""
    columns = (np.arange(WIDTH) + begin).astype(np.uint8)
    colors = columns[::2] // 2
    return join_planes([np.tile(columns, (HEIGHT, 1)), *[np.tile(colors, (HEIGHT // 2, 1))] * 2])


def test_a_slide_moves_both_pictures_and_a_wipe_neither() -> None:
    old, new = stripes(0), stripes(120)
    for place in range(FRAMES):
        slid, wiped = (luma_of(paint(kind, old, new)[place])[0] for kind in ("slide-left", "wipe-left"))
        count = int(np.sum(slid >= 120))
        assert slid.tolist() == [*range(count, WIDTH), *range(120, 120 + count)]
        count = int(np.sum(wiped >= 120))
        assert wiped.tolist() == [*range(WIDTH - count), *range(120 + WIDTH - count, 120 + WIDTH)]


def circle(radius: int, across: int = WIDTH // 2) -> np.ndarray:
    """A bright circle on a textured ground that stays: a tree that grows in its field."""
    ground = cv2.GaussianBlur(np.random.default_rng(1).integers(40, 120, (HEIGHT, WIDTH)).astype(np.uint8), (0, 0), 1.5)
    cv2.circle(ground, (across, HEIGHT // 2), radius, 220, -1)
    return join_planes([ground, *[np.full((HEIGHT // 2, WIDTH // 2), 128, np.uint8)] * 2])


def bright_area(frame: np.ndarray) -> np.ndarray:
    return luma_of(frame) > 175


def test_what_grows_grows_in_a_morph_where_a_dissolve_shows_both() -> None:
    small, large = circle(10), circle(20)
    morphed, dissolved = (paint(kind, small, large)[FRAMES // 2] for kind in ("morph", "dissolve"))
    halfway = bright_area(circle(15))

    def overlap(frame: np.ndarray) -> float:
        found = bright_area(frame)
        return float(np.sum(found & halfway) / np.sum(found | halfway))

    assert overlap(morphed) > 0.75
    assert overlap(morphed) > overlap(dissolved) + 0.1


def test_what_moves_moves_in_a_morph() -> None:
    middle = paint("morph", circle(12, 36), circle(12, 52))[FRAMES // 2]
    columns = np.flatnonzero(bright_area(middle).any(axis=0))
    assert columns.mean() == pytest.approx(44, abs=3)


def test_a_morph_looks_for_movement_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    create = cv2.DISOpticalFlow.create
    monkeypatch.setattr(cv2.DISOpticalFlow, "create", lambda *given: asked.append(given) or create(*given))
    paint("morph", circle(10), circle(20))
    assert len(asked) == 1
