"""VideoGenThermalGuard and VideoGenGuardModel: work waits while the card is too hot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comfy.patcher_extension
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ...comfyui.sockets import AnySocket
from ...comfyui.thermal.telemetry import TELEMETRY
from ...comfyui.thermal.thermal_wait import NodeThermalGuard
from ...comfyui.thermal.watched_devices import AUTO, DEVICE_CHOICES, read_watched
from ...core.errors import VideoGenError
from ...core.thermal.guard import GO_ON_AFTER, STOP_AFTER, THROTTLE_CHOICES, Action, ThermalGuard, ThermalPolicy

#: Under this name the guard's wrapper stands in a model, beside those of others.
WRAPPER_KEY = "videogen_thermal_guard"
SHORTEST_MINUTES, MAX_MINUTES = 0.01, 1440.0


class VideoGenThermalGuard(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenThermalGuard",
            display_name="Thermal Guard",
            category="videogen/guard",
            description="Passes anything through, and waits here while the card is too hot. Guard Model waits while sampling.",
            inputs=[AnySocket.Input("anything", tooltip="What is passed through, unchanged."), *policy_inputs()],
            outputs=[AnySocket.Output("passed", display_name="passed")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return validate_policy(inputs)

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> str | float:
        # Nothing new comes through and it is cool: ComfyUI may keep what it has. While it is hot it must come past here.
        try:
            policy, devices = read_policy(inputs)
        except (VideoGenError, TypeError):
            return float("nan")  # never equal to itself; a value comes out of another node
        cool = ThermalGuard(policy).look(read_watched(devices), 0.0).action is Action.GO
        return "cool" if cool else float("nan")

    @classmethod
    def execute(cls, anything: Any, **inputs: Any) -> io.NodeOutput:
        start_guard(inputs, cls.hidden.unique_id).wait()
        return io.NodeOutput(anything)


class VideoGenGuardModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenGuardModel",
            display_name="Guard Model",
            category="videogen/guard",
            description="The model waits between sampling steps while the card is too hot. The pictures stay the same, bit by"
            " bit.",
            inputs=[io.Model.Input("model", tooltip="Any model, with any patches of other nodes."), *policy_inputs()],
            outputs=[io.Model.Output("guarded_model", display_name="model")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return validate_policy(inputs)

    @classmethod
    def execute(cls, model: ModelPatcher, **inputs: Any) -> io.NodeOutput:
        return io.NodeOutput(guard_model(model, start_guard(inputs, cls.hidden.unique_id)))


def guard_model(model: ModelPatcher, guarding: NodeThermalGuard) -> ModelPatcher:
    """A clone of a model that looks at the temperature before each prediction of the noise.

    Every sampler calls for that at least once a step, whatever guider and conditioning it has; wrappers of others stay
    where they are, and a second guard waits by its own limits as well.
    """
    guarded = model.clone()
    guarded.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, WRAPPER_KEY, _make_wrapper(guarding))
    return guarded


def _make_wrapper(guarding: NodeThermalGuard) -> Callable[..., torch.Tensor]:
    def wait_first(executor: Callable[..., torch.Tensor], *arguments: Any, **options: Any) -> torch.Tensor:
        guarding.wait()
        return executor(*arguments, **options)

    return wait_first


def start_guard(inputs: dict[str, Any], node_id: str | None) -> NodeThermalGuard:
    """A guard by a node's inputs, with the sampling of telemetry under way."""
    policy, devices = read_policy(inputs)
    TELEMETRY.note_policy(policy)
    TELEMETRY.start(devices)
    return NodeThermalGuard(policy, devices, str(node_id or ""))


# ------------------------------------------------------------------ the inputs that both have


def policy_inputs() -> list[io.Input]:
    """Widgets of a `ThermalPolicy`, with its defaults."""
    usual = ThermalPolicy()
    return [
        io.Float.Input(
            "pause_above",
            default=usual.pause_above,
            min=30.0,
            max=120.0,
            step=1.0,
            tooltip="°C of the chip. Above this, work pauses.",
        ),
        io.Float.Input(
            "resume_at",
            default=usual.resume_at,
            min=20.0,
            max=119.0,
            step=1.0,
            tooltip="°C. At this or below, work goes on; lower than `pause_above`.",
        ),
        io.Float.Input(
            "interval",
            default=usual.interval,
            min=0.1,
            max=600.0,
            step=1.0,
            tooltip="Seconds between two looks at the sensors.",
        ),
        io.Float.Input(
            "max_minutes",
            default=usual.max_wait / 60,
            min=SHORTEST_MINUTES,
            max=MAX_MINUTES,
            step=1.0,
            tooltip="The longest that one pause lasts.",
        ),
        io.Combo.Input(
            "when_over",
            options=[STOP_AFTER, GO_ON_AFTER],
            default=usual.when_over,
            tooltip="What then, if it is still hot: stop with an error, or go on, hot, until it has cooled down once.",
        ),
        io.Combo.Input(
            "devices",
            options=DEVICE_CHOICES,
            default=AUTO,
            tooltip="auto: what ComfyUI computes on (its cards, or the processor). all: every card of this machine.",
        ),
        io.Combo.Input(
            "throttle",
            options=list(THROTTLE_CHOICES),
            default=usual.throttle,
            tooltip="What else pauses work: the card's own slowing down. The power cap is reached all the time in normal work.",
        ),
        io.Boolean.Input(
            "strict",
            default=usual.strict,
            tooltip="Refuse to work where no temperature can be read. Off: warn once, and go on.",
        ),
        io.Float.Input(
            "memory_pause_above",
            default=usual.memory_pause_above,
            min=30.0,
            max=125.0,
            step=1.0,
            optional=True,
            tooltip="°C of the memory and the hot spot, where the driver tells them.",
        ),
        io.Float.Input(
            "memory_resume_at",
            default=usual.memory_resume_at,
            min=20.0,
            max=124.0,
            step=1.0,
            optional=True,
            tooltip="°C of the memory and the hot spot at which work goes on.",
        ),
    ]


_POLICY_FIELDS = (
    "pause_above",
    "resume_at",
    "interval",
    "when_over",
    "throttle",
    "strict",
    "memory_pause_above",
    "memory_resume_at",
)


def read_policy(inputs: dict[str, Any]) -> tuple[ThermalPolicy, str]:
    """Policy and devices out of a node's inputs; what is not given has its default.

    Raises:
        VideoGenError: `guard-invalid`.
    """
    given = {name: inputs[name] for name in _POLICY_FIELDS if name in inputs}
    minutes = inputs.get("max_minutes", ThermalPolicy.max_wait / 60)
    if not SHORTEST_MINUTES <= minutes <= MAX_MINUTES:
        raise VideoGenError(
            "guard-invalid",
            f"`max_minutes` is {minutes:g}, expected {SHORTEST_MINUTES:g} to {MAX_MINUTES:g} minutes",
        )
    given["max_wait"] = minutes * 60
    devices = inputs.get("devices", AUTO)
    if devices not in DEVICE_CHOICES:
        raise VideoGenError("guard-invalid", f"`devices` is {devices!r}, expected one of {DEVICE_CHOICES}")
    return ThermalPolicy(**given), devices


def validate_policy(inputs: dict[str, Any]) -> bool | str:
    """What ComfyUI asks before it runs anything: True, or the sentence that says what is wrong.

    A value that comes out of another node is None as yet: it is checked when it is there.
    """
    if any(value is None for name, value in inputs.items() if name in (*_POLICY_FIELDS, "max_minutes", "devices")):
        return True
    try:
        read_policy(inputs)
    except VideoGenError as error:
        return str(error)
    return True


NODES = [VideoGenThermalGuard, VideoGenGuardModel]
