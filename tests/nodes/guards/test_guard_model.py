"""Guard Model while a sampler runs."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import SensorUnreadableError, TooHotError
from custom_nodes.videogen.core.thermal.guard import ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading
from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import comfy.patcher_extension
import comfy.sample
import comfy.samplers
import torch

from custom_nodes.videogen.comfyui.thermal import thermal_wait
from custom_nodes.videogen.comfyui.thermal.thermal_wait import NodeThermalGuard
from custom_nodes.videogen.nodes.guards import thermal_guard
from custom_nodes.videogen.nodes.guards.thermal_guard import guard_model
from runner.bench.models.random_weights.unets import TINY_SD15
from tests.nodes.guards.guarded_sampling import STEPS, Card, often, sample

NAMES = comfy.samplers.SAMPLER_NAMES


@pytest.mark.parametrize("sampler", NAMES)
def test_every_sampler_is_guarded_and_gives_the_same_bits(
    model: Any, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sample(model, sampler, cfg=1.0)
    card = Card(monkeypatch, 70)
    guarded = sample(guard_model(model, often()), sampler, cfg=1.0)
    assert torch.equal(plain, guarded)
    assert plain.isfinite().all()
    assert card.looks >= STEPS


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m_sde", "uni_pc", "heun", "euler_ancestral"])
def test_a_pause_in_the_middle_changes_nothing(model: Any, sampler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = sample(model, sampler, steps=6)
    Card(monkeypatch, 70, 84, 88, 86, 81, 79, 70)
    waiting = often()
    noted = []
    monkeypatch.setattr(waiting, "_note", noted.append)
    assert torch.equal(plain, sample(guard_model(model, waiting), sampler, steps=6))
    assert [(pause.reason, pause.peak, pause.ending) for pause in noted] == [("88 °C → waiting for 80 °C", 88, "cool")]


def test_the_guard_survives_clones_and_patches_and_leaves_others_alone(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def function_wrapper(apply_model: Any, options: dict[str, Any]) -> torch.Tensor:
        calls.append("function")
        return apply_model(options["input"], options["timestep"], **options["c"])

    def other_wrapper(executor: Any, *arguments: Any, **options: Any) -> torch.Tensor:
        calls.append("other")
        return executor(*arguments, **options)

    predict = comfy.patcher_extension.WrappersMP.PREDICT_NOISE
    theirs = model.clone()
    theirs.set_model_unet_function_wrapper(function_wrapper)
    theirs.add_wrapper_with_key(predict, "another pack", other_wrapper)
    plain = sample(theirs)
    card = Card(monkeypatch, 70)
    ours = guard_model(theirs, often()).clone()
    ours.set_model_attn1_patch(lambda q, k, v, extra_options: (q, k, v))
    calls.clear()
    assert torch.equal(plain, sample(ours.clone()))
    assert card.looks == STEPS
    assert calls.count("other") == STEPS
    assert calls.count("function") >= STEPS
    assert theirs.get_wrappers(predict, thermal_guard.WRAPPER_KEY) == [], "the model that came in is not changed"


def test_two_guards_both_count(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, 75, 75, 75, 65, 65, 65)
    loose, tight = often(), often(pause_above=70.0, resume_at=66.0)
    noted: list[Any] = []
    for one in (loose, tight):
        monkeypatch.setattr(one, "_note", noted.append)
    sample(guard_model(guard_model(model, tight), loose), steps=2)
    assert [pause.reason for pause in noted] == ["75 °C → waiting for 66 °C"]


@pytest.mark.parametrize("kind", ["BasicGuider", "DualCFGGuider"])
def test_other_guiders_are_guarded_as_well(model: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from comfy_extras import nodes_custom_sampler as custom

    card = Card(monkeypatch, 70)
    context = [[torch.zeros(1, 77, TINY_SD15.context_width), {}]]
    guarded = guard_model(model, often())
    if kind == "BasicGuider":
        guider = custom.Guider_Basic(guarded)
        guider.set_conds(context)
    else:
        guider = custom.Guider_DualCFG(guarded)
        guider.set_conds(context, context, context)
        guider.set_cfg(2.0, 3.0)
    sigmas = comfy.samplers.calculate_sigmas(guarded.get_model_object("model_sampling"), "normal", STEPS)
    with torch.inference_mode():
        guider.sample(
            torch.ones(1, 4, 8, 8),
            torch.zeros(1, 4, 8, 8),
            comfy.samplers.sampler_object("euler"),
            sigmas,
            disable_pbar=True,
            seed=1,
        )
    assert card.looks == STEPS


def test_cancel_while_it_is_hot(model: Any, monkeypatch: pytest.MonkeyPatch, fresh_telemetry: Any) -> None:
    naps = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        comfy.model_management.interrupt_current_processing()

    monkeypatch.setattr(thermal_wait.time, "sleep", sleep)
    made = often()
    object.__setattr__(made.policy, "interval", 10.0)
    monkeypatch.setattr(thermal_wait, "read_watched", lambda devices: [Reading("a", "card", temperature=95)])
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        sample(guard_model(model, made))
    assert len(naps) == 1
    assert naps[0] <= 0.25
    assert [pause.pause.ending for pause in fresh_telemetry.ring.pauses()] == ["cancelled"]
    assert fresh_telemetry.waiting is None
    Card(monkeypatch, 70)
    assert sample(guard_model(model, made)).isfinite().all(), "the next prompt is not held up"


def test_stop_when_it_stays_hot(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, 95)
    with pytest.raises(TooHotError, match=r"it stayed too hot for 0\.2 s: 95 °C → waiting for 80 °C") as caught:
        sample(guard_model(model, often(max_wait=0.2)))
    assert caught.value.code == "too-hot"


def test_going_on_hot_waits_once_and_not_at_every_step(
    model: Any, monkeypatch: pytest.MonkeyPatch, fresh_telemetry: Any
) -> None:
    Card(monkeypatch, 95)
    plain = sample(model, steps=5)
    assert torch.equal(plain, sample(guard_model(model, often(max_wait=0.1, when_over="go on")), steps=5))
    assert [pause.pause.ending for pause in fresh_telemetry.ring.pauses()] == ["gave up"]


def test_without_a_sensor_a_strict_guard_refuses(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, None)
    with pytest.raises(SensorUnreadableError) as caught:
        sample(guard_model(model, often(strict=True)))
    assert caught.value.code == "sensor-unreadable"


def test_without_a_sensor_others_warn_once(model: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    card = Card(monkeypatch, None)
    sample(guard_model(model, often()))
    assert card.looks == STEPS
    assert [record.message for record in caplog.records if "no temperature" in record.message] == [
        "videogen: card has no temperature: its driver reports no temperature; it is not guarded until it reports one"
    ]


def test_waiting_takes_no_time_while_it_is_cool(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks the guard asks for the time, and for nothing else."""
    card = Card(monkeypatch, 70)
    guarded = NodeThermalGuard(ThermalPolicy(interval=600), "auto", "7")
    sample(guard_model(model, guarded), steps=8)
    assert card.looks == 1
