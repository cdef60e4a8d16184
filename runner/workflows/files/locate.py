"""Finding a workflow's file by its name: shipped ones, and the official templates that are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from ...comfyui.installation import PROJECT

#: Packages with ComfyUI's official templates; each has a folder `templates`. Which are there depends on ComfyUI's version.
_PACKAGES = ("json", "core", "media_video", "media_image", "media_api", "media_other", "media_assets_01")


def locate_workflow(path: Path) -> Path:
    """The file that a path or a bare name means; the path itself where nothing has that name."""
    if path.exists() or len(path.parts) != 1:
        return path
    return find_named(path.name) or path


def find_named(name: str) -> Path | None:
    """The file of a shipped workflow or an installed template, by its name with or without ``.json``; None without one.

    No other folder is looked at.

    Args:
        name: without folders.
    """
    file = f"{name.removesuffix('.json')}.json"
    places = (PROJECT / "workflows", *_template_folders())
    return next((found for folder in places if (found := folder / file).is_file()), None)


def list_shipped() -> list[str]:
    """Names of the shipped workflows."""
    return sorted(file.stem for file in (PROJECT / "workflows").glob("*.json"))


def find_templates() -> dict[str, Path]:
    """The official templates that are installed, by name."""
    files = [file for folder in _template_folders() for file in sorted(folder.glob("*.json"))]
    return {file.stem: file for file in reversed(files) if not file.stem.startswith("index")}


def _template_folders() -> Iterator[Path]:
    for package in _PACKAGES:
        spec = importlib.util.find_spec(f"comfyui_workflow_templates_{package}")
        for folder in (spec.submodule_search_locations if spec else None) or ():
            yield Path(folder) / "templates"
