"""The animatic and the slate: what a director sees before anything is rendered."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from custom_nodes.videogen.core.segment.plan import SegmentPlan
from custom_nodes.videogen.core.segment.shots import CAMERA_MOVES, SHOT_SIZES, Shot
from custom_nodes.videogen.core.story.model import CAST_COLORS, Entity
from custom_nodes.videogen.media.storyboard import draw_frames, draw_slate
from custom_nodes.videogen.media.storyboard.drawing import fonts
from custom_nodes.videogen.media.storyboard.drawing.colors import Light, parse_color, read_light
from custom_nodes.videogen.media.storyboard.drawing.theme import BACKGROUND, RAISED
from custom_nodes.videogen.media.storyboard.drawing.typeset import TextStyle, wrap
from custom_nodes.videogen.media.storyboard.scene.blocking import place_figures
from custom_nodes.videogen.media.storyboard.scene.props import read_prop
from custom_nodes.videogen.media.storyboard.scene.scenery import read_scene
from custom_nodes.videogen.media.storyboard.scene.viewfinder import viewfinder_rect
from custom_nodes.videogen.media.storyboard.scene.words import read_look
from custom_nodes.videogen.media.storyboard.sheet.chips import draw_chips
from custom_nodes.videogen.media.storyboard.sheet.layout import lay_out
from custom_nodes.videogen.media.storyboard.sheet.timeline import segment_spans

HERO = Entity(
    "character", "hero", "Protagonist", "man of 45, short brown hair, blue shirt", seed=1, color=CAST_COLORS[0]
)
EXPERT = Entity("character", "expert", "Fachmann", "man with a grey beard and a hat", seed=2, color=CAST_COLORS[1])
SAPLING = Entity("object", "sapling", "Sapling", "young apple tree, 1.2 to 1.5 m", seed=3, color=CAST_COLORS[2])
GROWN = Entity("object", "grown_tree", "Grown tree", "apple tree, 3 to 4 m", seed=3, color=CAST_COLORS[3])
FIELD = Entity("location", "field", "Field", "open farmland", seed=5000, color=CAST_COLORS[4])
SMALL = (480, 270)


def make_plan(number: int = 7, **changes: Any) -> SegmentPlan:
    """Segment `number` of 33, 8 s each, two frames."""
    plan = SegmentPlan(
        title="Der Apfelbaum",
        slug="apple_tree",
        number=number,
        count=33,
        id=f"segment_{number:02d}",
        start=Fraction(8 * (number - 1)),
        duration=Fraction(8),
        film_duration=Fraction(264),
        frames=2,
        fps=Fraction(1, 4),
        size=SMALL,
        quality="high",
        seed=1000 + number,
        text="A man kneels beside the sapling.",
        prompt="",
        negative="",
        context="",
        description="Er drückt die Erde fest",
        technical="",
        continuity="Gleiches Licht wie zuvor",
        shot=Shot("medium", "static", 0.0),
        characters=(HERO,),
        objects=(SAPLING,),
        location=FIELD,
        lighting="bright daylight",
        kelvin=(5500, 6000),
    )
    return dataclasses.replace(plan, **changes)


def first_frame(plan: SegmentPlan) -> np.ndarray:
    return next(draw_frames(plan))


def image_of(frame: np.ndarray, plan: SegmentPlan) -> np.ndarray:
    left, top, right, bottom = lay_out(plan.size).image
    return frame[top:bottom, left:right]


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


# --- frames ---


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


# --- the camera ---


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


# --- figures and scenery ---


@pytest.mark.parametrize("size", ["extreme-wide", "wide", "medium-wide", "medium"])
def test_a_person_is_as_tall_as_the_shot_says(size: str) -> None:
    plan = make_plan(shot=Shot(size, "static", 0.0), objects=())
    box = viewfinder_rect(plan.shot, (1600, 900), plan.size, 0.0)
    (figure,) = place_figures(plan, (1600, 900), Light(), 0.5)
    assert figure.height == pytest.approx(SHOT_SIZES[size][1] * (box[3] - box[1]))
    assert box[1] < figure.top < figure.base < box[3]


def test_a_close_up_shows_the_face_and_crops_the_legs() -> None:
    plan = make_plan(shot=Shot("close", "static", 0.0), objects=())
    box = viewfinder_rect(plan.shot, (1600, 900), plan.size, 0.0)
    (figure,) = place_figures(plan, (1600, 900), Light(), 0.5)
    assert box[1] < figure.top < box[1] + 0.3 * (box[3] - box[1])
    assert figure.base > box[3]


@pytest.mark.parametrize("size", ["wide", "medium-wide", "medium", "medium-close", "close"])
def test_a_zoom_ends_on_the_face(size: str) -> None:
    plan = make_plan(shot=Shot(size, "zoom-in", 1.0), objects=())
    left, top, right, bottom = viewfinder_rect(plan.shot, (1600, 900), plan.size, 1.0)
    (figure,) = place_figures(plan, (1600, 900), Light(), 0.5)
    assert left < figure.x < right
    assert top < figure.top < figure.top + 0.16 * figure.height < bottom


def test_regions_put_people_where_the_story_wants_them() -> None:
    left, right = dataclasses.replace(HERO, region="left"), dataclasses.replace(EXPERT, region="right")
    figures = place_figures(make_plan(characters=(right, left), objects=(GROWN,)), (1600, 900), Light(), 0.5)
    x = {figure.entity.name: figure.x for figure in figures}
    assert x["hero"] < 800 - 200
    assert x["expert"] > 800 + 200
    assert x["hero"] < x["grown_tree"] < x["expert"], "the tree stands in the gap"


def test_sapling_and_grown_tree_are_told_apart() -> None:
    sapling, grown = read_prop(SAPLING), read_prop(GROWN)
    assert (sapling.kind, grown.kind) == ("sapling", "tree")
    assert sapling.height == pytest.approx(1.35)
    assert grown.height == pytest.approx(3.5)


def test_red_apples_hang_on_the_grown_tree_only() -> None:
    def red(thing: Entity) -> int:
        plan = make_plan(characters=(), objects=(thing,), size=(960, 540))
        frame = image_of(first_frame(plan), plan).astype(int)
        return int(((frame[..., 0] > 150) & (frame[..., 1] < 80) & (frame[..., 2] < 80)).sum())

    assert red(GROWN) > 200
    assert red(SAPLING) == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("spade", "spade"),
        ("Gießkanne", "can"),
        ("elixir_bottle", "bottle"),
        ("Lieferwagen", "car"),
        ("old farmhouse", "house"),
        ("Hund", "dog"),
        ("building voucher", "paper"),
        ("Apfelbäumchen", "sapling"),
        ("quux", "thing"),
    ],
)
def test_things_are_known_by_their_names(name: str, kind: str) -> None:
    assert read_prop(Entity("object", name, name)).kind == kind


@pytest.mark.parametrize(
    ("description", "features"),
    [
        ("a man with a straw hat, a full beard and glasses", {"beard": True, "glasses": True, "bald": False}),
        ("Mann ohne Hut, mit Vollbart", {"hat": None, "beard": True}),
        ("a man that nobody knows, whose kind face sits on a rock", {"hat": None, "child": False, "dress": None}),
        ("ein Mann in einem dunkelblauen Hemd", {"top": (45, 66, 112)}),
        ("red cap, blue shirt, brown trousers", {"cap": True, "top": (66, 116, 186), "trousers": (128, 92, 66)}),
        (
            "eine Frau mit langem blondem Haar und rotem Kleid",
            {"feminine": True, "long_hair": True, "dress": (196, 74, 66)},
        ),
        ("nobody in particular", {"top": (1, 2, 3)}),
    ],
)
def test_features_are_read_off_a_description(description: str, features: dict[str, object]) -> None:
    look = read_look(Entity("character", "x", "X", description), (1, 2, 3))
    assert {name: getattr(look, name) for name in features} == features


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Feld", "field"),
        ("Baumschule", "nursery"),
        ("greenhouse in the field", "nursery"),
        ("Wald", "forest"),
        ("Altstadt", "city"),
        ("beach", "sea"),
        ("Küche", "room"),
        ("the Alps", "mountain"),
        ("Wüste", "desert"),
        ("Nowhere", "country"),
    ],
)
def test_a_place_is_known_by_its_name(name: str, kind: str) -> None:
    assert read_scene(make_plan(location=Entity("location", name, name))).kind == kind


def test_light_is_read_off_words_and_kelvin() -> None:
    assert read_light("a street at night", None).time == "night"
    assert read_light("bright daylight", (5500, 6000)).gain == (1.0, 1.0, 1.0)
    warm, cool = read_light("", (2700, 3000)).gain, read_light("", (8000, 9000)).gain
    assert warm[0] > 1 > warm[2]
    assert cool[0] < 1 < cool[2]


# --- text ---


def per_letter(text: str) -> float:
    return sum(4.0 if character in "il.,'…" else 10.0 for character in text)


@given(text=st.text(max_size=400), width=st.floats(0, 300), lines=st.integers(0, 8))
@settings(max_examples=300)
def test_wrapped_text_stays_within_its_box(text: str, width: float, lines: int) -> None:
    wrapped, whole = wrap(text, per_letter, width, lines)
    assert len(wrapped) <= lines
    assert all(per_letter(line) <= width for line in wrapped)
    if whole:
        assert "".join(wrapped).replace(" ", "") == fonts.clean(text).replace(" ", "")


def test_long_text_is_cut_at_a_word_and_long_words_are_broken() -> None:
    assert wrap("one two three four", per_letter, 80, 1) == (["one two…"], False)
    assert wrap("abcdefghkm", per_letter, 40, 9) == (["abcd", "efgh", "km"], True)
    assert wrap("one\n\ttwo\x00three", per_letter, 1000, 3) == (["one two three"], True)


@given(size=st.tuples(st.integers(16, 8192), st.integers(16, 8192)))
@settings(max_examples=300)
def test_areas_lie_within_the_frame_and_do_not_overlap(size: tuple[int, int]) -> None:
    layout = lay_out(size)
    areas = [
        area for area in (layout.header, layout.image, layout.caption, layout.timeline, *layout.columns) if any(area)
    ]
    for index, (left, top, right, bottom) in enumerate(areas):
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        for other in areas[:index]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top


@pytest.mark.parametrize("font", [fonts.REGULAR, fonts.SEMIBOLD])
def test_the_font_has_the_letters_it_is_there_for(font: str) -> None:
    missing = [letter for letter in "ÄÖÜäöüßẞéçñåøłčžğ„“”‚‘’«»‹›–—…·×→ЖщыяΩλά€" if not fonts.has_glyph(font, letter)]
    assert not missing
    assert not fonts.has_glyph(font, "日"), "the check would find everything"


def test_the_font_comes_with_its_license() -> None:
    assert "SIL OPEN FONT LICENSE" in (Path(fonts.__file__).parent / "fonts" / "OFL.txt").read_text()


def test_what_no_font_has_becomes_a_box(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts.font_for.cache_clear()
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    assert fonts.split_runs("a日b", fonts.REGULAR) == [(fonts.REGULAR, "a□b")]
    fonts.font_for.cache_clear()


def test_real_type_is_measured_as_it_is_drawn() -> None:
    style = TextStyle(20, 30, (255, 255, 255))
    assert style.width("Apfelbäume") == pytest.approx(style.width("Apfel") + style.width("bäume"), abs=2)
    assert style.width("Apfelbäume") < TextStyle(20, 30, (255, 255, 255), bold=True).width("Apfelbäume")


# --- timeline and slate ---


@given(number=st.integers(1, 33))
def test_the_timeline_covers_the_film_without_gaps(number: int) -> None:
    plan = make_plan(number)
    spans = segment_spans(plan)
    assert len(spans) == plan.count
    assert spans[0][0] == 0
    assert spans[-1][1] == plan.film_duration
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert spans[number - 1] == (plan.start, plan.start + plan.duration)


@pytest.mark.parametrize("size", [(960, 540), (540, 960), (480, 270), (64, 64), (16, 16)])
def test_a_slate_is_a_frame_of_the_same_family(size: tuple[int, int]) -> None:
    plan = make_plan(size=size)
    slate, frame = draw_slate(plan, "Zu wenig Speicher"), first_frame(plan)
    assert slate.shape == frame.shape
    assert slate.dtype == np.uint8
    assert np.array_equal(slate, draw_slate(plan, "Zu wenig Speicher")), "a slate holds still"
    assert slate.std() > 4
    assert image_of(slate, plan).mean() < image_of(frame, plan).mean() - 30, "a gap is darker than any shot"


def test_a_slate_says_which_segment_and_why() -> None:
    plan = make_plan(size=(960, 540))
    slate = draw_slate(plan, "Out of memory")
    assert not np.array_equal(image_of(slate, plan), image_of(draw_slate(plan, "No connection"), plan))
    other = make_plan(8, size=(960, 540), start=plan.start)
    assert not np.array_equal(image_of(slate, plan), image_of(draw_slate(other, "Out of memory"), plan))
    assert draw_slate(plan, "x" * 5_000).shape == draw_slate(plan, "").shape
