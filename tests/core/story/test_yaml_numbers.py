"""Numbers and words of YAML mean what is written, and libyaml's parser reads the same as PyYAML's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from custom_nodes.videogen.core.errors import ProblemList
from custom_nodes.videogen.core.story import yaml_loader
from custom_nodes.videogen.core.story.documents import parse_document
from custom_nodes.videogen.core.story.parser import parse_story_text


def read(value: str) -> Any:
    return parse_document(f"a: {value}", "film.yaml")["a"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("024", 24),  # YAML 1.1: 20
        ("08", 8),
        ("-007", -7),
        ("1:30", "1:30"),  # YAML 1.1: 90
        ("1:30.5", "1:30.5"),
        ("190:20:30", "190:20:30"),
        ("1_000", 1000),
        ("1_0", "1_0"),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b101", 5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),  # YAML 1.1: text
        ("1E-2", 0.01),
        ("695e0514", "695e0514"),
        ("+12", 12),
        ("-.inf", -math.inf),
        ("2025-01-13", "2025-01-13"),  # YAML 1.1: a date
        ("2025-13-45", "2025-13-45"),
        ("yes", "yes"),  # YAML 1.1: true
        ("no", "no"),
        ("off", "off"),
        ("=", "="),
        ("True", True),
        ("false", False),
        ("Null", None),
        ("~", None),
        ("", None),
        ("'024'", "024"),
        ("!!int '024'", 24),
        ("!!float 1e3", 1000.0),
        ("!!bool yes", True),
    ],
)
def test_what_is_written_is_meant(written: str, meant: Any) -> None:
    found = read(written)
    assert (found, type(found)) == (meant, type(meant))


def test_a_story_with_numbers_as_people_write_them() -> None:
    story = parse_story_text(
        "title: no\nfps: 024\nframes: 1e2\nsegments:\n- {id: 007a, prompt: off, seed: 0010, continues: no}\n"
        "- {prompt: 2025-01-13, seed: 1_000, continues: yes}\n",
        "film.yaml",
    )
    assert (story.title, story.fps) == ("no", 24)
    first, second = story.segments
    assert (first.prompt, first.seed, first.frames, first.continues) == ("off", 10, 100, False)
    assert (second.prompt, second.seed, second.continues) == ("2025-01-13", 1000, True)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("fps: 1:30", "fps: found text ('1:30'), expected a number from 0.001 to 240 frames a second"),
        ("frames: 1:30", "frames: found text ('1:30'), expected a whole number from 1 to 10,000"),
        ("frames: 1_0", "frames: found text ('1_0'), expected a whole number from 1 to 10,000"),
        ("fps: .nan", "fps: found nan, expected a number from 0.001 to 240 frames a second"),
        ("title: 024", "title: found 24, expected text; put it in quotes"),
    ],
)
def test_what_has_no_one_meaning_is_refused_with_what_was_written(line: str, problem: str) -> None:
    with pytest.raises(ProblemList) as caught:
        parse_story_text(f"{line}\nsegments: [{{prompt: x}}]", "film.yaml")
    assert [str(one) for one in caught.value.problems] == [problem]


@pytest.mark.parametrize(
    "value", ["!!int 1:30", "!!float 1:30", "!!int '0o9'", "!!int 1" + ":0" * 60, "!!timestamp soon"]
)
def test_a_tag_forces_nothing_that_it_does_not_say(value: str) -> None:
    with pytest.raises(Exception, match="a value that cannot be read as"):
        read(value)


# ------------------------------------------------------------------ two parsers


def outcome(loader: Any, text: str) -> tuple[str, Any]:
    try:
        return "read", yaml_loader._load(loader(text))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        return "refused", type(error).__name__ and None


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="this PyYAML has no libyaml")
@example("!")
@example("a: !\nb: ! ''\nc: ! 12")
@given(st.text("ab01:-_ \n'\"{}[],&*!<|>#.éé苹~", max_size=40) | st.text(max_size=40))
def test_both_parsers_read_the_same(text: str) -> None:
    python, fast = outcome(yaml_loader._PythonLoader, text), outcome(yaml_loader._make_fast_loader(), text)
    if "refused" not in (python[0], fast[0]):
        assert repr(python[1]) == repr(fast[1])


def test_without_libyaml_it_is_read_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x-a: &a {negative: cars}\nsegments:\n- {<<: *a, prompt: 苹果, seed: 024}\n"
    fast = parse_document(text, "film.yaml")
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert parse_document(text, "film.yaml") == fast
    assert fast["segments"] == [{"negative": "cars", "prompt": "苹果", "seed": 24}]
