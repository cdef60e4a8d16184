"""VideoGenMemoryGuard: free memory of the card between two segments, and report the use."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import torch
from comfy_api.latest import io

from ...comfyui.sockets import AnySocket
from ...comfyui.thermal.telemetry import TELEMETRY
from ...comfyui.thermal.thermal_wait import find_server
from ...comfyui.widgets import changes_only, passed_on, validate
from ...core.errors import VideoGenError
from ...core.thermal.memory_budget import format_memory, memory_limit
from ...pipelines.loading import release_all

log = logging.getLogger(__name__)

#: The number of the output that the widgets change.
REPORT = 1


class VideoGenMemoryGuard(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="VideoGenMemoryGuard",
            display_name="Memory Guard",
            category="videogen/guard",
            description="Passes anything through; above a limit it has ComfyUI move models off the card. Reports the memory use.",
            inputs=[
                passed_on(AnySocket.Input("anything", tooltip="Any value; passed through unchanged.")),
                # Where models are kept changes no result, only the report.
                changes_only(
                    io.Float.Input(
                        "limit_gb",
                        default=0.0,
                        min=0.0,
                        max=2000.0,
                        step=0.5,
                        tooltip="GB of the card's memory, used by all programs, above which memory is freed. 0: 40 GB or 85 % of"
                        " the card, whichever is lower.",
                    ),
                    REPORT,
                ),
                changes_only(
                    io.Boolean.Input(
                        "empty_caches",
                        default=True,
                        tooltip="Also release torch's cached memory each time, to avoid fragmentation.",
                    ),
                    REPORT,
                ),
            ],
            outputs=[
                AnySocket.Output("passed", display_name="passed"),
                io.String.Output(
                    "report", display_name="report", tooltip="Peak and sustained use, and the memory that was freed."
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(cls, limit_gb: float | None) -> bool | str:
        return validate(find_limit, limit_gb)

    @classmethod
    def fingerprint_inputs(cls, limit_gb: float | None, **_: Any) -> str | float:
        # As with the thermal guard: below the limit ComfyUI may keep what it has.
        try:
            below = limit_gb is not None and read_use().used <= find_limit(limit_gb)
        except VideoGenError:
            below = False
        return "below" if below else float("nan")

    @classmethod
    def execute(cls, anything: Any, limit_gb: float, empty_caches: bool) -> io.NodeOutput:
        limit = find_limit(limit_gb)
        TELEMETRY.start()
        peak = take_torch_peak()
        before = read_use()
        after = make_room(limit) if before.used > limit else before
        if empty_caches and after is before:
            comfy.model_management.soft_empty_cache()
            after = read_use()
        result = describe_use(before, after, limit, peak)
        text = str(result["text"])
        log.log(logging.WARNING if after.used > limit else logging.INFO, "videogen: %s", text)
        server = find_server()
        if server is not None and cls.hidden.unique_id:
            server.send_progress_text(text, cls.hidden.unique_id, server.client_id)
        return io.NodeOutput(anything, text, ui={"videogen_memory": [result]})


@dataclass(frozen=True)
class MemoryUse:
    """Memory of the device that ComfyUI computes on.

    Attributes:
        used: bytes, of all programs, including torch's caches.
        total: bytes.
        is_card: a card's memory; False: the computer's.
    """

    used: int
    total: int
    is_card: bool


def read_use() -> MemoryUse:
    """The memory use as ComfyUI counts it."""
    device = comfy.model_management.get_torch_device()
    total = int(comfy.model_management.get_total_memory(device))
    free, kept = comfy.model_management.get_free_memory(device, torch_free_too=True)
    if device.type in ("cpu", "mps"):
        return MemoryUse(total - int(free), total, is_card=False)
    # ComfyUI counts torch's caches as free; on the card they are in use.
    return MemoryUse(total - int(free - kept), total, is_card=True)


def find_limit(limit_gb: float) -> float:
    """`memory_limit` for this machine."""
    use = read_use()
    return memory_limit(limit_gb, use.total, is_card=use.is_card)


def make_room(limit: float) -> MemoryUse:
    """Have ComfyUI free memory until at most `limit` bytes are used: first caches, then as many models as necessary, then
    all of them, and the pipelines of diffusers. They are loaded again when they are needed."""
    management = comfy.model_management
    device = management.get_torch_device()

    def free_some() -> None:
        management.free_memory(read_use().total - limit, device)
        management.soft_empty_cache()

    def free_all() -> None:
        release_all()
        management.unload_all_models()
        management.cleanup_models_gc()
        management.soft_empty_cache(True)

    for step in (management.soft_empty_cache, free_some, free_all):
        step()
        if read_use().used <= limit:
            break
    return read_use()


def take_torch_peak() -> int | None:
    """Peak bytes that torch has held on the card since the last call, including spikes between two samples."""
    device = comfy.model_management.get_torch_device()
    if device.type != "cuda":
        return None
    peak = int(torch.cuda.max_memory_reserved(device))
    torch.cuda.reset_peak_memory_stats(device)
    return peak


def describe_use(before: MemoryUse, after: MemoryUse, limit: float, peak_of_torch: int | None) -> dict[str, Any]:
    """The node's result: numbers in bytes, and ``text``.

    ``peak`` and ``sustained`` (the median) are of the samples since the prompt began; ``torch_peak`` has no gaps, but is of
    this process only.
    """
    telemetry = TELEMETRY.describe_prompt() or {"devices": []}
    kind = ("nvidia", "amd") if after.is_card else ("cpu",)
    known = [device["memory"] for device in telemetry["devices"] if device["kind"] in kind and "memory" in device]
    peak = max([before.used, *(memory["max"] for memory in known)])
    sustained = max([memory["median"] for memory in known], default=before.used)
    what = "VRAM" if after.is_card else "RAM"
    text = f"{what}: peak {format_memory(peak)}, sustained {format_memory(sustained)} of {format_memory(after.total)}"
    if before.used > limit:
        freed = max(0, before.used - after.used)
        text += f"; above the limit of {format_memory(limit)}, {format_memory(freed)} freed"
    if after.used > limit:
        who = "other programs hold the rest" if after.is_card else "on a processor models stay in the computer's memory"
        text += f", {format_memory(after.used)} are still used ({who})"
    result: dict[str, Any] = {
        "text": text,
        "kind": what.lower(),
        "peak": peak,
        "sustained": sustained,
        "before": before.used,
        "after": after.used,
        "total": after.total,
        "limit": int(limit),
    }
    return result if peak_of_torch is None else result | {"torch_peak": peak_of_torch}


NODES = [VideoGenMemoryGuard]
