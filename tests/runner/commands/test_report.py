"""`videogen report` on what earlier releases have left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from custom_nodes.videogen.core.errors import VideoGenError
from runner.cli import main
from runner.state.run_directory import RunDirectory
from tests.support.stories import small_story


def test_a_journal_with_a_former_code_is_read_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story = small_story("Tiny")
    failed = {"code": "video-broken", "message": "segment_01.mp4 does not decode", "hint": ""}
    (tmp_path / "run.json").write_text(json.dumps({"story": story, "title": "Tiny", "run_id": "old"}))
    (tmp_path / "journal.jsonl").write_text(
        json.dumps({"event": "segment-submitted", "time": 1.0, "segment": 1, "key": "k", "attempt": 0})
        + "\n"
        + json.dumps({"event": "segment-failed", "time": 2.0, "segment": 1, "key": "k", **failed})
        + "\n"
    )
    with RunDirectory(tmp_path, "Tiny") as directory:
        state = directory.journal.segment(1)
        assert (state.state, state.error["message"]) == ("failed", failed["message"])
        assert VideoGenError(state.error["code"], state.error["message"]).code == "media-broken"
    # Written by the earlier release too; it is made again.
    (tmp_path / "report.json").write_text(json.dumps({"segments": [{"number": 1, "error": failed}]}))
    assert main(["report", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("0 of 2 segments are done; ")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["segments"][0]["error"]["message"] == failed["message"]
    assert "segment_01.mp4 does not decode" in (tmp_path / "report.html").read_text()
