"""ComfyUI's folders of diffusers models and LoRAs."""

from __future__ import annotations

from pathlib import Path

import folder_paths

from ...core.errors import VideoGenError
from ...pipelines.lora import Lora
from ...pipelines.model_source import ModelFolders

NO_LORA = "none"


def model_folders(*, download: bool = False) -> ModelFolders:
    """The folders of models, ``models/diffusers`` first."""
    return ModelFolders(tuple(Path(path) for path in folder_paths.get_folder_paths("diffusers")), download)


def list_loras() -> list[str]:
    """Choices of a LoRA's widget."""
    return [NO_LORA, *folder_paths.get_filename_list("loras")]


def find_lora(name: str, strength: float) -> Lora | None:
    """The LoRA of a widget, or None.

    Raises:
        VideoGenError: `model-missing`, for a name that is not in ComfyUI's list.
    """
    if name == NO_LORA:
        return None
    path = folder_paths.get_full_path("loras", name) if name in folder_paths.get_filename_list("loras") else None
    if path is None:
        raise VideoGenError(
            "model-missing", f"the LoRA {name!r} is not in models/loras", f"Put it there, or take {NO_LORA}."
        )
    return Lora(Path(path), strength)
