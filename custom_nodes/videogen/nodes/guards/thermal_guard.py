"""VideoGenThermalGuard and VideoGenGuardModel: pause the work while the card is too hot."""

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
from ...comfyui.widgets import changes_only, passed_on, validate
from ...core.errors import VideoGenError
from ...core.thermal.guard import GO_ON_AFTER, STOP_AFTER, THROTTLE_CHOICES, Action, ThermalGuard, ThermalPolicy

#: The key of the guard's wrapper in a model.
WRAPPER_KEY = "videogen_thermal_guard"
MIN_MINUTES, MAX_MINUTES = 0.01, 1440.0


class VideoGenThermalGuard(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenThermalGuard",
            display_name="Thermal Guard",
            category="videogen/guard",
            description="Passes anything through, and waits here while the card is too hot. Guard Model waits during sampling.",
            inputs=[
                passed_on(AnySocket.Input("anything", tooltip="Any value; passed through unchanged.")),
                *policy_inputs(),
            ],
            outputs=[AnySocket.Output("passed", display_name="passed")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return validate_policy(inputs)

    @classmethod
    def fingerprint_inputs(cls, **inputs: Any) -> str | float:
        # With the same input and a cool card, ComfyUI may reuse its result. While the card is hot, the node must run again.
        try:
            policy, devices = read_policy(inputs)
        except (VideoGenError, TypeError):
            return float("nan")  # never equal to itself; another node's output sets a value
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
            description="Pauses between sampling steps while the card is too hot. The pictures stay the same, bit by bit.",
            inputs=[
                passed_on(io.Model.Input("model", tooltip="Any model, with any patches of other nodes.")),
                *policy_inputs(),
            ],
            outputs=[io.Model.Output("guarded_model", display_name="model")],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, **inputs: Any) -> bool | str:
        return validate_policy(inputs)

    @classmethod
    def execute(cls, model: ModelPatcher, **inputs: Any) -> io.NodeOutput:
        return io.NodeOutput(guard_model(model, start_guard(inputs, cls.hidden.unique_id)))


def guard_model(model: ModelPatcher, guard: NodeThermalGuard) -> ModelPatcher:
    """A clone of a model that checks the temperature before each noise prediction.

    Every sampler predicts the noise at least once a step, with any guider and conditioning. Other packs' wrappers are kept,
    and a second guard waits by its own limits as well.
    """
    guarded = model.clone()
    guarded.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.PREDICT_NOISE, WRAPPER_KEY, _make_wrapper(guard))
    return guarded


def _make_wrapper(guard: NodeThermalGuard) -> Callable[..., torch.Tensor]:
    def wait_first(executor: Callable[..., torch.Tensor], *arguments: Any, **options: Any) -> torch.Tensor:
        guard.wait()
        return executor(*arguments, **options)

    return wait_first


def start_guard(inputs: dict[str, Any], node_id: str | None) -> NodeThermalGuard:
    """Make a guard from a node's inputs, and start the telemetry."""
    policy, devices = read_policy(inputs)
    TELEMETRY.note_policy(policy)
    TELEMETRY.start(devices)
    return NodeThermalGuard(policy, devices, str(node_id or ""))


# ------------------------------------------------------------------ the inputs of both


def policy_inputs() -> list[io.Input]:
    """Widgets of a `ThermalPolicy`, with its defaults."""
    usual = ThermalPolicy()
    widgets: list[io.Input] = [
        io.Float.Input(
            "pause_above",
            default=usual.pause_above,
            min=30.0,
            max=120.0,
            step=1.0,
            tooltip="°C of the chip. Above this, the work pauses.",
        ),
        io.Float.Input(
            "resume_at",
            default=usual.resume_at,
            min=20.0,
            max=119.0,
            step=1.0,
            tooltip="°C. At this or below, the work continues; lower than `pause_above`.",
        ),
        io.Float.Input(
            "interval",
            default=usual.interval,
            min=0.1,
            max=600.0,
            step=1.0,
            tooltip="Seconds between two sensor readings.",
        ),
        io.Float.Input(
            "max_minutes",
            default=usual.max_wait / 60,
            min=MIN_MINUTES,
            max=MAX_MINUTES,
            step=1.0,
            tooltip="Maximum length of one pause.",
        ),
        io.Combo.Input(
            "when_over",
            options=[STOP_AFTER, GO_ON_AFTER],
            default=usual.when_over,
            tooltip="If it is still hot then: stop with an error, or continue, without another pause until it has cooled down.",
        ),
        io.Combo.Input(
            "devices",
            options=DEVICE_CHOICES,
            default=AUTO,
            tooltip="auto: the devices that ComfyUI computes on (its cards, or the processor). all: every card of this machine.",
        ),
        io.Combo.Input(
            "throttle",
            options=list(THROTTLE_CHOICES),
            default=usual.throttle,
            tooltip="Also pause when the card throttles itself. Reaching the power cap is normal under load.",
        ),
        io.Boolean.Input(
            "strict",
            default=usual.strict,
            tooltip="Stop with an error where no temperature can be read. Off: warn once and continue.",
        ),
        io.Float.Input(
            "memory_pause_above",
            default=usual.memory_pause_above,
            min=30.0,
            max=125.0,
            step=1.0,
            optional=True,
            tooltip="°C of the memory and the hot spot, where the driver reports them.",
        ),
        io.Float.Input(
            "memory_resume_at",
            default=usual.memory_resume_at,
            min=20.0,
            max=124.0,
            step=1.0,
            optional=True,
            tooltip="°C of the memory and the hot spot at which the work continues.",
        ),
    ]
    # They say when the work waits; what is computed stays the same, bit by bit.
    return [changes_only(widget) for widget in widgets]


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
    """Policy and devices from a node's inputs; missing ones have their defaults.

    Raises:
        VideoGenError: `guard-invalid`.
    """
    given = {name: inputs[name] for name in _POLICY_FIELDS if name in inputs}
    minutes = inputs.get("max_minutes", ThermalPolicy.max_wait / 60)
    if not MIN_MINUTES <= minutes <= MAX_MINUTES:
        raise VideoGenError(
            "guard-invalid",
            f"`max_minutes` is {minutes:g}, expected {MIN_MINUTES:g} to {MAX_MINUTES:g} minutes",
        )
    given["max_wait"] = minutes * 60
    devices = inputs.get("devices", AUTO)
    if devices not in DEVICE_CHOICES:
        raise VideoGenError("guard-invalid", f"`devices` is {devices!r}, expected one of {DEVICE_CHOICES}")
    return ThermalPolicy(**given), devices


def validate_policy(inputs: dict[str, Any]) -> bool | str:
    """Check the inputs as ComfyUI's `validate_inputs` expects it: True, or the error message.

    A value that another node's output sets is None before the prompt runs: it is checked when the node runs.
    """
    names = (*_POLICY_FIELDS, "max_minutes", "devices")
    given = [value for name, value in inputs.items() if name in names]
    return validate(lambda *_: read_policy(inputs), *given)


NODES = [VideoGenThermalGuard, VideoGenGuardModel]
