"""Fuzz targets for what comes from a server or a run directory of somebody else: schemas, history, events, journals."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from runner.comfyui.answers import EventMessage, MalformedAnswerError, parse_json, read_as
from runner.comfyui.node_schemas import read_object_info
from runner.comfyui.outcome import read_outcome
from runner.comfyui.outputs import choose_clip
from runner.comfyui.session import _report, _says_ended
from runner.rendering.failures import classify_outcome, explain_outcome, sign_failure
from runner.rendering.keys.dataflow import Dataflow
from runner.rendering.keys.secret_inputs import find_secret_inputs
from runner.rendering.takes.measurement import read_measurement
from runner.rendering.thermal import summarize_telemetry
from runner.reports.report import report_directory
from runner.state.journal import Journal
from runner.workflows.bindings import apply_setting
from runner.workflows.output_node import find_output_problems, find_savers, force_execution
from runner.workflows.validate import check_graph
from runner.workflows.workflow import convert_workflow, load_workflow
from tests.support.hostile.mutation import change_bytes, change_data, change_text

PROJECT = Path(__file__).resolve().parents[2]
INFO: dict[str, Any] = json.loads((PROJECT / "tests" / "runner" / "object_info.json").read_text("utf-8"))
WORKFLOWS = [load_workflow(path) for path in sorted((PROJECT / "workflows").glob("*.json"))]
KEPT_RUNS = PROJECT / "tests" / "runner" / "state" / "kept_runs"
_SECOND = 1_700_000_000_000
ENTRY: dict[str, Any] = {
    "prompt": [1, "p1", {}, {}, ["4"]],
    "outputs": {
        "4": {
            "images": [{"filename": "a.mp4", "subfolder": "videogen", "type": "output"}],
            "animated": [True],
            "videogen": [
                {
                    "sha256": "0" * 64,
                    "frames": 8,
                    "quality": "draft",
                    "encoder": "libx264",
                    "telemetry": {
                        "devices": [{"device": "gpu 0", "kind": "gpu", "temperature": [40, 60]}],
                        "pauses": [],
                    },
                }
            ],
        },
        "7": {"audio": [{"filename": "a.flac", "subfolder": "", "type": "output"}]},
        "5": {
            "videogen": [
                {"number": 1, "continuity": {"scores": {"frames": {"count": 8}}, "thresholds": {}, "notes": []}}
            ]
        },
    },
    "status": {
        "status_str": "success",
        "completed": True,
        "messages": [
            ["execution_start", {"prompt_id": "p1", "timestamp": _SECOND}],
            ["execution_success", {"prompt_id": "p1", "timestamp": _SECOND + 1_000}],
        ],
    },
    "meta": {"4": {"node_id": "4", "display_node": "4"}},
}
FAILED: dict[str, Any] = {
    "outputs": {},
    "status": {
        "status_str": "error",
        "completed": False,
        "messages": [
            ["execution_start", {"timestamp": _SECOND}],
            [
                "execution_error",
                {
                    "node_id": "3",
                    "node_type": "KSampler",
                    "exception_type": "torch.OutOfMemoryError",
                    "exception_message": "no",
                },
            ],
        ],
    },
}
EVENTS: list[dict[str, Any]] = [
    {"type": "progress_state", "data": {"prompt_id": "p1", "nodes": {"3": {"state": "running", "value": 1, "max": 4}}}},
    {"type": "executing", "data": {"prompt_id": "p1", "node": None}},
    {"type": "videogen.thermal", "data": {"prompt_id": "p1", "state": "waiting", "text": "82 °C"}},
]


def _received(draw: random.Random, good: Any) -> Any:
    """As it comes over the network, with changes in it and, now and then, in its text."""
    text = json.dumps(change_data(draw, good))
    return parse_json((change_text(draw, text) if draw.random() < 0.2 else text).encode("utf-8", "surrogatepass"))


def object_info(draw: random.Random, folder: Path) -> None:
    workflow = draw.choice(WORKFLOWS)
    kinds = {node.get("type") for node in (workflow.ui or {}).get("nodes", ())} or set(INFO)
    try:
        info = read_object_info(_received(draw, {kind: INFO[kind] for kind in sorted(kinds & set(INFO))}))
    except MalformedAnswerError:
        return
    graph = convert_workflow(workflow, info)
    check_graph(graph, info, workflow, lambda name: [])
    list(find_output_problems(graph, info))
    find_savers(graph, info)
    find_secret_inputs(graph, info)
    Dataflow(graph, info)
    force_execution(graph, info, 1)
    for node_id, node in graph.items():
        for name in list(node["inputs"])[:2]:
            apply_setting(f"{node_id}.{name}=1", graph, info)


def history(draw: random.Random, folder: Path) -> None:
    try:
        entry = read_as(_received(draw, draw.choice((ENTRY, FAILED))), dict[str, Any])
    except MalformedAnswerError:
        return
    outcome = read_outcome(entry)
    sign_failure(outcome)
    assert len(explain_outcome(classify_outcome(outcome), outcome).message) < 10_000
    read_measurement(outcome)
    clip = choose_clip(outcome, draw.choice(("", "4")))
    summarize_telemetry(clip.telemetry or {})


def event(draw: random.Random, folder: Path) -> None:
    try:
        message = read_as(_received(draw, draw.choice(EVENTS)), EventMessage)
    except MalformedAnswerError:
        return
    _says_ended((message.type, message.data))
    _report(message.type, message.data, {"3": {"class_type": "KSampler", "inputs": {}}}, lambda label, share: None)


def journal(draw: random.Random, folder: Path) -> None:
    """The journal and the record of a kept run with changes in values or bytes; what can be replayed can be reported."""
    run = draw.choice([path.parent for path in sorted(KEPT_RUNS.rglob("journal.jsonl"))])
    lines = change_data(draw, [json.loads(line) for line in (run / "journal.jsonl").read_text("utf-8").splitlines()])
    text = "".join(json.dumps(line) + "\n" for line in (lines if isinstance(lines, list) else [lines]))
    data = text.encode("utf-8", "surrogatepass")
    (folder / "journal.jsonl").write_bytes(change_bytes(draw, data) if draw.random() < 0.3 else data)
    record = json.loads((run / "run.json").read_text("utf-8"))
    (folder / "run.json").write_text(json.dumps(change_data(draw, record) if draw.random() < 0.3 else record))
    with contextlib.suppress(VideoGenError):
        Journal(folder / "journal.jsonl", read_only=True)
    report_directory(folder)


SERVER_TARGETS = {"object-info": object_info, "history": history, "event": event, "journal": journal}
