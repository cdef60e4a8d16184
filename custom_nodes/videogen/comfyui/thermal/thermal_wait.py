"""A thermal guard's waiting in ComfyUI: cancelable, and announced to all clients."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

import comfy.model_management
from comfy_execution.utils import get_executing_context

from ...core.thermal.guard import Action, Decision, ThermalGuard, ThermalPolicy, format_wait
from ...core.thermal.readings import Reading
from ...core.thermal.wait import Pause, wait_while_hot
from .telemetry import TELEMETRY, running_prompt
from .watched_devices import read_watched

log = logging.getLogger(__name__)

THERMAL_EVENT = "videogen.thermal"


class NodeThermalGuard:
    """The thermal guard of one node: reads the sensors of its devices at an interval, and waits.

    Args:
        devices: one of `watched_devices.DEVICE_CHOICES`.
        node_id: the guard's node; while another one is running (a sampler), the waiting is shown there.
    """

    def __init__(self, policy: ThermalPolicy, devices: str, node_id: str) -> None:
        self.policy, self.devices, self.node_id = policy, devices, node_id
        self._guard = ThermalGuard(policy)
        self._readings: list[Reading] = []

    def wait(self) -> None:
        """Wait while the devices are too hot; return at once when they are cool or were read recently.

        Raises:
            TooHotError: when the longest wait is over.
            SensorUnreadableError: from a strict guard.
            InterruptProcessingException: when the prompt is canceled meanwhile.
        """
        if not self._guard.due(time.monotonic()):
            return
        wait_while_hot(
            self._guard,
            self._read,
            clock=time.monotonic,
            sleep=time.sleep,
            tell=self._tell,
            note=self._note,
            check=comfy.model_management.throw_exception_if_processing_interrupted,
        )

    def _read(self) -> list[Reading]:
        self._readings = read_watched(self.devices)
        return self._readings

    def _tell(self, decision: Decision) -> None:
        state, text = describe_decision(decision)
        first = TELEMETRY.waiting is None
        TELEMETRY.waiting = decision if state == "waiting" else None
        for warning in decision.warnings:
            log.warning("videogen: %s", warning)
        if state == "stopped" or (state == "waiting" and first):
            log.warning("videogen: %s", text)
        elif state == "resumed":
            log.info("videogen: %s", text)
        node = self._shown_node()
        data = {
            "state": state,
            "text": text,
            "waited": round(decision.waited, 1),
            "warnings": list(decision.warnings),
            "node_id": node,
            "prompt_id": running_prompt(),
            "guard": self.node_id,
            "readings": [reading.to_json() for reading in self._readings],
        }
        announce(data, node if state != "warning" else "")

    def _note(self, pause: Pause) -> None:
        TELEMETRY.note_pause(pause)
        if pause.ending == "cancelled":
            node = self._shown_node()
            text = f"canceled after {format_wait(pause.seconds)} of waiting"
            announce({"state": "cancelled", "text": text, "node_id": node, "prompt_id": running_prompt()}, node)

    def _shown_node(self) -> str:
        context = get_executing_context()
        return context.node_id if context is not None else self.node_id


def describe_decision(decision: Decision) -> tuple[str, str]:
    """The state of an event (``waiting``, ``resumed``, ``stopped``, ``warning``), and its text."""
    if decision.action is Action.WAIT:
        return "waiting", decision.text
    if decision.action is Action.STOP:
        return "stopped", decision.text
    if decision.gave_up:
        return "resumed", decision.warnings[-1]
    if decision.waited:
        return "resumed", f"cooled down after {format_wait(decision.waited)}"
    return "warning", "; ".join(decision.warnings)


def announce(data: dict[str, Any], node_id: str) -> None:
    """Send an event to every page and runner, and show its text on the node; nothing without a server (tests, scripts)."""
    server = find_server()
    if server is None:
        return
    # To all clients: a page that was opened since, or a runner that has reconnected, needs it too.
    server.send_sync(THERMAL_EVENT, data, None)
    if node_id:
        server.send_progress_text(data["text"], node_id, server.client_id)


def find_server() -> Any:
    """ComfyUI's server, or None."""
    if "server" not in sys.modules:
        return None  # importing it would load half of ComfyUI into a script that only needs a node
    from server import PromptServer

    return getattr(PromptServer, "instance", None)
