"""Output never ends a command: whole processes with a small encoding, a closed pipe, a full disk, or no output at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import write_json
from tests.support.videos import code_of, draw_code, write_video

PROJECT = Path(__file__).resolve().parents[3]
TITLE = "苹果树 – Çà et là 🎬"
ENCODINGS = ["ascii", "cp1252", "gbk", "utf-8", "utf-16"]


def run_videogen(
    *arguments: object, encoding: str = "utf-8", redirect: str = "", status_of: str = "$?", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own, through a shell."""
    command = " ".join(f'"{one}"' for one in (sys.executable, "-m", "runner", *arguments))
    return subprocess.run(
        ["bash", "-c", f"{command} {redirect}; exit {status_of}"],
        cwd=PROJECT,
        env={**os.environ, "PYTHONIOENCODING": encoding, **environment},
        capture_output=True,
        check=False,
    )


@pytest.fixture
def story(tmp_path: Path) -> Path:
    segments = [{"prompt": "苹果", f"钥匙 {number}": 1} for number in range(400)]
    return write_json(tmp_path / "苹果树.json", {"title": TITLE, "segments": segments})


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    graph: dict[str, Any] = {
        str(number): {"class_type": "CLIPTextEncode", "inputs": {"text": TITLE}} for number in range(1, 2000)
    }
    return write_json(tmp_path / "流程.json", graph)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_check_of_chinese_text_prints_escapes_where_letters_cannot_be(story: Path, encoding: str) -> None:
    ended = run_videogen("check", story, encoding=encoding)
    out, err = (text.decode(encoding.partition(":")[0]) for text in (ended.stdout, ended.stderr))
    assert "Traceback" not in out + err
    assert ended.returncode == 2
    key = "钥匙" if encoding in ("gbk", "utf-8", "utf-16") else r"\u94a5\u5319"
    assert f"segments[1].{key} 0: unknown key" in out


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_converted_workflow_is_json_in_utf_8_under_every_encoding(workflow: Path, encoding: str) -> None:
    ended = run_videogen("convert", workflow, encoding=encoding)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout.decode("utf-8"))["1"]["inputs"]["text"] == TITLE


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_scores_are_json_in_utf_8_and_their_table_is_readable(tmp_path: Path, encoding: str) -> None:
    clip = write_video(tmp_path / "苹果.mp4", (draw_code(code_of(1, number)) for number in range(4)), count=4)
    ended = run_videogen("score", clip, "--json", encoding=encoding)
    assert ended.stderr == b""
    assert json.loads(ended.stdout.decode("utf-8"))[0]["file"] == str(clip)
    table = run_videogen("score", clip, encoding=encoding)
    assert table.returncode == ended.returncode <= 1
    assert r"\u82f9" in table.stdout.decode(encoding) or encoding == "utf-16"


def test_an_error_is_an_event_in_utf_8(tmp_path: Path) -> None:
    ended = run_videogen("run", tmp_path / "没有.json", "--json", encoding="cp1252")
    assert ended.returncode == 2
    assert "没有.json" in json.loads(ended.stdout.decode("utf-8"))["message"]
    assert r"\u6ca1\u6709.json" in ended.stderr.decode("cp1252")


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_a_reader_that_goes_away_changes_nothing(story: Path, workflow: Path, reader: str) -> None:
    checked = run_videogen("check", story, redirect=f"| {reader}", status_of="${PIPESTATUS[0]}")
    assert (checked.returncode, checked.stderr) == (2, b"")
    converted = run_videogen("convert", workflow, redirect=f"| {reader}", status_of="${PIPESTATUS[0]}")
    assert (converted.returncode, converted.stderr) == (0, b"")
    both = run_videogen("check", story, redirect=f"2>&1 | {reader}", status_of="${PIPESTATUS[0]}")
    assert both.returncode == 2


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_without_output_at_all(story: Path, workflow: Path, tmp_path: Path, closed: str) -> None:
    for arguments, status in (
        (("check", story), 2),
        (("convert", workflow), 0),
        (("run", tmp_path / "gone.json", "--json"), 2),
        (("run", tmp_path / "gone.json"), 2),
        (("--help",), 0),
    ):
        ended = run_videogen(*arguments, redirect=closed)
        assert (ended.returncode, b"Traceback" in ended.stderr) == (status, False), arguments


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_an_answer_that_a_full_disk_did_not_take_is_a_failure(story: Path, workflow: Path) -> None:
    converted = run_videogen("convert", workflow, redirect="> /dev/full")
    assert converted.returncode == 1
    assert converted.stderr.decode() == (
        "videogen: standard output could not be written: [Errno 28] No space left on device\n"
    )
    assert run_videogen("check", story, redirect="> /dev/full").returncode == 2, "its own status, which says more"


def test_what_a_library_says_to_a_closed_error_output_is_in_no_file(tmp_path: Path) -> None:
    script = (
        "import os, sys; from runner.terminal.lasting_streams import lasting_streams\n"
        f"with lasting_streams(): opened = os.open({str(tmp_path / 'journal')!r}, os.O_CREAT | os.O_WRONLY)\n"
        "os.write(2, b'x264: a warning'); sys.exit(opened)"
    )
    ended = subprocess.run(["bash", "-c", f'"{sys.executable}" -c "$0" 2>&-', script], cwd=PROJECT, check=False)
    assert ended.returncode > 2
    assert (tmp_path / "journal").read_bytes() == b""
