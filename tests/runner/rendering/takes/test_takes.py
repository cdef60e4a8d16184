"""A take that falls short is rendered again, the best one is kept, and a kill in between loses nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from custom_nodes.videogen.core.continuity.own_likeness import RULES
from custom_nodes.videogen.core.continuity.policy import Thresholds
from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.story.parser import parse_story
from custom_nodes.videogen.metrics.appearance import AppearanceModel
from runner.bench.footage.footage import film
from runner.comfyui.outcome import Outcome
from runner.rendering.takes.measurement import TakeMeasurement
from runner.rendering.takes.selector import TakeSelector
from runner.reports.continuity_record import build_continuity
from runner.state.run_directory import RunDirectory
from tests.runner.rendering.takes.scripted_run import Run, make_score
from tests.support.stories import small_story


def test_what_passes_is_rendered_once(run: Callable[..., Run]) -> None:
    made = run({1: [0.9], 2: [0.95]})
    made.go()
    assert made.server.seeds == [(1, 101), (2, 102)]
    result = made.result(1)
    assert [(t["take"], t["seed"], t["score"], t["min"], t["temporal"], t["kept"]) for t in result["takes"]] == [
        (1, 101, 0.9, 0.85, 0.8, True)
    ]
    assert result["scores"] == {"Tom": 0.9, "temporal": 0.8}
    assert made.is_take_of(1, 101)
    assert not (made.folder / "takes").exists()


def test_what_falls_short_is_rendered_with_the_next_seed(
    run: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    made = run({1: [0.5, 0.9], 2: [0.95]})
    renderer = made.go()
    assert sorted(made.server.seeds) == [(1, 101), (1, 102), (2, 102)]
    assert made.is_take_of(1, 102)
    result = made.result(1)
    assert [(take["level"], take["kept"]) for take in result["takes"]] == [("fail", False), ("pass", True)]
    assert (result["seed"], result["continuity"]["take"]) == (102, 2)
    first = made.folder / result["takes"][0]["file"]
    assert first.read_bytes() == (made.server.folder / "1_101.mp4").read_bytes(), "what was rendered is kept"
    assert renderer is not None
    assert sorted(renderer.rendered) == [1, 2]
    assert "Tom 0.50, expected 0.85" in capsys.readouterr().err


def test_what_never_passes_keeps_its_best_take(run: Callable[..., Run], capsys: pytest.CaptureFixture[str]) -> None:
    made = run({1: [0.5, 0.8, 0.6], 2: [0.95]})
    renderer = made.go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 102, 103]
    assert made.is_take_of(1, 102)
    result = made.result(1)
    assert [take["score"] for take in result["takes"]] == [0.5, 0.8, 0.6]
    assert [take["kept"] for take in result["takes"]] == [False, True, False]
    assert result["continuity"]["level"] == "fail"
    assert renderer is not None
    assert renderer.failed == {}
    assert "take 2 of 3, below the threshold: Tom 0.80" in capsys.readouterr().err


@pytest.mark.parametrize(("takes", "when_below"), [(1, "render again"), (3, "only report")])
def test_retakes_can_be_switched_off(run: Callable[..., Run], takes: int, when_below: str) -> None:
    made = run({1: [0.5], 2: [0.95]}, takes, when_below=when_below)
    made.go()
    assert len(made.server.seeds) == 2
    assert made.result(1)["continuity"]["level"] == "fail"
    assert made.is_take_of(1, 101)


def test_an_earlier_take_is_better_than_none(run: Callable[..., Run]) -> None:
    made = run({1: [0.5, Outcome("error", "node 3 (KSampler): no")], 2: [0.95]})
    renderer = made.go()
    assert renderer is not None
    assert renderer.failed == {}
    assert made.is_take_of(1, 101)


def test_a_later_segment_is_held_against_the_first_accepted_one(run: Callable[..., Run]) -> None:
    made = run({1: [0.95], 2: [0.95, 0.95]})
    tom, ida = (
        AppearanceModel().measure_reference(film(who).frames[0], film(who).masks[0]).to_dict() for who in ("tom", "ida")
    )
    made.server.looks = {1: tom, 2: ida}
    made.server.scores[2] = [0.95, 0.95, 0.95]
    made.go()
    takes = made.result(2)["takes"]
    assert len(takes) == 3, "it is like its reference, and unlike segment 1"
    assert all(take["score"] < 0.85 for take in takes)
    scores = json.loads((made.folder / made.result(2)["continuity"]["file"]).read_text())["scores"]
    assert set(scores["subjects"][0]["against"]) == {"reference", "first segment"}


def test_nobody_is_held_against_a_segment_that_fell_short_while_another_has_passed(run: Callable[..., Run]) -> None:
    made = run({1: [0.5, 0.5, 0.5], 2: [0.95]})
    tom, ida = (
        AppearanceModel().measure_reference(film(who).frames[0], film(who).masks[0]).to_dict() for who in ("tom", "ida")
    )
    made.server.looks = {1: ida, 2: tom}
    made.go()
    with RunDirectory(made.folder, "Field") as directory:
        selector = TakeSelector(directory, made.story, 3)
        assert selector._first_accepted(3, "character tom", RULES)[0] == 2  # type: ignore[index]
        assert selector._first_accepted(2, "character tom", RULES)[0] == 1, "better than nothing"  # type: ignore[index]


def test_a_segment_in_the_same_location_comes_first_and_one_in_another_is_compared_by_the_fixed_rule(
    run: Callable[..., Run],
) -> None:
    made = run({1: [0.95], 2: [0.95]})
    tom = AppearanceModel().measure_reference(film("tom").frames[0], film("tom").masks[0]).to_dict()
    made.server.looks = {1: tom, 2: tom}
    made.go()
    data = small_story("Field", segments=3, characters={"tom": {"segments": "1-3"}})
    places = {"street": {"segments": "1"}, "field": {"segments": "2,3"}}
    with RunDirectory(made.folder, "Field") as directory:
        here = TakeSelector(directory, parse_story({**data, "locations": places}), 3)
        anywhere = TakeSelector(directory, parse_story(data), 3)
        assert here._first_accepted(3, "character tom", RULES)[0] == 2  # type: ignore[index]
        assert anywhere._first_accepted(3, "character tom", RULES)[0] == 1  # type: ignore[index]
        taken = TakeMeasurement(replace(make_score(0.95, tom), rules=RULES), Thresholds(), True)
        own = [selector.judge(2, taken)[0].subjects[0].own_likeness for selector in (here, anywhere)]
    assert own[0] is None, "segment 1 is in the street"
    assert own[1] is not None


def test_a_segment_that_an_earlier_version_has_measured_is_compared_with_nothing(run: Callable[..., Run]) -> None:
    made = run({1: [0.95], 2: [0.95]})
    tom, ida = (
        AppearanceModel().measure_reference(film(who).frames[0], film(who).masks[0]).to_dict() for who in ("tom", "ida")
    )
    made.server.looks, made.server.rules = {1: tom, 2: ida}, {1: RULES - 1}
    made.go()
    assert len(made.result(2)["takes"]) == 1
    scores = json.loads((made.folder / made.result(2)["continuity"]["file"]).read_text())["scores"]
    assert set(scores["subjects"][0]["against"]) == {"reference"}
    assert scores["boundary"] is None
    with RunDirectory(made.folder, "Field") as directory:
        found = build_continuity(made.folder, directory.journal, made.story)
    assert found is not None
    assert (found["rules"], found["former_rules"]) == (RULES, [1])
    assert found["characters"]["tom"]["segments"] == [2]


@pytest.mark.parametrize("takes", [1, 2])
def test_fewer_takes_than_before_are_enough_when_it_carries_on(run: Callable[..., Run], takes: int) -> None:
    made = run({1: [0.5, 0.8, 0.6], 2: [0.95]})
    made.go(kill_after="segment-take", count=1 if takes == 1 else 2)
    made.takes = takes
    made.go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 102][:takes]
    assert made.is_take_of(1, 101 if takes == 1 else 102)


@pytest.mark.parametrize(
    ("event", "count"),
    [
        ("segment-submitted", 1),
        ("segment-fetched", 1),
        ("segment-take", 1),
        ("segment-submitted", 2),
        ("segment-fetched", 2),
        ("segment-take", 2),
        ("segment-take", 3),
        ("segment-verified", 1),
        ("segment-done", 1),
    ],
)
def test_killed_anywhere_it_goes_on(run: Callable[..., Run], event: str, count: int) -> None:
    made = run({1: [0.5, 0.8, 0.6], 2: [0.95]})
    made.go(kill_after=event, count=count)
    made.go()
    assert sorted(made.server.seeds) == [(1, 101), (1, 102), (1, 103), (2, 102)], "nothing is rendered twice"
    assert made.is_take_of(1, 102)
    assert [take["score"] for take in made.result(1)["takes"]] == [0.5, 0.8, 0.6]
    assert np.all([event["event"] != "runner-error" for event in made.events])


def test_a_take_that_was_interrupted_is_rendered_with_its_own_seed(run: Callable[..., Run]) -> None:
    made = run({1: [0.5, Outcome("interrupted", "somebody pressed Cancel"), 0.6, 0.9], 2: [0.95]})
    with pytest.raises(VideoGenError):
        made.go()
    made.go()
    assert [seed for number, seed in made.server.seeds if number == 1] == [101, 102, 102, 103]
    assert [take["seed"] for take in made.result(1)["takes"]] == [101, 102, 103], "no two takes are the same"
    assert made.is_take_of(1, 103)


def test_a_judged_take_is_not_rendered_again_by_any_later_run(run: Callable[..., Run]) -> None:
    """Interrupted once per run, before and after each take."""
    stop = Outcome("interrupted", "somebody pressed Cancel")
    made = run({1: [stop, 0.5, stop, 0.6, stop, 0.7], 2: [0.95]})
    for _ in range(3):
        with pytest.raises(VideoGenError):
            made.go()
    made.go()
    assert [take["seed"] for take in made.result(1)["takes"]] == [101, 102, 103]
