"""The inputs of the thermal guards, and the telemetry that they start."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading
from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import torch
from comfy_api.latest import io

from custom_nodes.videogen.comfyui.sockets import AnySocket
from custom_nodes.videogen.comfyui.thermal import telemetry
from custom_nodes.videogen.comfyui.thermal.watched_devices import read_watched
from custom_nodes.videogen.hardware.amd import Amd
from custom_nodes.videogen.hardware.nvidia import Nvidia
from custom_nodes.videogen.hardware.sensors import Sensors
from custom_nodes.videogen.nodes.guards import thermal_guard
from custom_nodes.videogen.nodes.guards.thermal_guard import read_policy, validate_policy
from tests.support.servers.scripted_cards import CARD, scripted_module

# ------------------------------------------------------------------ inputs


def test_sockets_for_anything_fit_everything() -> None:
    from comfy_execution.validation import validate_node_input

    assert AnySocket.io_type == "*"
    for kind in ("MODEL", "IMAGE", "STRING,INT", "*"):
        assert validate_node_input(AnySocket.io_type, kind)
        assert validate_node_input(kind, AnySocket.io_type)
    assert not validate_node_input("MODEL", io.Image.io_type)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"pause_above": 80.0, "resume_at": 85.0}, "`resume_at` is 85 °C and `pause_above` 80 °C: it must be lower"),
        ({"interval": -5.0}, "`interval` is -5 s, expected 0.1 to 600 s"),
        ({"max_minutes": -1.0}, "`max_minutes` is -1, expected 0.01 to 1440 minutes"),
        ({"max_minutes": float("nan")}, "`max_minutes` is nan, expected 0.01 to 1440 minutes"),
        ({"devices": "some"}, "`devices` is 'some', expected one of ['auto', 'all']"),
        ({"throttle": "some"}, "`throttle` is 'some', expected one of"),
    ],
)
def test_what_is_refused_before_anything_runs(inputs: dict[str, Any], sentence: str) -> None:
    said = validate_policy({"model": None, "memory_resume_at": 90.0} | inputs)
    assert isinstance(said, str)
    assert said.startswith(sentence)


def test_what_comes_out_of_another_node_is_checked_when_it_is_there() -> None:
    assert validate_policy({"pause_above": None, "resume_at": 200.0}) is True
    with pytest.raises(VideoGenError):
        read_policy({"resume_at": 200.0})


def test_defaults_are_those_of_the_policy() -> None:
    assert read_policy({"model": object()}) == (ThermalPolicy(), "auto")


def test_the_pass_through_is_executed_again_only_while_it_is_hot(monkeypatch: pytest.MonkeyPatch) -> None:
    node = thermal_guard.VideoGenThermalGuard
    for temperature, same in ((70, True), (90, False), (None, True)):
        monkeypatch.setattr(
            thermal_guard, "read_watched", lambda devices, value=temperature: [Reading("a", "card", temperature=value)]
        )
        first, second = (node.fingerprint_inputs(anything=None, pause_above=85.0) for _ in range(2))
        assert (first == second) == same
    assert node.fingerprint_inputs(pause_above=None) != node.fingerprint_inputs(pause_above=None)


# ------------------------------------------------------------------ telemetry


def test_telemetry_of_a_prompt(fresh_telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fresh_telemetry.describe_prompt() is None
    monkeypatch.setattr(telemetry, "read_watched", lambda devices: [Reading("a", "card", "nvidia", temperature=70)])
    fresh_telemetry.start()
    told = fresh_telemetry.describe_prompt()
    assert told["devices"][0]["temperature"]["max"] == 70
    monkeypatch.setattr(telemetry, "read_watched", lambda devices: 1 / 0)
    assert fresh_telemetry.describe_prompt() is None, "a broken sensor must not cost a rendered segment"
    fresh_telemetry.stop()
    assert not fresh_telemetry.sampler.running


def test_it_starts_by_itself_only_where_there_are_cards(fresh_telemetry: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    none = Sensors(Nvidia(lambda: exec("raise ImportError")), Amd(lambda: exec("raise ImportError")))
    monkeypatch.setattr(telemetry, "SENSORS", none)
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: torch.device("cuda", 0))
    assert not fresh_telemetry.start_with_cards()
    assert not fresh_telemetry.sampler.running
    module = scripted_module(CARD)
    monkeypatch.setattr(telemetry, "SENSORS", Sensors(Nvidia(lambda: module), none.amd))
    monkeypatch.setattr(telemetry, "read_watched", lambda devices: [Reading("a", "card", "nvidia", temperature=70)])
    assert fresh_telemetry.start_with_cards()
    assert fresh_telemetry.sampler.running


def test_on_a_processor_the_drivers_of_cards_are_left_alone(
    fresh_telemetry: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = scripted_module(CARD)
    asked = []
    start = module.nvmlInit
    module.nvmlInit = lambda: asked.append(1) or start()
    sensors = Sensors(Nvidia(lambda: module), Amd(lambda: exec("raise ImportError")))
    monkeypatch.setattr(telemetry, "SENSORS", sensors)
    assert comfy.model_management.get_torch_device().type == "cpu", "as with --cpu"
    assert not fresh_telemetry.start_with_cards()
    assert [reading.device for reading in read_watched("auto", sensors)] == ["cpu"]
    assert asked == []
    assert [reading.device for reading in read_watched("all", sensors)] == [CARD["uuid"], "cpu"], "asked for by name"
