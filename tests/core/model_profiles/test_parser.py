"""Files of model profiles: what is read, and what is said of files that break the format."""

from fractions import Fraction

import pytest

from custom_nodes.videogen.core.errors import ProblemList, VideoGenError
from custom_nodes.videogen.core.model_profiles.model import (
    FrameRule,
    InputRule,
    MemoryFigure,
    PromptRule,
    RateRule,
    Sign,
    SizeRule,
)
from custom_nodes.videogen.core.model_profiles.parser import parse_profiles

WHOLE = """
family: mine
shared:
  frames: {step: 4, offset: 1, most: 81, trained: [49, 81], source: a paper}
  fps: {native: 24000/1001, least: 20, most: 30, source: a paper}
  prompt: {dialect: wan, source: a guide}
models:
  - name: mine-i2v
    title: Mine
    recognize:
      - nodes: [MyImageToVideo]
        also: [MyPatch]
        loaders: [mine]
        files: ["*Mine*"]
      - partner: video
    size: {multiple: 16, least: 64, area: 1000000, native: [832, 480], source: a paper}
    inputs: {first_frame: true, last_frame: false, references: 3, source: its node}
    sound: {made: true, source: its node}
    memory:
      - {gigabytes: 22.5, what: "fp8, 81 frames", source: measured}
  - name: mine-image
    makes: image
    recognize: [{nodes: [MyImage]}]
    frames: null
    prompt: {dialect: clauses, tokens: 77, characters: 500, words: [10, 20], negative: true, source: a guide}
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ProblemList) as error:
        parse_profiles(text, "mine.yaml")
    assert error.value.code == "profile-invalid"
    return [str(problem) for problem in error.value.problems]


def test_a_whole_file() -> None:
    first, second = parse_profiles(WHOLE, "mine.yaml")
    assert (first.name, first.family, first.title, first.video) == ("mine-i2v", "mine", "Mine", True)
    assert first.signs == (
        Sign(("MyImageToVideo",), ("MyPatch",), ("mine",), ("*mine*",)),
        Sign(partner="VIDEO"),
    )
    assert first.frames == FrameRule(4, 1, 1, 81, (49, 81))
    assert first.rate == RateRule(Fraction(24000, 1001), Fraction(20), Fraction(30))
    assert first.size == SizeRule(16, 64, 1_000_000, (832, 480))
    assert first.inputs == InputRule(True, False, 3)
    assert first.sound is True
    assert first.prompt == PromptRule("wan")
    assert first.memory == (MemoryFigure(Fraction("22.5"), "fp8, 81 frames", "measured"),)
    assert first.sources["frames"] == "a paper"
    assert first.sources["size"] == "a paper"
    # The second has the family's rate, none of its frames, and a prompt of its own.
    assert (second.title, second.video, second.frames, second.rate) == ("mine-image", False, None, first.rate)
    assert second.prompt == PromptRule("clauses", 77, 500, (10, 20), True)
    assert "frames" not in second.sources


def test_what_is_not_known_is_absent() -> None:
    (profile,) = parse_profiles("family: a\nmodels: [{name: b, recognize: [{nodes: [C]}]}]", "a.yaml")
    assert (profile.frames, profile.rate, profile.size, profile.sound, profile.memory) == (None, None, None, None, ())
    assert profile.inputs == InputRule()
    assert profile.prompt == PromptRule()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("frames: {step: 4, offset: 1}", "frames.source: is missing, expected where these facts come from"),
        (
            "frames: {step: 4, offset: 1, most: 80, source: x}",
            "frames.most: found 80, expected a number of the rule 4·k + 1",
        ),
        ("frames: {least: 9, most: 8, source: x}", "frames.most: found 8, which is less than `least` (9)"),
        ("frames: {trained: [9, 8], source: x}", "frames.trained: found a list, expected [from, to]"),
        ("frames: {stepp: 4, source: x}", "frames.stepp: unknown key (did you mean 'step'?)"),
        ("fps: {least: 20, source: x}", "fps.native: is missing, expected frames a second"),
        ("fps: {native: 0, source: x}", "fps.native: found 0, expected a number from 1 to 240"),
        ("fps: {native: 16, least: 20, source: x}", "fps.native: found 16, which is outside `least` and `most`"),
        ("size: {native: [832], source: x}", "size.native: found a list, expected [width, height] in pixels"),
        (
            "inputs: {first_frame: perhaps, source: x}",
            "inputs.first_frame: found text ('perhaps'), expected true or false",
        ),
        ("prompt: {dialect: poem, source: x}", "prompt.dialect: found text ('poem'), expected one of plain, wan, ltx"),
        ("memory: [{gigabytes: 8}]", "memory[0]: has no what, source"),
        ("makes: films", "makes: found text ('films'), expected one of video, image"),
        ("titel: Mine", "titel: unknown key (did you mean 'title'?)"),
    ],
)
def test_each_problem_says_where_it_is_and_what_is_expected(line: str, problem: str) -> None:
    text = f"family: a\nmodels:\n  - name: b\n    recognize: [{{nodes: [C]}}]\n    {line}\n"
    (found,) = problems_of(text)
    assert found.startswith(f"models[0].{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1]", "found a list, expected a mapping with `family` and `models`"),
        ("family: a", "models: found nothing (null), expected a list of 1 to 200 models"),
        ("models: [{name: b, recognize: [{nodes: [C]}]}]", "family: is missing, expected a name such as wan-i2v"),
        (
            "family: A b\nmodels: [{name: b, recognize: [{nodes: [C]}]}]",
            "family: found text ('A b'), expected small letters",
        ),
        (
            "family: a\nmodels: [{name: b}]",
            "models[0].recognize: found nothing (null), expected a list of 1 to 50 signs",
        ),
        ("family: a\nmodels: [{name: b, recognize: [{}]}]", "models[0].recognize[0]: is empty, expected one of nodes"),
        (
            "family: a\nmodels: [{name: b, recognize: [{nodes: [C]}]}, {name: b, recognize: [{nodes: [D]}]}]",
            "models[1].name: 'b' is the name of another model of this file",
        ),
    ],
)
def test_problems_of_the_file(text: str, problem: str) -> None:
    assert problems_of(text)[0].startswith(problem)


def test_a_problem_of_the_family_is_reported_once() -> None:
    models = "".join(f"  - {{name: m{n}, recognize: [{{nodes: [C{n}]}}]}}\n" for n in range(3))
    found = problems_of(f"family: a\nshared:\n  frames: {{step: zero, source: x}}\nmodels:\n{models}")
    assert found == ["shared.frames.step: found text ('zero'), expected a whole number from 1 to 1,000"]


def test_all_problems_come_at_once() -> None:
    text = "family: a\nmodels: [{name: b, recognize: [{nodes: [C]}], frames: {step: x}, fps: {native: y, source: z}}]"
    assert len(problems_of(text)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("family: [", "mine.yaml is not YAML: "),
        ("family: !!python/object:os.system x", "mine.yaml is not YAML: "),
        ("a" * 200_001, "mine.yaml has 200,001 characters, at most 200,000 are allowed in a file of profiles"),
    ],
)
def test_what_is_no_yaml(text: str, message: str) -> None:
    with pytest.raises(VideoGenError) as error:
        parse_profiles(text, "mine.yaml")
    assert error.value.code == "profile-unreadable"
    assert error.value.message.startswith(message)
