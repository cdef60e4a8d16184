"""The animatic: what a director sees before anything is rendered."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.shots import Shot
from custom_nodes.videogen.core.story.model import Entity
from custom_nodes.videogen.media.storyboard import draw_frames
from custom_nodes.videogen.media.storyboard.drawing.colors import parse_color
from custom_nodes.videogen.media.storyboard.drawing.theme import BACKGROUND, RAISED
from custom_nodes.videogen.media.storyboard.sheet.chips import draw_chips
from custom_nodes.videogen.media.storyboard.sheet.layout import lay_out
from tests.support.storyboards import EXPERT, FIELD, GROWN, HERO, SMALL, first_frame, image_of, make_plan


def frames_digest() -> str:
    """SHA-256 over the frames of two segments; run in another process, too."""
    digest = hashlib.sha256()
    for plan in (
        make_plan(shot=Shot("close", "track", 1.0)),
        make_plan(30, characters=(HERO, EXPERT), objects=(GROWN,)),
    ):
        for frame in draw_frames(plan):
            digest.update(frame.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize(
    "size", [(480, 270), (270, 480), (300, 300), (64, 64), (16, 16), (17, 401), (1000, 40), (854, 480)]
)
def test_frames_have_the_plans_size_and_count(size: tuple[int, int]) -> None:
    frames = list(draw_frames(make_plan(size=size, frames=3)))
    assert len(frames) == 3
    assert all(frame.shape == (size[1], size[0], 3) and frame.dtype == np.uint8 for frame in frames)
    assert all(frame.std() > 12 for frame in frames), "a frame is nearly empty"


def test_frames_are_drawn_one_at_a_time() -> None:
    frames = draw_frames(make_plan(frames=100_000))
    assert next(frames).shape == (270, 480, 3)


def test_a_frame_may_be_changed_without_changing_the_next() -> None:
    expected = list(draw_frames(make_plan()))[1]
    frames = draw_frames(make_plan())
    next(frames)[:] = 0
    assert np.array_equal(next(frames), expected)


def test_the_same_plan_gives_the_same_bytes_in_another_process() -> None:
    script = f"import runpy; print(runpy.run_path({str(Path(__file__))!r})['frames_digest']())"
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(root)}
    other = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert frames_digest() == frames_digest() == other.stdout.strip()


def test_time_moves_the_image_and_the_clock() -> None:
    plan = make_plan(frames=24, fps=Fraction(3))
    frames = list(draw_frames(plan))
    header = lay_out(plan.size).header
    assert not np.array_equal(frames[0][header[1] : header[3]], frames[3][header[1] : header[3]])
    assert not np.array_equal(image_of(frames[0], plan), image_of(frames[3], plan)), "nobody breathes"


def test_the_same_place_is_the_same_scenery_in_every_segment() -> None:
    one, other = make_plan(6), make_plan(20, text="Something else entirely.", description="Anderes")
    assert np.array_equal(image_of(first_frame(one), one), image_of(first_frame(other), other))
    elsewhere = make_plan(20, location=dataclasses.replace(FIELD, seed=5001))
    assert not np.array_equal(image_of(first_frame(one), one), image_of(first_frame(elsewhere), elsewhere))


def test_a_character_has_its_chip_in_its_color_in_every_segment() -> None:
    size = (1280, 720)
    left, top, right, bottom = lay_out(size).columns[0]

    def pixels(plan: SegmentPlan, color: str) -> int:
        return int((first_frame(plan)[top:bottom, left:right] == parse_color(color)).all(axis=-1).sum())

    alone, together = make_plan(5, size=size), make_plan(22, size=size, characters=(EXPERT, HERO), objects=())
    assert pixels(alone, HERO.color) == pixels(together, HERO.color) > 50
    assert pixels(alone, EXPERT.color) == 0 < pixels(together, EXPERT.color)


def test_a_label_that_is_too_long_for_its_chip_ends_before_the_chip_does() -> None:
    plan = make_plan(characters=(dataclasses.replace(HERO, label="Überlanger Name " * 9),), objects=(), location=None)
    image = Image.new("RGB", (400, 60), BACKGROUND)
    assert draw_chips(image, (0, 0, 300, 60), plan, 1.0) == 40
    pixels = np.asarray(image)
    end = int(np.flatnonzero((pixels[20] != BACKGROUND).any(axis=-1))[-1]) + 1
    assert 200 < end <= 300
    assert (pixels[10:30, end - 13 : end - 4] == RAISED).all(), "letters in the rounded end"
    assert (pixels[10:30, end - 60 : end - 13] != RAISED).any(), "no letters at all"


@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (800, 800), (480, 270)])
def test_nothing_is_drawn_outside_of_its_area(size: tuple[int, int]) -> None:
    crowd = tuple(Entity("character", f"c{i}", f"Überlanger Name Nummer {i} mit Zusatz", "", i) for i in range(6))
    things = tuple(Entity("object", f"thing{i}", "Donaudampfschifffahrt" * 3, "", i) for i in range(5))
    plan = make_plan(
        size=size,
        characters=crowd,
        objects=things,
        text="Grüße, " * 2_000 + "x" * 1_000,
        continuity="immer gleich " * 80,
        description="Eine Beschreibung, die viel zu lang ist, " * 6,
        title="Ein Titel ohne Ende " * 12,
    )
    frame, layout = first_frame(plan), lay_out(size)
    outside = np.ones(frame.shape[:2], dtype=bool)
    overhang = 3  # pixels that letters and the playhead may reach over the edge
    for left, top, right, bottom in (layout.header, layout.image, layout.caption, layout.timeline, *layout.columns):
        outside[top - overhang : bottom + overhang, left - overhang : right + overhang] = False
    assert (frame[outside] == BACKGROUND).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"characters": (), "objects": (), "location": None},
        {"text": "", "description": "", "continuity": "", "title": ""},
        {"text": "日本語 مرحبا 😀 \u200f\x00\x07\ud800 \U000f1234", "description": "\n\t"},
        {"characters": (dataclasses.replace(HERO, region=(0.9, 0.0, 0.5, 1.0), color="no color", label=""),)},
        {"characters": (HERO,) * 12, "objects": (GROWN,) * 8},
        {"frames": 1, "number": 1, "count": 1, "start": Fraction(0), "film_duration": Fraction(8)},
        {"count": 9_999, "film_duration": Fraction(79_992)},
        {"kelvin": (2000, 2500), "lighting": "moonlight at night"},
    ],
)
def test_odd_plans_are_drawn_all_the_same(changes: dict[str, Any]) -> None:
    for size in (SMALL, (960, 540), (64, 64)):
        assert first_frame(make_plan(**{"size": size, **changes})).std() > 5
