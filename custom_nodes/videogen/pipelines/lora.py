"""A LoRA on a pipeline, for one rendering."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import VideoGenError
from .packages import need_package
from .rendering import random_state_kept

_NAME = "videogen"


@dataclass(frozen=True)
class Lora:
    """A file, and its strength: 1 as it was trained."""

    path: Path
    strength: float


@contextmanager
def applied(pipeline: Any, lora: Lora | None) -> Iterator[None]:
    """The pipeline with a LoRA, and without it afterwards.

    The strength goes through the adapter's scale: fusing it with 1/rank, as an example of CogVideoX does, leaves hardly
    anything of it.

    Raises:
        VideoGenError: `package-missing`, `model-unreadable`, `model-unsupported`.
    """
    if lora is None or lora.strength == 0:
        yield
        return
    need_package("peft", "LoRAs on diffusers pipelines")
    state = _read(lora.path)
    try:
        with random_state_kept():
            pipeline.load_lora_weights(state, adapter_name=_NAME)
        fits = _NAME in getattr(pipeline.transformer, "peft_config", {})
    except Exception as error:  # for keys or shapes of another model, diffusers and peft raise anything
        pipeline.unload_lora_weights()
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise _misfit(lora, lines[0][:300]) from None
    try:
        if not fits:
            raise _misfit(lora, "none of its layers is in the model")
        pipeline.set_adapters([_NAME], [lora.strength])
        yield
    finally:
        pipeline.unload_lora_weights()


def _read(path: Path) -> dict[str, Any]:
    if path.suffix != ".safetensors":
        raise VideoGenError(
            "model-unreadable", f"the LoRA {path.name} is not a .safetensors file", "Others can contain programs."
        )
    try:
        state: dict[str, Any] = need_package("safetensors.torch").load_file(str(path))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise VideoGenError("model-unreadable", f"{path} cannot be read: {reason}", "Download it again.") from None
    return state


def _misfit(lora: Lora, reason: str) -> VideoGenError:
    return VideoGenError(
        "model-unsupported",
        f"the LoRA {lora.path.name} does not fit this model: {reason}",
        "Take one that was trained for it.",
    )
