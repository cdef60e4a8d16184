"""Stories of other programs, in the forms that these publish: recognized, and the same as a story."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.story.pasted.other_formats import import_story, recognize

STORYMEM = {
    "story_name": "Dusk",
    "story_overview": "A painter finishes.",
    "scenes": [
        {
            "scene_num": 1,
            "video_prompts": ["A painter in a studio.", "She mixes blue."],
            "first_frame_prompt": ["Painter, focused.", "Hand with a knife."],
            "cut": [True, False],
        },
        {"scene_num": 2, "video_prompts": ["She steps back."], "cut": ["True"]},
    ],
}
VIMAX = [
    {
        "idx": 0,
        "is_last": False,
        "cam_idx": 0,
        "visual_desc": 'Over the shoulder of <Alice>, <Bob> says: "Hello."',
        "audio_desc": "[Speaker] Bob: Hello.",
    },
    {
        "idx": 1,
        "is_last": True,
        "cam_idx": 1,
        "visual_desc": "<Bob> walks.",
        "ff_desc": "Wide shot of <Bob> at the door.",
        "motion_desc": "He walks out.",
        "variation_type": "small",
    },
]
VEO_REQUEST = {
    "instances": [{"prompt": "A cat reads."}],
    "parameters": {"aspectRatio": "9:16", "durationSeconds": 6, "negativePrompt": "text", "seed": 7},
}
SORA_REQUEST = {"model": "sora-2", "prompt": "A cat reads.", "size": "1280x720", "seconds": "8"}
SCENES = {
    "video_length": 8,
    "style": "Film noir",
    "scenes": [
        {"start": 0.0, "end": 2.0, "visual": "A street at night.", "camera": "dolly-in", "sound": "rain"},
        {"start": 2.0, "end": 8.0, "visual": "A cat crosses.", "camera": "static", "sound": "meow"},
    ],
}
SHOT = {
    "shot": {"composition": "Medium shot", "camera_motion": "slow pan to the left"},
    "subject": {"description": "A woman in a red coat", "wardrobe": "red coat, boots"},
    "scene": {"location": "Kyoto", "time_of_day": "dawn"},
    "duration": "6s",
    "negative_prompt": ["text", "watermark"],
}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (STORYMEM, "a story of StoryMem"),
        (VIMAX, "a storyboard of ViMax"),
        (VIMAX[1], "a storyboard of ViMax"),
        (VEO_REQUEST, "a request to the API of Veo"),
        (SORA_REQUEST, "a request to the API of Sora"),
        (SCENES, "a list of scenes as it is written for Veo or Sora"),
        (SHOT, "a prompt for one clip as it is written for Veo or Sora"),
    ],
)
def test_it_is_named_and_becomes_a_valid_story(data: Any, name: str) -> None:
    assert recognize(data) == name
    with pytest.raises(ProblemList) as caught:
        parse_story(data, "theirs.json")
    (problem,) = caught.value.problems
    assert str(problem) == f"is {name}; `videogen import theirs.json` prints it as a story of videogen"
    imported = import_story(data)
    assert imported is not None
    parse_story(imported.story)


@pytest.mark.parametrize(
    "data",
    [
        [{"prompt": "x"}],
        {"segments": [{"prompt": "x"}]},
        {"scenes": [{"prompt": "x"}]},
        {"title": "x", "style": {}, "audio": {}, "fps": 3},
        {"fps": 3, "characters": {}},
        {},
        [],
        [1],
        {"scenes": 3},
        None,
        "text",
    ],
)
def test_a_story_of_ours_is_none_of_others(data: Any) -> None:
    assert recognize(data) == ""
    assert import_story(data) is None


def convert(data: Any) -> dict[str, Any]:
    imported = import_story(data)
    assert imported is not None
    return imported.story


def test_storymem() -> None:
    story = convert(STORYMEM)
    assert (story["title"], story["fps"], story["frames"], story["size"]) == ("Dusk", 16, 81, [832, 480])
    assert [segment["prompt"] for segment in story["segments"]] == [
        "A painter in a studio.",
        "She mixes blue.",
        "She steps back.",
    ]
    assert [segment.get("continues", False) for segment in story["segments"]] == [False, True, False]
    assert story["segments"][2]["description"] == "Scene 2"


def test_vimax() -> None:
    story = convert(VIMAX)
    assert [segment["prompt"] for segment in story["segments"]] == [
        'Over the shoulder of Alice, Bob says: "Hello."',
        "Wide shot of Bob at the door. He walks out.",
    ]
    assert story["characters"] == {
        "Alice": {"label": "Alice", "segments": "1"},
        "Bob": {"label": "Bob", "segments": "1,2"},
    }


def test_requests() -> None:
    assert convert(VEO_REQUEST) == {
        "fps": 24,
        "frames": 144,
        "size": [1080, 1920],
        "segments": [{"prompt": "A cat reads.", "negative": "text", "seed": 7}],
    }
    assert convert(SORA_REQUEST) == {
        "fps": 24,
        "frames": 192,
        "size": [1280, 720],
        "segments": [{"prompt": "A cat reads."}],
    }


def test_scenes_keep_their_times_and_camera() -> None:
    parsed = parse_story(convert(SCENES))
    assert [(segment.prompt, segment.technical, float(segment.duration)) for segment in parsed.segments] == [
        ("A street at night.", "dolly-in", 2.0),
        ("A cat crosses.", "static", 6.0),
    ]
    assert parsed.style.prefix == "Film noir"


def test_a_structured_prompt_becomes_sentences() -> None:
    (segment,) = convert(SHOT)["segments"]
    assert segment["prompt"] == (
        "Medium shot. slow pan to the left. A woman in a red coat. red coat, boots. Kyoto. dawn."
    )
    assert segment["negative"] == "text, watermark."
    assert convert(SHOT)["frames"] == 144


@pytest.mark.parametrize(
    "data",
    [
        {"scenes": [{"video_prompts": [3, None], "cut": "no", "scene_num": {}}]},
        {"scenes": [{"video_prompts": []}, 5]},
        [{"visual_desc": 5}, None, {"visual_desc": "<" * 1000}],
        {"instances": [5, {}]},
        {"instances": [{}], "parameters": [1]},
        {"prompt": "x", "seconds": "soon", "size": 5},
        {"scenes": [{"visual": {"a": [[[[[[[["deep"]]]]]]]]}}, 3]},
        {"shot": 1, "subject": 2},
        {"shot": {}, "subject": []},
    ],
)
def test_odd_files_are_refused_with_their_problems_or_read(data: Any) -> None:
    imported = import_story(data)
    if imported is not None:
        with contextlib.suppress(ProblemList):
            assert parse_story(imported.story).segments
