"""The report of a run as plain data (report.json): results, times, attempts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from custom_nodes.videogen.core.errors import VideoGenError
from custom_nodes.videogen.core.redaction import SECRETS
from custom_nodes.videogen.core.segment.plan import plan_segment
from custom_nodes.videogen.core.server_address import find_path_secrets
from custom_nodes.videogen.core.story.model import Story
from custom_nodes.videogen.core.story.parser import parse_story

from ..references.generate import read_record
from ..rendering.film import film_inputs, find_stale
from ..rendering.kept_results import list_results
from ..state.history import History
from ..state.journal import Journal
from ..state.own_files import require_own_files
from ..state.run_directory import read_run, write_json_whole
from ..state.run_lock import is_runner_at_work
from .command_line import hide_in_command, hide_in_settings, resume_command
from .prompt_record import read_prompts

#: Fields that the report copies from a segment's result, where it has them.
OF_A_RESULT = (
    "file",
    "bytes",
    "sha256",
    "adopted",
    "frames",
    "fps",
    "size",
    "rendered_size",
    "degraded",
    "seconds",
    "server",
    "encoder",
    "scores",
    "takes",
    "continuity",
    "vram",
    "temperature",
    "telemetry",
)
#: Runs, notes on servers, and attempts and failures of a segment that the report has: the last ones. The journal has all.
MAX_RUNS, MAX_NOTES, MAX_TRIES = 200, 500, 50
#: Characters of what a server has said in them.
MAX_MESSAGE = 4_000
#: In a run directory: `continuity` of report.json by itself, for programs that need nothing else.
CONTINUITY_FILE = "continuity.json"


def build_report(
    run: dict[str, Any], journal: Journal, story: Story, *, runner_at_work: bool = False
) -> dict[str, Any]:
    """Build the report as plain data, from the run's record and its journal alone.

    A segment carries ``scores`` (name → number), ``vram`` (bytes) and ``temperature`` (°C; both a number, or an object
    with ``peak``) when its result has them, and ``telemetry`` with all measurements by device and every pause.

    Args:
        runner_at_work: a runner holds the directory's lock. A run whose end is not in the journal is then under way;
            otherwise its runner was killed, and the segments that were begun are interrupted.
    """
    history = journal.history
    runs = list(history.runs)
    running = runner_at_work and bool(runs) and runs[-1]["end"] is None
    if runs and runs[-1]["end"] is None and not running:
        times = [event["time"] for event in journal.latest.values() if event.get("time") is not None]
        runs[-1] = {**runs[-1], "end": "stopped", "ended": max(times, default=None)}
    under_way = frozenset(journal.latest["run-started"].get("todo") or ()) if running else frozenset()
    segments = [_describe_segment(story, segment.number, journal, history, under_way) for segment in story.segments]
    stale = frozenset(find_stale(journal))
    for entry in segments:
        entry["stale"] = entry["number"] in stale
    totals = _add_up(segments)
    unfinished = bool(runs) and runs[-1]["end"] != "finished" and bool(totals["missing"])
    film, end = journal.latest.get("film-done"), journal.latest.get("run-finished")
    if film:
        current = film.get("inputs") == film_inputs(story, journal.segments)
        film = {key: value for key, value in film.items() if key not in ("event", "inputs")} | {"current": current}
    return {
        "title": story.title,
        "run_id": run.get("run_id"),
        "running": running,
        "resumable": not running and (unfinished or bool(totals["failed"])),
        "resume": resume_command(hide_in_command(run.get("command"))),
        "command": hide_in_command(run.get("command")),
        "folder": run.get("folder"),
        "workflow": (run.get("workflow") or {}).get("path"),
        "settings": hide_in_settings(run.get("settings")),
        "versions": run.get("versions"),
        "story": {
            "duration": float(story.duration),
            "fps": float(story.fps),
            "size": list(story.size),
            "quality": story.quality,
        },
        "done": sum(1 for entry in segments if entry["status"] == "done"),
        "count": len(segments),
        "totals": totals,
        "servers": _share(segments),
        "film": film,
        "runs": runs[-MAX_RUNS:],
        "notes": [_shorten(note) for note in history.notes[-MAX_NOTES:]],
        "last_run": {key: value for key, value in end.items() if key != "event"} if end else None,
        "segments": segments,
    }


def _describe_segment(
    story: Story, number: int, journal: Journal, history: History, under_way: Collection[int]
) -> dict[str, Any]:
    """Describe a segment.

    Args:
        under_way: segments of the run that is under way; empty when there is none.
    """
    segment, state, plan = story.segment(number), journal.segment(number), plan_segment(story, number)
    tries = []
    for attempt in history.tries.get(number, [])[-MAX_TRIES:]:
        offset = attempt["seed_offset"]
        entry = {key: value for key, value in _shorten(attempt).items() if key not in ("seed_offset", "prompt_id")}
        seed = None if offset is None else (plan.seed + offset) % 2**64
        tries.append({**entry, "seed": seed, "size": attempt["size"] or list(plan.size)})
    described: dict[str, Any] = {
        "number": number,
        "id": segment.id,
        "status": state.state,
        "interrupted": state.state not in ("pending", "done", "failed") and number not in under_way,
        "attempts": state.attempts,
        "failures": state.history[-MAX_TRIES:],
        "tries": tries,
        "seed": state.result.get("seed", segment.seed),
        "planned_seed": plan.seed,
        "planned_size": list(plan.size),
        "prompt": plan.prompt,
        "text": plan.text,
        "negative": plan.negative,
        "prompt_notes": [],
        "description": segment.description,
        "technical": segment.technical,
        "workflow": segment.workflow,
        "loras": [asdict(lora) for lora in segment.loras],
        "start": float(segment.start),
        "duration": float(segment.duration),
    }
    described |= {name: state.result[name] for name in OF_A_RESULT if name in state.result}
    if state.state == "done":
        described["finished"] = state.result.get("time")
    if state.error:
        described["error"] = state.error
    return described


def _shorten(entry: dict[str, Any]) -> dict[str, Any]:
    """With a message that is no longer than `MAX_MESSAGE`."""
    message = entry.get("message")
    return {**entry, "message": message[:MAX_MESSAGE]} if isinstance(message, str) else entry


def _add_up(segments: Sequence[dict[str, Any]]) -> dict[str, Any]:
    done = [segment for segment in segments if segment["status"] == "done"]
    phases = {
        phase: round(sum(float((segment.get("seconds") or {}).get(phase, 0)) for segment in done), 3)
        for phase in ("executed", "transferred", "verified")
    }
    return {
        **phases,
        "bytes": sum(segment.get("bytes", 0) for segment in done),
        "attempts": sum(segment["attempts"] for segment in segments),
        "failed": [segment["number"] for segment in segments if segment["status"] == "failed"],
        "missing": [segment["number"] for segment in segments if segment["status"] not in ("done", "failed")],
        "degraded": [segment["number"] for segment in done if segment.get("degraded")],
        "stale": [segment["number"] for segment in done if segment["stale"]],
        "other_seed": [segment["number"] for segment in done if segment["seed"] != segment["planned_seed"]],
    }


def _share(segments: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    servers: dict[str, dict[str, Any]] = {}
    for segment in segments:
        if segment["status"] == "done" and segment.get("server"):
            share = servers.setdefault(segment["server"], {"name": segment["server"], "segments": 0, "executed": 0.0})
            share["segments"] += 1
            share["executed"] = round(share["executed"] + float((segment.get("seconds") or {}).get("executed", 0)), 3)
    return sorted(servers.values(), key=lambda share: -share["segments"])


# ------------------------------------------------------------------ of a run directory


def report_directory(path: Path) -> dict[str, Any]:
    """Build the report of a run directory from its files without locking it; a runner may be working there.

    Raises:
        VideoGenError: `run-directory-invalid`.
    """
    require_own_files(path)
    # Asked before the journal is read: a run that ends in between is then told by its last event.
    runner_at_work = is_runner_at_work(path)
    journal = Journal(path / "journal.jsonl", read_only=True)
    return report_run(path, journal, runner_at_work=runner_at_work)


def report_run(path: Path, journal: Journal, *, runner_at_work: bool = False) -> dict[str, Any]:
    """Build the report of a run directory whose journal is open.

    Args:
        runner_at_work: another process is rendering there. The process that holds the lock reports when its run is over.
    """
    run = read_run(path)
    if run is None:
        raise VideoGenError(
            "run-directory-invalid",
            f"{path} is not a run directory: it has no run.json",
            "A run directory is what `videogen run` writes into, such as runs/apple_tree.",
        )
    report = build_report(run, journal, parse_story(run["story"], "run.json"), runner_at_work=runner_at_work)
    replaced = [file.stat().st_size for file in list_results(path)]
    found: dict[str, Any] = {"kept_results": {"files": len(replaced), "bytes": sum(replaced)}}
    found |= {"references": [asdict(drawn) for drawn in read_record(path).values()]}
    prompts = read_prompts(path)
    for segment in report["segments"]:
        segment |= prompts.get(segment["number"], {})
    if any(state.result.get("continuity") for state in journal.segments.values()):
        # OpenCV takes a while to load: only where something was measured.
        from .continuity_record import build_continuity

        found["continuity"] = build_continuity(path, journal, parse_story(run["story"], "run.json"))
    return report | found


def _find_servers(data: Any) -> Iterator[str]:
    """The servers' names anywhere in a report."""
    for name, value in data.items() if isinstance(data, dict) else enumerate(data):
        if name == "server" and isinstance(value, str):
            yield value
        elif isinstance(value, (dict, list)):
            yield from _find_servers(value)


def write_report(path: Path, report: dict[str, Any]) -> Path:
    """Write ``report.json`` and ``report.html`` into a run directory; returns the latter's path."""
    # Journals of earlier releases name servers by their whole addresses.
    for secret in {secret for name in _find_servers(report) for secret in find_path_secrets(name)}:
        SECRETS.add(secret)
    report = SECRETS.hide(report, texts=("message", "hint", "trace", "reasons"))
    write_json_whole(path / "report.json", report)
    if report.get("continuity"):
        write_json_whole(path / CONTINUITY_FILE, report["continuity"])
    # A run with nothing to do does not wait for the libraries of templates and charts.
    from .page import write_html

    return write_html(path, report)
