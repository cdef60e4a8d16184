"""Stories whose segments begin and end in ways that are right, that are wrong, and that only the parser can tell to be wrong."""

from __future__ import annotations

from typing import Any

from tests.support.story_schema import segment

GOOD: list[Any] = [
    [{"prompt": "x"}, {"prompt": "y", "start": "continue"}, {"prompt": "z", "continue_from": 1, "start": "continue"}],
    [{"prompt": "x", "keyframes": {"last": "a.png"}}, {"prompt": "y", "start": "keyframe"}],
    segment(start="keyframe", keyframes={"first": "dir/A.JPG", "x-of": 7}),
    segment(start="cut", keyframes={}, continues=False),
]

BAD: list[Any] = [
    segment(start="fade"),
    segment(start=1),
    segment(continue_from=0),
    segment(continue_from="first"),
    segment(keyframes=["a.png"]),
    segment(keyframes={"first": "a.mp4"}),
    segment(keyframes={"last": "../a.png"}),
    segment(keyframes={"middle": "a.png"}),
]

#: What is broken → a story that the JSON Schema accepts all the same.
PARSER_ONLY: dict[str, Any] = {
    "the first segment continues nothing": segment(continues=True),
    "… whichever way it says it": segment(start="continue"),
    "a segment continues an earlier one": [{"prompt": "x"}, {"prompt": "y", "continue_from": 2}],
    "a cut continues nothing": [{"prompt": "x"}, {"prompt": "y", "start": "cut", "continues": True}],
    "… and begins with no picture": segment(start="cut", keyframes={"first": "a.png"}),
    "a picture contradicts a frame": [
        {"prompt": "x"},
        {"prompt": "y", "continues": True, "keyframes": {"first": "a.png"}},
    ],
    "a keyframe is a picture": segment(start="keyframe"),
}
