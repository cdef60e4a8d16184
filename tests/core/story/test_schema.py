"""The JSON Schema for editors says the same as the parser."""

import json
import re

import jsonschema
import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story import schema as story_format
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.story.transition_parser import TRANSITIONS
from custom_nodes.videogen.core.video.quality import QUALITIES
from tests.support import border_stories as borders
from tests.support.story_schema import (
    SCHEMA,
    VALIDATOR,
    character,
    parser_accepts,
    read,
    schema_accepts,
    segment,
    story,
)

GOOD = [
    [{"prompt": "x"}],
    {"segments": [{"prompt": "x"}]},
    {"segments": "list.json"},
    story(title=" x ", fps=3, frames=24, size=[640, 360], quality="draft"),
    story(fps="24000/1001", frames=24.0, size=[1080.0, 1920]),
    story(fps=0.001, frames=1),
    story(
        style={
            "prefix": "",
            "suffix": "x\ty\n",
            "negative": "ä",
            "lighting": "x",
            "kelvin": 5500,
            "master_prompt": "a.md",
        }
    ),
    story(style={"kelvin": [5500, 6000]}),
    story(characters={}, objects={}, locations={}, transitions=[], audio={}, style={}),
    story(**{"$schema": "story.schema.json", "x-note": [1, {}], "characters": {"x-ray": 7, "bäckerin": {"x-age": 40}}}),
    character(),
    character(
        label="A",
        description="",
        seed=0,
        segments="1,2-3",
        reference="a.png",
        weight=0.8,
        region="left",
        color="#AaBb09",
    ),
    character(seed=2**64 - 1, segments=2, reference=["dir/a.png", "b.webp"], weight="1/2", region=[0, 0, 0.5, 1]),
    character(segments=[1, "2..3"], reference=[], region="masks/mask.PNG", color=" #000000 "),
    story(locations={"große Küche 2": {"segments": " 1 - 2 "}}),
    story(transitions=[{"after": 1}, {"after": 2.0, "type": "dissolve", "seconds": "1/2"}]),
    story(audio={"music": "song.mp3", "narration": True}),
    segment(id="segment_01", timespan="00:00 - 00:08", description="", technical="x", continuity="", seed=1, frames=1),
    segment(id=" a.b-c_1 ", timespan=" 1:02:03,5 – 1:02:10.25 ", negative="cars"),
    segment(id="über_den_baum", timespan="0:00bis0:08"),
    segment(timespan="8 - 16"),
    segment(timespan="0-8s"),
    segment(timespan="00:00:00,000 --> 00:00:04,500"),
    story(audio={"narration": "yes"}),
    segment(continues="no"),
    segment(timespan="1:005:00 - 1:06:00"),
    segment(**{"x-mood": None}, continues=False),
    [{"prompt": "x"}, {"prompt": "y", "continues": True}],
    *borders.GOOD,
    segment(workflow="rain.json"),
    segment(workflow=" shots/Rain.JSON "),
    segment(workflow="text_to_video_wan"),
    segment(workflow="ltx 2.5 image"),
    segment(loras=[]),
    segment(loras=[{"file": "rain.safetensors"}, {"file": "film/rain.PT", "strength": -0.5, "model": "high"}]),
    segment(loras=[{"file": "a.sft", "strength": "1/2", "x-from": 7}] * 10),
]

BAD = [
    None,
    3,
    "x",
    [],
    {},
    {"title": "x"},
    [3],
    [{}],
    [{"promt": "x"}],
    ["x"],
    story(segments=3),
    story(segments=""),
    story(segments=" "),
    story(segments="a\nb"),
    story(segments=[]),
    story(segments="x" * 256),
    story(titel="x"),
    story(title=""),
    story(title=7),
    story(title="x" * 201),
    story(**{"$schema": 1}),
    story(fps=0),
    story(fps=-1),
    story(fps=241),
    story(fps="fast"),
    story(fps=True),
    story(fps=None),
    story(fps=[3]),
    story(fps="1e9"),
    story(frames=0),
    story(frames=1.5),
    story(frames="24"),
    story(frames=10_001),
    story(frames=True),
    story(size=[0, 0]),
    story(size=[10**6, 10**6]),
    story(size=[641, 360]),
    story(size=[640]),
    story(size="640x360"),
    story(size=[640, 360, 2]),
    story(size=[640, None]),
    story(size={"width": 640}),
    story(quality="best"),
    story(quality=None),
    story(style="x"),
    story(style={"prefx": "x"}),
    story(style={"prefix": None}),
    story(style={"prefix": "a\0"}),
    story(style={"prefix": "x" * 20_001}),
    story(style={"kelvin": 999}),
    story(style={"kelvin": None}),
    story(style={"kelvin": [1, 2]}),
    story(style={"kelvin": [5500]}),
    story(style={"kelvin": "warm"}),
    story(style={"kelvin": True}),
    story(style={"master_prompt": "x\n" * 100_001}),
    story(characters=[]),
    story(characters={"a": None}),
    story(characters={"../a": {}}),
    story(characters={"": {}}),
    story(characters={"a" * 61: {}}),
    story(characters={"a/b": {}}),
    story(objects={" a": {}}),
    story(locations=None),
    character(name="x"),
    character(label=""),
    character(label="x" * 61),
    character(description=3),
    character(seed=-1),
    character(seed=2**64),
    character(segments=""),
    character(segments=[]),
    character(segments="all"),
    character(segments="1,,2"),
    character(segments=None),
    character(segments=-1),
    character(segments=1.5),
    character(segments=[[1]]),
    character(segments=True),
    character(segments={"from": 1}),
    character(reference=""),
    character(reference=3),
    character(reference=["a.png", ""]),
    character(reference=None),
    character(reference="/etc/passwd"),
    character(reference=" /etc/passwd"),
    character(reference="../a.png"),
    character(reference="a/../b.png"),
    character(reference="a\\..\\b.png"),
    character(reference="C:a.png"),
    character(reference="~/a.png"),
    character(reference="\\a.png"),
    character(reference=".."),
    character(reference="a\nb"),
    character(reference="a/.. /b"),
    character(reference="notes.txt"),
    character(reference="key"),
    character(reference=".ssh/id_rsa"),
    character(reference=".anna.png"),
    character(reference="a/ .b/anna.png"),
    character(reference="a\\.b\\anna.png"),
    character(region=".m.png"),
    character(region="a/.b/m.png"),
    character(weight=-1),
    character(weight=4),
    character(weight="strong"),
    character(weight=None),
    character(region="top"),
    character(region=None),
    character(region=[0, 0, 1]),
    character(region=[0, 0, 2, 1]),
    character(region=[-1, 0, 1, 1]),
    character(region="../m.png"),
    character(region="/m.png"),
    character(region="m.gif"),
    character(region=["left"]),
    character(color="blue"),
    character(color="#12345"),
    character(color=None),
    character(color="#1234567"),
    story(transitions={}),
    story(transitions=[1]),
    story(transitions=[{}]),
    story(transitions=[{"after": 0}]),
    story(transitions=[{"after": 10_000}]),
    story(transitions=[{"after": 1.5}]),
    story(transitions=[{"after": "1"}]),
    story(transitions=[{"after": 1, "type": "wipe"}]),
    story(transitions=[{"after": 1, "seconds": 0}]),
    story(transitions=[{"after": 1, "seconds": 61}]),
    story(transitions=[{"after": 1, "second": 1}]),
    story(audio=[]),
    story(audio={"narration": "perhaps"}),
    story(audio={"music": 3}),
    story(audio={"noise": "x"}),
    segment(prompt=""),
    segment(prompt=" \n"),
    segment(prompt=3),
    segment(prompt="x" * 20_001),
    segment(prompt="\ud800"),
    segment(prompt="x" * 200_000),
    segment(timespan="soon"),
    segment(timespan=""),
    segment(timespan=8),
    segment(timespan="8 until 16"),
    segment(timespan="00:00:08:12 - 00:00:16:00"),
    segment(timespan="00:08 - 00:61"),
    segment(timespan="1:60:00 - 2:00:00"),
    segment(timespan="00:08"),
    segment(timespan="1000:00:00 - 1000:00:01"),
    segment(id=""),
    segment(id="../a"),
    segment(id="a..b"),
    segment(id="a b"),
    segment(id="a/b"),
    segment(id=".a"),
    segment(id=1),
    segment(id="x" * 101),
    segment(seed=-1),
    segment(seed=2**64),
    segment(seed=1.5),
    segment(seed="1"),
    segment(seed=True),
    segment(seed=None),
    segment(frames=0),
    segment(frames=2.5),
    segment(negative=None),
    segment(description=1),
    segment(technical=[]),
    segment(continuity={}),
    segment(mood="x"),
    segment(workflow=""),
    segment(workflow=3),
    segment(workflow=None),
    segment(workflow="../rain.json"),
    segment(workflow="a/../../rain.json"),
    segment(workflow="/etc/passwd"),
    segment(workflow="C:rain.json"),
    segment(workflow="~/rain.json"),
    segment(workflow="."),
    segment(workflow=".rain.json"),
    segment(workflow="a/.b/rain.json"),
    segment(workflow="shots/rain"),
    segment(workflow="shots/rain.png"),
    segment(workflow="a\nb"),
    segment(workflow="x" * 256),
    segment(loras={}),
    segment(loras=None),
    segment(loras="rain.safetensors"),
    segment(loras=["rain.safetensors"]),
    segment(loras=[{}]),
    segment(loras=[{"file": ""}]),
    segment(loras=[{"file": "rain"}]),
    segment(loras=[{"file": "../rain.safetensors"}]),
    segment(loras=[{"file": "/models/rain.safetensors"}]),
    segment(loras=[{"file": "rain.safetensors", "strength": 11}]),
    segment(loras=[{"file": "rain.safetensors", "strength": True}]),
    segment(loras=[{"file": "rain.safetensors", "strength": None}]),
    segment(loras=[{"file": "rain.safetensors", "weight": 1}]),
    segment(loras=[{"file": "rain.safetensors", "model": ""}]),
    segment(loras=[{"file": "rain.safetensors"}] * 11),
    *borders.BAD,
    segment(continues="true"),
    segment(continues=1),
    segment(continues=None),
]

#: Rules that a schema cannot express, or that only make sense for a whole story: the editor does not mark these.
PARSER_ONLY = {
    "the end of a timespan lies behind its start": segment(timespan="00:16 - 00:08"),
    "segments do not overlap": [{"prompt": "x", "timespan": "0:00 - 0:08"}, {"prompt": "y", "timespan": "0:07 - 0:15"}],
    "a segment has at most an hour": segment(timespan="0:00 - 1:00:01"),
    "… and 10,000 frames": {"fps": 240, "segments": segment(timespan="0:00 - 1:00")},
    "ids differ": [{"prompt": "x", "id": "a"}, {"prompt": "y", "id": "a"}],
    "ids have no signs from beyond ASCII": segment(id="a→b"),
    "ranges run forwards": character(segments="3-1"),
    "only segments that are there": character(segments="99"),
    "segments count from 1": character(segments="0"),
    "one location a segment": story(locations={"a": {}, "b": {}}),
    "at most 200 characters": story(characters={f"c{number}": {} for number in range(201)}),
    "names of pictures have at most 255 characters": character(reference="x" * 252 + ".png"),
    "sides of at most 16 : 1": story(size=[8192, 16]),
    "kelvin ascends": story(style={"kelvin": [6000, 5500]}),
    "a box lies within the picture": character(region=[0.6, 0, 0.5, 1]),
    "a box has a size": character(region=[0, 0, 0, 1]),
    "numbers as text have bounds too": story(fps="9999"),
    "… and do not divide by zero": story(fps="1/0"),
    "seeds are exact": segment(seed=1e19),
    "NaN is no number": story(fps=float("nan")),
    **borders.PARSER_ONLY,
    "after a segment that is there": story(transitions=[{"after": 7}]),
    "not after the last one": story(transitions=[{"after": 3}]),
    "one transition a cut": story(transitions=[{"after": 1}, {"after": 1}]),
    "not longer than its neighbors": story(transitions=[{"after": 1, "seconds": 9}]),
    "a file that is there": {"segments": "gone"},
    "at most 50 workflows": [{"prompt": "x", "workflow": f"w{number}"} for number in range(51)],
    "strengths as text have bounds too": segment(loras=[{"file": "a.pt", "strength": "99"}]),
}


def name_of(data) -> str:
    return re.sub(r"\W+", "-", json.dumps(data, ensure_ascii=True, default=repr))[:60]


@pytest.mark.parametrize("data", GOOD, ids=map(name_of, GOOD))
def test_both_accept(data):
    parse_story(data, "film.json", read)
    VALIDATOR.validate(data)


@pytest.mark.parametrize("data", BAD, ids=map(name_of, BAD))
def test_both_refuse(data):
    assert (parser_accepts(data), schema_accepts(data)) == (False, False)


@pytest.mark.parametrize("rule", PARSER_ONLY)
def test_only_the_parser_refuses(rule):
    data = PARSER_ONLY[rule]
    assert schema_accepts(data)
    with pytest.raises(VideoGenError):
        parse_story(data, "film.json", None if rule == "a file that is there" else read)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_the_same_keys():
    definitions = SCHEMA["$defs"]
    for properties, keys in [
        (SCHEMA["properties"], story_format.STORY_KEYS),
        (definitions["style"]["properties"], story_format.STYLE_KEYS),
        (definitions["entity"]["properties"], story_format.ENTITY_KEYS),
        (definitions["segment"]["properties"], story_format.SEGMENT_KEYS),
        (definitions["segment"]["properties"]["keyframes"]["properties"], story_format.KEYFRAME_KEYS),
        (definitions["transition"]["properties"], story_format.TRANSITION_KEYS),
        (definitions["lora"]["properties"], story_format.LORA_KEYS),
        (definitions["audio"]["properties"], story_format.AUDIO_KEYS),
    ]:
        assert set(properties) == set(keys)


def test_the_schema_knows_the_same_words():
    assert SCHEMA["properties"]["quality"]["enum"] == list(QUALITIES)
    assert SCHEMA["$defs"]["segment"]["properties"]["start"]["enum"] == list(story_format.STARTS)
    assert SCHEMA["$defs"]["transition"]["properties"]["type"]["enum"] == list(TRANSITIONS)


def test_the_quality_presets_are_described_as_they_are():
    described = SCHEMA["properties"]["quality"]["description"]
    for preset in QUALITIES.values():
        assert f"{preset.name} {preset.width}×{preset.height} at {preset.fps}" in described


def test_the_defaults_of_the_schema_are_those_of_the_parser():
    film = parse_story([{"prompt": "x"}])
    properties = SCHEMA["properties"]
    assert (film.fps, film.frames, list(film.size), film.quality) == tuple(
        properties[key]["default"] for key in ("fps", "frames", "size", "quality")
    )
    (transition,) = parse_story(story(transitions=[{"after": 1}])).transitions
    fields = SCHEMA["$defs"]["transition"]["properties"]
    assert (transition.type, transition.seconds) == (fields["type"]["default"], fields["seconds"]["default"])


def test_an_editor_has_something_to_show_for_every_field():
    for properties in [SCHEMA["properties"], *(part.get("properties", {}) for part in SCHEMA["$defs"].values())]:
        for name, field in properties.items():
            field = SCHEMA["$defs"][field["$ref"].rpartition("/")[2]] | field if "$ref" in field else field
            assert field.get("title"), name
            assert field.get("description") or name in ("audio",), name
            examples = field.get("examples", [])
            assert examples or "default" in field, name
            for example in examples:
                jsonschema.Draft202012Validator({**field, "$defs": SCHEMA["$defs"]}).validate(example)
