"""What is said about a story whose segments, limits, keys or style break the format."""

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.core.story.parser import parse_story
from tests.support.story_data import ONE, found_problems, problems, segment, segments_with_timespans, story

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
            "segments[1].timespan: '00:16 - 00:08' runs backwards: the end must come after the start",
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
    (segment(continues="sure"), ["segments[1].continues: found text ('sure'), expected true or false"]),
    (segment(continues=True), ["segments[1].continues: is true, but there is no segment before the first one"]),
    # how segments begin and end
    (segment(start="fade"), ["segments[1].start: found text ('fade'), expected one of cut, continue, keyframe"]),
    (
        segment(start="continue"),
        ["segments[1].start: is 'continue', but there is no segment before the first one"],
    ),
    (segment(continue_from=1), ["segments[1].continue_from: is 1, but there is no segment before the first one"]),
    (
        [*ONE, {"prompt": "y", "continue_from": 2}],
        ["segments[2].continue_from: found 2, expected a whole number from 1 to 1"],
    ),
    (
        [*ONE, {"prompt": "y", "start": "cut", "continues": True}],
        ["segments[2].start: is 'cut', but `continues` is true: leave one of them out"],
    ),
    (
        [*ONE, {"prompt": "y", "start": "keyframe", "continue_from": 1}],
        ["segments[2].start: is 'keyframe', but `continue_from` names segment 1: leave one of them out"],
    ),
    (
        [*ONE, {"prompt": "y", "start": "keyframe"}],
        ["segments[2].start: is 'keyframe', but `keyframes.first` is not given, nor has segment 1 `keyframes.last`"],
    ),
    (
        [*ONE, {"prompt": "y", "continues": True, "keyframes": {"first": "a.png"}}],
        [
            "segments[2].keyframes.first: is given, but the segment continues another one, whose last frame is its first",
        ],
    ),
    (
        segment(keyframes={"first": "../a.png", "last": "a tree", "3.5": "a.png"}),
        [
            "segments[1].keyframes.3.5: unknown key; known are first, last",
            "segments[1].keyframes.first: '../a.png' is outside the story's folder; expected a name inside it",
            "segments[1].keyframes.last: 'a tree' does not end in .png, .apng, .jpg, .jpeg, .webp, .gif, .bmp, .tif, .tiff",
        ],
    ),
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
            r"'\ud800': unknown key; known are $schema, title, fps, frames, size, quality, style, characters, objects,"
            " locations, transitions, audio, segments",
            "'': unknown key",  # the list comes once
            f"'{'y' * 27}...{'y' * 28}': unknown key",
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
]


@pytest.mark.parametrize(
    ("data", "expected"), WRONG, ids=[f"{n}-{(e or ['fine'])[0][:40]}" for n, (_, e) in enumerate(WRONG)]
)
def test_what_is_wrong_is_named_with_its_place(data, expected):
    assert found_problems(data) == [line.removeprefix(": ") for line in expected or []]


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
        "  - characters.protagonist.segments: segment 99 does not exist: the story has segments 1 to 2\n"
        "  - transitions[1].after: segment 3 does not exist: the story has segments 1 to 2\n"
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


# ------------------------------------------------------------------ what a segment is rendered with


@pytest.mark.parametrize(
    ("segment", "problem"),
    [
        (
            {"workflow": "../rain.json"},
            "segments[1].workflow: '../rain.json' is outside the story's folder; expected a name inside it",
        ),
        ({"workflow": "/etc/passwd"}, "segments[1].workflow: '/etc/passwd' is outside the story's folder"),
        ({"workflow": ".hidden.json"}, "segments[1].workflow: '.hidden.json' is hidden"),
        ({"workflow": "shots/rain.yaml"}, "segments[1].workflow: 'shots/rain.yaml' does not end in .json"),
        ({"workflow": 7}, "segments[1].workflow: found 7, expected text; put it in quotes"),
        ({"worklow": "rain"}, "segments[1].worklow: unknown key (did you mean 'workflow'?)"),
        ({"lora": []}, "segments[1].lora: unknown key (did you mean 'loras'?)"),
        ({"loras": "rain.pt"}, "segments[1].loras: found text ('rain.pt'), expected a list of up to 10 LoRAs"),
        ({"loras": [{"file": "rain.pt"}] * 11}, "segments[1].loras: has 11 LoRAs, expected a list of up to 10 LoRAs"),
        ({"loras": ["rain.pt"]}, "segments[1].loras[1]: found text ('rain.pt'), expected a mapping"),
        (
            {"loras": [{"strength": 1}]},
            "segments[1].loras[1].file: is missing, expected the name of a file in models/loras",
        ),
        (
            {"loras": [{"file": "rain.png"}]},
            "segments[1].loras[1].file: 'rain.png' does not end in .safetensors, .sft,",
        ),
        ({"loras": [{"file": "../a.pt"}]}, "segments[1].loras[1].file: '../a.pt' is outside models/loras"),
        (
            {"loras": [{"file": "a.pt"}, {"file": "b.pt", "strength": 12}]},
            "segments[1].loras[2].strength: found 12, expected a number from -10 to 10",
        ),
        ({"loras": [{"file": "a.pt", "strength": "much"}]}, "segments[1].loras[1].strength: found text ('much')"),
        ({"loras": [{"file": "a.pt", "weight": 1}]}, "segments[1].loras[1].weight: unknown key"),
        ({"loras": [{"path": "a.pt", "file": "a.pt"}]}, "segments[1].loras[1].path: unknown key"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(segment: dict[str, Any], problem: str) -> None:
    (found,) = problems([{"prompt": "x", **segment}])
    assert found.startswith(problem)
