"""The story that ships fits the format, and its words can be filmed."""

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.shots import parse_shot
from custom_nodes.videogen.media.story_file import load_story
from tests.support.story_schema import APPLE_TREE, STORIES, VALIDATOR

SHARED = Path(__file__).parents[4] / "shared"


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
