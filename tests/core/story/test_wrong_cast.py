"""What is said about a story whose cast, transitions or sound break the format."""

import pytest

from custom_nodes.videogen.core.story.transition_parser import TRANSITIONS
from tests.support.story_data import found_problems, segments_with_timespans, story

WRONG = [
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
            "characters.a.segments: segment 99 does not exist: the story has segments 1 to 4",
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
            "locations.b.segments: segment 2 is already at 'a'; a segment has one location",
        ],
    ),
    # transitions
    (story(transitions={}), ["transitions: found a mapping, expected a list"]),
    (story(transitions=[3]), ["transitions[1]: found 3, expected a mapping"]),
    (story(transitions=[{}]), ["transitions[1].after: is missing, expected the number of the segment that it follows"]),
    (
        story(transitions=[{"after": 9}]),
        [
            "transitions[1].after: segment 9 does not exist: the story has segments 1 to 4",
        ],
    ),
    (story(transitions=[{"after": 4}]), ["transitions[1].after: segment 4 is the last one, nothing follows it"]),
    (
        story(transitions=[{"after": 1}, {"after": 1}]),
        [
            "transitions[2].after: segment 1 already has a transition after it",
        ],
    ),
    (
        story(transitions=[{"after": 1, "type": "wipe"}]),
        [
            f"transitions[1].type: found text ('wipe'), expected one of {', '.join(TRANSITIONS)}"
            " (did you mean 'wipe-up'?)",
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
            "transitions: the transitions before and after segment 2 need 2.250 s of it, it has 2.000 s",
        ],
    ),
    # audio
    (story(audio={"narration": "sure"}), ["audio.narration: found text ('sure'), expected true or false"]),
    (story(audio={"music": 3}), ["audio.music: found 3, expected text; put it in quotes"]),
]


@pytest.mark.parametrize(
    ("data", "expected"), WRONG, ids=[f"{n}-{(e or ['fine'])[0][:40]}" for n, (_, e) in enumerate(WRONG)]
)
def test_what_is_wrong_is_named_with_its_place(data, expected):
    assert found_problems(data) == [line.removeprefix(": ") for line in expected or []]
