"""`videogen doctor` and the sensors of scripted cards."""

from __future__ import annotations

from typing import Any

import pytest

from custom_nodes.videogen.hardware.amd import Amd
from custom_nodes.videogen.hardware.nvidia import Nvidia
from custom_nodes.videogen.hardware.sensors import Sensors
from runner import doctor
from tests.support.servers.scripted_cards import CARD, SECOND, scripted_module


def doctor_rows(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, *cards: dict[str, Any]
) -> list[tuple[str, str, str]]:
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    module = scripted_module(*cards)

    def missing() -> Any:
        raise ImportError

    return doctor._gpus(Sensors(Nvidia(lambda: module), Amd(missing)))


def test_the_doctor_reads_the_same_sensors(monkeypatch: pytest.MonkeyPatch) -> None:
    hot = CARD | {"temperature": 91, "memory_temperature": 102, "reasons": 0x40}
    silent = SECOND | {"temperature": 0}
    first, second = doctor_rows(monkeypatch, None, hot, silent)
    assert first == (
        doctor.OK,
        "GPU 0",
        "Scripted RTX, 24.0 GB (14.0 GB free), 91 °C, memory 102 °C, 300 W, slowed down: hardware thermal slowdown",
    )
    assert second[0] == doctor.NOTE
    assert "temperature unknown (its driver reports 0 °C, which is impossible)" in second[2]


@pytest.mark.parametrize(
    ("visible", "hidden"),
    [
        (None, [False, False]),
        ("1", [True, False]),
        ("0,1", [False, False]),
        ("", [True, True]),
        (SECOND["uuid"], [True, False]),
    ],
)
def test_the_doctor_says_which_cards_are_hidden(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, hidden: list[bool]
) -> None:
    rows = doctor_rows(monkeypatch, visible, CARD, SECOND)
    assert ["hidden by CUDA_VISIBLE_DEVICES" in text for _, _, text in rows] == hidden


def test_the_doctor_without_a_card() -> None:
    def missing() -> Any:
        raise ImportError

    ((state, name, text),) = doctor._gpus(Sensors(Nvidia(missing), Amd(missing)))
    assert (state, name) == (doctor.NOTE, "GPU")
    assert "nvidia-ml-py is not installed" in text
