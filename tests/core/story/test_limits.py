"""How large a story may be: each limit is told with the number found and the number allowed."""

import time

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.documents import parse_document
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.core.story.yaml_limits import MAX_NODES, MAX_YAML_CHARACTERS
from tests.support.story_data import problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x" * (MAX_YAML_CHARACTERS + 1), "has 5,000,001 characters, at most 5,000,000 are read as YAML"),
        ("- a\n" * MAX_NODES, "it has more than 200,000 values; larger stories are read as JSON in line 200000"),
        (
            "".join(f"{number}: 1\n" for number in range(1_001)),
            "a mapping with more than 1,000 keys that are no text in line 1001",
        ),
        ("a: !!int 1" + ":0" * 100, "a value that cannot be read as int (text needs quotes)"),
        ("a: 0x" + "f" * 100, "a value that cannot be read as int (text needs quotes)"),
        ("a: " + "1" * 100 + ".5", "a value that cannot be read as float (text needs quotes)"),
    ],
    ids=["characters", "values", "odd keys", "sixties", "hexadecimal", "float"],
)
def test_a_yaml_file_that_is_too_large(text, said):
    with pytest.raises(VideoGenError) as caught:
        parse_document(text, "film.yaml")
    assert caught.value.code == "story-unreadable"
    assert said in str(caught.value)


def test_a_note_that_holds_itself_counts_once():
    assert parse_document("x-loop: &loop [*loop, *loop]\na: 1", "film.yaml")["a"] == 1


def test_the_same_anchor_may_be_named_often():
    text = "x-street: &street {negative: cars}\nsegments:\n" + "- {<<: *street, prompt: one}\n" * 1_000
    assert len(parse_document(text, "film.yaml")["segments"]) == 1_000


def test_prompts_of_gigabytes_are_refused_before_any_is_made():
    segments = [{"prompt": "x"}] * 10_000
    story = {"segments": segments, "characters": {f"c{n}": {"description": "x" * 4_000} for n in range(6)}}
    with pytest.raises(VideoGenError, match=r"have 240,000,000 characters .* at most 200,000,000 are allowed"):
        parse_story(story)
    assert len(parse_story({**story, "characters": {}}).segments) == 10_000


def test_a_prompt_that_overrides_is_as_long_as_a_prompt_may_be():
    story = parse_story([{"prompt": "x"}])
    assert plan_segment(story, 1, "y" * 20_000).text == "y" * 20_000
    with pytest.raises(VideoGenError, match="`prompt_override` has 20,001 characters, at most 20,000") as caught:
        plan_segment(story, 1, "y" * 20_001)
    assert caught.value.code == "widget-invalid"


def test_a_million_loras_are_one_problem_and_take_no_time() -> None:
    began = time.monotonic()
    (found,) = problems([{"prompt": "x", "loras": [{"file": "a.pt"}] * 1_000_000}])
    assert found.startswith("segments[1].loras: has 1,000,000 LoRAs, expected")
    assert time.monotonic() - began < 1.0


def test_a_story_has_a_bounded_number_of_workflows_and_of_combinations() -> None:
    (found,) = problems([{"prompt": "x", "workflow": f"w{number}.json"} for number in range(51)])
    assert found == "segments: name 51 different workflows, at most 50 are allowed: split the film"
    loras = [[{"file": "a.pt", "strength": number / 100}] for number in range(501)]
    (found,) = problems([{"prompt": "x", "loras": one} for one in loras])
    assert found.startswith(
        "segments: have 501 different combinations of `workflow` and `loras`, at most 500 are allowed"
    )
    parse_story([{"prompt": "x", "workflow": "same.json", "loras": loras[0]}] * 10_000)
