"""The guards inside ComfyUI's own sampling, with scripted cards; without a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.thermal.guard import ThermalPolicy
from custom_nodes.videogen.core.thermal.readings import Reading
from tests.support.needs import require_comfy

require_comfy()

import comfy.model_management
import comfy.patcher_extension
import comfy.sample
import comfy.samplers
import torch
from comfy_api.latest import io

from custom_nodes.videogen.comfyui.sockets import AnySocket
from custom_nodes.videogen.comfyui.thermal import telemetry
from custom_nodes.videogen.comfyui.thermal import thermal_wait as guarding
from custom_nodes.videogen.comfyui.thermal.thermal_wait import NodeThermalGuard
from custom_nodes.videogen.comfyui.thermal.watched_devices import find_card, read_watched
from custom_nodes.videogen.hardware.amd import Amd
from custom_nodes.videogen.hardware.card_keys import CardKey
from custom_nodes.videogen.hardware.nvidia import Nvidia
from custom_nodes.videogen.hardware.sensors import Sensors
from custom_nodes.videogen.nodes.guards import memory_guard, thermal_guard
from custom_nodes.videogen.nodes.guards.thermal_guard import guard_model, read_policy, validate_policy
from runner.bench.models.random_weights.unets import TINY_SD15
from runner.bench.models.tiny_models import build_comfy_model, draw_unet
from tests.support.servers.scripted_cards import CARD, SECOND, scripted_module

STEPS = 3
NAMES = comfy.samplers.SAMPLER_NAMES


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return draw_unet(TINY_SD15)


@pytest.fixture(scope="module")
def model(weights: dict[str, torch.Tensor]) -> Any:
    """A tiny UNet as MODEL; everybody makes a clone of it."""
    return build_comfy_model(TINY_SD15, weights, dtype=torch.float32)


@pytest.fixture(autouse=True)
def fresh_telemetry(monkeypatch: pytest.MonkeyPatch) -> Iterator[telemetry.Telemetry]:
    """A telemetry of the test's own, that is not left running."""
    fresh = telemetry.Telemetry()
    for module in (guarding, memory_guard, thermal_guard, telemetry):
        monkeypatch.setattr(module, "TELEMETRY", fresh)
    yield fresh
    fresh.stop()


class Card:
    """A card whose temperatures are a list: one a look, the last one for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *temperatures: float | None) -> None:
        self.temperatures = list(temperatures)
        self.looks = 0
        monkeypatch.setattr(guarding, "read_watched", self.read)

    def read(self, devices: str) -> list[Reading]:
        value = self.temperatures[min(self.looks, len(self.temperatures) - 1)]
        self.looks += 1
        return [Reading("a", "card", "nvidia", temperature=value)]


def sample(model: Any, sampler: str = "euler", *, steps: int = STEPS, cfg: float = 3.0, seed: int = 11) -> torch.Tensor:
    """What KSampler does."""
    generator = torch.Generator().manual_seed(3)
    latent = torch.zeros(1, 4, 8, 8)
    noise = torch.randn(latent.shape, generator=generator)
    context = torch.randn(1, 77, TINY_SD15.context_width, generator=generator)
    with torch.inference_mode():
        return comfy.sample.sample(
            model,
            noise,
            steps,
            cfg,
            sampler,
            "normal",
            [[context, {}]],
            [[-context, {}]],
            latent,
            disable_pbar=True,
            seed=seed,
        )


def often(**changes: Any) -> NodeThermalGuard:
    """A guard that looks before every prediction."""
    made = NodeThermalGuard(ThermalPolicy(**({"interval": 0.1} | changes)), "auto", "7")
    object.__setattr__(made.policy, "interval", 0.0)
    return made


# ------------------------------------------------------------------ while a sampler runs


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

    monkeypatch.setattr(guarding.time, "sleep", sleep)
    made = often()
    object.__setattr__(made.policy, "interval", 10.0)
    monkeypatch.setattr(guarding, "read_watched", lambda devices: [Reading("a", "card", temperature=95)])
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
    with pytest.raises(VideoGenError, match=r"it stayed too hot for 0\.2 s: 95 °C → waiting for 80 °C") as caught:
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
    with pytest.raises(VideoGenError) as caught:
        sample(guard_model(model, often(strict=True)))
    assert caught.value.code == "sensor-unreadable"


def test_without_a_sensor_others_warn_once(model: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    card = Card(monkeypatch, None)
    sample(guard_model(model, often()))
    assert card.looks == STEPS
    assert [record.message for record in caplog.records if "no temperature" in record.message] == [
        "videogen: card has no temperature: its driver gives no temperature; it is not guarded until it has"
    ]


# ------------------------------------------------------------------ which cards


class Properties:
    """What torch tells of a card."""

    def __init__(self, **values: Any) -> None:
        self.name = "Scripted RTX"
        vars(self).update(values)


BUS = {"pci_domain_id": 0, "pci_bus_id": 0x5E, "pci_device_id": 0}


@pytest.fixture
def sensors() -> Sensors:
    module = scripted_module(CARD, SECOND | {"temperature": 90})
    return Sensors(Nvidia(lambda: module), Amd(lambda: exec("raise ImportError")), lambda: Reading("cpu", "CPU", "cpu"))


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch with one visible card, the machine's second."""
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties(uuid=SECOND["uuid"][4:], **BUS))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")


@pytest.mark.usefixtures("cuda")
def test_torchs_first_card_is_the_machines_second(sensors: Sensors) -> None:
    assert find_card(0, sensors) == CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")
    (reading,) = read_watched("auto", sensors)
    assert (reading.device, reading.temperature) == (SECOND["uuid"], 90)
    assert [reading.temperature for reading in read_watched("all", sensors)] == [70, 90]


@pytest.mark.usefixtures("cuda")
def test_every_card_that_this_process_uses(sensors: Sensors, monkeypatch: pytest.MonkeyPatch) -> None:
    buses = [0x5E, 0x3B, 0x99]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: Properties(**(BUS | {"pci_bus_id": buses[index]}))
    )
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda index: [0, 100, 0][index])
    assert [reading.temperature for reading in read_watched("auto", sensors)] == [90, 70]


@pytest.mark.parametrize(
    ("properties", "environment", "key"),
    [
        ({"uuid": SECOND["uuid"][4:]}, {}, CardKey("", SECOND["uuid"], "Scripted RTX")),
        ({}, {"CUDA_VISIBLE_DEVICES": "1"}, CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")),
        ({}, {"CUDA_VISIBLE_DEVICES": SECOND["uuid"][:12]}, CardKey("0000:5e:00.0", SECOND["uuid"], "Scripted RTX")),
        ({}, {}, CardKey("0000:3b:00.0", CARD["uuid"], "Scripted RTX")),
        (
            BUS | {"uuid": "11-22"},
            {"CUDA_VISIBLE_DEVICES": "MIG-11-22"},
            CardKey("0000:5e:00.0", "MIG-11-22", "Scripted RTX"),
        ),
    ],
)
def test_an_older_torch_and_mig(
    sensors: Sensors,
    monkeypatch: pytest.MonkeyPatch,
    properties: dict[str, Any],
    environment: dict[str, str],
    key: CardKey,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties(**properties))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_card(0, sensors) == key


def test_no_guessing_where_cards_differ_and_torch_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    module = scripted_module(CARD, SECOND | {"name": "GTX"})
    sensors = Sensors(Nvidia(lambda: module), Amd(lambda: exec("raise ImportError")))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties())
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    assert "does not tell which card" in find_card(0, sensors).name
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert find_card(1, sensors).uuid == SECOND["uuid"]


def test_on_a_processor(sensors: Sensors) -> None:
    assert [reading.device for reading in read_watched("auto", sensors)] == ["cpu"]
    assert [reading.device for reading in read_watched("all", sensors)] == [CARD["uuid"], SECOND["uuid"], "cpu"]


def test_on_something_without_sensors(sensors: Sensors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comfy.model_management, "get_torch_device", lambda: torch.device("mps"))
    monkeypatch.setattr(comfy.model_management, "get_torch_device_name", lambda device: "Apple")
    (reading,) = read_watched("auto", sensors)
    assert (reading.temperature, reading.problem) == (None, "there is no sensor for torch's mps devices")


def test_all_cards_where_there_are_none() -> None:
    none = Sensors(Nvidia(lambda: exec("raise ImportError")), Amd(lambda: exec("raise ImportError")))
    (reading,) = read_watched("all", none)
    assert reading.device == "cpu"


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
    assert not fresh_telemetry.start_with_cards()
    assert not fresh_telemetry.sampler.running
    module = scripted_module(CARD)
    monkeypatch.setattr(telemetry, "SENSORS", Sensors(Nvidia(lambda: module), none.amd))
    assert fresh_telemetry.start_with_cards()
    assert fresh_telemetry.sampler.running


# ------------------------------------------------------------------ memory


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


def test_waiting_takes_no_time_while_it_is_cool(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks the guard asks for the time, and for nothing else."""
    card = Card(monkeypatch, 70)
    guarded = NodeThermalGuard(ThermalPolicy(interval=600), "auto", "7")
    sample(guard_model(model, guarded), steps=8)
    assert card.looks == 1
