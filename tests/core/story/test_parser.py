"""The story format: what a story may say, and what is said about one that breaks the format."""

import copy
import json
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import ProblemList, VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import CAST_COLORS
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text

SHARED = Path(__file__).parents[4] / "shared"
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ONE = [{"prompt": "A cat."}]
FOUR = [{"prompt": "A cat."}] * 4


def problems(data, **options) -> list[str]:
    """What is wrong with a story: "where: message", one each."""
    with pytest.raises(ProblemList) as caught:
        parse_story(data, **options)
    assert caught.value.code == "story-invalid"
    assert caught.value.exit_status == 2
    return [str(problem) for problem in caught.value.problems]


def story(**fields):
    return {"segments": copy.deepcopy(FOUR), **fields}


def segment(**fields):
    return [{"prompt": "A cat.", **fields}]


def segments_with_timespans(*timespans):
    return [{"prompt": "A cat.", "timespan": timespan} for timespan in timespans]


# ---------------------------------------------------------------------- what a story can be


def test_the_shortest_story_is_a_list_with_a_prompt():
    film = parse_story([{"prompt": " A cat. "}], "night_walk.json")
    assert film.title == "night walk"
    assert (film.fps, film.frames, film.size, film.quality) == (3, 24, (1920, 1080), "high")
    only = film.segment(1)
    assert (only.id, only.prompt, only.seed) == ("segment_01", "A cat.", 1001)
    assert (only.start, only.duration, only.frames) == (0, 8, 24)
    assert film.warnings == ()


def test_the_object_form_says_what_segments_share():
    film = parse_story(
        {
            "$schema": "story.schema.json",
            "title": "Über den Garten",
            "fps": "24000/1001",
            "frames": 48,
            "size": [1080, 1920],
            "quality": "premium",
            "style": {"prefix": "Film", "kelvin": [5500, 6000], "x-note": "from the painter"},
            "characters": {"second_man": {"description": "Ben", "segments": "1-2", "reference": ["a.png", "b.png"]}},
            "objects": {"tree": {"seed": 2**64 - 1, "weight": 0.8, "region": "center", "color": "#00ff00"}},
            "locations": {"field": {"segments": [3, "4"], "region": [0, 0.25, 0.5, 0.75]}},
            "transitions": [{"after": 3, "seconds": 0.5}, {"after": 1}],
            "audio": {"music": "song.mp3", "narration": True},
            "segments": FOUR,
            "x-anything": {"goes": ["here"]},
        }
    )
    assert film.slug == "uber_den_garten"
    assert film.segment(4).start == 3 * Fraction(48 * 1001, 24000)
    assert film.style.kelvin == (5500, 6000)
    man, tree, field = film.characters[0], film.objects[0], film.locations[0]
    assert (man.kind, man.name, man.label, man.segments) == ("character", "second_man", "Second man", (1, 2))
    assert man.references == ("a.png", "b.png")
    assert (tree.segments, tree.weight, tree.region, tree.color) == ((1, 2, 3, 4), 0.8, "centre", "#00ff00")
    assert field.region == (0.0, 0.25, 0.5, 0.75)
    assert (man.color, field.color) == (CAST_COLORS[0], CAST_COLORS[2])
    assert [(t.after, t.type, t.seconds) for t in film.transitions] == [
        (1, "dissolve", 1),
        (3, "dissolve", Fraction(1, 2)),
    ]
    assert (film.audio.music, film.audio.narration) == ("song.mp3", True)


def test_a_portrait_story_in_yaml_with_umlauts_and_different_lengths():
    film = parse_story_text(
        """\
title: Das Brot
fps: 12
size: [720, 1280]
style:
  lighting: Weiches Morgenlicht durch große Fenster
characters:
  bäckerin: {description: "Eine Bäckerin mit mehlweißer Schürze", segments: "1,3", color: "#C98BD9"}
transitions:
  - {after: 1, seconds: 0.5}
segments:
  - timespan: 00:00 - 00:02.5
    technical: Nahaufnahme, statisch
    prompt: >
      Hände kneten Teig,
      Mehl stäubt auf.
  - timespan: 00:02,5 bis 00:10
    prompt: Brotlaibe gehen im Ofen auf.
  - prompt: Die Bäckerin öffnet die Ofentür und lächelt.
    frames: 30
""",
        "brot.yaml",
    )
    assert [segment.duration for segment in film.segments] == [Fraction(5, 2), Fraction(15, 2), Fraction(5, 2)]
    assert [segment.frames for segment in film.segments] == [30, 90, 30]
    assert film.size == (720, 1280)
    assert film.characters[0].label == "Bäckerin"
    assert plan_segment(film, 1).prompt == (
        "Weiches Morgenlicht durch große Fenster. Eine Bäckerin mit mehlweißer Schürze."
        " Hände kneten Teig, Mehl stäubt auf."
    )


def test_a_timespan_gives_the_length_and_frames_are_spread_over_it():
    film = parse_story({"fps": 4, "segments": segments_with_timespans("00:00 - 00:02.1", "00:02.1 - 01:00")})
    assert [(segment.duration, segment.frames) for segment in film.segments] == [
        (Fraction(21, 10), 9),
        (Fraction(579, 10), 232),
    ]
    both = parse_story(segment(timespan="00:00 - 00:08", frames=5)).segment(1)
    assert (both.duration, both.frames) == (8, 5)


def test_a_segment_can_continue_the_one_before_it():
    film = parse_story([{"prompt": "x"}, {"prompt": "y", "continues": True}])
    assert [segment.continues for segment in film.segments] == [False, True]


def test_a_gap_is_a_warning():
    film = parse_story(segments_with_timespans("00:00 - 00:08", "00:10 - 00:18"))
    assert film.duration == 16
    assert film.warnings == (
        "segments[2].timespan: there is a gap of 2.000 s behind segment 1; the film has no gap, it closes up",
    )


def test_whole_numbers_may_be_written_as_a_spreadsheet_does():
    film = parse_story({"frames": 12.0, "size": [640.0, 360.0], "segments": segment(seed=7.0)})
    assert (film.frames, film.size, film.segment(1).seed) == (12, (640, 360), 7)


@pytest.mark.parametrize("name", ["dir/story.YML", "C:\\films\\story.json", "story"])
def test_without_a_title_the_film_is_called_after_its_file(name):
    assert parse_story(ONE, name).title == "story"


@pytest.mark.parametrize("name", [".json", "a" * 300 + ".json", "\udcff.json", "\n.yaml", "___.json"])
def test_any_file_name_makes_a_title(name):
    film = parse_story(ONE, name)
    assert 0 < len(film.title) <= 200
    film.title.encode()


def test_a_character_without_a_label_is_called_after_its_key():
    names = {
        "Anna_Berg": "Anna Berg",
        "second_man": "Second man",
        "_": "_",
        "größe 2": "Größe 2",
        "a" * 60: "A" + "a" * 59,
    }
    film = parse_story(story(characters={name: {} for name in names}))
    assert {character.name: character.label for character in film.characters} == names


def test_a_number_that_jumps_out_of_the_data_is_harmless():
    assert parse_story(segment(seed=2**64 - 1)).segment(1).seed == 2**64 - 1


# ---------------------------------------------------------------------- what it cannot be

WRONG = [
    # the whole
    ([], ["segments: is an empty list, expected at least one segment"]),
    ({}, ["segments: is missing: the object is empty"]),
    ("x", [": found text ('x'), expected a list of segments or an object with `segments`"]),
    (None, [": found nothing (null), expected a list of segments or an object with `segments`"]),
    ({"title": "x"}, ["segments: is missing; expected the list of segments, or the name of a file with it"]),
    (story(segments=3), ["segments: found 3, expected a list of segments, or the name of a file with it"]),
    (story(segments=""), ["segments: found text (''), expected a list of segments, or the name of a file with it"]),
    (story(segments=[{"prompt": "x"}] * 10_001), ["segments: has 10,001 segments, at most 10,000 are allowed"]),
    # prompts
    ([{}], ["segments[1].prompt: is missing, expected text"]),
    (
        [{"promt": "x"}],
        [
            "segments[1].promt: unknown key (did you mean 'prompt'?)",
            "segments[1].prompt: is missing, expected text (is it in 'promt'?)",
        ],
    ),
    (segment(prompt=""), ["segments[1].prompt: is empty, expected text"]),
    (segment(prompt=" \n"), ["segments[1].prompt: is empty, expected text"]),
    (segment(prompt=7), ["segments[1].prompt: found 7, expected text; put it in quotes"]),
    (segment(prompt=True), ["segments[1].prompt: found true, expected text; put it in quotes"]),
    (
        segment(prompt=None),
        [
            "segments[1].prompt: found nothing (null), expected text; leave the key out, or put the text in quotes",
        ],
    ),
    (segment(prompt=["x"]), ["segments[1].prompt: found a list, expected text"]),
    (segment(prompt="x" * 200_000), ["segments[1].prompt: has 200,000 characters, at most 20,000 are allowed"]),
    (segment(prompt="a\0b"), [r"segments[1].prompt: found text ('a\x00b'), which has characters that cannot be shown"]),
    (
        segment(prompt="\ud800"),
        [r"segments[1].prompt: found text ('\ud800'), which has characters that cannot be shown"],
    ),
    (["x"], ["segments[1]: found text ('x'), expected a mapping"]),
    ([None], ["segments[1]: found nothing (null), expected a mapping"]),
    # timespans
    (
        segment(timespan="00:16 - 00:08"),
        [
            "segments[1].timespan: '00:16 - 00:08' runs backwards: the end must lie behind the start",
        ],
    ),
    (
        segment(timespan="soon"),
        [
            'segments[1].timespan: found \'soon\', expected "MM:SS - MM:SS" such as "00:08 - 00:16"',
        ],
    ),
    (segment(timespan=8), ["segments[1].timespan: found 8, expected text; put it in quotes"]),
    (segment(timespan=""), ["segments[1].timespan: is empty, expected text"]),
    (
        segments_with_timespans("00:00 - 00:08", "00:07 - 00:15"),
        [
            "segments[2].timespan: starts at 7.000 s and overlaps segment 1, which ends at 8.000 s",
        ],
    ),
    (
        segment(timespan="0:00 - 1:00:01", frames=1),
        [
            "segments[1].timespan: is 3601.000 s or 1 frames at 3 fps, at most 3600 s and 10,000 frames are allowed",
        ],
    ),
    (
        {"fps": 240, "segments": segment(timespan="00:00 - 01:00")},
        [
            "segments[1].timespan: is 60.000 s or 14,400 frames at 240 fps, at most 3600 s and 10,000 frames are allowed",
        ],
    ),
    (
        {"fps": 0.001, "segments": segment(frames=24)},
        [
            "segments[1].frames: is 24000.000 s or 24 frames at 0.001 fps, at most 3600 s and 10,000 frames are allowed",
        ],
    ),
    (
        {"fps": 0.001, "segments": ONE},
        [
            "segments[1]: is 24000.000 s or 24 frames at 0.001 fps, at most 3600 s and 10,000 frames are allowed",
        ],
    ),
    # ids
    (
        [{"id": "a", "prompt": "x"}, {"id": "a", "prompt": "y"}],
        [
            "segments[2].id: 'a' is the id of segment 1 too; ids must differ",
        ],
    ),
    (
        [{"prompt": "x"}, {"id": "segment_01", "prompt": "y"}],
        [
            "segments[2].id: 'segment_01' is the id of segment 1 too; ids must differ",
        ],
    ),
    (
        segment(id="../a"),
        [
            "segments[1].id: found text ('../a'), expected letters, digits, '_', '-' and single dots, as in 'segment_01'",
        ],
    ),
    (
        segment(id="a..b"),
        [
            "segments[1].id: found text ('a..b'), expected letters, digits, '_', '-' and single dots, as in 'segment_01'",
        ],
    ),
    (segment(id=1), ["segments[1].id: found 1, expected text; put it in quotes"]),
    # seeds and frames
    (segment(seed=-1), ["segments[1].seed: found -1, expected a whole number from 0 to 2^64 - 1"]),
    (segment(seed=2**64), ["segments[1].seed: found 18446744073709551616, expected a whole number from 0 to 2^64 - 1"]),
    (segment(seed=1.5), ["segments[1].seed: found 1.5, expected a whole number from 0 to 2^64 - 1"]),
    (segment(seed=1e19), ["segments[1].seed: found 1e+19, expected a whole number from 0 to 2^64 - 1"]),
    (segment(seed="7"), ["segments[1].seed: found text ('7'), expected a whole number from 0 to 2^64 - 1"]),
    (segment(seed=True), ["segments[1].seed: found true, expected a whole number from 0 to 2^64 - 1"]),
    (
        segment(seed=16**5000),
        [
            "segments[1].seed: found a number of more than 1,000 digits, expected a whole number from 0 to 2^64 - 1",
        ],
    ),
    (segment(frames=0), ["segments[1].frames: found 0, expected a whole number from 1 to 10,000"]),
    (story(frames=10_001), ["frames: found 10001, expected a whole number from 1 to 10,000"]),
    (segment(continues="yes"), ["segments[1].continues: found text ('yes'), expected true or false"]),
    (segment(continues=True), ["segments[1].continues: is true, but nothing stands before the first segment"]),
    # fps, size, quality
    (story(fps=0), ["fps: found 0, expected a number from 0.001 to 240 frames a second"]),
    (story(fps=-3), ["fps: found -3, expected a number from 0.001 to 240 frames a second"]),
    (story(fps=float("nan")), ["fps: found nan, expected a number from 0.001 to 240 frames a second"]),
    (story(fps=float("inf")), ["fps: found inf, expected a number from 0.001 to 240 frames a second"]),
    (story(fps=5e-324), ["fps: found 5e-324, expected a number from 0.001 to 240 frames a second"]),
    (story(fps="fast"), ["fps: found text ('fast'), expected a number from 0.001 to 240 frames a second"]),
    (story(fps="1/0"), ["fps: found text ('1/0'), expected a number from 0.001 to 240 frames a second"]),
    (
        story(fps="1e999999999"),
        ["fps: found text ('1e999999999'), expected a number from 0.001 to 240 frames a second"],
    ),
    (story(fps=[3]), ["fps: found a list, expected a number from 0.001 to 240 frames a second"]),
    (story(size=[0, 0]), ["size: found 0 × 0, expected [width, height], even whole numbers from 16 to 8192"]),
    (
        story(size=[10**6, 10**6]),
        [
            "size: found 1000000 × 1000000, expected [width, height], even whole numbers from 16 to 8192",
        ],
    ),
    (story(size=[641, 360]), ["size: found 641 × 360, expected [width, height], even whole numbers from 16 to 8192"]),
    (story(size=[8192, 16]), ["size: found 8192 × 16, expected sides of at most 16 : 1"]),
    (
        story(size="1920x1080"),
        [
            "size: found text ('1920x1080'), expected [width, height], even whole numbers from 16 to 8192",
        ],
    ),
    (story(size=[640]), ["size: found a list, expected [width, height], even whole numbers from 16 to 8192"]),
    (
        story(quality="hihg"),
        [
            "quality: found text ('hihg'), expected one of draft, standard, high, premium (did you mean 'high'?)",
        ],
    ),
    (story(quality=None), ["quality: found nothing (null), expected one of draft, standard, high, premium"]),
    (story(title=""), ["title: is empty, expected text"]),
    (story(title=1984), ["title: found 1984, expected text; put it in quotes"]),
    ({**story(), "$schema": 5}, ["$schema: found 5, expected text; put it in quotes"]),
    # keys
    (story(charakters={}), ["charakters: unknown key (did you mean 'characters'?)"]),
    (
        story(zoo=1),
        [
            "zoo: unknown key; known are $schema, title, fps, frames, size, quality, style, characters, objects, locations,"
            " transitions, audio, segments",
        ],
    ),
    (segment(**{"time span": "x"}), ["segments[1].time span: unknown key (did you mean 'timespan'?)"]),
    (story(style={"negativ": "x"}), ["style.negativ: unknown key (did you mean 'negative'?)"]),
    ({**story(), 7: 1}, [": found 7 as a key, expected text; put it in quotes"]),
    (
        story(**{"\ud800": 1, "": 2, "y" * 100: 3}),
        [
            rf"{key}: unknown key; known are $schema, title, fps, frames, size, quality, style, characters, objects,"
            " locations, transitions, audio, segments"
            for key in (r"'\ud800'", "''", f"'{'y' * 27}...{'y' * 28}'")
        ],
    ),
    # style
    (story(style="blue"), ["style: found text ('blue'), expected a mapping"]),
    (story(style={"prefix": 3}), ["style.prefix: found 3, expected text; put it in quotes"]),
    *(
        (
            story(style={"kelvin": kelvin}),
            [
                f"style.kelvin: {found}, expected a color temperature such as 5500 or [5500, 6000] (1000 to 20000)",
            ],
        )
        for kelvin, found in [
            (999, "found 999"),
            ("warm", "found text ('warm')"),
            ([6000, 5500], "found a list"),
            ([5500], "found a list"),
            (None, "found nothing (null)"),
            (True, "found true"),
        ]
    ),
    # characters, objects, locations
    (story(characters=[]), ["characters: found a list, expected a mapping"]),
    (story(characters={"a": None}), ["characters.a: found nothing (null), expected a mapping"]),
    (
        story(characters={"../a": {}}),
        [
            "characters.../a: found text ('../a') as a name, expected letters, digits, '_' and '-'",
        ],
    ),
    (
        story(characters={"a": {"segments": "99"}}),
        [
            "characters.a.segments: segment 99 is not there: the story has segments 1 to 4",
        ],
    ),
    (story(objects={"a": {"segments": "3-1"}}), ["objects.a.segments: the range '3-1' runs backwards"]),
    (
        story(objects={"a": {"segments": []}}),
        [
            'objects.a.segments: found no segment, expected segment numbers such as "1,4,8-11"',
        ],
    ),
    (story(characters={"a": {"label": ""}}), ["characters.a.label: is empty, expected text"]),
    (story(characters={"a": {"weight": 4}}), ["characters.a.weight: found 4, expected a number from 0 to 3"]),
    (
        story(characters={"a": {"color": "blue"}}),
        [
            "characters.a.color: found text ('blue'), expected a color such as \"#4C9BE8\"",
        ],
    ),
    (
        story(characters={"a": {"color": None}}),
        [  # YAML: color: #4C9BE8
            "characters.a.color: found nothing (null), expected text; leave the key out, or put the text in quotes",
        ],
    ),
    *(
        (
            story(characters={"a": {"reference": name}}),
            [
                f"characters.a.reference: found text ({name.strip()!r}) leads outside ComfyUI's input folder; expected a name"
                " inside it",
            ],
        )
        for name in [
            "/etc/passwd",
            " /etc/passwd",
            "../a.png",
            "a/.. /b.png",
            "C:a.png",
            "~/a.png",
            "\\\\server\\a.png",
            "a\nb",
        ]
    ),
    *(
        (
            story(characters={"a": {"reference": value}}),
            [
                f"characters.a.reference: {found}, expected the name of a picture in ComfyUI's input folder, or a list",
            ],
        )
        for value, found in [("", "found text ('')"), (["a.png", 3], "found a list"), (None, "found nothing (null)")]
    ),
    *(
        (
            story(characters={"a": {"region": region}}),
            [
                f"characters.a.region: {found}, expected left, center, right, a box [x, y, width, height] in 0…1, or a mask"
                " picture",
            ],
        )
        for region, found in [
            ("top", "found text ('top')"),
            ([0, 0, 2, 1], "found a list"),
            ([0.6, 0, 0.5, 1], "found a list"),
            ([0, 0, 0, 1], "found a list"),
            ([0, 0, 1], "found a list"),
            ([10**400, 0, 1, 1], "found a list"),
            ([float("nan"), 0, 1, 1], "found a list"),
            ([True, 0, 1, 1], "found a list"),
            (None, "found nothing (null)"),
            ("../mask.png", "found text ('../mask.png')"),
        ]
    ),
    (
        story(characters={f"c{number}": {} for number in range(201)}),
        ["characters: has 201 entries, at most 200 are allowed"],
    ),
    (
        story(locations={"a": {"segments": "1-2"}, "b": {"segments": "2-3"}}),
        [
            "locations.b.segments: segment 2 already is at 'a'; a segment has one location",
        ],
    ),
    # transitions
    (story(transitions={}), ["transitions: found a mapping, expected a list"]),
    (story(transitions=[3]), ["transitions[1]: found 3, expected a mapping"]),
    (story(transitions=[{}]), ["transitions[1].after: is missing, expected the number of the segment that it follows"]),
    (
        story(transitions=[{"after": 9}]),
        [
            "transitions[1].after: segment 9 is not there: the story has segments 1 to 4",
        ],
    ),
    (story(transitions=[{"after": 4}]), ["transitions[1].after: segment 4 is the last one, nothing follows it"]),
    (
        story(transitions=[{"after": 1}, {"after": 1}]),
        [
            "transitions[2].after: segment 1 already has a transition behind it",
        ],
    ),
    (
        story(transitions=[{"after": 1, "type": "wipe"}]),
        [
            "transitions[1].type: found text ('wipe'), expected one of dissolve",
        ],
    ),
    (
        story(transitions=[{"after": 1, "seconds": 9}]),
        [
            "transitions[1].seconds: 9.000 s is longer than segment 1 (8.000 s)",
            "transitions[1].seconds: 9.000 s is longer than segment 2 (8.000 s)",
        ],
    ),
    (
        story(transitions=[{"after": 1, "seconds": 0}]),
        [
            "transitions[1].seconds: found 0, expected a number above 0 and up to 60 seconds",
        ],
    ),
    (
        {
            "segments": [{"prompt": "x"}, {"prompt": "y", "timespan": "0:08 - 0:10"}, {"prompt": "z"}],
            "transitions": [{"after": 1, "seconds": 2}, {"after": 2, "seconds": "2.0"}],
        },
        None,
    ),  # exactly enough room
    (
        {
            "segments": segments_with_timespans("0:00 - 0:08", "0:08 - 0:10", "0:10 - 0:18"),
            "transitions": [{"after": 1, "seconds": 2.5}, {"after": 2, "seconds": 2}],
        },
        [
            "transitions[1].seconds: 2.500 s is longer than segment 2 (2.000 s)",
            "transitions: the transitions before and behind segment 2 need 2.250 s of it, it has 2.000 s",
        ],
    ),
    # audio
    (story(audio={"narration": "yes"}), ["audio.narration: found text ('yes'), expected true or false"]),
    (story(audio={"music": 3}), ["audio.music: found 3, expected text; put it in quotes"]),
]


@pytest.mark.parametrize(
    ("data", "expected"), WRONG, ids=[f"{n}-{(e or ['fine'])[0][:40]}" for n, (_, e) in enumerate(WRONG)]
)
def test_what_is_wrong_is_named_with_its_place(data, expected):
    if expected is None:
        parse_story(data)
        return
    assert [line.removeprefix(": ") for line in problems(data)] == [line.removeprefix(": ") for line in expected]


def test_all_problems_are_reported_at_once():
    data = {
        "fps": 0,
        "titel": "x",
        "characters": {"protagonist": {"segments": "1,99"}},
        "transitions": [{"after": 3}],
        "segments": [{"id": "../a", "prompt": ""}, {"prompt": "x", "seed": -1}],
    }
    with pytest.raises(ProblemList) as caught:
        parse_story(data, "film.json")
    assert str(caught.value) == (
        "film.json: 7 problems\n"
        "  - titel: unknown key (did you mean 'title'?)\n"
        "  - fps: found 0, expected a number from 0.001 to 240 frames a second\n"
        "  - segments[1].id: found text ('../a'), expected letters, digits, '_', '-' and single dots, as in 'segment_01'\n"
        "  - segments[1].prompt: is empty, expected text\n"
        "  - segments[2].seed: found -1, expected a whole number from 0 to 2^64 - 1\n"
        "  - characters.protagonist.segments: segment 99 is not there: the story has segments 1 to 2\n"
        "  - transitions[1].after: segment 3 is not there: the story has segments 1 to 2\n"
        "docs/story-format.md describes every field."
    )


def test_after_a_thousand_problems_there_is_no_point_in_going_on():
    found = problems([{"promt": "x"}] * 9_000)
    assert len(found) == 1001
    assert found[-1] == "and more; these are the first 1,000"


def test_a_message_can_always_be_printed():
    for text in ("\ud800", "\0", "x" * 100_000):
        for data in (
            {text: text},
            story(characters={text: {}}),
            segment(id=text),
            story(quality=text),
            story(segments=text),
        ):
            for line in problems(data):
                line.encode()
                assert "\n" not in line
                assert len(line) < 400


# ---------------------------------------------------------------------- files beside the story


def read_from(files):
    """A folder as a dictionary: names outside it are refused, as the real one does."""

    def read(name):
        if ".." in name or name.startswith("/"):
            raise ValueError(f"{name!r} lies outside the story's folder")
        if name not in files:
            raise ValueError(f"there is no file {name!r} beside the story")
        return files[name]

    return read


def test_segments_in_a_file_of_their_own():
    film = parse_story(
        {"title": "x", "segments": "list.yaml"}, read_file=read_from({"list.yaml": "- prompt: Ein Ährenfeld"})
    )
    assert film.segment(1).prompt == "Ein Ährenfeld"


def test_a_master_prompt_in_a_file_of_its_own_or_in_the_story():
    read = read_from({"master.md": "\ufeff# Licht\nWarm.\n"})
    assert (
        parse_story(story(style={"master_prompt": "master.md"}), read_file=read).style.master_prompt == "# Licht\nWarm."
    )
    assert parse_story(story(style={"master_prompt": "Read\nme.md"})).style.master_prompt == "Read\nme.md"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (story(segments="../list.json"), "segments: '../list.json' lies outside the story's folder"),
        (story(segments="/etc/passwd"), "segments: '/etc/passwd' lies outside the story's folder"),
        (story(segments="gone.json"), "segments: there is no file 'gone.json' beside the story"),
        (
            story(segments="broken.json"),
            "segments: broken.json is not JSON: Expecting value in line 1, column 2, at: [",
        ),
        (
            story(segments="story.json"),
            "segments: story.json is a whole story; expected a file with only the list of segments",
        ),
        (
            story(segments="text.json"),
            "segments: found a mapping, expected a list of segments, or the name of a file with it",
        ),
        (story(segments="none.json"), "none.json: is an empty list, expected at least one segment"),
        (story(style={"master_prompt": "../a.md"}), "style.master_prompt: '../a.md' lies outside the story's folder"),
        (
            story(style={"master_prompt": "long.md"}),
            "style.master_prompt: has 200,001 characters, at most 200,000 are allowed",
        ),
        (
            story(style={"master_prompt": "bell.md"}),
            r"style.master_prompt: found text ('\x07'), which has characters that"
            " cannot be shown",
        ),
    ],
)
def test_a_file_that_cannot_be_used(data, expected):
    files = {
        "broken.json": "[",
        "story.json": '{"segments": []}',
        "text.json": "{}",
        "none.json": "[]",
        "long.md": "x" * 200_001,
        "bell.md": "\a",
    }
    assert problems(data, read_file=read_from(files)) == [expected]


@pytest.mark.parametrize("data", [story(segments="list.json"), story(style={"master_prompt": "a.txt"})])
def test_a_story_without_a_folder_carries_everything_itself(data):
    (line,) = problems(data)
    assert line.endswith("but a story without a folder must carry everything itself")


# ---------------------------------------------------------------------- anything at all

JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**4000) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)
KEYS = (
    "$schema",
    "title",
    "fps",
    "frames",
    "size",
    "quality",
    "style",
    "characters",
    "objects",
    "locations",
    "transitions",
    "audio",
    "segments",
)


@given(JSON_LIKE | st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON_LIKE)))
@example({"segments": [{"prompt": "x", "frames": 10**400}], "fps": 1e308, "characters": {"a": {"region": [1e308] * 4}}})
@settings(QUICK)
def test_whatever_comes_in_only_our_own_error_comes_out(data):
    try:
        parse_story(data, "film.json", read_from({}))
    except VideoGenError as error:
        str(error).encode()


ENTITY_LIKE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("label", "description", "seed", "segments", "reference", "weight", "region", "color"), JSON_LIKE
    ),
)


@given(
    st.fixed_dictionaries(
        {
            "segments": st.lists(
                st.fixed_dictionaries({"prompt": JSON_LIKE}, optional={"timespan": JSON_LIKE, "id": JSON_LIKE})
            )
        },
        optional={
            "characters": st.dictionaries(st.text(max_size=5), ENTITY_LIKE, max_size=2),
            "style": st.dictionaries(st.sampled_from(["kelvin", "master_prompt", "prefix"]), JSON_LIKE),
            "transitions": st.lists(
                st.fixed_dictionaries({}, optional={"after": JSON_LIKE, "seconds": JSON_LIKE}), max_size=2
            ),
        },
    )
)
@settings(QUICK)
def test_whatever_stands_in_its_fields_only_our_own_error_comes_out(data):
    try:
        film = parse_story(data, "film.json", read_from({}))
    except VideoGenError as error:
        str(error).encode()
    else:
        for item in film.segments:
            json.dumps(plan_segment(film, item.number).to_dict()).encode()


# ---------------------------------------------------------------------- the real thing


def test_a_story_of_five_megabytes_is_read_in_a_second():
    film = json.dumps([{"id": f"s{number}", "prompt": "word " * 200, "seed": number} for number in range(5000)])
    assert len(film) > 5_000_000
    started = time.perf_counter()
    assert len(parse_story_text(film, "film.json").segments) == 5000
    assert time.perf_counter() - started < 3


@pytest.mark.skipif(not (SHARED / "data").exists(), reason="the real input is not here")
def test_the_real_input_is_a_story():
    text = (SHARED / "data" / "veo_segments.json").read_text(encoding="utf-8")
    film = parse_story_text(text, "veo_segments.json")
    assert (len(film.segments), film.duration, film.title) == (33, 264, "veo segments")
    assert [segment.seed for segment in film.segments] == list(range(1001, 1034))
    assert {segment.frames for segment in film.segments} == {24}
    assert film.warnings == ()
