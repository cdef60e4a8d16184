"""Nodes of others before and after ours: both act, and the order of the nodes changes nothing."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

from torch import Tensor

from tests.comfyui.chains.chained_sampling import ACTS, OURS, ROUNDING, distance, plain_model, sample
from tests.comfyui.chains.patches_of_others import THEIRS

#: Caches need steps to skip.
STEPS = {"EasyCache": 4, "LazyCache": 4, "cache of outputs": 4, "DeepCache": 4}
#: Where what is on top is another thing: a guided attention with images in it, or with images added to it.
ORDER_MATTERS = {("NAG in place", "images"), ("NAG in place", "images and anchors")}


@cache
def alone(ours: str, theirs: str, steps: int) -> Tensor:
    """Ours alone, theirs alone, or none."""
    model: Any = plain_model()
    if ours:
        model = OURS[ours](model)
    return sample(THEIRS[theirs](model) if theirs else model, steps=steps)


@pytest.mark.parametrize("ours", ["images", "anchors", "images and anchors"])
@pytest.mark.parametrize("theirs", list(THEIRS))
def test_both_act_in_either_order(theirs: str, ours: str) -> None:
    steps = STEPS.get(theirs, 1)
    ours_last = sample(OURS[ours](THEIRS[theirs](plain_model())), steps=steps)
    theirs_last = sample(THEIRS[theirs](OURS[ours](plain_model())), steps=steps)
    for both in (ours_last, theirs_last):
        assert both.isfinite().all()
        assert distance(both, alone(ours, "", steps)) > ACTS, f"{theirs} has no effect next to our {ours}"
        assert distance(both, alone("", theirs, steps)) > ACTS, f"our {ours} have no effect next to {theirs}"
    apart = distance(ours_last, theirs_last)
    assert apart > ACTS if (theirs, ours) in ORDER_MATTERS else apart < ROUNDING


@pytest.mark.parametrize("theirs", list(THEIRS))
def test_each_of_them_acts_alone(theirs: str) -> None:
    """Otherwise the test above could not fail."""
    steps = STEPS.get(theirs, 1)
    assert distance(alone("", theirs, steps), alone("", "", steps)) > ACTS
