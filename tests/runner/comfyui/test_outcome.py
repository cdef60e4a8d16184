"""Outcomes: what ComfyUI's history says of a prompt."""

from __future__ import annotations

from typing import Any

import pytest

from runner.comfyui.outcome import read_outcome


def entry(status: str, *messages: list[Any], outputs: Any = None) -> dict[str, Any]:
    """A /history entry as ComfyUI 0.3.75 writes it."""
    return {"status": {"status_str": status, "messages": list(messages)}, "outputs": outputs or {}}


START = ["execution_start", {"prompt_id": "id", "timestamp": 1_000}]


def test_success_has_outputs_and_the_server_s_own_time() -> None:
    outcome = read_outcome(
        entry("success", START, ["execution_success", {"timestamp": 3_500}], outputs={"4": {"images": []}})
    )
    assert (outcome.status, outcome.outputs, outcome.executed) == ("success", {"4": {"images": []}}, 2.5)


def test_an_error_names_the_node_and_the_reason_in_one_line() -> None:
    failure = {
        "node_id": "3",
        "node_type": "KSampler",
        "exception_type": "torch.OutOfMemoryError",
        "exception_message": "Allocation on device\n\n  0 would exceed",
        "timestamp": 2_000,
    }
    outcome = read_outcome(entry("error", START, ["execution_error", failure]))
    assert outcome.status == "error"
    assert outcome.error == "node 3 (KSampler): Allocation on device 0 would exceed"
    assert outcome.exception_type == "torch.OutOfMemoryError"
    assert outcome.executed == 1.0


def test_an_interrupted_prompt_is_told_from_one_that_failed() -> None:
    """It is in the history as an error; only the messages tell."""
    outcome = read_outcome(entry("error", START, ["execution_interrupted", {"node_id": "3", "timestamp": 1_200}]))
    assert (outcome.status, outcome.executed) == ("interrupted", 0.2)


@pytest.mark.parametrize(
    "odd", [{}, {"status": None}, {"status": {}}, {"status": {"messages": None}}, {"status": {"messages": ["x", [1]]}}]
)
def test_an_entry_that_says_nothing_is_an_error(odd: dict[str, Any]) -> None:
    outcome = read_outcome(odd)
    assert (outcome.status, outcome.error) == ("error", "node ? (?): no reason given")
    assert outcome.executed is None
