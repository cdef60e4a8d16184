"""A film of segments that do not belong together is not made without a word: on a real ComfyUI."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import read_journal, videogen, write_json
from tests.support.servers.comfy import ComfyServer
from tests.support.stories import small_story

pytestmark = pytest.mark.server

STORY = small_story("Old and New", segments=3)
OLDER = "segments 1,3 are older than the story"


def changed_style() -> dict[str, Any]:
    return copy.deepcopy(STORY) | {"style": {"lighting": "Night, a single lamp"}}


def test_the_style_changes_and_one_segment_is_rendered(comfy_server: ComfyServer, tmp_path: Path) -> None:
    story, run = tmp_path / "story.json", tmp_path / "run"
    command = ["run", story, "--workflow", "preview", "--server", comfy_server.url, "--out", run]
    write_json(story, STORY)
    first = videogen(*command)
    assert first.status == 0, first.err
    assert "older" not in first.err

    write_json(story, changed_style())
    mixed = videogen(*command, "--segments", "2")
    assert mixed.status == 0, mixed.err
    assert OLDER in mixed.err
    report = json.loads((run / "report.json").read_text("utf-8"))
    assert [segment["stale"] for segment in report["segments"]] == [True, False, True]
    assert (report["totals"]["stale"], report["film"].get("stale")) == ([1, 3], [1, 3])
    assert (run / "report.html").read_text("utf-8").count(">older than the story</span>") >= 2

    # Offline, from the journal alone.
    again = videogen("film", run)
    assert again.status == 0
    assert OLDER in again.err
    film = (run / "film.mp4").read_bytes()
    refused = videogen("film", run, "--strict")
    assert (refused.status, refused.out) == (1, "")
    assert f"no film: {OLDER}" in refused.err
    assert (run / "film.mp4").read_bytes() == film

    # The same with nothing to render; the run is over, and says so.
    strict = videogen(*command, "--segments", "2", "--strict")
    assert strict.status == 1
    assert f"no film: {OLDER}" in strict.err
    assert [(event["event"], event["status"]) for event in read_journal(run)[-1:]] == [("run-finished", 1)]

    whole = videogen(*command, "--strict")
    assert whole.status == 0, whole.err
    assert "older" not in whole.err
    assert json.loads((run / "report.json").read_text("utf-8"))["totals"]["stale"] == []
