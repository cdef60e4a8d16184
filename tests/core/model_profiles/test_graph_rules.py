"""What a node's schema says where no profile is known."""

from fractions import Fraction

import pytest

from custom_nodes.videogen.core.model_profiles.frames import DurationRule
from custom_nodes.videogen.core.model_profiles.graph_rules import (
    read_duration_rule,
    read_frame_rule,
    read_unknown_model,
)
from custom_nodes.videogen.core.model_profiles.model import FrameRule, SizeRule


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        (["INT", {"default": 81, "min": 1, "max": 16384, "step": 4}], FrameRule(4, 1, 1, 16381)),
        (["INT", {"default": 124, "min": 5, "max": 3600, "step": 17}], FrameRule(17, 5, 5, 3592)),
        (["INT", {"default": 14, "min": 1, "max": 4096}], FrameRule(1, 0, 1, 4096)),
        (["INT", {}], FrameRule(1, 0, 1, 100_000)),
        (["INT", {"min": -5, "max": 2**80, "step": 0}], FrameRule(1, 0, 1, 100_000)),
        (["FLOAT", {"min": 1}], None),
        ([["5", "10"]], None),
        (None, None),
    ],
)
def test_frames(spec, rule) -> None:
    assert read_frame_rule(spec) == rule


def test_an_unknown_model_is_what_its_inputs_say() -> None:
    profile = read_unknown_model(
        ["INT", {"min": 1, "max": 100, "step": 8}], ["INT", {"min": 64, "step": 32}], ["INT", {"min": 16, "step": 16}]
    )
    assert profile.frames == FrameRule(8, 1, 1, 97)
    assert profile.size == SizeRule(32, 64)
    assert (profile.known, profile.title, profile.rate, profile.prompt.dialect) == (
        False,
        "an unknown model",
        None,
        "plain",
    )
    assert read_unknown_model().frames is None


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ([["5", "10"], {}], DurationRule(((Fraction(5), "5"), (Fraction(10), "10")))),
        (["COMBO", {"options": [8, 4, "auto"]}], DurationRule(((Fraction(4), 4), (Fraction(8), 8)))),
        (["COMBO", {"options": ["5s", "9s"]}], DurationRule(((Fraction(5), "5s"), (Fraction(9), "9s")))),
        (["INT", {"min": 3, "max": 15, "step": 1}], DurationRule((), Fraction(3), Fraction(15))),
        (
            ["FLOAT", {"min": 1.5, "max": 8, "step": 0.5}],
            DurationRule((), Fraction(3, 2), Fraction(8), Fraction(1, 2), False),
        ),
        (["COMBO", {"options": ["auto"]}], None),
        (["STRING", {}], None),
        (None, None),
    ],
)
def test_durations(spec, rule) -> None:
    assert read_duration_rule(spec) == rule
