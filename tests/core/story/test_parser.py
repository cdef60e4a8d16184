"""The story format: what a story may say."""

from fractions import Fraction

import pytest

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.story.model import CAST_COLORS, Lora
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from tests.support.story_data import FOUR, ONE, segment, segments_with_timespans, story


def test_the_shortest_story_is_a_list_with_a_prompt():
    film = parse_story([{"prompt": " A cat. "}], "night_walk.json")
    assert film.title == "night walk"
    assert (film.fps, film.frames, film.size, film.quality) == (3, 24, (1920, 1080), "high")
    only = film.segment(1)
    assert (only.id, only.prompt, only.seed) == ("segment_01", "A cat.", 1001)
    assert (only.start, only.duration, only.frames) == (0, 8, 24)
    assert film.warnings == ()


def test_the_object_form_says_what_segments_share():
    film = parse_story(
        {
            "$schema": "story.schema.json",
            "title": "Über den Garten",
            "fps": "24000/1001",
            "frames": 48,
            "size": [1080, 1920],
            "quality": "premium",
            "style": {"prefix": "Film", "kelvin": [5500, 6000], "x-note": "from the painter"},
            "characters": {"second_man": {"description": "Ben", "segments": "1-2", "reference": ["a.png", "b.png"]}},
            "objects": {"tree": {"seed": 2**64 - 1, "weight": 0.8, "region": "center", "color": "#00ff00"}},
            "locations": {"field": {"segments": [3, "4"], "region": [0, 0.25, 0.5, 0.75]}},
            "transitions": [{"after": 3, "seconds": 0.5}, {"after": 1}],
            "audio": {"music": "song.mp3", "narration": True},
            "segments": FOUR,
            "x-anything": {"goes": ["here"]},
        }
    )
    assert film.slug == "uber_den_garten"
    assert film.segment(4).start == 3 * Fraction(48 * 1001, 24000)
    assert film.style.kelvin == (5500, 6000)
    man, tree, field = film.characters[0], film.objects[0], film.locations[0]
    assert (man.kind, man.name, man.label, man.segments) == ("character", "second_man", "Second man", (1, 2))
    assert man.references == ("a.png", "b.png")
    assert (tree.segments, tree.weight, tree.region, tree.color) == ((1, 2, 3, 4), 0.8, "centre", "#00ff00")
    assert field.region == (0.0, 0.25, 0.5, 0.75)
    assert (man.color, field.color) == (CAST_COLORS[0], CAST_COLORS[2])
    assert [(t.after, t.type, t.seconds) for t in film.transitions] == [
        (1, "dissolve", 1),
        (3, "dissolve", Fraction(1, 2)),
    ]
    assert (film.audio.music, film.audio.narration) == ("song.mp3", True)


def test_a_portrait_story_in_yaml_with_umlauts_and_different_lengths():
    film = parse_story_text(
        """\
title: Das Brot
fps: 12
size: [720, 1280]
style:
  lighting: Weiches Morgenlicht durch große Fenster
characters:
  bäckerin: {description: "Eine Bäckerin mit mehlweißer Schürze", segments: "1,3", color: "#C98BD9"}
transitions:
  - {after: 1, seconds: 0.5}
segments:
  - timespan: 00:00 - 00:02.5
    technical: Nahaufnahme, statisch
    prompt: >
      Hände kneten Teig,
      Mehl stäubt auf.
  - timespan: 00:02,5 bis 00:10
    prompt: Brotlaibe gehen im Ofen auf.
  - prompt: Die Bäckerin öffnet die Ofentür und lächelt.
    frames: 30
""",
        "brot.yaml",
    )
    assert [segment.duration for segment in film.segments] == [Fraction(5, 2), Fraction(15, 2), Fraction(5, 2)]
    assert [segment.frames for segment in film.segments] == [30, 90, 30]
    assert film.size == (720, 1280)
    assert film.characters[0].label == "Bäckerin"
    assert plan_segment(film, 1).prompt == (
        "Weiches Morgenlicht durch große Fenster. Eine Bäckerin mit mehlweißer Schürze."
        " Hände kneten Teig, Mehl stäubt auf."
    )


def test_a_timespan_gives_the_length_and_frames_are_spread_over_it():
    film = parse_story({"fps": 4, "segments": segments_with_timespans("00:00 - 00:02.1", "00:02.1 - 01:00")})
    assert [(segment.duration, segment.frames) for segment in film.segments] == [
        (Fraction(21, 10), 9),
        (Fraction(579, 10), 232),
    ]
    both = parse_story(segment(timespan="00:00 - 00:08", frames=5)).segment(1)
    assert (both.duration, both.frames) == (8, 5)


def test_a_segment_can_continue_the_one_before_it():
    film = parse_story([{"prompt": "x"}, {"prompt": "y", "continues": True}])
    assert [segment.continues for segment in film.segments] == [False, True]
    said = parse_story([{"prompt": "x"}, {"prompt": "y", "start": "continue"}, {"prompt": "z", "continue_from": 1}])
    assert [segment.continues_from for segment in said.segments] == [None, 1, 1]
    assert said.continued == {1}


def test_a_picture_that_ends_a_segment_can_begin_the_next():
    film = parse_story(
        [
            {"prompt": "x", "keyframes": {"first": "a.png", "last": "b.png"}},
            {"prompt": "y", "start": "keyframe", "keyframes": {"last": "c.png"}},
            {"prompt": "z", "keyframes": {"first": "d.png"}},
            {"prompt": "a cut"},
        ]
    )
    pictures = [(segment.first_frame, segment.last_frame) for segment in film.segments]
    assert pictures == [("a.png", "b.png"), ("b.png", "c.png"), ("d.png", ""), ("", "")]
    assert [segment.begins_with_picture for segment in film.segments] == [True, True, True, False]


def test_a_gap_is_a_warning():
    film = parse_story(segments_with_timespans("00:00 - 00:08", "00:10 - 00:18"))
    assert film.duration == 16
    assert film.warnings == ("segments[2].timespan: there is a gap of 2.000 s after segment 1; the film closes it",)


def test_whole_numbers_may_be_written_as_a_spreadsheet_does():
    film = parse_story({"frames": 12.0, "size": [640.0, 360.0], "segments": segment(seed=7.0)})
    assert (film.frames, film.size, film.segment(1).seed) == (12, (640, 360), 7)


@pytest.mark.parametrize("name", ["dir/story.YML", "C:\\films\\story.json", "story"])
def test_without_a_title_the_film_is_called_after_its_file(name):
    assert parse_story(ONE, name).title == "story"


@pytest.mark.parametrize("name", [".json", "a" * 300 + ".json", "\udcff.json", "\n.yaml", "___.json"])
def test_any_file_name_makes_a_title(name):
    film = parse_story(ONE, name)
    assert 0 < len(film.title) <= 200
    film.title.encode()


def test_a_character_without_a_label_is_called_after_its_key():
    names = {
        "Anna_Berg": "Anna Berg",
        "second_man": "Second man",
        "_": "_",
        "größe 2": "Größe 2",
        "a" * 60: "A" + "a" * 59,
    }
    film = parse_story(story(characters={name: {} for name in names}))
    assert {character.name: character.label for character in film.characters} == names


def test_a_number_that_jumps_out_of_the_data_is_harmless():
    assert parse_story(segment(seed=2**64 - 1)).segment(1).seed == 2**64 - 1


def test_a_segment_has_its_own_workflow_and_loras() -> None:
    loras = [{"file": "rain.safetensors", "strength": 0.6}, {"file": "wan/fog.pt", "model": "High"}]
    first, second = parse_story([{"prompt": "x"}, {"prompt": "y", "workflow": " rain.json ", "loras": loras}]).segments
    assert (first.workflow, first.loras) == ("", ())
    assert second.workflow == "rain.json"
    assert second.loras == (Lora("rain.safetensors", 0.6), Lora("wan/fog.pt", 1.0, "high"))


def test_what_renders_a_segment_is_no_part_of_its_plan() -> None:
    """Its graph tells it: the plan, which a key has too, is that of the same segment in any workflow."""
    own = parse_story([{"prompt": "x", "workflow": "rain.json", "loras": [{"file": "a.pt"}]}])
    assert plan_segment(own, 1) == plan_segment(parse_story([{"prompt": "x"}]), 1)
