"""Outcomes of prompts, read from ComfyUI's history."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.media.file_types import SAVED_VIDEO_SUFFIXES


@dataclass(frozen=True)
class Outcome:
    """A prompt that has ended.

    Attributes:
        status: ``success``, ``error`` or ``interrupted``.
        error: for ``error``: the node and the message, in one line.
        outputs: the nodes' ui results, by node id.
        executed: seconds between start and end on the server, or None.
        exception_type: for ``error``: class of the node's exception, with its module, such as ``torch.OutOfMemoryError``.
    """

    status: str
    error: str = ""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: float | None = None
    exception_type: str = ""


def read_outcome(entry: dict[str, Any]) -> Outcome:
    """The outcome in a ``/history`` entry. An interrupted prompt has the status of an error there; its messages tell."""
    status = entry.get("status") or {}
    messages = {m[0]: m[1] for m in status.get("messages") or [] if isinstance(m, list) and len(m) == 2}
    outputs = {str(key): value for key, value in (entry.get("outputs") or {}).items() if isinstance(value, dict)}
    executed = _executed_seconds(messages)
    if status.get("status_str") == "success":
        return Outcome("success", outputs=outputs, executed=executed)
    if "execution_interrupted" in messages:
        return Outcome("interrupted", "the prompt was interrupted on the server", outputs, executed)
    failure = messages.get("execution_error") or {}
    kind = str(failure.get("exception_type", ""))
    where = f"node {failure.get('node_id', '?')} ({failure.get('node_type', '?')})"
    message = " ".join(str(failure.get("exception_message", "no reason given")).split())
    return Outcome("error", f"{where}: {message}", outputs, executed, kind)


def _executed_seconds(messages: dict[str, Any]) -> float | None:
    ends = [
        messages[name] for name in ("execution_success", "execution_error", "execution_interrupted") if name in messages
    ]
    try:
        return (ends[0]["timestamp"] - messages["execution_start"]["timestamp"]) / 1000
    except (IndexError, KeyError, TypeError):
        return None


def find_video_files(outcome: Outcome) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The files that a prompt has saved, best first and sound last, and the record of VideoGenSaveSegment.

    A video comes before images; temporary files (previews) count only where there are no others.

    Raises:
        VideoGenError: `output-missing`.
    """
    record: dict[str, Any] = {}
    files: list[dict[str, Any]] = []
    for result in outcome.outputs.values():
        for value in result.values():
            files += [item for item in value if _is_file(item)] if isinstance(value, list) else []
        if isinstance(result.get("videogen"), list) and result["videogen"] and "sha256" in result["videogen"][0]:
            record = result["videogen"][0]
    images = [file for file in files if not is_sound(file["filename"])]
    if not images:
        outputs = json.dumps(outcome.outputs)[:200]
        what = "only sound" if files else "no file"
        raise VideoGenError(
            "output-missing",
            f"the prompt succeeded but saved {what}; its outputs are {outputs}",
            "The workflow needs a node that saves a video or pictures, such as VideoGenSaveSegment.",
        )
    images = [file for file in images if file.get("type") != "temp"] or images
    sounds = [file for file in files if is_sound(file["filename"]) and file.get("type") != "temp"]
    return [*sorted(images, key=lambda file: not is_video(file["filename"])), *sounds], record


def is_sound(name: str) -> bool:
    """Whether a file contains sound and no images, by its name."""
    return name.lower().endswith((".flac", ".mp3", ".opus", ".wav", ".ogg", ".m4a", ".aac"))


def _is_file(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("filename"), str) and bool(item["filename"])


def is_video(name: str) -> bool:
    return name.lower().endswith((*SAVED_VIDEO_SUFFIXES, ".webp", ".gif"))
