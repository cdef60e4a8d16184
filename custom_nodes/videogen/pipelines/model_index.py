"""The index of a diffusers model: read and checked before anything is loaded, because it names what is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..core.errors import VideoGenError
from .families import Family, find_family

INDEX = "model_index.json"
CONFIG = "config.json"
_MAX_BYTES = 1_000_000
#: Files with code or pickles are never read, wherever they come from.
_LIBRARIES = {
    "diffusers": (
        "transformer",
        "vae",
        "scheduler",
    ),
    "transformers": (
        "tokenizer",
        "tokenizer_2",
        "text_encoder",
        "text_encoder_2",
        "image_encoder",
        "image_processor",
        "feature_extractor",
    ),
}


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON file of a model.

    Raises:
        VideoGenError: `model-unreadable`.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise VideoGenError(
            "model-unreadable", f"{path} cannot be read: {reason}", "Download the model again."
        ) from None
    return found


def read_family(folder: Path) -> Family:
    """The family of a model's folder, once everything that its index names is known.

    Raises:
        VideoGenError: `model-unreadable`, `model-unsupported`.
    """
    index = read_json(folder / INDEX)
    name = index.get("_class_name")
    family = find_family(name if isinstance(name, str) else "", f"the model in {folder}")
    for component, named in index.items():
        if component.startswith("_") or not isinstance(named, list):
            continue
        library, kind = [*named, None, None][:2]
        if library is None and kind is None:
            continue
        known = family.components.get(component, frozenset())
        if kind not in known or component not in _LIBRARIES.get(str(library), ()):
            expected = ", ".join(sorted(known)) or "no such component"
            raise VideoGenError(
                "model-unsupported",
                f"{folder / INDEX} names {library}.{kind} as its `{component}`, expected for {family.name}: {expected}",
                "These nodes import nothing else. Take the model from its publisher.",
            )
    return family


def read_component_class(folder: Path) -> str:
    """The class that a component's own folder names."""
    return str(read_json(folder / CONFIG).get("_class_name") or "")
