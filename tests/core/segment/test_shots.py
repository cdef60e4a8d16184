"""Shot size and camera move out of a director's words."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custom_nodes.videogen.core.segment.shots import CAMERA_MOVES, SHOT_SIZES, Shot, parse_shot

SHARED = Path(__file__).parents[4] / "shared"


@pytest.mark.parametrize(
    ("technical", "size"),
    [
        ("Supertotale", "extreme-wide"),
        ("Panorama", "extreme-wide"),
        ("Extreme wide shot", "extreme-wide"),
        ("Totale", "wide"),
        ("Wide, static", "wide"),
        ("Full shot", "wide"),
        ("Amerikanische", "medium-wide"),
        ("Medium wide shot", "medium-wide"),
        ("Halbtotale", "medium"),
        ("Medium shot", "medium"),
        ("Mid-shot", "medium"),
        ("Halbnahe Einstellung", "medium-close"),
        ("Medium close-up", "medium-close"),
        ("Nahaufnahme", "close"),
        ("Nah", "close"),
        ("Naheinstellung", "close"),
        ("Close-up", "close"),
        ("closeup", "close"),
        ("Detailaufnahme", "extreme-close"),
        ("Extreme close-up", "extreme-close"),
        ("Makro", "extreme-close"),
        ("", "medium"),
        ("schön hell", "medium"),
    ],
)
def test_sizes(technical, size):
    assert parse_shot(technical).size == size


def test_of_two_sizes_the_first_counts():
    assert parse_shot("Halbtotale/Totale").size == "medium"
    assert parse_shot("Close-up opening to a medium shot").size == "close"


@pytest.mark.parametrize(
    ("technical", "move"),
    [
        ("Statische Halbtotale", "static"),
        ("Totale vom Stativ", "static"),
        ("Schwenk rechts nach links", "pan-left"),
        ("Schwenk von links nach rechts", "pan-right"),
        ("Schwenk nach links", "pan-left"),
        ("Linksschwenk", "pan-left"),
        ("Schwenkbewegung", "pan-right"),
        ("Schwenk nach oben", "tilt-up"),
        ("pan left", "pan-left"),
        ("slow left pan", "pan-left"),
        ("panning from the right to the left", "pan-left"),
        ("right-to-left pan", "pan-left"),
        ("pan up", "tilt-up"),
        ("tilt", "tilt-up"),
        ("tilt from top to bottom", "tilt-down"),
        ("Kamera neigt sich von oben nach unten", "tilt-down"),
        ("zoom in", "zoom-in"),
        ("Zoom", "zoom-in"),
        ("push-in", "zoom-in"),
        ("zoom out", "zoom-out"),
        ("zooms slowly out", "zoom-out"),
        ("Kamera zoomt langsam heraus", "zoom-out"),
        ("pull back", "zoom-out"),
        ("leichte Kamerabewegung", "track"),
        ("Tracking shot", "track"),
        ("Kamerafahrt", "track"),
        ("handheld", "track"),
        ("", "static"),
    ],
)
def test_moves(technical, move):
    assert parse_shot(technical).move == move


@pytest.mark.parametrize(
    ("technical", "move"),
    [
        # Each was read wrongly: the "up" of "close-up" is no direction …
        ("Close-up, tilt down", "tilt-down"),
        ("Close-up, slow pan", "pan-right"),
        ("Close up, pan", "pan-right"),
        # … nor is the place of a person, or what another clause says.
        ("man on the left, pan right", "pan-right"),
        ("pan right past the tree on the left", "pan-right"),
        ("Schwenk, rechts nach links", "pan-left"),  # but a whole phrase may be elsewhere
    ],
)
def test_directions_belong_to_the_move(technical, move):
    assert parse_shot(technical).move == move


@pytest.mark.parametrize(
    "technical",
    ["Totale ohne Schwenk", "keine Kamerabewegung", "no camera movement", "without any zoom", "static, not handheld"],
)
def test_what_is_ruled_out_does_not_happen(technical):
    assert parse_shot(technical).move == "static"


@pytest.mark.parametrize(
    ("technical", "amount"),
    [
        ("Schwenk", 1.0),
        ("langsamer Schwenk", 0.5),
        ("subtle pan", 0.5),
        ("leichte Kamerabewegung", 0.5),
        ("statisch", 0.0),
    ],
)
def test_how_far_the_camera_moves(technical, amount):
    assert parse_shot(technical).amount == amount


def test_the_prompt_fills_in_what_the_line_leaves_open():
    prompt = "Wide shot of a field, the camera pans slowly from right to left."
    assert parse_shot("", prompt) == Shot("wide", "pan-left", 0.5)
    assert parse_shot("Halbtotale", prompt) == Shot("medium", "pan-left", 1.0)
    assert parse_shot("Halbtotale mit Schwenk", prompt) == Shot("medium", "pan-left", 1.0)
    assert parse_shot("Halbtotale, statisch", prompt) == Shot("medium", "static", 0.0)
    assert parse_shot("Schwenk nach rechts", prompt) == Shot("wide", "pan-right", 1.0)


@pytest.mark.parametrize(
    "prompt",
    [
        "A man with a wide-brimmed hat and medium-length hair.",
        "A cook of medium height shakes a frying pan over the fire.",
        "She tilts her head and looks left and right.",
        "Wide fields under a wide sky, static electricity in the air.",
    ],
)
def test_words_of_the_story_are_not_words_on_the_shot(prompt):
    # The bug: hats made wide shots, pans made pans.
    assert parse_shot("", prompt) == Shot("medium", "static", 0.0)


def test_a_label_for_people():
    assert Shot("medium", "pan-left", 0.5).label == "Medium shot · Pan left"


def test_a_long_prompt_takes_no_time():
    started = time.perf_counter()
    parse_shot("", "no wide shot no zoom camera " * 700)
    assert time.perf_counter() - started < 1


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_text_gives_a_shot(technical, prompt):
    shot = parse_shot(technical, prompt)
    assert shot.size in SHOT_SIZES
    assert shot.move in CAMERA_MOVES
    assert (shot.amount == 0) == (shot.move == "static")


@pytest.mark.skipif(not (SHARED / "data").exists(), reason="the real input is not here")
def test_the_real_input_is_read_as_its_author_meant_it():
    segments = json.loads((SHARED / "data" / "veo_segments.json").read_text(encoding="utf-8"))
    shots = {number: parse_shot(s["technical"], s["prompt"]) for number, s in enumerate(segments, 1)}
    assert [number for number, shot in shots.items() if shot.move != "static"] == [3, 6, 8, 9, 18, 23]
    assert shots[3].move == "tilt-up"
    assert shots[6].move == "pan-left"
    assert shots[8] == Shot("medium", "track", 0.5)
    assert [number for number, shot in shots.items() if shot.size == "close"] == [4, 7, 10, 12, 13, 14, 20, 25, 26]
