"""report.json: what happened in a run, with the time of every segment."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.plan import plan_segment
from custom_nodes.videogen.core.story import Story
from custom_nodes.videogen.core.story_parser import parse_story

from .journal import Journal
from .run_directory import read_run, write_json_whole

PACKAGES = ("videogen", "comfy-cli", "av", "imageio-ffmpeg", "numpy", "pillow", "requests", "websocket-client")


def collect_versions(server_stats: dict[str, Any] | None = None) -> dict[str, str]:
    """Versions of everything that a render can depend on."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed as a package"
    system = (server_stats or {}).get("system") or {}
    for ours, theirs in (
        ("comfyui", "comfyui_version"),
        ("torch", "pytorch_version"),
        ("server python", "python_version"),
    ):
        if system.get(theirs):
            versions[ours] = str(system[theirs])
    devices = (server_stats or {}).get("devices") or []
    if devices:
        versions["device"] = ", ".join(str(device.get("name")) for device in devices)
    return versions


def build_report(run: dict[str, Any], journal: Journal, story: Story) -> dict[str, Any]:
    """The report as plain data, out of the run's record and its journal alone."""
    segments = []
    for segment in story.segments:
        state = journal.segment(segment.number)
        plan = plan_segment(story, segment.number)
        entry: dict[str, Any] = {
            "number": segment.number,
            "id": segment.id,
            "status": state.state,
            "attempts": state.attempts,
            "failures": state.history,
            "seed": state.result.get("seed", segment.seed),
            "prompt": plan.prompt,
            "duration": float(segment.duration),
        }
        for name in (
            "file",
            "bytes",
            "sha256",
            "frames",
            "fps",
            "size",
            "rendered_size",
            "degraded",
            "seconds",
            "server",
            "encoder",
        ):
            if name in state.result:
                entry[name] = state.result[name]
        if state.error:
            entry["error"] = state.error
        segments.append(entry)
    film, end = journal.latest.get("film-done"), journal.latest.get("run-finished")
    return {
        "title": story.title,
        "run_id": run.get("run_id"),
        "command": run.get("command"),
        "workflow": (run.get("workflow") or {}).get("path"),
        "settings": run.get("settings"),
        "versions": run.get("versions"),
        "done": sum(1 for entry in segments if entry["status"] == "done"),
        "count": len(segments),
        "film": {key: value for key, value in film.items() if key != "event"} if film else None,
        "last_run": {key: value for key, value in end.items() if key != "event"} if end else None,
        "segments": segments,
    }


def report_directory(path: Path) -> dict[str, Any]:
    """The report of a run directory, read from its files without locking it.

    Raises:
        VideoGenError: `run-directory-invalid`.
    """
    journal = Journal(path / "journal.jsonl", read_only=True)
    return report_run(path, journal)


def report_run(path: Path, journal: Journal) -> dict[str, Any]:
    """The report of a run directory whose journal is open."""
    run = read_run(path)
    if run is None:
        raise VideoGenError(
            "run-directory-invalid", f"{path} is not a run directory: it has no run.json",
            "A run directory is what `videogen run` writes into, such as runs/apple_tree.",
        )  # fmt: skip
    return build_report(run, journal, parse_story(run["story"], "run.json"))


def write_report(path: Path, report: dict[str, Any]) -> Path:
    """Write ``report.json`` into a run directory."""
    return write_json_whole(path / "report.json", report)
