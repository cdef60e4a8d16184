"""Any data, large data and the real input: a story, or our own error."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.core.story.schema import STORY_KEYS
from tests.support.story_data import QUICK, read_from

SHARED = Path(__file__).parents[4] / "shared"


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**4000) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(JSON_LIKE | st.fixed_dictionaries({}, optional=dict.fromkeys(STORY_KEYS, JSON_LIKE)))
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
