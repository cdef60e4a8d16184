"""A segment's plan: everything that it takes from its story, and a digest of what determines its frames."""

import copy
import json
from fractions import Fraction

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.shots import Shot
from custom_nodes.videogen.core.story.parser import parse_story

DATA = {
    "title": "Über den Garten",
    "fps": 4,
    "size": [640, 360],
    "quality": "draft",
    "style": {"negative": "text", "lighting": "Daylight", "kelvin": 5500, "master_prompt": "Be kind."},
    "characters": {"anna": {"description": "Anna", "segments": "1,3", "reference": "anna.png", "weight": "1/3"}},
    "objects": {"can": {"description": "A can", "segments": "1"}},
    "locations": {"garden": {"description": "A garden", "segments": "1-2"}},
    "segments": [
        {"timespan": "00:00 - 00:08", "prompt": "Anna waters", "technical": "Totale, Schwenk nach links", "seed": 7},
        {"timespan": "00:08 - 00:10.1", "prompt": "Rain"},
        {"frames": 10, "prompt": "Anna runs"},
    ],
}


def plan(number, data=DATA, **options):
    return plan_segment(parse_story(copy.deepcopy(data)), number, **options)


def test_a_plan_has_everything_resolved():
    first = plan(1)
    assert (first.title, first.slug, first.number, first.count, first.id) == (
        "Über den Garten",
        "uber_den_garten",
        1,
        3,
        "segment_01",
    )
    assert (first.start, first.duration, first.frames, first.fps, first.seed) == (0, 8, 32, 4, 7)
    assert (first.size, first.quality) == ((640, 360), "draft")
    assert first.text == "Anna waters"
    assert first.prompt == "A garden. Daylight. Anna. A can. Anna waters."
    assert (first.negative, first.context, first.kelvin) == ("text", "Be kind.", (5500, 5500))
    assert first.shot == Shot("wide", "pan-left", 1.0)
    assert [entity.name for entity in (*first.characters, *first.objects, first.location)] == ["anna", "can", "garden"]
    assert first.file_stem == "segment_01"


def test_segments_follow_one_another():
    second, third = plan(2), plan(3)
    assert (second.start, second.duration) == (8, Fraction(21, 10))
    assert (third.start, third.duration) == (Fraction(101, 10), Fraction(5, 2))
    assert third.film_duration == Fraction(126, 10)


def test_frames_are_spread_evenly_over_the_duration():
    # 2.1 s at 4 fps are 8.4 frames: nine are rendered, a little faster than 4 a second, and fill it exactly.
    second = plan(2)
    assert second.frames == 9
    assert second.frames / second.fps == second.duration


def test_what_is_not_in_the_segment_is_not_in_the_plan():
    assert plan(2).characters == ()
    assert plan(3).location is None


def test_a_prompt_can_be_overridden():
    assert plan(2, prompt_override="Snow").prompt == "A garden. Daylight. Snow."
    assert plan(2, prompt_override=" \n") == plan(2)


@pytest.mark.parametrize("number", [0, 4, -1])
def test_a_segment_that_is_not_there(number):
    with pytest.raises(VideoGenError, match=f"segment {number} does not exist.*has segments 1 to 3") as caught:
        plan(number)
    assert caught.value.code == "segment-missing"


def test_file_names_sort_as_numbers_do():
    story = parse_story([{"prompt": "x"}] * 1000)
    assert [plan_segment(story, number).file_stem for number in (1, 1000)] == ["segment_0001", "segment_1000"]


def test_a_plan_is_json():
    first = json.loads(json.dumps(plan(1).to_dict()))
    assert first["fps"] == "4"
    assert first["characters"][0]["weight"] == pytest.approx(1 / 3)
    assert first["shot"] == {"size": "wide", "move": "pan-left", "amount": 1.0}


def test_the_digest_is_that_of_the_content():
    assert plan(1).digest() == plan(1).digest()
    assert len({plan(number).digest() for number in (1, 2, 3)}) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["segments"][0].update(prompt="Anna sleeps"),
        lambda data: data["segments"][0].update(seed=8),
        lambda data: data.update(size=[320, 180]),
        lambda data: data["style"].update(negative="cars"),
        lambda data: data["characters"]["anna"].update(description="Anna in blue"),
        lambda data: data["characters"]["anna"].update(weight=0.9),
    ],
)
def test_a_change_to_the_segment_changes_its_digest(change):
    changed = copy.deepcopy(DATA)
    change(changed)
    assert plan(1, changed).digest() != plan(1).digest()


def test_a_change_to_another_segment_does_not():
    changed = copy.deepcopy(DATA)
    changed["segments"][1]["prompt"] = "Hail"
    changed["characters"]["anna"]["segments"] = "1"
    assert plan(1, changed).digest() == plan(1).digest()


def test_how_a_number_is_written_does_not_matter():
    changed = copy.deepcopy(DATA)
    changed.update(fps="4", size=[640.0, 360.0])
    changed["segments"][0]["seed"] = 7.0
    assert plan(1, changed).digest() == plan(1).digest()
