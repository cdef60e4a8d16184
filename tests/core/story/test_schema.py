"""The JSON Schema for editors says the same as the parser, and the story that ships fits both."""

import json
import re
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.shots import SHOT_SIZES, parse_shot
from custom_nodes.videogen.core.story import schema as story_format
from custom_nodes.videogen.core.story.documents import parse_document
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.core.story.transitions import TRANSITIONS
from custom_nodes.videogen.core.video.quality import QUALITIES
from custom_nodes.videogen.media.story_file import load_story

STORIES = Path(__file__).parents[3] / "stories"
SHARED = Path(__file__).parents[4] / "shared"
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCHEMA = json.loads((STORIES / "story.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
APPLE_TREE = json.loads((STORIES / "apple_tree.json").read_text(encoding="utf-8"))


def read(name: str) -> str:
    return "Warm light." if name.endswith(".md") else '[{"prompt": "x"}]'


def parser_accepts(data) -> bool:
    try:
        parse_story(data, "film.json", read)
    except VideoGenError:
        return False
    return True


def schema_accepts(data) -> bool:
    return VALIDATOR.is_valid(data)


def story(**fields):
    return {"segments": [{"prompt": "x"}] * 3, **fields}


def segment(**fields):
    return [{"prompt": "x", **fields}]


def character(**fields):
    return story(characters={"anna": fields})


# ---------------------------------------------------------------------- both agree

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
    segment(timespan="1:005:00 - 1:06:00"),
    segment(**{"x-mood": None}, continues=False),
    [{"prompt": "x"}, {"prompt": "y", "continues": True}],
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
    story(audio={"narration": "yes"}),
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
    segment(timespan="8 - 16"),
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
    segment(continues="yes"),
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
    "names of pictures have at most 255 characters": character(reference="x" * 256),
    "sides of at most 16 : 1": story(size=[8192, 16]),
    "kelvin ascends": story(style={"kelvin": [6000, 5500]}),
    "a box lies within the picture": character(region=[0.6, 0, 0.5, 1]),
    "a box has a size": character(region=[0, 0, 0, 1]),
    "numbers as text have bounds too": story(fps="9999"),
    "… and do not divide by zero": story(fps="1/0"),
    "seeds are exact": segment(seed=1e19),
    "NaN is no number": story(fps=float("nan")),
    "the first segment continues nothing": segment(continues=True),
    "after a segment that is there": story(transitions=[{"after": 7}]),
    "not after the last one": story(transitions=[{"after": 3}]),
    "one transition a cut": story(transitions=[{"after": 1}, {"after": 1}]),
    "not longer than its neighbors": story(transitions=[{"after": 1, "seconds": 9}]),
    "a file that is there": {"segments": "gone"},
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


# ---------------------------------------------------------------------- whatever the parser accepts, the schema accepts

TEXT = st.text(max_size=12) | st.sampled_from(["", " ", "x ", "\n", "ä\t"])
SEED = st.integers(-1, 2**64) | st.sampled_from([0.0, 7.0, 1.5, "1"])
FRAMES = st.integers(0, 40) | st.sampled_from([24.0, 10_000, "24"])
NUMBER = st.sampled_from([1, 2.5, "2", "1/3", " 0.5", ".5", "3.", 0, "0", -1, 60, 300]) | st.floats(0, 70)
NAME = st.text(st.characters(codec="ascii"), min_size=1, max_size=6) | st.text(min_size=1, max_size=6)
SELECTION = st.sampled_from(["1", "1,2", " 1 - 2 ", "1..2", "1–2", 1, 2.0, [1, "2"], "2-1", "", [], 0]) | st.text(
    "012,- ", max_size=6
)
IMAGE_NAME = st.sampled_from(["a.png", "b/c.WebP", " a.png ", "../a.png", "a..b.jpg", ".a.jpeg"]) | st.text(
    "ab./\\ ~:\n", max_size=8
).map(lambda name: f"{name}.png")
SIDE = st.floats(0, 1) | st.sampled_from([0, 1, 0.5])
ENTITY = st.fixed_dictionaries(
    {},
    optional={
        "label": TEXT,
        "description": TEXT,
        "seed": SEED,
        "segments": SELECTION,
        "reference": IMAGE_NAME | st.lists(IMAGE_NAME, max_size=2),
        "weight": NUMBER,
        "region": IMAGE_NAME
        | st.sampled_from(["left", "centre", "center", "right", " left"])
        | st.tuples(*[SIDE] * 4).map(list),
        "color": st.sampled_from(["#123456", "#abcdef ", "red"]),
        "x-": TEXT,
    },
)
CLOCK = st.from_regex(r"(?:[0-9]{1,2}:)?[0-9]{1,3}:[0-9]{1,2}(?:[.,][0-9]{1,3})?", fullmatch=True)
SEGMENT = st.fixed_dictionaries(
    {"prompt": TEXT | st.just("x")},
    optional={
        "id": NAME,
        "timespan": st.tuples(CLOCK, st.sampled_from([" - ", "-", "–", " bis ", "to", " biſ "]), CLOCK).map("".join),
        "description": TEXT,
        "seed": SEED,
        "frames": FRAMES,
        "negative": TEXT,
        "continues": st.booleans(),
    },
)
ENTITIES = st.dictionaries(NAME | st.just("x-ray"), ENTITY, max_size=2)
STORY = st.fixed_dictionaries(
    {"segments": st.lists(SEGMENT, min_size=1, max_size=2) | st.just([{"prompt": "x"}] * 2)},
    optional={
        "$schema": TEXT,
        "title": TEXT,
        "fps": NUMBER,
        "frames": FRAMES,
        "size": st.lists(st.integers(14, 40) | st.sampled_from([64.0, 8192]), min_size=2, max_size=2),
        "quality": st.sampled_from([*QUALITIES, "best"]),
        "style": st.fixed_dictionaries(
            {},
            optional={
                "prefix": TEXT,
                "kelvin": st.sampled_from([5500, 5500.0, [5500, 6000.0], [1, 2]]),
                "master_prompt": TEXT | st.just("a.md"),
            },
        ),
        "characters": ENTITIES,
        "objects": ENTITIES,
        "locations": ENTITIES,
        "transitions": st.lists(
            st.fixed_dictionaries(
                {"after": st.sampled_from([1, 1.0, 2])}, optional={"type": st.just("dissolve"), "seconds": NUMBER}
            ),
            max_size=2,
        ),
        "audio": st.fixed_dictionaries({}, optional={"music": TEXT, "narration": st.booleans()}),
        "x-note": TEXT,
    },
)


@given(STORY | st.lists(SEGMENT, min_size=1, max_size=2))
@settings(QUICK)
def test_what_the_parser_accepts_the_schema_accepts(data):
    if parser_accepts(data):
        VALIDATOR.validate(data)


# One field at a time: a story in which everything must fit is seldom accepted at all.
@pytest.mark.parametrize(
    ("wrap", "values"),
    [
        (lambda value: segment(id=value), NAME),
        (lambda value: segment(prompt=value), TEXT),
        (lambda value: story(characters={value: {}}), NAME),
        (lambda value: character(segments=value), SELECTION),
        (lambda value: character(reference=value), IMAGE_NAME),
        (lambda value: character(region=value), IMAGE_NAME),
        (lambda value: story(fps=value), NUMBER | st.text("0123456789./+- ", max_size=6)),
        (lambda value: segment(timespan=value), st.tuples(CLOCK, CLOCK).map(" - ".join)),
    ],
    ids=["id", "prompt", "name", "segments", "reference", "region", "fps", "timespan"],
)
def test_what_the_parser_accepts_in_a_field_the_schema_accepts(wrap, values):
    @given(values)
    @settings(QUICK)
    def check(value):
        data = wrap(value)
        if parser_accepts(data):
            VALIDATOR.validate(data)

    check()


# ---------------------------------------------------------------------- the schema itself


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_knows_the_same_keys():
    definitions = SCHEMA["$defs"]
    for properties, keys in [
        (SCHEMA["properties"], story_format.STORY_KEYS),
        (definitions["style"]["properties"], story_format.STYLE_KEYS),
        (definitions["entity"]["properties"], story_format.ENTITY_KEYS),
        (definitions["segment"]["properties"], story_format.SEGMENT_KEYS),
        (definitions["transition"]["properties"], story_format.TRANSITION_KEYS),
        (definitions["audio"]["properties"], story_format.AUDIO_KEYS),
    ]:
        assert set(properties) == set(keys)


def test_the_schema_knows_the_same_words():
    assert SCHEMA["properties"]["quality"]["enum"] == list(QUALITIES)
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


# ---------------------------------------------------------------------- the story that ships


def test_the_shipped_story_fits_schema_and_parser():
    VALIDATOR.validate(APPLE_TREE)
    assert load_story(STORIES / "apple_tree.json").warnings == ()


def test_the_shipped_story_names_its_schema():
    assert (STORIES / APPLE_TREE["$schema"]).samefile(STORIES / "story.schema.json")


def test_who_and_what_is_where_in_the_shipped_story():
    film = load_story(STORIES / "apple_tree.json")
    where = {entity.name: entity.segments for entity in (*film.characters, *film.objects, *film.locations)}
    assert where["protagonist"] == (1, 4, 5, 8, 9, 11, 13, 19, 21, 22, 26, 27, 28, 29, 31, 32, 33)
    assert where["second_man"] == (16, 22, 23, 24, 25, 26, 27, 28, 30, 33)
    assert where["sapling"] == tuple(range(1, 23))
    assert where["grown_tree"] == tuple(range(24, 34))
    assert where["nursery"] == (2, 3)
    assert where["field"] == tuple(range(6, 34))
    assert [(t.after, t.type, t.seconds) for t in film.transitions] == [(23, "dissolve", 2)]


def test_the_measures_of_the_shipped_story():
    film = load_story(STORIES / "apple_tree.json")
    assert (len(film.segments), film.duration, film.size, film.fps) == (33, 264, (1920, 1080), 3)
    assert [segment.seed for segment in film.segments] == list(range(1001, 1034))
    assert [segment.id for segment in film.segments] == [f"segment_{number:02d}" for number in range(1, 34)]
    assert {(segment.duration, segment.frames) for segment in film.segments} == {(Fraction(8), 24)}
    assert [character.seed for character in film.characters] == [1000, 1001]
    assert film.locations[1].seed == 5000
    assert film.style.kelvin == (5500, 6000)
    assert film.style.master_prompt.startswith("# The Apple Tree")


def test_the_prompts_of_the_shipped_story_can_be_followed():
    film = load_story(STORIES / "apple_tree.json")
    for segment_ in film.segments:
        assert 40 <= len(segment_.prompt.split()) <= 70, segment_.id
        assert segment_.prompt[0].isupper(), segment_.id
        assert segment_.prompt.endswith("."), segment_.id
        assert 0 < len(segment_.description) <= 60, segment_.id
        assert segment_.technical, segment_.id
        assert segment_.continuity, segment_.id
    assert len({segment_.prompt for segment_ in film.segments}) == 33
    assert len({segment_.technical for segment_ in film.segments}) > 20


def test_nobody_is_in_a_prompt_of_the_shipped_story_who_is_not_in_the_segment():
    film = load_story(STORIES / "apple_tree.json")
    for number in range(1, 34):
        plan = plan_segment(film, number)
        cast = {character.name for character in plan.characters}
        assert ("protagonist" in cast) == ("blue shirt" in plan.text), number
        assert ("second_man" in cast) == ("bearded man" in plan.text), number


@pytest.mark.skipif(not (SHARED / "data").exists(), reason="the real input is not here")
def test_the_shipped_story_tells_the_same_in_its_own_words():
    film = load_story(STORIES / "apple_tree.json")
    real = json.loads((SHARED / "data" / "veo_segments.json").read_text(encoding="utf-8"))
    for mine, theirs in zip(film.segments, real, strict=True):
        assert (mine.id, mine.seed) == (theirs["id"], theirs["seed"])
        moves = parse_shot(mine.technical).move, parse_shot(theirs["technical"], theirs["prompt"]).move
        assert moves[0] == moves[1], mine.id
    borrowed = "\n".join(
        [*(str(item) for item in real), (SHARED / "data" / "Veo31MasterPrompt.md").read_text(encoding="utf-8")]
    )
    own = (STORIES / "apple_tree.json").read_text(encoding="utf-8") + film.style.master_prompt
    assert runs_of_words(own) & runs_of_words(borrowed) == set()


def runs_of_words(text: str) -> set[str]:
    words = [word for word in re.findall(r"[\w']+", text.lower()) if not word.isdigit()]
    return {" ".join(words[at : at + 6]) for at in range(len(words) - 5)}


# ---------------------------------------------------------------------- docs/story-format.md tells the truth

DOCS = (STORIES.parent / "docs" / "story-format.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(json|yaml)\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize(("kind", "text"), BLOCKS, ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(BLOCKS)])
def test_the_examples_of_the_page_are_stories(kind, text):
    VALIDATOR.validate(parse_document(text, f"story.{kind}"))
    assert parse_story_text(text, f"story.{kind}").warnings == ()


def test_the_page_shows_the_same_story_in_both_languages():
    in_json, in_yaml = (parse_story_text(text, f"story.{kind}") for kind, text in BLOCKS[:2])
    assert in_json == in_yaml


def test_the_page_shows_the_real_prompt():
    shown = " ".join(line[2:] for line in DOCS.splitlines() if line.startswith("> ")).replace("**", "")
    assert shown == plan_segment(load_story(STORIES / "apple_tree.json"), 12).prompt


def test_the_page_shows_real_messages():
    broken = {
        "fps": 0,
        "characters": {"anna": {"segments": "1,9"}},
        "segments": [{"timespan": "00:08 - 00:00", "promt": "x"}, {"prompt": "y", "seed": -1}],
    }
    with pytest.raises(VideoGenError) as caught:
        parse_story(broken, "film.json")
    assert str(caught.value) in DOCS
    with pytest.raises(VideoGenError) as caught:
        parse_story_text('[\n  {"prompt": "A cat."}\n  {"prompt": "A dog."}\n]', "film.json")
    assert str(caught.value) in DOCS


def test_the_page_has_every_key():
    for keys in (
        story_format.STORY_KEYS,
        story_format.STYLE_KEYS,
        story_format.ENTITY_KEYS,
        story_format.SEGMENT_KEYS,
        story_format.TRANSITION_KEYS,
        story_format.AUDIO_KEYS,
        QUALITIES,
        TRANSITIONS,
    ):
        for key in keys:
            assert f"`{key}`" in DOCS


def test_the_page_lists_words_that_mean_what_it_says():
    rows = re.findall(r"^\| ([a-z ]+) \| ([^|]+) \| ([^|]+) \|$", DOCS, re.MULTILINE)
    shots = {row[0]: [word.strip() for cell in row[1:] for word in cell.split(",")] for row in rows}
    for size in SHOT_SIZES:
        for words in shots[size.replace("-", " ")]:
            assert parse_shot(words).size == size, words
    for move in ("static", "pan", "tilt", "zoom", "track"):
        for words in shots[move]:
            assert parse_shot(words).move.startswith(move), words
