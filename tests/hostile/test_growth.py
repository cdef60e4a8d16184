"""Every parser of what users write takes time in proportion to its input: four times as much text, about four times as long.

The largest inputs are the largest that are allowed. Where a parser was quadratic, or worse, the comment says what it took.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from custom_nodes.videogen.core.continuity.drift import name_part
from custom_nodes.videogen.core.segment.cast_prompts import plan_member
from custom_nodes.videogen.core.segment.location_prompt import describe_location
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.segment.regions import lay_out
from custom_nodes.videogen.core.segment.shots import parse_shot
from custom_nodes.videogen.core.similar_names import SimilarNames
from custom_nodes.videogen.core.story.model import Entity, slugify
from custom_nodes.videogen.core.story.parser import parse_story, parse_story_text
from custom_nodes.videogen.core.story.pasted.other_formats import import_story
from custom_nodes.videogen.core.story.selection import format_selection, parse_selection
from custom_nodes.videogen.core.timing import exact, parse_timespan
from custom_nodes.videogen.core.video.encoding import escape_metadata
from custom_nodes.videogen.media.storyboard.drawing.colors import parse_color
from custom_nodes.videogen.media.storyboard.scene.props import read_prop
from custom_nodes.videogen.media.storyboard.scene.words import read_look
from runner.workflows.bindings import parse_binding, parse_setting
from tests.support.hostile.growth import MOST, assert_grows_linearly


def repeat(text: str, before: str = "", after: str = "") -> Callable[[int], str]:
    """A text of n characters out of a repeated one."""
    return lambda size: before + (text * (size // len(text) + 1))[:size] + after


# ------------------------------------------------------------------ prompts and directions

#: What patterns for shots stumble over: words that begin a match, and what may be between or after them.
WORDS = (
    "-",
    " ",
    "\n",
    "\t-",
    "a-",
    "a",
    "wide-",
    "wide ",
    "wide/a ",
    "no wide ",
    "medium ",
    "extreme ",
    "extreme-close-",
    "slow",
    "slow ",
    "slowslow pan ",
    "zoom",
    "zoom-",
    "zoom a ",
    "schwenk",
    "aschwenk ",
    "pan ",
    "pan left not ",
    "right-to-",
    "oben nach ",
    "close-",
    "not a ",
    "establishing\n",
    "camera. ",
    "push-",
)


@pytest.mark.parametrize("start", ["", "wide", "zoom", "camera pan"])
@pytest.mark.parametrize("word", WORDS, ids=[repr(word) for word in WORDS])
def test_shots(word: str, start: str) -> None:
    """ "wide" and 20,000 hyphens took 21 s, "slow" 5,000 times 2 s: a regular expression began everywhere and read to the end."""
    assert_grows_linearly(lambda text: parse_shot("", text), repeat(word, start), 20_000)
    assert_grows_linearly(lambda text: parse_shot(text, ""), repeat(word, start), 20_000)


@pytest.mark.parametrize(
    "word", ["a ", "no ", "no a a ", "1", "1-", "1 m ", "shirt ", "a-shirt", "a", "long hair ", "red ", "\\w", "kein"]
)
def test_storyboard_words(word: str) -> None:
    def draw(text: str) -> None:
        entity = Entity("character", "anna", "Anna", description=text)
        read_look(entity, (1, 2, 3))
        read_prop(entity)
        for part in ("head", "upper", "lower"):
            name_part(part, text)

    assert_grows_linearly(draw, repeat(word), 8_000)


@pytest.mark.parametrize("character", ["1", ":", ":0", " ", "-", "0:00 - ", "9", "/", ".", "1/", "–"])
def test_times_numbers_and_selections(character: str) -> None:
    for parse in (parse_timespan, exact, lambda text: parse_selection(text, 9), parse_color, slugify):
        assert_grows_linearly(parse, repeat(character), 100_000)
        assert_grows_linearly(parse, repeat(character, "1", "1"), 100_000)


@pytest.mark.parametrize("part", ["1", "1-10000", "10000-1", "1..2", "5000", "x"])
def test_selections(part: str) -> None:
    assert_grows_linearly(lambda count: parse_selection([part] * count, 10_000), lambda count: count, 20_000)
    assert_grows_linearly(lambda count: parse_selection(",".join([part] * count), 10_000), lambda count: count, 12_000)
    assert_grows_linearly(lambda count: format_selection(tuple(range(1, count, 2))), lambda count: count, 20_000)


@pytest.mark.parametrize("character", ["=", ".", "a", "a.", "a=b.", " "])
def test_bindings_and_settings(character: str) -> None:
    for parse in (parse_binding, parse_setting):
        assert_grows_linearly(parse, repeat(character), 100_000)
        assert_grows_linearly(parse, repeat(character, "seed="), 100_000)


@pytest.mark.parametrize("character", ["=", "\\", "\n", "#"])
def test_metadata_of_a_video(character: str) -> None:
    assert_grows_linearly(lambda text: escape_metadata({"prompt": text}), repeat(character), 1_000_000)


# ------------------------------------------------------------------ stories

YAML: dict[str, Callable[[int], str]] = {
    "list": repeat("- a\n"),
    "flow list": repeat("a,", "[", "]"),
    "flow that does not end": repeat("[a,", ""),
    "mapping": lambda size: "".join(f"k{number}: 1\n" for number in range(size // 8)),
    "numbers as keys that have one hash": lambda size: "".join(f"{n * (2**61 - 1)}: 1\n" for n in range(1, size // 26)),
    "number in sixties": repeat(":0", "a: 1"),  # 5 MB took 29 s
    "number in sixties with a fraction": repeat(":0", "a: 1", ".5"),
    "octal": repeat("7", "a: 0"),
    "hexadecimal": repeat("f", "a: 0x"),
    "digits": repeat("9", "a: "),
    "date": repeat("0", "a: 2025-01-01 00:00:00."),
    "plain": repeat("word ", "a: "),
    "spaces": repeat(" ", "a: ", "b"),
    "quoted": repeat("word\\n", 'a: "', '"'),
    "quoted that does not end": repeat("x '", "a: '"),
    "block": repeat(" word\n\n", "a: |\n"),
    "folded": repeat(" word\n\n", "a: >\n"),
    "comments": repeat("#\n", "", "a: b"),
    "questions": repeat("? a\n"),
    "tags": repeat("!!str a,", "[", "]"),
    "anchors": lambda size: "[" + ",".join(f"&a{number} b" for number in range(size // 8)) + "]",
    "directives": repeat("%A b\n", "", "---\na"),
    "base64": repeat("QUJD", "a: !!binary "),
    "deep": repeat("["),
    "deep lines": lambda size: "".join(" " * (n % 300) + "- " for n in range(size // 150)),
    "empty lines": repeat("\n", "", "a"),
}
JSON: dict[str, Callable[[int], str]] = {
    "list": repeat("1,", "[", "1]"),
    "keys": lambda size: "{" + ",".join(f'"k{number}":1' for number in range(size // 8)) + "}",
    "repeated key": repeat('"a":1,', "{", '"a":1}'),
    "text": repeat("word ", '["', '"]'),
    "escapes": repeat("\\u00e4", '["', '"]'),
    "digits": repeat("9", "[", "]"),
    "many long numbers": repeat("9" * 4_000 + ",", "[", "1]"),
    "exponent": repeat("9", "[1e", "]"),
    "deep": repeat("["),
    "lines and a mistake": repeat("1,\n", "[", "x"),
    "spaces": repeat(" ", "[", "]"),
    # What is read although it is no JSON.
    "fences": repeat("```\n", "", "[1]"),
    "fences with blanks": repeat(" ", "```", "x\n[1]"),
    "words before a fence": repeat("word ", "", "\n```json\n[1]\n```"),
    "comments": repeat("// x\n", "[", "1]"),
    "comment that does not end": repeat("/* ", "[1,", ""),
    "curly quotes": repeat("\u201ca\u201d,", "[", "1,]"),
    "curly quote that does not end": repeat("a", "[1,\u201c", ""),
    "quotes in a text that does not end": repeat('\\"', '[1,"', ""),
    "commas and blanks": repeat(",  ", "[1", "]"),
    "python's words": repeat("True,", "[", "None,]"),
}


@pytest.mark.parametrize("case", YAML)
def test_yaml(case: str) -> None:
    assert_grows_linearly(lambda text: parse_story_text(text, "a.yaml"), YAML[case], 160_000)


@pytest.mark.parametrize("case", JSON)
def test_json(case: str) -> None:
    assert_grows_linearly(lambda text: parse_story_text(text, "a.json"), JSON[case], 2_000_000)


def story_of(count: int, **fields: Any) -> dict[str, Any]:
    return {"segments": [{"prompt": "a tree"}] * count, **fields}


STORIES: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    "segments": (story_of, 10_000),
    "ids": (lambda size: {"segments": [{"prompt": "x", "id": f"i{n}"} for n in range(size)]}, 10_000),
    "one id": (lambda size: {"segments": [{"prompt": "x", "id": "same"}] * size}, 10_000),
    "timespans": (
        lambda size: {
            "segments": [
                {"prompt": "x", "timespan": f"{n // 60:02d}:{n % 60:02d} - {n // 60:02d}:{n % 60:02d}.5"}
                for n in range(size)
            ]
        },
        10_000,
    ),
    "prompts": (lambda size: story_of(100, style={"prefix": "x" * size}), 20_000),
    "cast": (lambda size: story_of(100, characters={f"c{n}": {"description": "x" * 100} for n in range(size)}), 200),
    "references": (lambda size: story_of(1, characters={"a": {"reference": ["a.png"] * size}}), 40_000),
    "locations": (
        lambda size: story_of(size, locations={f"l{n}": {"segments": f"{n + 1}-{size}"} for n in range(20)}),
        10_000,
    ),
    "transitions": (
        lambda size: story_of(size, transitions=[{"after": n} for n in range(1, size)]),
        10_000,
    ),
    "wrong keys": (lambda size: {"segments": [{f"promt{n}": "x" for n in range(size)}]}, 4_000),
    "notes": (lambda size: {"segments": [{f"x-{n}": "x" for n in range(size)}]}, 40_000),
    "wrong colors": (lambda size: story_of(1, characters={"a": {"color": "#" * size}}), 20_000),
    "long name": (lambda size: story_of(1, characters={"a" * size: {}}), 100_000),
    "long master prompt": (lambda size: story_of(1, style={"master_prompt": "a." * (size // 2)}), 200_000),
}


@pytest.mark.parametrize("case", STORIES)
def test_stories(case: str) -> None:
    make, largest = STORIES[case]
    assert_grows_linearly(lambda data: parse_story(data, "story"), make, largest)


#: Stories of other programs, with the size that `videogen import` is measured with.
IMPORTS: dict[str, tuple[Callable[[int], Any], int]] = {
    "ViMax, a name a shot": (
        lambda size: [{"visual_desc": "x", "ff_desc": f"<n{n}> walks"} for n in range(size)],
        4_000,
    ),
    "ViMax, names in a shot": (
        lambda size: [{"visual_desc": "x", "ff_desc": "".join(f"<n{n}>" for n in range(size))}] * 4,
        20_000,
    ),
    "ViMax, no ends": (lambda size: [{"visual_desc": "x", "ff_desc": "<" * size}], 400_000),
    "StoryMem": (lambda size: [{"video_prompts": ["x"] * 10, "cut": ["false"] * 10}] * (size // 10), 40_000),
    "scenes": (lambda size: {"scenes": [{"visual": "x", "camera": {"a": ["b"] * 5}, "duration": 5}] * size}, 20_000),
    "a prompt": (lambda size: {"subject": {f"a{n}": ["x."] for n in range(size)}, "camera": "x"}, 40_000),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_imports(case: str) -> None:
    """What ViMax calls people was looked for in every shot, for each of them: 3,000 took 24 s."""
    make, largest = IMPORTS[case]
    assert_grows_linearly(import_story, make, largest)


def test_plans_of_all_segments() -> None:
    """Who appears was searched for in a list of all segments, for every segment and every member of the cast."""
    cast = {f"c{number}": {} for number in range(40)}

    def plan_all(data: dict[str, Any]) -> None:
        story = parse_story(data, "story")
        for segment in story.segments:
            plan_segment(story, segment.number)

    assert_grows_linearly(plan_all, lambda size: story_of(size, characters=cast), 4_000)


@pytest.mark.parametrize("word", ["a ", ",", " ", "1 K", "1 ", ".", "\n"])
def test_prompts_that_are_made_of_a_story(word: str) -> None:
    def compose(text: str) -> None:
        description = text[:4000] + "x"
        story = parse_story(
            story_of(
                1,
                style={"prefix": text + "x", "negative": text + "x", "lighting": text + "x"},
                characters={"anna": {"description": description, "region": "left"}, "ben": {}},
                locations={"field": {"description": description}},
            ),
            "story",
        )
        plan = plan_segment(story, 1, text)
        plan_member(story, 1, text, text)
        describe_location(plan)
        lay_out(plan.characters, plan.objects, plan.location)

    assert_grows_linearly(compose, repeat(word), 16_000)


def test_regions_of_a_full_cast() -> None:
    def place(size: int) -> None:
        cast = [Entity("character", f"c{n}", "C", region=["left", "right", None][n % 3]) for n in range(size)]
        lay_out(cast, [], None)

    assert_grows_linearly(place, lambda size: size, 8_000)


# ------------------------------------------------------------------ aliases: a small file that is read often


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        # A selection that takes a moment, for every character: 40 s.
        (
            "characters:\n"
            + "".join(
                f"  c{n}: {{segments: {'&s [' + '1, ' * 20_000 + '1]' if n == 0 else '*s'}}}\n" for n in range(200)
            )
            + "segments: [{prompt: x}]",
            "200,000 values",
        ),
        # A prompt that takes a moment, for every segment: 60 s.
        (
            f"segments:\n- {{prompt: &p {'wide-' * 3_900}}}\n" + "- {prompt: *p}\n" * 9_000,
            "5,000,000 characters",
        ),
        ("a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(100_000)), "200,000 values"),
        (
            "l0: &l0 [x]\n" + "".join(f"l{n}: &l{n} [*l{n - 1}, *l{n - 1}]\n" for n in range(1, 60)),
            "200,000 values",
        ),
    ],
    ids=["selection", "prompt", "many", "doubling"],
)
def test_what_anchors_copy_is_counted(text: str, limit: str) -> None:
    with pytest.raises(Exception, match=f"more than {limit}"):
        parse_story_text(text, "a.yaml")


# ------------------------------------------------------------------ names that are not known


def test_names_that_are_not_known_are_compared_with_a_limit() -> None:
    """20,000 unknown classes, each compared with all that the server has: 40 s."""
    known = [f"Node{number:05d}" for number in range(1_000)]

    def find(count: int) -> None:
        similar = SimilarNames()
        for number in range(count):
            similar.find(f"Nodes{number:05d}", known)

    # Forty times as many take no longer once the limit is reached.
    assert_grows_linearly(find, lambda count: count, 800)
    assert SimilarNames().find("KSamplr", ["KSampler", "VAEDecode"]) == "KSampler"
    tired = SimilarNames(limit=1_500)
    assert [tired.find("Node00001x", known) != "" for _ in range(3)] == [True, True, False]


def test_growth_that_is_quadratic_is_found() -> None:
    def call(size: int) -> None:
        for _ in range(size * size):
            pass

    with pytest.raises(AssertionError, match=str(MOST)):
        assert_grows_linearly(call, lambda size: size, 4_000)
