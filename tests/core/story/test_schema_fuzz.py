"""Whatever the parser accepts, the JSON Schema accepts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.story.transition_parser import TRANSITIONS
from custom_nodes.videogen.core.video.quality import QUALITIES
from tests.support.story_schema import QUICK, VALIDATOR, character, parser_accepts, segment, story

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
LORA_NAME = IMAGE_NAME.map(lambda name: f"{name.removesuffix('.png')}.safetensors")
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
        "start": st.sampled_from(["cut", "continue", "keyframe", "fade"]),
        "continue_from": st.sampled_from([1, 2, 0, 1.0]),
        "keyframes": st.fixed_dictionaries({}, optional={"first": IMAGE_NAME, "last": IMAGE_NAME, "x-": TEXT}),
        "narration": TEXT,
        "workflow": TEXT | NAME | st.just("rain.json"),
        "loras": st.lists(
            st.fixed_dictionaries({"file": LORA_NAME}, optional={"strength": NUMBER, "model": TEXT}), max_size=2
        ),
        "dialogue": st.lists(st.fixed_dictionaries({"character": TEXT, "line": TEXT}), max_size=2),
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
                {"after": st.sampled_from([1, 1.0, 2])},
                optional={"type": st.sampled_from([*TRANSITIONS, "wipe"]), "seconds": NUMBER},
            ),
            max_size=2,
        ),
        "audio": st.fixed_dictionaries({}, optional={"music": TEXT, "narration": st.booleans(), "language": TEXT}),
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
        (lambda value: segment(workflow=value), NAME | TEXT),
        (lambda value: segment(workflow=value.replace(".png", ".json")), IMAGE_NAME),
        (lambda value: segment(loras=[{"file": value}]), LORA_NAME),
        (lambda value: story(fps=value), NUMBER | st.text("0123456789./+- ", max_size=6)),
        (lambda value: segment(timespan=value), st.tuples(CLOCK, CLOCK).map(" - ".join)),
    ],
    ids=[
        "id",
        "prompt",
        "name",
        "segments",
        "reference",
        "region",
        "workflow",
        "workflow file",
        "lora",
        "fps",
        "timespan",
    ],
)
def test_what_the_parser_accepts_in_a_field_the_schema_accepts(wrap, values):
    @given(values)
    @settings(QUICK)
    def check(value):
        data = wrap(value)
        if parser_accepts(data):
            VALIDATOR.validate(data)

    check()
