"""Memory Guard, with a scripted card."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import comfy.patcher_extension
import comfy.sample
import comfy.samplers
import torch

from custom_nodes.videogen.nodes.guards import memory_guard


class CardMemory:
    """A card's memory as ComfyUI's model management sees it, in GB: models, caches of torch, and other programs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, models: float, caches: float, others: float) -> None:
        self.models, self.caches, self.others, self.total = models, caches, others, 24.0
        self.done: list[str] = []
        replaced = {
            "get_torch_device": lambda: torch.device("cuda", 0),
            "get_total_memory": lambda device: self.total * 1e9,
            "get_free_memory": self._free,
            "soft_empty_cache": self._empty,
            "free_memory": self._free_memory,
            "unload_all_models": self._unload_all,
            "cleanup_models_gc": lambda: None,
        }
        for name, function in replaced.items():
            monkeypatch.setattr(comfy.model_management, name, function)
        monkeypatch.setattr(memory_guard, "take_torch_peak", lambda: 20_000_000_000)

    def _free(self, device: Any, torch_free_too: bool = False) -> Any:
        free = (self.total - self.models - self.others) * 1e9
        return (free, self.caches * 1e9) if torch_free_too else free

    def _empty(self, force: bool = False) -> None:
        self.done.append("caches")
        self.caches = 0.0

    def _free_memory(self, required: float, device: Any) -> None:
        self.done.append("some models")
        short = required / 1e9 - (self.total - self.models - self.others)
        gone = min(self.models, max(0.0, short))
        self.models -= gone
        self.caches += gone

    def _unload_all(self) -> None:
        self.done.append("all models")
        self.caches += self.models
        self.models = 0.0


@pytest.mark.parametrize(
    ("models", "caches", "others", "done"),
    [
        (10.0, 2.0, 1.0, []),
        (16.0, 6.0, 1.0, ["caches"]),
        (20.0, 2.0, 1.0, ["caches", "some models", "caches"]),
        (2.0, 0.0, 21.0, ["caches", "some models", "caches", "all models", "caches"]),
    ],
)
def test_room_is_made_in_the_mildest_way(
    monkeypatch: pytest.MonkeyPatch, models: float, caches: float, others: float, done: list[str]
) -> None:
    card = CardMemory(monkeypatch, models=models, caches=caches, others=others)
    limit = memory_guard.find_limit(0)
    assert limit == pytest.approx(20.4e9)
    used = memory_guard.read_use().used
    assert used == pytest.approx((models + caches + others) * 1e9)
    if used > limit:
        after = memory_guard.make_room(limit)
        assert after.used <= limit or others * 1e9 > limit
    assert card.done == done


def test_pipelines_of_diffusers_go_with_the_last_models(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[str] = []
    monkeypatch.setattr(memory_guard, "release_all", lambda: released.append("pipelines"))
    CardMemory(monkeypatch, models=20.0, caches=2.0, others=1.0)
    memory_guard.make_room(memory_guard.find_limit(0))
    assert released == [], "there is room without"
    CardMemory(monkeypatch, models=2.0, caches=0.0, others=21.0)
    memory_guard.make_room(memory_guard.find_limit(0))
    assert released == ["pipelines"]


def test_what_the_memory_guard_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    card = CardMemory(monkeypatch, models=20.0, caches=2.0, others=1.0)
    output = memory_guard.VideoGenMemoryGuard.execute("anything", 0.0, True)
    (result,) = output.ui["videogen_memory"]
    assert output.result[0] == "anything"
    assert output.result[1] == result["text"]
    assert result["kind"] == "vram"
    assert (result["before"], result["after"], result["total"]) == (23_000_000_000, 20_400_000_000, 24_000_000_000)
    assert result["torch_peak"] == 20_000_000_000
    assert "above the limit of 20.4 GB, 2.6 GB freed" in result["text"]
    assert card.models == pytest.approx(19.4)


def test_memory_that_others_hold_is_said_to_be_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    CardMemory(monkeypatch, models=2.0, caches=0.0, others=21.0)
    output = memory_guard.VideoGenMemoryGuard.execute(1, 0.0, True)
    assert output.result[1].endswith("21.0 GB are still used (other programs hold the rest)")


@pytest.mark.parametrize(("empty", "done"), [(True, ["caches"]), (False, [])])
def test_caches_between_segments(monkeypatch: pytest.MonkeyPatch, empty: bool, done: list[str]) -> None:
    card = CardMemory(monkeypatch, models=5.0, caches=2.0, others=1.0)
    memory_guard.VideoGenMemoryGuard.execute(1, 0.0, empty)
    assert card.done == done


def test_limits_above_the_card_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    CardMemory(monkeypatch, models=1.0, caches=0.0, others=0.0)
    node = memory_guard.VideoGenMemoryGuard
    assert node.validate_inputs(limit_gb=20.0) is True
    assert node.validate_inputs(limit_gb=None) is True
    assert str(node.validate_inputs(limit_gb=48.0)).startswith("`limit_gb` is 48 GB, but the card has only 24.0 GB")
    assert str(node.validate_inputs(limit_gb=-1.0)).startswith("`limit_gb` is -1, expected")


def test_memory_on_a_processor_is_the_computers() -> None:
    use = memory_guard.read_use()
    assert not use.is_card
    assert 0 < use.used < use.total
    output = memory_guard.VideoGenMemoryGuard.execute(1, 0.0, True)
    (result,) = output.ui["videogen_memory"]
    assert result["kind"] == "ram"
    assert result["text"].startswith("RAM: peak ")
    assert "torch_peak" not in result
