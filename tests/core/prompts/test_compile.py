"""One story in the dialect of each model: golden prompts."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from custom_nodes.videogen.core.model_profiles.model import Profile, PromptRule
from custom_nodes.videogen.core.prompts.compile import compile_prompt
from custom_nodes.videogen.core.prompts.model import Given
from custom_nodes.videogen.core.segment.prompts import compose_prompt
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story

APPLE_TREE = Path(__file__).resolve().parents[3] / "stories" / "apple_tree.json"
STORY = parse_story(
    {
        "title": "Night Shift",
        "fps": 24,
        "style": {
            "prefix": "35 mm film, muted colors",
            "suffix": "shallow depth of field",
            "negative": "text, watermark",
            "lighting": "Warm lamplight before dawn",
        },
        "characters": {
            "baker": {
                "description": "The baker is a woman of sixty with a gray braid and a white apron",
                "segments": "1-2",
            },
            "guest": {"description": "A tall man, in a raincoat", "segments": "2"},
        },
        "objects": {"oven": {"description": "A brick oven, black with soot", "segments": "1"}},
        "locations": {"bakery": {"description": "A small bakery with a tiled floor", "segments": "1-2"}},
        "audio": {"language": "de"},
        "segments": [
            {
                "timespan": "00:00 - 00:08",
                "technical": "Close-up, slow pan to the left",
                "prompt": "The baker kneads dough, flour rises in front of the oven.",
                "narration": "Es war noch dunkel.",
            },
            {
                "timespan": "00:08 - 00:12",
                "prompt": "The guest opens the door.",
                "continues": True,
                "dialogue": [
                    {"character": "guest", "line": "Guten Morgen."},
                    {"character": "baker", "line": 'Man sagt "Moin".'},
                    {"character": "guest", "line": "Moin </d> dann."},
                ],
                "negative": "rain",
            },
        ],
    }
)


def model(dialect: str, sound: bool | None = None, **rule: object) -> Profile:
    return Profile("m", "m", "Model", sound=sound, prompt=PromptRule(dialect, **rule))  # type: ignore[arg-type]


def test_plain_is_what_the_story_composes() -> None:
    story = parse_story(
        json.loads(APPLE_TREE.read_text(encoding="utf-8")) | {"style": {"prefix": "Film", "suffix": "sharp"}}
    )
    for segment in story.segments:
        compiled = compile_prompt(story, segment.number, model("plain"))
        assert compiled.text == compose_prompt(story, segment)
        assert compiled.notes == ()


def test_plain_with_speech() -> None:
    compiled = compile_prompt(STORY, 2, model("plain", sound=True))
    assert compiled.text == (
        "35 mm film, muted colors. A small bakery with a tiled floor. Warm lamplight before dawn. The baker is a woman of sixty"
        " with a gray braid and a white apron. A tall man, in a raincoat. The guest opens the door."
        ' The tall man says in German: "Guten Morgen." The baker says in German: "Man sagt \'Moin\'."'
        ' The tall man says in German: "Moin </d> dann." shallow depth of field.'
    )
    assert compiled.negative == "text, watermark, rain"


def test_ltx() -> None:
    compiled = compile_prompt(STORY, 1, model("ltx", sound=True, negative=False))
    assert compiled.text == (
        "Close-up, 35 mm film, muted colors. A small bakery with a tiled floor. Warm lamplight before dawn. The baker kneads"
        " dough, flour rises in front of the oven. The baker is a woman of sixty with a gray braid and a white apron. A brick"
        " oven, black with soot. The camera pans left slowly."
        ' An unseen narrator says in German: "Es war noch dunkel." shallow depth of field.'
    )
    assert compiled.negative is None
    assert compiled.notes == (
        "the prompt has 9 sentences, the makers of LTX advise 4 to 8",
        "the negative prompt is not used: Model takes none",
    )


def test_wan_from_text() -> None:
    compiled = compile_prompt(STORY, 1, model("wan", sound=False, words=(80, 120)))
    assert compiled.text == (
        "The baker is a woman of sixty with a gray braid and a white apron. A brick oven, black with soot. A small bakery with a"
        " tiled floor. Warm lamplight before dawn. The baker kneads dough, flour rises in front of the oven. The camera pans left"
        " slowly. Close-up, 35 mm film, muted colors. shallow depth of field."
    )
    assert compiled.notes == (
        "the prompt has 58 words, the makers of Wan advise 80 to 120",
        "narration and dialogue are not part of the prompt: Model makes no sound",
    )


def test_wan_from_a_picture_has_motion_and_camera_only() -> None:
    compiled = compile_prompt(STORY, 1, model("wan", sound=False, words=(80, 120)), Given(first_frame=True))
    assert compiled.text == ("The baker kneads dough, flour rises in front of the oven. The camera pans left slowly.")
    assert compiled.notes[0] == (
        "the first frame shows Baker, Oven, the location, the lighting and the style: not part of the prompt"
    )


def test_h3_from_text() -> None:
    compiled = compile_prompt(STORY, 1, model("h3-keyframes", sound=True))
    assert compiled.text == (
        "integrated_multimodal_description: [Shot 1] Close-up, 35 mm film, muted colors. A small bakery with a tiled floor. Warm"
        " lamplight before dawn. The baker is a woman of sixty with a gray braid and a white apron. A brick oven, black with"
        " soot. The baker kneads dough, flour rises in front of the oven. The camera pans left with small amplitude at slow"
        " speed. The closing framing is held for the last two seconds."
        " An unseen narrator (S1) says, <d>[German] Es war noch dunkel.</d>\n\n"
        "overall_soundscape: Natural sound of the place and of the movements that are seen. Only the quoted lines are spoken;"
        " all descriptions are visual only.\n\n"
        "non_diegetic_music: N/A"
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (Given(), "integrated_multimodal_description: [Shot 1]"),
        (
            Given(first_frame=True),
            "For the target video, at 0.00 seconds into the target video, <Picture 1> (from [Shot 1]) is fully referenced.\n\n",
        ),
        (
            Given(first_frame=True, last_frame=True),
            "How the reference pictures align with the target video — Picture 1 (from Shot 1) aligns with the 0.00-second mark of"
            " the target video; Picture 2 (from Shot 1) aligns with the 4.00-second mark of the target video.\n\n",
        ),
        (
            Given(last_frame=True, seconds=Fraction(107, 24)),
            "How the reference pictures align with the target video — <Picture 1> (from [Shot 1]) aligns with the 4.46-second"
            " mark of the target video.\n\n",
        ),
    ],
)
def test_h3_says_where_its_pictures_are_in_the_clip(given: Given, sentence: str) -> None:
    assert compile_prompt(STORY, 2, model("h3-keyframes"), given).text.startswith(sentence)


def test_h3_with_references() -> None:
    given = Given(references=("baker", "baker", "bakery"))
    compiled = compile_prompt(STORY, 2, model("h3-references", sound=True, words=(350, 500)), given)
    assert (
        compiled.text
        == """\
subject_definitions:
<Subject 1> is the baker in <Picture 1> and <Picture 2>: The baker is a woman of sixty with a gray braid and a white apron.
<Subject 2> is the small bakery with a tiled floor in <Picture 3>: A small bakery with a tiled floor.

summary:
[reference generation] The target video lasts 4 seconds. The guest opens the door.

retention_analysis:
<Subject 1> (appears in [Shot 1]): fully_preserved - face, hair, build and clothes are those of the reference.
<Subject 2> (appears in [Shot 1]): fully_preserved - place, layout and colors are those of the reference.

detailed_description:
The target video has one shot. 35 mm film, muted colors. shallow depth of field.
[Shot 1] Warm lamplight before dawn. <Subject 1> and <Subject 2> are in this shot. A tall man, in a raincoat. The guest opens \
the door. The tall man (S1) says, <d>[German] Guten Morgen.</d> <Subject 1> (S2) says, <d>[German] Man sagt "Moin".</d> \
The tall man (S1) says, <d>[German] Moin dann.</d>

overall_soundscape:
Natural sound of the place and of the movements that are seen. Only the quoted lines are spoken; all descriptions are visual only.

non_diegetic_music:
N/A"""
    )
    assert compiled.notes == (
        "detailed_description has 65 words, the makers of H3 advise 350 to 500",
        "Guest has no reference picture here and is described in words",
    )


def test_h3_calls_the_cast_by_its_subjects() -> None:
    compiled = compile_prompt(STORY, 1, model("h3-references"), Given(references=("oven", "baker")))
    assert "<Subject 1> is the baker in <Picture 2>: " in compiled.text
    assert "<Subject 2> is the brick oven in <Picture 1>: " in compiled.text
    assert "[Shot 1] Close-up. A small bakery with a tiled floor." in compiled.text
    assert "<Subject 1> kneads dough, flour rises in front of <Subject 2>." in compiled.text
    assert "are in this shot" not in compiled.text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("The man in the hat and the tall man talk.", "<Subject 1> and the tall man talk."),
        ("A man in the hat sits.", "<Subject 1> sits."),
        ("Ben's hand. Ben waves to the ben.", "<Subject 1>'s hand. <Subject 1> waves to <Subject 1>."),
        (
            "The dog runs; another dog sleeps, a dog barks, dogs howl.",
            "<Subject 2> runs; another dog sleeps, a dog barks, dogs howl.",
        ),
        ("Old benches.", "Old benches."),
        ("the re\u017f and the ken.", "the re\u017f and <Subject 4>."),
    ],
)
def test_h3_calls_nobody_else_by_a_subject(text: str, named: str) -> None:
    story = parse_story(
        {
            "characters": {
                "ben": {"description": "The man in the hat is old"},
                "rex": {"description": "A dog, brown"},
                "res": {},
                "ken": {},
            },
            "segments": [{"prompt": text}],
        }
    )
    compiled = compile_prompt(story, 1, model("h3-references"), Given(references=("ben", "rex", "res", "ken")))
    assert f"seconds. {named}" in compiled.text


def test_h3_names_pictures_that_do_not_belong_to_the_segment() -> None:
    compiled = compile_prompt(STORY, 1, model("h3-references"), Given(references=("guest", "baker")))
    assert "the picture of 'guest' is given, but it is not in this segment" in compiled.notes
    # The numbers stay those of the pictures that are uploaded.
    assert "<Subject 1> is the baker in <Picture 2>: " in compiled.text


def test_clauses_within_the_tokens() -> None:
    compiled = compile_prompt(STORY, 1, model("clauses", tokens=40, negative=True))
    assert compiled.text == (
        "baker kneads dough, flour rises in front of oven, baker is woman of sixty with gray braid and white apron, brick oven"
        ", small bakery with tiled floor, Close-up"
    )
    assert compiled.notes == (
        "the model reads 38 tokens: articles are left out",
        "the model reads 38 tokens: cut from the description of Oven: 'black with soot'",
        "the model reads 38 tokens: cut from the lighting: 'Warm lamplight before dawn'",
        "the model reads 38 tokens: cut from the style's prefix: '35 mm film', 'muted colors'",
        "the model reads 38 tokens: cut from the style's suffix: 'shallow depth of field'",
        "narration and dialogue are not part of the prompt: Model is not known to make sound",
    )


def test_clauses_that_fit_are_whole() -> None:
    compiled = compile_prompt(STORY, 1, model("clauses", tokens=100, negative=True))
    assert compiled.text == (
        "The baker kneads dough, flour rises in front of the oven, The baker is a woman of sixty with a gray braid and a white"
        " apron, A brick oven, black with soot, A small bakery with a tiled floor, Warm lamplight before dawn, Close-up, 35 mm"
        " film, muted colors, shallow depth of field"
    )
    assert compiled.negative == "text, watermark"


def test_a_partners_limit_cuts_the_least_needed_first() -> None:
    compiled = compile_prompt(STORY, 2, model("plain", characters=150))
    assert compiled.text == (
        "The baker is a woman of sixty with a gray braid and a white apron. A tall man, in a raincoat. The guest opens the door."
    )
    assert compiled.notes[:4] == (
        "the model takes 150 characters: the style's suffix is left out: 'shallow depth of field'",
        "the model takes 150 characters: the style's prefix is left out: '35 mm film, muted colors'",
        "the model takes 150 characters: the lighting is left out: 'Warm lamplight before dawn'",
        "the model takes 150 characters: the location is left out: 'A small bakery with a tiled floor'",
    )


def test_a_limited_negative_prompt() -> None:
    compiled = compile_prompt(STORY, 2, model("plain", characters=20))
    assert compiled.negative == "text, watermark"
    assert "the model takes 20 characters: the negative prompt is cut after 15" in compiled.notes


def test_a_model_without_text() -> None:
    compiled = compile_prompt(STORY, 1, model("none", sound=False))
    assert (compiled.text, compiled.negative) == ("", None)


def test_another_text_replaces_the_segments_own() -> None:
    assert "Snow falls." in compile_prompt(STORY, 1, model("ltx"), text="Snow falls.").text
    assert "kneads" not in compile_prompt(STORY, 1, model("ltx"), text="Snow falls.").text
    assert compile_prompt(STORY, 1, model("ltx"), text="  ") == compile_prompt(STORY, 1, model("ltx"))


@pytest.mark.parametrize("dialect", ["plain", "ltx", "wan", "clauses", "h3-keyframes", "h3-references", "none"])
def test_the_shortest_story_has_a_prompt_in_every_dialect(dialect: str) -> None:
    story: Story = parse_story([{"prompt": "A cat."}])
    compiled = compile_prompt(story, 1, model(dialect, tokens=77))
    assert (dialect == "none") == ("cat" not in compiled.text)
    assert compiled.dialect == dialect
