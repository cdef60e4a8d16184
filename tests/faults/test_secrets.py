"""No secret is in any file of a run, whoever has written it: real runs, whose every file is searched."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from custom_nodes.videogen.core.redaction import HIDDEN
from runner.comfyui.embedded import EmbeddedServer
from runner.comfyui.installation import find_installation
from tests.faults.harness import PROJECT, Stage
from tests.support.runs import read_journal
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import Graph, segment_graph, small_story

KEY, NOTE, TOKEN, IN_WORKFLOW = "k3y-f0r-the-service", "marked/as+secret", "t0ken-0f-the-proxy", "key-in-the-workflow"
SECRETS = (KEY, NOTE, TOKEN, IN_WORKFLOW)


def make_stage(folder: Path, saver: str) -> Stage:
    """A workflow with a service that wants a key: the first request is refused, and the refusal repeats the key."""
    story = small_story("Paid", segments=2)
    graph: Graph = segment_graph(story)
    graph["5"] = {
        "class_type": "FaultService",
        "inputs": {
            "images": ["3", 0],
            "seed": ["2", 3],
            "seeds": "*",
            "times": 1,
            "record": str(folder / "record.txt"),
            "api_key": IN_WORKFLOW,
            "note": "",
        },
    }
    graph["4"]["inputs"]["images"] = ["5", 0]
    if saver == "SaveVideo":
        del graph["4"]
        graph["6"] = {"class_type": "CreateVideo", "inputs": {"images": ["5", 0], "fps": 8.0}}
        graph["7"] = {
            "class_type": "SaveVideo",
            "inputs": {"video": ["6", 0], "filename_prefix": "paid", "format": "mp4", "codec": "h264"},
        }
    return Stage(folder, story, graph)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=180)
    return process.returncode, out + err


def files_with_secrets(folder: Path) -> dict[str, list[str]]:
    """Every file of a run directory in which a secret is, in any of the ways in which it can be written."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            there = [
                secret for secret in SECRETS if secret.encode() in data or secret.replace("/", "%2F").encode() in data
            ]
            if there:
                found[path.relative_to(folder).as_posix()] = there
    return found


@pytest.mark.parametrize("saver", ["VideoGenSaveSegment", "SaveVideo"])
def test_every_file_of_a_run_and_everything_that_it_prints(
    saver: str, fault_server: ComfyServer, tmp_path: Path
) -> None:
    stage = make_stage(tmp_path, saver)
    options = ["--server", fault_server.url, "--header", f"Authorization: Bearer {TOKEN}", "--json"]
    process = stage.start(*options, "--set", f"5.api_key={KEY}", "--set", "5.note=env:MY_NOTE", MY_NOTE=NOTE)
    status, said = finish(process)
    assert status == 0, said
    # The service has got them, and the server has repeated them.
    assert f"got {KEY} and {NOTE}" in stage.record.read_text("utf-8")
    (failed,) = [event for event in read_journal(stage.directory) if event["event"] == "attempt-failed"]
    assert "401 Unauthorized" in failed["message"]
    assert HIDDEN in failed["message"]

    assert files_with_secrets(stage.directory) == {}
    # Nodes of others write the whole graph into their files.
    assert saver != "SaveVideo" or b"*" * len(KEY) in (stage.directory / "segments" / "segment_01.mp4").read_bytes()
    assert [secret for secret in SECRETS if secret in said] == []
    record = json.loads((stage.directory / "run.json").read_text("utf-8"))
    assert record["settings"]["set"] == [f"5.api_key={HIDDEN}", "5.note=env:MY_NOTE"]
    assert f"5.api_key={HIDDEN}" in record["command"]
    for name in ("run.json", "journal.jsonl", "graph.json", "report.json"):
        assert stat.S_IMODE((stage.directory / name).stat().st_mode) == 0o600

    # Another key changes no frame: nothing is rendered again, and nothing is written either.
    process = stage.start(
        *options, "--set", "5.api_key=an0ther-key", "--set", "5.note=env:MY_NOTE", MY_NOTE="an0ther-n0te"
    )
    status, said = finish(process)
    assert status == 0, said
    assert len([event for event in read_journal(stage.directory) if event["event"] == "segment-submitted"]) == 3
    assert files_with_secrets(stage.directory) == {}


def test_a_resumed_run_asks_for_what_is_stored_nowhere(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, "VideoGenSaveSegment")
    status, said = finish(stage.start("--set", f"5.api_key={HIDDEN}"))
    assert status == 2
    assert "--set 5.api_key=env:NAME" in said
    status, said = finish(stage.start("--set", "5.note=env:MY_MISSING_NOTE"))
    assert (status, "environment variable MY_MISSING_NOTE is not set" in said) == (2, True)
    status, said = finish(stage.start("--header", f"Authorization: {HIDDEN}"))
    assert (status, "VIDEOGEN_HEADER" in said) == (2, True)
    assert not stage.directory.exists()


def test_install_log_has_no_argument_of_the_runner() -> None:
    script = (
        "import install; print(install.own_arguments(['install.py', '--newest', '--run', '--header',"
        f" 'Authorization: {TOKEN}']))"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['install.py', '--newest', '--run', '...']"


def test_the_log_of_our_own_server_is_masked_when_it_stops(tmp_path: Path) -> None:
    from custom_nodes.videogen.core import redaction

    server = EmbeddedServer(find_installation(), tmp_path)
    server._process = subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE)
    server.log.write_text(f"asks with {KEY}\n", "utf-8")
    redaction.SECRETS.add(KEY)
    try:
        server.stop()
    finally:
        redaction.SECRETS.clear()
    assert server.log.read_text("utf-8") == f"asks with {'*' * len(KEY)}\n"
