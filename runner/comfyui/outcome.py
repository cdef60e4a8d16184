"""Outcomes of prompts, read from ComfyUI's history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .answers import ExecutionError, read_number, read_part, shorten
from .bounds import limits


@dataclass(frozen=True)
class Outcome:
    """A prompt that has ended.

    Attributes:
        status: ``success``, ``error`` or ``interrupted``.
        error: for ``error``: the node and the message, in one line.
        outputs: the nodes' ui results, by node id.
        executed: seconds between start and end on the server, or None.
        exception_type: for ``error``: class of the node's exception, with its module, such as ``torch.OutOfMemoryError``.
        shown_as: id of a node that another one has created while it ran → id of that other one, which the graph has.
    """

    status: str
    error: str = ""
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    executed: float | None = None
    exception_type: str = ""
    shown_as: Mapping[str, str] = field(default_factory=dict)


def read_outcome(entry: dict[str, Any]) -> Outcome:
    """The outcome in a ``/history`` entry. An interrupted prompt has the status of an error there; its messages tell.

    Whatever the entry has in its fields, this reads it: one that says nothing is an error without a reason.
    """
    status = entry.get("status")
    status = status if isinstance(status, dict) else {}
    messages = _read_messages(status.get("messages"))
    outputs = {name: value for name, value in _items(entry.get("outputs")) if isinstance(value, dict)}
    executed = _executed_seconds(messages)
    if status.get("status_str") == "success":
        shown_as = {
            name: str(meta["display_node"])
            for name, meta in _items(entry.get("meta"))
            if isinstance(meta, dict) and isinstance(meta.get("display_node"), (str, int))
        }
        return Outcome("success", outputs=outputs, executed=executed, shown_as=shown_as)
    if "execution_interrupted" in messages:
        return Outcome("interrupted", "the prompt was interrupted on the server", outputs, executed)
    failure = read_part(messages.get("execution_error", {}), ExecutionError) or ExecutionError()
    # Cut first: of a text of megabytes nobody wants the words.
    message = " ".join(shorten(failure.exception_message).split())
    node, kind, raised = (
        shorten(str(text), limits.MAX_NAME) for text in (failure.node_id, failure.node_type, failure.exception_type)
    )
    return Outcome("error", f"node {node} ({kind}): {message}", outputs, executed, raised)


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _read_messages(value: Any) -> dict[str, Any]:
    """The messages of a prompt by their name; of several with one name the last counts."""
    return {
        message[0]: message[1]
        for message in (value if isinstance(value, list) else [])
        if isinstance(message, list) and len(message) == 2 and isinstance(message[0], str)
    }


def _executed_seconds(messages: dict[str, Any]) -> float | None:
    times = {name: read_number(data.get("timestamp")) for name, data in messages.items() if isinstance(data, dict)}
    ends = [
        times.get(name)
        for name in ("execution_success", "execution_error", "execution_interrupted")
        if name in messages
    ]
    start = times.get("execution_start")
    if not ends or ends[0] is None or start is None or ends[0] < start:
        return None
    return (ends[0] - start) / 1000
